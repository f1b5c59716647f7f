package guard

import (
	"net"
	"sync"
)

// Handoff is a listener for protocol libraries, which want to accept: its
// connections are those that a door has greeted and passes on.
type Handoff struct {
	addr net.Addr
	next chan net.Conn
	done chan struct{}
	once sync.Once
}

// NewHandoff returns a Handoff that gives addr as its address.
func NewHandoff(addr net.Addr) *Handoff {
	return &Handoff{addr: addr, next: make(chan net.Conn), done: make(chan struct{})}
}

// Give passes c on and reports true; after Close it closes c.
func (h *Handoff) Give(c net.Conn) bool {
	select {
	case h.next <- c:
		return true
	case <-h.done:
		_ = c.Close()
		return false
	}
}

// Accept returns the next connection that was given.
func (h *Handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.next:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. It may be called twice.
func (h *Handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr is the address of the socket behind.
func (h *Handoff) Addr() net.Addr { return h.addr }

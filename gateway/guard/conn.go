package guard

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// Conn is one connection of a door.
type Conn struct {
	net.Conn // the plain one, or TLS over it
	IP       string

	guard  *Guard
	hall   *hall
	visits *visits // of its network; nil if that has no limit
	once   sync.Once
	secure bool

	mu   sync.Mutex
	stop func()
	told bool // that the gateway stops
}

// HandshakeTimeout is how long a client may take over a TLS handshake. Ours: a
// slow mobile network needs two seconds.
const HandshakeTimeout = 10 * time.Second

// Secure puts TLS on the connection. It is called before anything else reads it.
func (c *Conn) Secure(cfg *tls.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), HandshakeTimeout)
	defer cancel()
	t := tls.Server(c.Conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	c.Conn, c.secure = t, true
	return nil
}

// Refused counts, against the client's network, that it was refused what only
// guessing or forging asks for. It reports whether there was too much of it: then
// the door hangs up, and who comes from there in this minute is not let in.
func (c *Conn) Refused() (tooMuch bool) {
	return c.guard.networks.refuse(c.visits)
}

// IsSecure reports whether TLS is on.
func (c *Conn) IsSecure() bool { return c.secure }

// OnStop sets what is called, once and from another goroutine, when the gateway
// stops: the door says goodbye, now or after what it is doing, and closes.
func (c *Conn) OnStop(f func()) {
	c.mu.Lock()
	c.stop = f
	told := c.told
	c.mu.Unlock()
	if told && f != nil {
		f()
	}
}

func (c *Conn) tell() {
	c.mu.Lock()
	c.told = true
	f := c.stop
	c.mu.Unlock()
	if f != nil {
		f()
	}
}

// Close ends the connection. It may be called twice.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		c.guard.networks.leave(c.visits)
		c.hall.remove(c)
	})
	return err
}

// hall is the open connections of one door.
type hall struct {
	mu     sync.Mutex
	open   map[*Conn]struct{}
	closed bool
	empty  chan struct{} // closed when nobody is left and nobody comes
}

func newHall() *hall { return &hall{open: make(map[*Conn]struct{}), empty: make(chan struct{})} }

func (h *hall) add(c *Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.open[c] = struct{}{}
	}
	return !h.closed
}

func (h *hall) remove(c *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, in := h.open[c]; !in {
		return
	}
	delete(h.open, c)
	if h.closed && len(h.open) == 0 {
		close(h.empty)
	}
}

// stop lets nobody in any more and tells those inside.
func (h *hall) stop() {
	h.mu.Lock()
	h.closed = true
	if len(h.open) == 0 {
		close(h.empty)
	}
	all := h.everyone()
	h.mu.Unlock()
	for _, c := range all {
		go c.tell() // a goodbye may wait for a client that reads nothing
	}
}

func (h *hall) everyone() []*Conn {
	all := make([]*Conn, 0, len(h.open))
	for c := range h.open {
		all = append(all, c)
	}
	return all
}

// cut closes what is left.
func (h *hall) cut() {
	h.mu.Lock()
	all := h.everyone()
	h.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// wait reports whether the hall became empty in time.
func (h *hall) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-h.empty:
		return true
	case <-t.C:
		return false
	}
}

package rest

import (
	"net"
	"sync"
)

// tracked is a listener that knows its connections: a stop must not wait for a
// client that connected and says nothing.
type tracked struct {
	net.Listener
	mu    sync.Mutex
	conns map[*trackedConn]struct{}
	gone  bool
}

func newTracked(ln net.Listener) *tracked {
	return &tracked{Listener: ln, conns: make(map[*trackedConn]struct{})}
}

// Accept returns the next connection.
func (t *tracked) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tc := &trackedConn{Conn: c, owner: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		c.Close()
		return nil, net.ErrClosed
	}
	t.conns[tc] = struct{}{}
	return tc, nil
}

// refuse closes the listening socket.
func (t *tracked) refuse() {
	t.mu.Lock()
	t.gone = true
	t.mu.Unlock()
	t.Close()
}

// closeIdle closes connections that never sent a byte.
func (t *tracked) closeIdle() { t.closeWhere(func(c *trackedConn) bool { return !c.spoke }) }

// closeAll closes what is left.
func (t *tracked) closeAll() { t.closeWhere(func(*trackedConn) bool { return true }) }

func (t *tracked) closeWhere(which func(*trackedConn) bool) {
	t.mu.Lock()
	var doomed []*trackedConn
	for c := range t.conns {
		if which(c) {
			doomed = append(doomed, c)
		}
	}
	t.mu.Unlock()
	for _, c := range doomed {
		c.Close()
	}
}

type trackedConn struct {
	net.Conn
	owner *tracked
	spoke bool // guarded by owner.mu
	heard bool // as spoke, for the reading goroutine alone
}

// Read notes that the client has spoken.
func (c *trackedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard {
		c.heard = true
		c.owner.mu.Lock()
		c.spoke = true
		c.owner.mu.Unlock()
	}
	return n, err
}

// Close forgets the connection.
func (c *trackedConn) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.conns, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

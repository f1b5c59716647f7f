package rest

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/centerleap/postern/gateway"
)

// tracked is a listener that knows its connections: a stop must not wait for a
// client that connected and says nothing, and nobody for one that does not read.
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
	spoke bool        // guarded by owner.mu
	heard bool        // as spoke, for the reading goroutine alone
	timed atomic.Bool // whoever answers sets deadlines himself
}

// piece is how much of an answer a client has gateway.AnswerTimeout to take. fasthttp's own
// deadline is for a whole answer, however large: a slow client would never get it.
const piece = 16 << 10

// Write waits for a client that reads slowly, and not for one that does not.
func (c *trackedConn) Write(p []byte) (n int, err error) {
	if c.timed.Load() {
		return c.Conn.Write(p)
	}
	for {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(gateway.AnswerTimeout)); err != nil {
			return n, err
		}
		k, err := c.Conn.Write(p[:min(len(p), piece)])
		n, p = n+k, p[k:]
		if err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// SetWriteDeadline is for streams, which know better how long to wait. It holds until the
// next request.
func (c *trackedConn) SetWriteDeadline(t time.Time) error {
	c.timed.Store(true)
	return c.Conn.SetWriteDeadline(t)
}

// Read notes that the client has spoken: what is written next is another answer.
func (c *trackedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.timed.Store(false)
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

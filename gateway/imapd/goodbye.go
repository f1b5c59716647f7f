package imapd

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/guard"
)

// patience is how long a client is waited for that takes what is written slowly. Once the
// end is decided, it is gateway.GoodbyeTimeout for all that is still to be written, however
// many pieces that has; the work of a command between them is not the client's, and counts
// for nothing.
type patience struct {
	wire net.Conn // below TLS

	mu    sync.Mutex // held for moments: who decides the end waits for no writer
	ends  bool
	left  time.Duration
	since time.Time // when the write that is under way began; zero: there is none
}

// begin is called ahead of a write.
func (p *patience) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit := gateway.AnswerTimeout
	if p.ends {
		limit = p.left
	}
	p.since = time.Now()
	_ = p.wire.SetWriteDeadline(p.since.Add(limit))
}

// end is called behind it.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ends {
		p.left -= time.Since(p.since)
	}
	p.since = time.Time{}
}

// hurry says that the end is decided. A write that is under way is one of the last, too.
func (p *patience) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ends {
		return
	}
	p.ends, p.left = true, gateway.GoodbyeTimeout
	if !p.since.IsZero() {
		p.since = time.Now()
		_ = p.wire.SetWriteDeadline(p.since.Add(p.left))
	}
}

// wireOf is what lies below TLS.
func wireOf(gc *guard.Conn) net.Conn {
	if t, ok := gc.Conn.(*tls.Conn); ok {
		return t.NetConn()
	}
	return gc.Conn
}

// hangUp says goodbye, if nothing is half said, and closes. It may be called from
// any goroutine; a client that reads nothing is not waited for.
func (c *conn) hangUp(text string) {
	c.patience.hurry()
	c.mu.Lock()
	securing := c.securing
	c.farewell(text)
	c.mu.Unlock()
	if securing { // who puts TLS on fails then, and closes
		_ = c.patience.wire.Close()
		return
	}
	c.shut()
}

// bye is hangUp under mu.
func (c *conn) bye(text string) {
	c.patience.hurry()
	c.farewell(text)
	c.shut()
}

// farewell says the last there is to say. mu is held.
func (c *conn) farewell(text string) {
	if c.fail == nil && !c.securing {
		if !c.halfway {
			c.out = append(c.out, "* BYE "+text+"\r\n"...)
		}
		_ = c.flush() // the client may be gone
	}
	c.fail = net.ErrClosed
}

// shut closes. TLS says goodbye, too, and would wait for five seconds of its own.
func (c *conn) shut() {
	c.patience.mu.Lock()
	cut := time.AfterFunc(c.patience.left, func() { _ = c.patience.wire.Close() })
	c.patience.mu.Unlock()
	_ = c.Conn.Close()
	cut.Stop()
}

// stop is called when the gateway stops.
func (c *conn) stop() {
	c.patience.hurry()
	c.endWith("the server is shutting down")
}

// endWith ends the session: now if no command runs, as in IDLE, or if it is one that waits
// for a login; else when it is answered, so that the client knows what it did. A search is
// not waited for.
func (c *conn) endWith(text string) {
	c.mu.Lock()
	c.last = text
	busy := c.tag != "" && (!c.waiting || c.note.name != "AUTHENTICATE")
	if busy && !c.waiting {
		c.wait(-time.Second) // nobody reads but who watches over a search, which need not end
	}
	c.mu.Unlock()
	if !busy {
		c.hangUp(text)
	}
}

// ends is why the session is about to end; "" if it is not.
func (c *conn) ends() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// Close sends what was gathered and closes. After LOGOUT the library closes
// without reading again.
func (c *conn) Close() error {
	if c.rest() {
		return nil
	}
	c.patience.hurry()
	c.mu.Lock()
	if !c.halfway {
		_ = c.flush()
	}
	c.fail = net.ErrClosed
	c.mu.Unlock()
	c.shut()
	return nil
}

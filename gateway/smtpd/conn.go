package smtpd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/centerleap/postern/gateway/guard"
)

// conn is what the library gets for a connection: above TLS, behind the front.
//
// It tells the library of an end of input as an error, so that no message ends
// where a client went away; it gathers replies until the client is waited for;
// and it can hang up on a client, from any goroutine, with a reply of its own.
type conn struct {
	*guard.Conn
	door     *door
	wire     *wire
	in       *bufio.Reader            // over wire
	head     []byte                   // what the library reads first: the greeting that the front took
	extended bool                     // it was EHLO
	transfer atomic.Pointer[transfer] // of the message that is on its way
	gone     chan struct{}            // closed when it is over

	mu       sync.Mutex
	faults   int64  // of the client: what it was refused
	out      []byte // replies that are not sent yet
	swallow  int    // replies of the library that the client has had from the front
	over     bool   // hung up: nothing more goes either way
	busy     bool   // a message is on its way, its reply, or a handshake
	done     bool   // busy with the reply alone
	stopping bool   // the gateway stops; hang up once it is not busy
}

func (d *door) newConn(gc *guard.Conn) *conn {
	c := &conn{Conn: gc, door: d, gone: make(chan struct{})}
	c.reset()
	gc.OnStop(c.stop)
	return c
}

// reset starts reading anew, after TLS came between.
func (c *conn) reset() {
	c.wire = &wire{r: c.Conn, lenient: c.door.role.submit}
	c.in = bufio.NewReader(c.wire)
}

// goneError stands for an end of input. go-smtp takes it for a connection that
// was closed under it: silently, and never for the end of a message.
type goneError struct{}

func (goneError) Error() string        { return "the client is gone" }
func (goneError) Is(target error) bool { return target == net.ErrClosed }

// Read gives the library what the client sends. Its end, whatever the reason, is
// that of the connection: the library runs the line that was cut by it as a command,
// and goes on after a time that has passed.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	if c.in.Buffered() == 0 {
		if err := c.beforeWait(); err != nil {
			return 0, err
		}
	}
	t := c.transfer.Load()
	if t != nil {
		_ = c.Conn.SetReadDeadline(t.deadline(time.Now()))
	}
	n, err := c.in.Read(p)
	if t != nil {
		t.came += int64(n)
	}
	switch {
	case n > 0 || err == nil:
		return n, nil
	case errors.Is(err, errWire):
		c.hangUp(c.wire.reply())
	case isTimeout(err) && (c.wire.data || c.wire.chunk > 0):
		c.hangUp("451 4.4.2 the message took too long")
	case isTimeout(err):
		c.hangUp("421 4.4.2 timeout")
	default:
		c.hangUp("")
	}
	return 0, goneError{}
}

func (c *conn) goodbye() string { return "421 4.3.2 " + c.door.cfg.Hostname + " is shutting down" }

// beforeWait sends what was gathered, and says goodbye if it is time.
func (c *conn) beforeWait() error {
	c.mu.Lock()
	if c.done {
		c.busy, c.done = false, false
	}
	stopping := c.stopping && !c.busy
	err := c.flush()
	c.mu.Unlock()
	if stopping {
		c.hangUp(c.goodbye())
		return goneError{}
	}
	return err
}

// SetReadDeadline is how the library bounds the wait for a command; between the
// chunks of a message no longer than the message may take.
func (c *conn) SetReadDeadline(at time.Time) error {
	if t := c.transfer.Load(); t != nil {
		if most := t.deadline(time.Now()); most.Before(at) {
			at = most
		}
	}
	return c.Conn.SetReadDeadline(at)
}

// Write takes the library's replies, a line at a time.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	last := n > 3 && p[3] == ' '
	switch {
	case c.over:
		return 0, goneError{}
	case c.swallow > 0:
		if last {
			c.swallow--
		}
		return n, nil
	case bytes.HasPrefix(p, []byte("354 ")):
		c.wire.beginData()
	case bytes.HasPrefix(p, []byte("250-SIZE ")):
		p = fmt.Appendf(nil, "250-SIZE %d\r\n", c.door.cfg.Limits.MessageBytes)
	}
	p, bye := corrected(p)
	if p[0] == '5' && last {
		if c.faults++; c.faults >= c.door.cfg.Limits.SessionErrors {
			p, bye = []byte(tooManyFaults+"\r\n"), true
		}
	}
	c.out = append(c.out, p...)
	switch {
	case bye:
		c.end("")
		return 0, errors.Join(goneError{}, c.Conn.Close())
	case len(c.out) > maxGathered:
		return n, c.flush()
	}
	return n, nil
}

const tooManyFaults = "421 4.7.0 too many errors"

// maxGathered bounds the replies that wait to be sent together.
const maxGathered = 16 << 10

// flush sends what was gathered. mu is held.
func (c *conn) flush() error {
	if c.over {
		return goneError{}
	}
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// hangUp sends a last reply and closes. A read that waits ends at once; a reply
// that is being written gets a moment.
func (c *conn) hangUp(reply string) {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	c.mu.Lock()
	c.end(reply)
	c.mu.Unlock()
	_ = c.Conn.Close()
}

// end sends what was gathered and a last reply; nothing more goes either way. mu
// is held.
func (c *conn) end(reply string) {
	if c.over {
		return
	}
	if reply != "" {
		c.out = append(append(c.out, reply...), "\r\n"...)
	}
	_ = c.flush() // the client may be gone already
	c.over = true
	close(c.gone)
}

// Close sends what was gathered and closes.
func (c *conn) Close() error {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	c.mu.Lock()
	c.end("")
	c.mu.Unlock()
	return c.Conn.Close()
}

// isOver reports whether nothing more goes either way.
func (c *conn) isOver() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// pause lets the client wait for its reply; it reports whether the client did.
func (c *conn) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.gone:
		return false
	}
}

// begin marks that a message is on its way; end that its reply is known. The client
// gets that before a goodbye, or it would send again what is stored.
func (c *conn) begin() (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy, c.done = true, false
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.done = true
	}
}

// stop is called when the gateway stops.
func (c *conn) stop() {
	c.mu.Lock()
	c.stopping = true
	busy := c.busy
	if !busy { // and nothing begins any more
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		c.end(c.goodbye())
	}
	c.mu.Unlock()
	if !busy {
		_ = c.Conn.Close()
	}
}

package smtpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
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
	wire *wire
	in   *bufio.Reader // over wire
	head []byte        // what the library reads first: the greeting that the front took

	mu       sync.Mutex
	out      []byte // replies that are not sent yet
	swallow  int    // replies of the library that the client has had from the front
	over     bool   // hung up: nothing more goes either way
	busy     bool   // a message is on its way
	stopping bool   // the gateway stops; hang up once it is not busy
	goodbye  string
}

func newConn(gc *guard.Conn, r role, goodbye string) *conn {
	c := &conn{Conn: gc, goodbye: goodbye}
	c.reset(r)
	gc.OnStop(c.stop)
	return c
}

// reset starts reading anew, after TLS came between.
func (c *conn) reset(r role) {
	c.wire = &wire{r: c.Conn, lenient: r.submit}
	c.in = bufio.NewReader(c.wire)
}

// goneError stands for an end of input. go-smtp takes it for a connection that
// was closed under it: silently, and never for the end of a message.
type goneError struct{}

func (goneError) Error() string        { return "the client is gone" }
func (goneError) Is(target error) bool { return target == net.ErrClosed }

// Read gives the library what the client sends.
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
	n, err := c.in.Read(p)
	switch {
	case n > 0:
		return n, nil
	case errors.Is(err, errWire):
		c.hangUp(c.wireReply())
		return 0, goneError{}
	case err == io.EOF:
		return 0, goneError{}
	}
	return 0, err
}

func (c *conn) wireReply() string {
	if c.wire.data {
		return "550 5.6.0 the message holds a CR, LF or NUL that stands alone; lines end in CRLF"
	}
	return "500 5.5.2 lines end in CRLF"
}

// beforeWait sends what was gathered, and says goodbye if it is time.
func (c *conn) beforeWait() error {
	c.mu.Lock()
	stopping := c.stopping && !c.busy
	err := c.flush()
	c.mu.Unlock()
	if stopping {
		c.hangUp(c.goodbye)
		return goneError{}
	}
	return err
}

// Write takes the library's replies.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	for c.swallow > 0 && len(p) > 0 {
		line, rest, _ := bytes.Cut(p, []byte("\n"))
		if len(line) > 3 && line[3] == ' ' {
			c.swallow--
		}
		p = rest
	}
	if bytes.HasPrefix(p, []byte("354 ")) {
		c.wire.beginData()
	}
	c.out = append(c.out, p...)
	if len(c.out) > maxGathered {
		return n, c.flush()
	}
	return n, nil
}

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
	if !c.over {
		c.out = append(append(c.out, reply...), "\r\n"...)
		_ = c.flush() // the client may be gone already
		c.over = true
	}
	c.mu.Unlock()
	_ = c.Conn.Close()
}

// Close sends what was gathered and closes.
func (c *conn) Close() error {
	c.mu.Lock()
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_ = c.flush()
	c.over = true
	c.mu.Unlock()
	return c.Conn.Close()
}

// begin marks that a message is on its way; end that its reply is known.
func (c *conn) begin() (end func()) {
	c.setBusy(true)
	return func() { c.setBusy(false) }
}

func (c *conn) setBusy(v bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = v
}

// stop is called when the gateway stops.
func (c *conn) stop() {
	c.mu.Lock()
	c.stopping = true
	busy := c.busy
	c.mu.Unlock()
	if !busy {
		c.hangUp(c.goodbye)
	}
}

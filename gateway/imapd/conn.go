package imapd

import (
	"bufio"
	"io"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/guard"
)

// conn stands between the client and the library. Its rules:
//
//   - One command is in flight: the next is read when the tagged line of the last
//     has passed. Only AUTHENTICATE and APPEND are continued within; IDLE is ours.
//   - The library sees what the front has printed: one line, without a literal
//     but the message of an APPEND.
//   - The library writes lines without literals; data with content goes past the
//     line splitter, through data and literal, between two of the library's lines.
//   - A refused line that announced {n+} closes the connection: what follows it
//     can't be told from commands.
//   - If the library reads on when its command is complete, the two disagree, and
//     the connection ends.
//   - Deadlines are ours; the library's are not passed on.
type conn struct {
	*guard.Conn
	in       *bufio.Reader
	user     bounds    // of commands, once somebody has logged in
	began    time.Time // when the client came
	identity string    // answers ID
	offers   offers
	knows    knows    // what the client has said it knows; the session's
	session  *session // set before the greeting

	patience patience

	mu       sync.Mutex // every byte to the client goes under it
	out      []byte     // not sent yet
	line     []byte     // of the library, not complete yet
	greeting greetingState
	note     *note
	tag      string // of the command in flight; "" when there is none
	asked    bool   // the library has sent "+"
	waiting  bool   // the library waits for input: what is written goes out at once
	dialect  dialect
	halfway  bool // through a line that holds a message
	authed   bool
	securing bool   // TLS is being put on: nobody else touches the connection
	last     string // said when the command in flight is answered: the session ends then
	fail     error

	// Used by the library's reading goroutine alone.
	pending []byte    // printed for the library and not read yet
	upload  *command  // an APPEND whose message is still to come
	left    int64     // bytes of it; -1 when it was read
	sending time.Time // when the client began to send it
	resting *idling   // an IDLE for which the library is to rest
	replay  []string  // commands that bring it back to where it was
}

// greetingState is what becomes of the library's first line.
type greetingState uint8

const (
	greetLater  greetingState = iota // it goes to the client
	greeted                          // it has
	greetedHere                      // the client was greeted before: it is dropped
)

const (
	// gather is how many bytes are written to the client in one go: a record of TLS. It is no
	// limit of a client's, and nor is the next: longer lines take more goes.
	gather = 16 << 10
	// lineBuffer is how many bytes are read of a client at once, but for the message of an
	// APPEND, which passes it by. Most lines are shorter, and an idle connection keeps it.
	lineBuffer = 1 << 10
)

func newConn(gc *guard.Conn, lim gateway.Limits, o offers, identity string) *conn {
	c := &conn{
		Conn: gc, in: bufio.NewReaderSize(gc, lineBuffer), user: userBounds(lim), began: time.Now(),
		identity: identity, offers: o, note: &note{}, patience: patience{wire: wireOf(gc)},
	}
	gc.OnStop(c.stop)
	return c
}

// SetDeadline and its like do nothing: deadlines are set where they are meant.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// flush sends what was gathered. mu is held.
func (c *conn) flush() error {
	_ = c.send(c.out)
	if cap(c.out) > gather/4 || c.note.name == "IDLE" {
		c.out = nil // a quiet connection holds no buffer
	}
	c.out = c.out[:0]
	return c.fail
}

// send writes to the client. One that does not take it is hung up on, also while we
// read: in IDLE nobody else would. mu is held.
func (c *conn) send(b []byte) error {
	for len(b) > 0 && c.fail == nil {
		n := min(len(b), gather)
		c.patience.begin()
		_, c.fail = c.Conn.Write(b[:n])
		c.patience.end()
		if c.fail != nil {
			_ = c.patience.wire.Close() // TLS would say goodbye to who does not listen
			_ = c.Conn.Close()
		}
		b = b[n:]
	}
	return c.fail
}

// put gathers bytes for the client. mu is held.
func (c *conn) put(b []byte) error {
	if len(b) >= gather && c.flush() == nil {
		return c.send(b) // without a copy
	}
	c.out = append(c.out, b...)
	if len(c.out) >= gather {
		return c.flush()
	}
	return c.fail
}

// data writes whole lines of the session's.
func (c *conn) data(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.line) > 0 {
		c.bye("internal error") // inside a line of the library's
		return c.fail
	}
	err := c.put(b)
	if err == nil && c.waiting {
		err = c.flush()
	}
	return err
}

// stream writes head, n bytes of r, and tail: a line that holds a large literal.
// Other goroutines write nothing in between.
func (c *conn) stream(head []byte, r io.Reader, n int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.put(head); err != nil {
		return err
	}
	c.halfway = true
	buf := make([]byte, min(n, gather))
	for n > 0 {
		k := min(n, gather)
		if _, err := io.ReadFull(r, buf[:k]); err != nil {
			c.bye("")
			return err
		}
		n -= k
		if err := c.put(buf[:k]); err != nil {
			return err
		}
		// The lock is free between two pieces, for a goodbye.
		c.mu.Unlock()
		c.mu.Lock()
		if c.fail != nil {
			return c.fail
		}
	}
	return nil
}

// halfSaid reports whether a line that stream began has no end yet.
func (c *conn) halfSaid() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.halfway
}

// streamed ends a line that stream began.
func (c *conn) streamed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.halfway = false
}

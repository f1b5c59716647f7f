package imapd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
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

	hasten atomic.Bool // the end is decided: nobody waits for a slow client any more

	mu       sync.Mutex // every byte to the client goes under it
	out      []byte     // not sent yet
	line     []byte     // of the library, not complete yet
	greeting greetingState
	note     *note
	tag      string // of the command in flight; "" when there is none
	asked    bool   // the library has sent "+"
	waiting  bool   // the library waits for input: what is written goes out at once
	dialect  dialect
	literal  bool // a message is being written to the client
	authed   bool
	stopping bool
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
	// gather is how much is written to the client in one go.
	gather = 16 << 10
	// lineBuffer is how much is read of a client at once, but for the message of an APPEND,
	// which passes it by. Most lines are shorter, and an idle connection keeps it.
	lineBuffer = 1 << 10
	// writeTimeout is how long a client may take to read that much.
	writeTimeout = 30 * time.Second
	// goodbyeTime is how long it may take over what is left, once the end is decided.
	goodbyeTime = time.Second
)

func newConn(gc *guard.Conn, lim gateway.Limits, o offers, identity string) *conn {
	c := &conn{Conn: gc, in: bufio.NewReaderSize(gc, lineBuffer), user: userBounds(lim), began: time.Now(), identity: identity, offers: o, note: &note{}}
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
		c.writeWithin(writeTimeout)
		if c.hasten.Load() {
			c.writeWithin(goodbyeTime) // whoever says goodbye may have set it before us
		}
		if _, c.fail = c.Conn.Write(b[:n]); c.fail != nil {
			_ = c.Conn.Close()
		}
		b = b[n:]
	}
	return c.fail
}

func (c *conn) writeWithin(d time.Duration) { _ = c.Conn.SetWriteDeadline(time.Now().Add(d)) }

// put gathers bytes for the client. mu is held.
func (c *conn) put(b []byte) error {
	c.out = append(c.out, b...)
	if len(c.out) >= gather {
		return c.flush()
	}
	return c.fail
}

// hangUp says goodbye, if nothing is half said, and closes. It may be called from
// any goroutine; a client that reads nothing is not waited for.
func (c *conn) hangUp(text string) {
	c.hasten.Store(true)
	c.writeWithin(goodbyeTime)
	c.mu.Lock()
	c.bye(text)
	c.mu.Unlock()
}

// bye is hangUp under mu.
func (c *conn) bye(text string) {
	if c.fail == nil {
		if !c.literal {
			c.out = append(c.out, "* BYE "+text+"\r\n"...)
		}
		_ = c.flush() // the client may be gone
		c.fail = net.ErrClosed
	}
	_ = c.Conn.Close()
}

const stopText = "the server is shutting down"

// stop is called when the gateway stops: who idles is told now, others after the
// command that runs.
func (c *conn) stop() {
	c.mu.Lock()
	c.stopping = true
	busy := c.tag != "" // not so in IDLE
	c.mu.Unlock()
	if !busy {
		c.hangUp(stopText)
	}
}

// Close sends what was gathered and closes. After LOGOUT the library closes
// without reading again.
func (c *conn) Close() error {
	if c.rest() {
		return nil
	}
	c.hasten.Store(true)
	c.writeWithin(goodbyeTime)
	c.mu.Lock()
	if !c.literal {
		_ = c.flush()
	}
	c.fail = net.ErrClosed
	c.mu.Unlock()
	return c.Conn.Close()
}

// maxResponse bounds a line of the library's.
const maxResponse = 1 << 20

// Write takes the library's lines.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(b)
	for c.fail == nil && len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			if c.line = append(c.line, b...); len(c.line) > maxResponse {
				c.bye("a response is too long")
			}
			break
		}
		l := string(append(c.line, b[:i+1]...))
		c.line, b = c.line[:0], b[i+1:]
		c.response(l)
	}
	if c.waiting && len(c.line) == 0 && c.fail == nil {
		_ = c.flush()
	}
	return n, c.fail
}

// endsInLiteral is what a line of the library must not do: the splitter would
// take what follows for a line.
var endsInLiteral = regexp.MustCompile(`\{[0-9]+\+?\}\r\n$`)

// ours is what our front adds to the library's capabilities for everybody.
const ours = " ID"

// added are the capabilities to add now: the extensions are for those who are logged
// in. mu is held.
func (c *conn) added() string {
	if c.authed {
		return c.offers.String() + ours
	}
	return ours
}

// response passes one line of the library on. mu is held.
func (c *conn) response(l string) {
	if c.note.replays && c.tag != "" {
		c.replayed(l)
		return
	}
	l = c.dialect.fromLibrary(l)
	switch {
	case endsInLiteral.MatchString(l):
		c.bye("internal error")
		return
	case c.greeting == greetedHere:
		c.greeting = greeted
		return
	case c.greeting == greetLater:
		c.greeting = greeted
		l = c.addCapability(l)
	case strings.HasPrefix(l, "+"):
		c.asked = true
		if c.upload != nil && c.upload.nonSync {
			return // the client did not wait
		}
	case strings.HasPrefix(l, "* ENABLED"):
		c.dialect.enabled(l)
		l = c.enabled(l)
	case strings.HasPrefix(l, "* CAPABILITY "):
		l = withLiterals(strings.TrimSuffix(l, "\r\n")) + c.added() + "\r\n"
	case len(c.note.splice) > 0 && strings.HasPrefix(l, "* STATUS "):
		l = c.note.spliced(l)
	case c.tag != "" && strings.HasPrefix(l, c.tag+" "):
		l = c.tagged(l)
		c.tag = ""
	}
	_ = c.put([]byte(l)) // a failure is kept in c.fail
	if c.stopping && c.tag == "" {
		c.bye(stopText)
	}
}

// tagged is the tagged line of the command in flight as the client gets it, behind what is
// to stand before it. mu is held.
func (c *conn) tagged(l string) string {
	if l == c.tag+libraryFault {
		return c.tag + " BAD the command can't be read\r\n"
	}
	l = strings.Replace(l, " NO [BADCHARSET] ", " NO [BADCHARSET (US-ASCII UTF-8)] ", 1)
	if !strings.HasPrefix(l[len(c.tag):], " OK ") {
		return l
	}
	if c.note.name == "LOGIN" || c.note.name == "AUTHENTICATE" {
		c.authed = true
		l = c.addCapability(l)
	}
	if c.note.before != nil {
		_ = c.note.before(c.insert) // a failure is kept in c.fail
	}
	return l
}

// insert puts lines of the session's ahead of one of the library's. mu is held, but for
// a moment, for a goodbye.
func (c *conn) insert(b []byte) error {
	_ = c.put(b)
	c.mu.Unlock()
	c.mu.Lock()
	return c.fail
}

// libraryFault is what the library says of some commands that it can't parse. The
// session's own failures have words of their own.
const libraryFault = " NO [SERVERBUG] Internal server error\r\n"

// addCapability adds ours to the capabilities inside a status line.
func (c *conn) addCapability(l string) string {
	head, rest, found := strings.Cut(l, "[CAPABILITY ")
	caps, tail, closed := strings.Cut(rest, "]")
	if !found || !closed {
		return l
	}
	return head + "[CAPABILITY " + withLiterals(caps) + c.added() + "]" + tail
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
	c.literal = true
	buf := make([]byte, min(n, gather))
	for n > 0 {
		k := min(n, gather)
		if _, err := io.ReadFull(r, buf[:k]); err != nil {
			c.bye("")
			return err
		}
		n -= k
		write := c.put
		if k == gather && c.flush() == nil {
			write = c.send // without a copy
		}
		if err := write(buf[:k]); err != nil {
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
	return c.literal
}

// streamed ends a line that stream began.
func (c *conn) streamed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.literal = false
}

// Read feeds the library: at most one command, or one piece of one, per call.
func (c *conn) Read(b []byte) (int, error) {
	if len(c.pending) == 0 {
		c.mu.Lock()
		err := c.flush()
		c.waiting = true
		c.mu.Unlock()
		n := 0
		if err == nil {
			n, err = c.next(b)
		}
		c.mu.Lock()
		c.waiting = false
		c.mu.Unlock()
		if err != nil {
			return n, c.ended(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	n := copy(b, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// ended tells the client why its input is no longer read. To the library an end
// is a failure: after a plain end in IDLE it would go on while IDLE still runs.
func (c *conn) ended(err error) error {
	switch {
	case errors.Is(err, errResting):
		return io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return net.ErrClosed
	case errors.Is(err, errLineLength):
		c.hangUp("the line is too long")
	case isTimeout(err):
		c.hangUp("autologout; nothing was heard for too long")
	}
	return err
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// next reads what the library is to get now: n bytes of a message into b, or a line into
// pending.
func (c *conn) next(b []byte) (n int, err error) {
	c.mu.Lock()
	running, asked, name := c.tag != "", c.asked, c.note.name
	c.mu.Unlock()
	switch {
	case c.upload != nil && running && asked && c.left >= 0:
		return c.nextPiece(b)
	case c.upload != nil && !running:
		if err := c.dropUpload(); err != nil {
			return 0, err
		}
	case running && asked && name == "AUTHENTICATE":
		return 0, c.nextLine()
	case running:
		c.hangUp("the command was not understood")
		return 0, net.ErrClosed
	case c.nextReplay():
		return 0, nil
	}
	return 0, c.nextCommand()
}

// dropUpload reads a message that the library refused before it asked.
func (c *conn) dropUpload() error {
	if c.upload.nonSync && c.left >= 0 {
		for buf := make([]byte, 4<<10); c.left > 0; {
			if _, err := c.piece(buf); err != nil {
				return err
			}
		}
		if err := c.endUpload(); err != nil {
			return err
		}
	}
	c.upload = nil
	return nil
}

// maxSASL bounds a client's line in AUTHENTICATE: the library reads 4 KiB, and a
// name with a key has a tenth of that.
const maxSASL = 3 << 10

// nextLine continues AUTHENTICATE.
func (c *conn) nextLine() error {
	l, err := readLine(c.in, c.waitForCommand().line)
	if err != nil {
		return err
	}
	if len(l) > maxSASL {
		l = "*" // it would be cut in two: cancelled
	}
	c.pending = []byte(l + "\r\n")
	return nil
}

// nextPiece continues the message of an APPEND.
func (c *conn) nextPiece(b []byte) (n int, err error) {
	if c.left > 0 {
		return c.piece(b)
	}
	if err := c.endUpload(); err != nil {
		return 0, err
	}
	c.left = -1
	c.pending = []byte("\r\n")
	return 0, nil
}

// nextCommand reads commands until there is one for the library.
func (c *conn) nextCommand() error {
	for len(c.pending) == 0 {
		cmd, err := readCommand(c.in, c.waitForCommand(), func() error { return c.say("+ go on") })
		r, refused := errors.AsType[refusal](err)
		ours := false
		if err == nil {
			ours, err = c.own(cmd)
		}
		switch {
		case refused:
			err = c.refuse(r)
		case err == nil && !ours:
			err = c.hand(cmd)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refuse answers a command that can't be; after a fatal one it hangs up.
func (c *conn) refuse(r refusal) error {
	if err := c.say(r.tag + " " + r.text); err != nil || !r.fatal {
		return err
	}
	c.hangUp("what follows can't be read")
	return net.ErrClosed
}

// hand prints a command for the library, or refuses it.
func (c *conn) hand(cmd *command) error {
	n, err := c.rewrite(cmd)
	line := cmd.String()
	if err == nil && len(line) > maxPrinted {
		err = commandError("the command is too long")
	}
	if err != nil {
		return c.refuse(refusal{cmd.tag, "BAD " + err.Error(), cmd.message >= 0 && cmd.nonSync})
	}
	c.mu.Lock()
	c.note, c.tag, c.asked = n, cmd.tag, false
	if cmd.message >= 0 {
		c.upload, c.left, c.sending = cmd, cmd.message, time.Time{}
	}
	c.mu.Unlock()
	c.pending = []byte(line)
	return nil
}

// own answers the commands that the library never sees, and reports whether this is one.
func (c *conn) own(cmd *command) (bool, error) {
	switch {
	case cmd.name == "ID":
		return true, c.say(c.identity + "\r\n" + cmd.tag + " OK ID completed")
	case cmd.name == "IDLE" && len(cmd.args) == 0 && c.loggedIn():
		return true, c.beginIdle(cmd)
	}
	return false, nil
}

// rewrite is the function of that name, in the dialect of the client.
func (c *conn) rewrite(cmd *command) (*note, error) {
	c.mu.Lock()
	d := c.dialect
	c.mu.Unlock()
	if err := d.conflict(cmd); err != nil {
		return nil, err
	}
	d.toLibrary(cmd)
	n, err := rewrite(cmd, c.offers)
	if err == nil {
		n.dialect = d
		n.extended = n.extended || d.rev2
	}
	return n, err
}

// say writes a line while the library waits.
func (c *conn) say(l string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.put([]byte(l + "\r\n")) // a failure is kept
	return c.flush()
}

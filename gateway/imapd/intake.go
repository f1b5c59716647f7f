package imapd

import (
	"errors"
	"io"
	"net"
	"time"
)

// What a client sends comes in here, a command at a time.

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

// nextLine continues AUTHENTICATE, unless the session is to end.
func (c *conn) nextLine() error {
	if last := c.ends(); last != "" {
		c.hangUp(last)
		return net.ErrClosed
	}
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
		n.extended = n.extended || d.rev2 && n.arrange == nil // SORT stays as it is asked for
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

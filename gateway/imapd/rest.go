package imapd

import (
	"errors"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// While a client idles the library rests: it would hold two buffers of 4 KiB and a large
// stack for each. The front ends its input between two commands, and with IDLE ends what
// closing means; then the library begins anew with the session as it was. It is told in a
// greeting that the client has logged in, and in commands of ours what else it forgot. The
// client hears nothing of that.

// errResting ends the library's reading of a connection that goes on.
var errResting = errors.New("the library rests")

// rest goes on with an IDLE on the side, where the library closes what it read to its end. It
// reports whether there is one.
func (c *conn) rest() bool {
	i := c.resting
	if i != nil {
		c.resting = nil
		go c.session.rest(i)
	}
	return i != nil
}

// rest idles without the library, and wakes it when that ends.
func (s *session) rest(i *idling) {
	c := s.c
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
			s.leave()
		}
	}()
	c.mu.Lock()
	c.waiting = true
	_ = c.flush() // the news of just now; a failure is kept, and the connection closed
	c.mu.Unlock()
	if err := c.endIdle(i, c.idleOn(i)); err != nil {
		_ = c.ended(err)
		s.leave()
		return
	}
	c.mu.Lock()
	c.greeting, c.waiting = greetedHere, false
	c.mu.Unlock()
	c.replay = s.forgotten()
	if !s.door.after.Give(c) {
		s.leave()
	}
}

// leave does what the library does with a connection that ends.
func (s *session) leave() {
	_ = s.Close()   // nothing fails in it
	_ = s.c.Close() // the client may be gone
}

// panicked logs a fault of ours, and ends the session.
func (s *session) panicked(p any) {
	s.door.cfg.Log.LogAttrs(s.ctx, slog.LevelError, "an idle session panicked", slog.String("door", s.door.name),
		slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	s.c.hangUp("internal error")
}

// forgotten are the commands that bring the library to where it was.
func (s *session) forgotten() (lines []string) {
	switch d := s.c.dialect; {
	case d.rev2:
		lines = append(lines, "ENABLE "+string(imap.CapIMAP4rev2))
	case d.utf8:
		lines = append(lines, "ENABLE "+string(imap.CapUTF8Accept))
	}
	if s.view != nil {
		lines = append(lines, "SELECT INBOX") // whatever it is: Select knows
	}
	return lines
}

// replayTag is that of our own commands.
const replayTag = "r"

// nextReplay gives the library one of them; false if none is left.
func (c *conn) nextReplay() bool {
	if len(c.replay) == 0 {
		return false
	}
	line := c.replay[0]
	c.replay = c.replay[1:]
	c.mu.Lock()
	c.note, c.tag, c.asked = &note{tag: replayTag, replays: true, dialect: c.dialect, offers: c.offers}, replayTag, false
	c.mu.Unlock()
	c.pending = []byte(replayTag + " " + line + "\r\n")
	return true
}

// replayed takes a line of the library's answer, which is for nobody. mu is held.
func (c *conn) replayed(l string) {
	switch head, _, _ := strings.Cut(l, " OK "); {
	case head == c.tag:
		c.tag = ""
		if c.last != "" {
			c.bye(c.last)
		}
	case strings.HasPrefix(l, c.tag+" "):
		c.bye("internal error")
	}
}

package imapd

import (
	"bytes"
	"regexp"
	"strings"
)

// What the library writes passes here, line by line.

// maxResponse bounds a line of the library's; past it: BYE. It is no limit of a client's:
// what grows with a mailbox the session writes itself, or leaves in note.code.
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
		l = strings.Replace(l, "+ =\r\n", "+ \r\n", 1) // the library's word for no challenge is no base64
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
	if c.last != "" && c.tag == "" {
		c.bye(c.last)
	}
}

// tagged is the tagged line of the command in flight as the client gets it, behind what is
// to stand before it. mu is held.
func (c *conn) tagged(l string) string {
	if l == c.tag+libraryFault {
		return c.tag + " BAD the command can't be read\r\n"
	}
	l = strings.Replace(l, " NO [BADCHARSET] ", " NO [BADCHARSET (US-ASCII UTF-8)] ", 1)
	if len(c.note.code) > 0 {
		return c.withCode(l)
	}
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

// withCode writes the head of a tagged OK or NO and the note's response code, and returns
// the tail. The command is durable when it has one, so however long it is the client gets
// it whole: RFC 9051 section 7.1 and RFC 7162 section 3.1.3 have one code in that line,
// and bound neither. mu is held.
func (c *conn) withCode(l string) string {
	words := strings.SplitN(l, " ", 3)
	if len(words) < 3 || words[1] == "BAD" || strings.HasPrefix(words[2], "[") {
		return l // something failed behind the command
	}
	_ = c.put([]byte(words[0] + " " + words[1] + " ["))
	_ = c.put(c.note.code) // a failure is kept in c.fail
	return "] " + words[2]
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

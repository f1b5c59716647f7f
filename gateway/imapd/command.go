package imapd

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// tokenKind is what a token is: an atom, a string, or a parenthesis.
type tokenKind byte

const (
	atom    tokenKind = 'a'
	str     tokenKind = 's'
	opening tokenKind = '('
	closing tokenKind = ')'
)

// token is one word of a command.
type token struct {
	kind tokenKind
	text string // of a string: its value, unquoted
}

// upper is the text of an atom in upper case; empty for anything else.
func (t token) upper() string {
	if t.kind != atom {
		return ""
	}
	return strings.ToUpper(t.text)
}

// command is one command of a client, read whole. Only the message of an APPEND
// is still to come.
type command struct {
	tag  string
	name string // in upper case; UID stands before what it qualifies
	args []token

	message   int64 // bytes of the message to come; -1: none
	nonSync   bool  // the client sends it without being asked
	enclosed  bool  // it stood in parentheses, RFC 6855 section 4
	bytesRead int
	most      bounds
}

// refusal is what the front answers itself. The connection ends with a fatal one:
// what the client sends next can't be told from a command.
type refusal struct {
	tag, text string
	fatal     bool
}

func (r refusal) Error() string { return r.text }

var errLineLength = errors.New("line too long")

// readLine reads one line without its end, of at most most bytes.
func readLine(r *bufio.Reader, most int) (string, error) {
	var long []byte
	for {
		b, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
		long = append(long, b...)
		if err == nil && len(trimEnd(long)) <= most {
			return string(trimEnd(long)), nil
		}
		if err == nil || len(long) > most+1 { // the last byte may be the CR of its end
			return "", errLineLength
		}
	}
}

func trimEnd(b []byte) []byte {
	b = b[:len(b)-1]
	if len(b) > 0 && b[len(b)-1] == '\r' {
		b = b[:len(b)-1]
	}
	return b
}

// readCommand reads one command. ask tells the client to send a literal that it
// announced.
func readCommand(r *bufio.Reader, most bounds, ask func() error) (*command, error) {
	line, err := readLine(r, most.line)
	if err != nil {
		return nil, err
	}
	c := &command{message: -1, bytesRead: len(line), most: most}
	tag, rest, ok := strings.Cut(line, " ")
	if !ok || tag == "" || len(tag) > maxTag || strings.ContainsFunc(tag, func(ch rune) bool {
		return ch <= ' ' || ch >= 0x7f || strings.ContainsRune(`(){%*"\+`, ch)
	}) {
		return nil, refusal{"*", "BAD a command starts with a tag", true}
	}
	c.tag = tag
	if err := c.readArgs(r, rest, ask); err != nil {
		return nil, err
	}
	return c, c.finish()
}

// readArgs reads the words of a command, over the literals in it.
func (c *command) readArgs(r *bufio.Reader, rest string, ask func() error) error {
	for literals := 0; ; literals++ {
		if strings.ContainsAny(rest, "\r\x00") {
			return refusal{c.tag, "BAD a CR or NUL stands alone", true}
		}
		announced := strings.HasSuffix(rest, "+}") // a refused line's literal would be read as commands
		lit, err := c.lex(rest)
		if err != nil {
			return refusal{c.tag, "BAD " + err.Error(), announced}
		}
		if lit == nil {
			return nil
		}
		if c.verb() == "APPEND" && len(c.args) >= 2 {
			return c.takeMessage(lit)
		}
		if err := c.mayTake(lit, literals); err != nil {
			return err
		}
		if !lit.nonSync {
			if err := ask(); err != nil {
				return err
			}
		}
		b := make([]byte, lit.size)
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		c.args = append(c.args, token{str, string(b)})
		if rest, err = readLine(r, c.most.line); err != nil {
			return err
		}
		if c.bytesRead += len(b) + len(rest); c.bytesRead > c.most.command {
			return refusal{c.tag, "BAD the command is too long", true}
		}
		if rest != "" && rest[0] != ' ' && rest[0] != ')' {
			return refusal{c.tag, "BAD unexpected characters behind a literal", strings.HasSuffix(rest, "+}")}
		}
	}
}

// mayTake refuses a literal that may not follow so many others.
func (c *command) mayTake(lit *literal, others int) error {
	switch {
	case lit.eight:
		return refusal{c.tag, "BAD literal8 is for messages", lit.nonSync}
	case others == c.most.literals:
		return refusal{c.tag, "BAD there are too many literals", lit.nonSync}
	case lit.size > c.most.literal || c.bytesRead+int(lit.size) > c.most.command:
		return refusal{c.tag, "NO [TOOBIG] the literal is too long", lit.nonSync}
	}
	return nil
}

// takeMessage notes the message of an APPEND; it is streamed, not read here.
func (c *command) takeMessage(lit *literal) error {
	if lit.size > c.most.message {
		return refusal{c.tag, "NO [TOOBIG] the message is too large", lit.nonSync}
	}
	n := len(c.args)
	if lit.eight && n >= 4 && c.args[n-1].kind == opening && c.args[n-2].upper() == "UTF8" {
		c.args, c.enclosed = c.args[:n-2], true
	} else if lit.eight {
		return refusal{c.tag, "NO [UNKNOWN-CTE] binary messages are not taken", lit.nonSync}
	}
	c.message, c.nonSync = lit.size, lit.nonSync
	return nil
}

// finish gives the command its name and checks what can be checked of any.
func (c *command) finish() error {
	pending := c.message >= 0 && c.nonSync
	c.name = c.verb()
	if !isName(c.name) {
		return refusal{c.tag, "BAD the command is missing", pending}
	}
	skip := 1
	if c.name == "UID" {
		if len(c.args) < 2 || !isName(c.args[1].upper()) {
			return refusal{c.tag, "BAD the command is missing", pending}
		}
		c.name, skip = "UID "+c.args[1].upper(), 2
	}
	c.args = c.args[skip:]
	depth := 0
	for _, t := range c.args {
		switch t.kind {
		case opening:
			depth++
		case closing:
			depth--
		case str:
			if strings.ContainsAny(t.text, "\r\n\x00") {
				return refusal{c.tag, "NO [CANNOT] a string holds a line end or NUL", pending}
			}
		case atom:
		}
		if depth < 0 || depth > maxDepth {
			return refusal{c.tag, "BAD parentheses don't match", pending}
		}
	}
	if depth != 0 {
		return refusal{c.tag, "BAD parentheses don't match", pending}
	}
	return nil
}

// isName reports whether a word may name a command: the library hangs up on others
// without an answer.
func isName(word string) bool {
	return word != "" && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func (c *command) verb() string {
	if len(c.args) == 0 {
		return ""
	}
	return c.args[0].upper()
}

// String prints the command for the library: one line, strings quoted. Only the
// message of an APPEND stays a literal, and always one to be asked for, so that
// the library must ask.
func (c *command) String() string {
	var b strings.Builder
	b.WriteString(c.tag + " " + c.name)
	after := atom
	for _, t := range c.args {
		if t.kind != closing && after != opening {
			b.WriteByte(' ')
		}
		switch after = t.kind; t.kind {
		case opening, closing:
			b.WriteByte(byte(t.kind))
		case atom:
			b.WriteString(t.text)
		case str:
			b.Write(appendQuoted(nil, t.text))
		}
	}
	if c.message >= 0 {
		b.WriteString(" {" + strconv.FormatInt(c.message, 10) + "}")
	}
	b.WriteString("\r\n")
	return b.String()
}

// appendQuoted writes a string as a quoted one.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// closing is what must stand behind the message of an APPEND.
func (c *command) closing() string {
	if c.enclosed {
		return ")"
	}
	return ""
}

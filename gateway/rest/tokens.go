package rest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
)

// tokens reads JSON (RFC 8259) piece by piece, so that a string of hundreds of
// megabytes, an attachment, never stands in memory. Each method reads one value
// or one part of one, and fails with a gateway.Error that names its path.
type tokens struct {
	r     *bufio.Reader
	path  []string
	depth int
	char  [utf8.UTFMax]byte // one character on its way to a stream's function
}

const (
	// tokenDepth bounds the nesting of values that are skipped.
	tokenDepth = 64
	// tokenKey bounds the name of a member.
	tokenKey = 1 << 10
	// tokenMembers bounds the members of one object whose names are compared.
	tokenMembers = 1000
)

func newTokens(r io.Reader) *tokens { return &tokens{r: bufio.NewReaderSize(r, 32<<10)} }

func (t *tokens) at() string {
	s := ""
	for _, p := range t.path {
		if s != "" && p[0] != '[' {
			s += "."
		}
		s += p
	}
	return s
}

func (t *tokens) errorf(format string, args ...any) error {
	return gateway.Fieldf(gateway.Malformed, t.at(), format, args...)
}

// fail turns a read error into one the client understands.
func (t *tokens) fail(err error) error {
	if errors.Is(err, io.EOF) {
		return t.errorf("the JSON ends early")
	}
	return err
}

// peek returns the next byte that is no white space, without taking it.
func (t *tokens) peek() (byte, error) {
	for {
		c, err := t.r.ReadByte()
		if err != nil {
			return 0, t.fail(err)
		}
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c, t.r.UnreadByte()
	}
}

// take reads the byte that peek saw.
func (t *tokens) take(want byte, what string) error {
	c, err := t.peek()
	if err != nil {
		return err
	}
	if c != want {
		return t.errorf("%s was expected, not %q", what, c)
	}
	_, err = t.r.Discard(1)
	return err
}

// object calls fn for each member, whose value fn reads.
func (t *tokens) object(fn func(name string) error) error {
	if err := t.take('{', "an object"); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for first := true; ; first = false {
		c, err := t.peek()
		if err != nil {
			return err
		}
		if c == '}' && first {
			_, err = t.r.Discard(1)
			return err
		}
		if err := t.member(seen, fn); err != nil {
			return err
		}
		if done, err := t.more('}'); done || err != nil {
			return err
		}
	}
}

func (t *tokens) member(seen map[string]bool, fn func(string) error) error {
	name, err := t.text(tokenKey)
	if err != nil {
		return err
	}
	if seen[name] || len(seen) >= tokenMembers {
		return t.errorf("the member %q stands twice, or there are too many", clip(name, 60))
	}
	seen[name] = true
	if err := t.take(':', "a colon"); err != nil {
		return err
	}
	t.path = append(t.path, clip(name, 60))
	if name == "" {
		t.path[len(t.path)-1] = `""`
	}
	err = fn(name)
	t.path = t.path[:len(t.path)-1]
	return err
}

// more reads a comma, or the end.
func (t *tokens) more(end byte) (done bool, err error) {
	c, err := t.peek()
	if err != nil {
		return false, err
	}
	if c != ',' && c != end {
		return false, t.errorf("a comma or %q was expected, not %q", end, c)
	}
	_, err = t.r.Discard(1)
	return c == end, err
}

// array calls fn for each element, which fn reads.
func (t *tokens) array(fn func(i int) error) error {
	if err := t.take('[', "an array"); err != nil {
		return err
	}
	if c, err := t.peek(); err != nil || c == ']' {
		if err == nil {
			_, err = t.r.Discard(1)
		}
		return err
	}
	for i := 0; ; i++ {
		t.path = append(t.path, fmt.Sprintf("[%d]", i))
		err := fn(i)
		t.path = t.path[:len(t.path)-1]
		if err != nil {
			return err
		}
		if done, err := t.more(']'); done || err != nil {
			return err
		}
	}
}

// null takes a null; ok is false if the value is another.
func (t *tokens) null() (ok bool, err error) {
	c, err := t.peek()
	if err != nil || c != 'n' {
		return false, err
	}
	return true, t.word("null")
}

func (t *tokens) word(w string) error {
	for i := range len(w) {
		c, err := t.r.ReadByte()
		if err != nil {
			return t.fail(err)
		}
		if c != w[i] {
			return t.errorf("a value can't start like this")
		}
	}
	return nil
}

// text reads a string of at most most bytes, or nothing of a null.
func (t *tokens) text(most int64) (string, error) {
	var b []byte
	err := t.stream(func(p []byte) error {
		if int64(len(b)+len(p)) > most {
			return gateway.Fieldf(gateway.TooLarge, t.at(), "%s is over %d bytes", t.at(), most)
		}
		b = append(b, p...)
		return nil
	})
	return string(b), err
}

// stream reads a string and passes its decoded bytes on, in pieces.
func (t *tokens) stream(fn func([]byte) error) error {
	if err := t.take('"', "a string"); err != nil {
		return err
	}
	for {
		// What is buffered, up to the first byte that means something.
		if t.r.Buffered() == 0 {
			if _, err := t.r.Peek(1); err != nil {
				return t.fail(err)
			}
		}
		run, _ := t.r.Peek(t.r.Buffered())
		n := plainRun(run)
		if n > 0 {
			if err := t.plain(run[:n], fn); err != nil {
				return err
			}
			continue
		}
		if done, err := t.special(fn); done || err != nil {
			return err
		}
	}
}

// plainRun is how many bytes stand for themselves.
func plainRun(b []byte) int {
	for i, c := range b {
		if c == '"' || c == '\\' || c < ' ' {
			return i
		}
	}
	return len(b)
}

// plain passes a run on, as valid UTF-8. A character cut by the buffer's end
// waits for its rest.
func (t *tokens) plain(run []byte, fn func([]byte) error) error {
	n := len(run)
	if !utf8.Valid(run) {
		for n = len(run); n > 0 && n > len(run)-utf8.UTFMax && !utf8.Valid(run[:n]); {
			n--
		}
		if !utf8.Valid(run[:n]) || n < len(run) && utf8.FullRune(run[n:]) {
			return t.errorf("a string is not valid UTF-8")
		}
		if n == 0 { // less than one character is buffered
			return t.plainAcross(fn)
		}
	}
	if err := fn(run[:n]); err != nil {
		return err
	}
	_, err := t.r.Discard(n)
	return err
}

// plainAcross reads one character byte by byte over the buffer's edge.
func (t *tokens) plainAcross(fn func([]byte) error) error {
	r, size, err := t.r.ReadRune()
	if err != nil {
		return t.fail(err)
	}
	if r == utf8.RuneError && size == 1 {
		return t.errorf("a string is not valid UTF-8")
	}
	return fn(utf8.AppendRune(t.char[:0], r))
}

// special reads the end of a string, or an escape.
func (t *tokens) special(fn func([]byte) error) (done bool, err error) {
	c, err := t.r.ReadByte()
	switch {
	case err != nil:
		return false, t.fail(err)
	case c == '"':
		return true, nil
	case c < ' ':
		return false, t.errorf("a control character stands in a string")
	}
	e, err := t.r.ReadByte()
	if err != nil {
		return false, t.fail(err)
	}
	switch e {
	case '"', '\\', '/':
		return false, fn(append(t.char[:0], e))
	case 'b', 'f', 'n', 'r', 't':
		return false, fn(append(t.char[:0], escapes[e]))
	case 'u':
		r, err := t.unicode()
		if err != nil {
			return false, err
		}
		return false, fn(utf8.AppendRune(t.char[:0], r))
	}
	return false, t.errorf("a string holds an unknown escape")
}

// escapes are the letters that stand for a control character.
var escapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unicode reads the four digits of \u, and the second half of a pair.
func (t *tokens) unicode() (rune, error) {
	r, err := t.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if ahead, err := t.r.Peek(6); err == nil && ahead[0] == '\\' && ahead[1] == 'u' {
		if low, ok := parseHex4(ahead[2:]); ok {
			if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
				_, err := t.r.Discard(6)
				return full, err
			}
		}
	}
	return utf8.RuneError, nil
}

func (t *tokens) hex4() (rune, error) {
	var b [4]byte
	if _, err := io.ReadFull(t.r, b[:]); err != nil {
		return 0, t.fail(io.EOF)
	}
	r, ok := parseHex4(b[:])
	if !ok {
		return 0, t.errorf("a string holds a broken \\u escape")
	}
	return r, nil
}

func parseHex4(b []byte) (r rune, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// skip reads any value and forgets it.
func (t *tokens) skip() error {
	if t.depth++; t.depth > tokenDepth {
		return t.errorf("values are nested too deep")
	}
	defer func() { t.depth-- }()
	c, err := t.peek()
	if err != nil {
		return err
	}
	switch {
	case c == '{':
		return t.object(func(string) error { return t.skip() })
	case c == '[':
		return t.array(func(int) error { return t.skip() })
	case c == '"':
		return t.stream(func([]byte) error { return nil })
	case c == 't':
		return t.word("true")
	case c == 'f':
		return t.word("false")
	case c == 'n':
		return t.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return t.number()
	}
	return t.errorf("a value can't start with %q", c)
}

// number reads a number by its grammar, RFC 8259 section 6.
func (t *tokens) number() error {
	digits := func() (n int, err error) {
		for {
			c, err := t.r.ReadByte()
			if err == io.EOF {
				return n, nil
			} else if err != nil {
				return n, err
			}
			if c < '0' || c > '9' {
				return n, t.r.UnreadByte()
			}
			n++
		}
	}
	bad := t.errorf("a number is malformed")
	next := func(set string) (byte, bool) {
		b, err := t.r.Peek(1)
		if err != nil {
			return 0, false
		}
		for i := range len(set) {
			if b[0] == set[i] {
				_, _ = t.r.Discard(1)
				return b[0], true
			}
		}
		return 0, false
	}
	next("-")
	if _, zero := next("0"); !zero {
		if n, err := digits(); err != nil || n == 0 {
			return bad
		}
	}
	if _, ok := next("."); ok {
		if n, err := digits(); err != nil || n == 0 {
			return bad
		}
	}
	if _, ok := next("eE"); ok {
		next("+-")
		if n, err := digits(); err != nil || n == 0 {
			return bad
		}
	}
	return nil
}

// end checks that nothing but white space is left.
func (t *tokens) end() error {
	for {
		c, err := t.r.ReadByte()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return t.errorf("there is something behind the JSON value")
		}
	}
}

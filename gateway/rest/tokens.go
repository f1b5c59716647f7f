package rest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
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

// tokenReaders keeps buffers for the next body: one is larger than most bodies.
var tokenReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 32<<10) }}

func newTokens(r io.Reader) *tokens {
	t := &tokens{r: tokenReaders.Get().(*bufio.Reader)}
	t.r.Reset(r)
	return t
}

// release gives the buffer back; nothing is read any more.
func (t *tokens) release() {
	t.r.Reset(nil)
	tokenReaders.Put(t.r)
	t.r = nil
}

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
	if len(seen) >= tokenMembers {
		return t.errorf("an object has over %d members", tokenMembers)
	}
	t.path = append(t.path, clip(name, 60))
	if name == "" {
		t.path[len(t.path)-1] = `""`
	}
	defer func() { t.path = t.path[:len(t.path)-1] }()
	if seen[name] {
		return t.twice()
	}
	seen[name] = true
	if err := t.take(':', "a colon"); err != nil {
		return err
	}
	return fn(name)
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

// boolean reads true or false.
func (t *tokens) boolean() (bool, error) {
	c, err := t.peek()
	switch {
	case err != nil:
		return false, err
	case c == 't':
		return true, t.word("true")
	case c == 'f':
		return false, t.word("false")
	}
	return false, t.errorf("true or false was expected, not %q", c)
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

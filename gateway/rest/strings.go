package rest

import (
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
)

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

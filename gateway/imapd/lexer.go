package imapd

import (
	"errors"
	"strconv"
	"strings"
)

// literal is the announcement that ends a line.
type literal struct {
	size    int64
	nonSync bool // {n+}
	eight   bool // ~{n}
}

// lex appends the tokens of one line to c.args. It returns the literal that the
// line ends with, if it does.
func (c *command) lex(s string) (*literal, error) {
	for i := 0; i < len(s); {
		if len(c.args) >= c.most.words && s[i] != ' ' {
			return nil, errors.New("there are too many words")
		}
		switch ch := s[i]; {
		case ch == ' ':
			i++
		case ch == '(' || ch == ')':
			c.args = append(c.args, token{kind: tokenKind(ch)})
			i++
		case ch == '"':
			value, n, err := lexQuoted(s[i:])
			if err != nil {
				return nil, err
			}
			c.args = append(c.args, token{str, value})
			i += n
		case ch == '{' || strings.HasPrefix(s[i:], "~{"):
			return lexLiteral(s[i:])
		default:
			n, err := lexAtom(s[i:])
			if err != nil {
				return nil, err
			}
			c.args = append(c.args, token{atom, s[i : i+n]})
			i += n
		}
	}
	return nil, nil //nolint:nilnil // a line without a literal is the usual one
}

var errUnterminated = errors.New("a quoted string has no end")

// lexQuoted reads a quoted string and returns its value and length.
func lexQuoted(s string) (value string, n int, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i + 1, nil
		case '\\':
			if i++; i == len(s) {
				return "", 0, errUnterminated
			}
		}
		b.WriteByte(s[i])
	}
	return "", 0, errUnterminated
}

// lexLiteral reads the announcement of a literal, which must end the line.
func lexLiteral(s string) (*literal, error) {
	lit := &literal{}
	s, lit.eight = strings.CutPrefix(s, "~")
	v, ok := strings.CutSuffix(s[1:], "}")
	v, lit.nonSync = strings.CutSuffix(v, "+")
	n, err := strconv.ParseUint(v, 10, 62)
	if !ok || err != nil || v[0] == '+' {
		return nil, errors.New("a literal's size can't be read")
	}
	lit.size = int64(n)
	return lit, nil
}

var errAtom = errors.New("an unexpected character")

// lexAtom reads an atom, with the section in brackets that belongs to it.
func lexAtom(s string) (n int, err error) {
	for n < len(s) && !strings.ContainsRune(` ()"{`, rune(s[n])) {
		if s[n] < ' ' || s[n] == 0x7f {
			return 0, errAtom
		}
		if s[n] == '[' {
			end, err := lexSection(s[n:])
			if err != nil {
				return 0, err
			}
			n += end
		}
		n++
	}
	if n == 0 || n < len(s) && (s[n] == '"' || s[n] == '{') {
		return 0, errAtom
	}
	return n, nil
}

// lexSection returns where the bracket that s starts with is closed. Strings in
// it may hold brackets; literals may not stand there.
func lexSection(s string) (end int, err error) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case ']':
			return i, nil
		case '{':
			return 0, errors.New("a literal stands inside a section")
		case '"':
			_, n, err := lexQuoted(s[i:])
			if err != nil {
				return 0, err
			}
			i += n - 1
		}
	}
	return 0, errors.New("a section has no end")
}

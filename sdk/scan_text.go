package sdk

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// text reads a string.
func (s *scanner) text() string {
	if s.space() != '"' && s.null() {
		return ""
	}
	return s.quoted()
}

// quoted reads a string. It lies in the document itself if it is written there as it is.
func (s *scanner) quoted() string {
	if !s.take('"') {
		s.fail()
		return ""
	}
	doc := s.doc[s.at:]
	end := bytes.IndexByte(doc, '"')
	if end < 0 {
		s.fail()
		return ""
	}
	if bytes.IndexByte(doc[:end], '\\') >= 0 {
		return s.escaped(doc)
	}
	s.at += end + 1
	return shared(doc[:end])
}

// escaped reads a string that is written with escapes.
func (s *scanner) escaped(doc []byte) string {
	for end := 0; end < len(doc); end++ {
		switch doc[end] {
		case '"':
			s.at += end + 1
			return shared(s.unescaped(doc[:end]))
		case '\\':
			end++ // what follows ends no string
		}
	}
	s.fail()
	return ""
}

// unescaped undoes RFC 8259 section 7.
func (s *scanner) unescaped(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for {
		i := bytes.IndexByte(v, '\\')
		if i < 0 {
			return append(out, v...)
		}
		out = append(out, v[:i]...)
		v = v[i+1:]
		if v[0] == 'u' {
			var r rune
			if r, v = s.escapedRune(v[1:]); s.wrong {
				return nil
			}
			out = utf8.AppendRune(out, r)
			continue
		}
		c := unescape[v[0]]
		if c == 0 {
			s.fail()
			return nil
		}
		out, v = append(out, c), v[1:]
	}
}

// unescape says what letters stand for behind a backslash; 0: nothing.
var unescape = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escapedRune reads what stands behind \u. Half of a pair alone is U+FFFD.
func (s *scanner) escapedRune(v []byte) (rune, []byte) {
	r, ok := hexRune(v)
	if !ok {
		s.fail()
		return 0, nil
	}
	v = v[4:]
	if !utf16.IsSurrogate(r) {
		return r, v
	}
	if len(v) > 2 && v[0] == '\\' && v[1] == 'u' {
		if low, ok := hexRune(v[2:]); ok {
			if r := utf16.DecodeRune(r, low); r != utf8.RuneError {
				return r, v[6:]
			}
		}
	}
	return utf8.RuneError, v
}

func hexRune(v []byte) (r rune, ok bool) {
	if len(v) < 4 {
		return 0, false
	}
	for _, c := range v[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20-'a' <= 5:
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// repaired has U+FFFD for each byte that is not UTF-8.
func repaired(v []byte) []byte {
	out := make([]byte, 0, len(v)+2)
	for _, r := range shared(v) {
		out = utf8.AppendRune(out, r)
	}
	return out
}

// shared is a string of bytes that nobody writes to any more.
func shared(v []byte) string { return unsafe.String(unsafe.SliceData(v), len(v)) }

package sdk

import (
	"errors"
	"strconv"
	"unicode/utf8"
)

// scanner reads JSON, RFC 8259: one value after the other, each as what the caller
// expects there. encoding/json would cost a guest nine times as much, and 1 MiB of code.
// It reads as that does, but that names have to be written exactly. null is the zero
// value of whatever is expected.
type scanner struct {
	doc   []byte
	at    int
	wrong bool // it is not what is expected: there is nothing more to read
}

var errJSON = errors.New("sdk: this is not JSON, or not of the shape that is expected")

// decode reads a document that is one value.
func decode[T any](doc []byte, read func(*scanner) T) (T, error) {
	if !utf8.Valid(doc) {
		doc = repaired(doc)
	}
	s := scanner{doc: doc}
	v := read(&s)
	if s.space(); s.wrong || s.at != len(doc) {
		return v, errJSON
	}
	return v, nil
}

func (s *scanner) fail() {
	s.wrong, s.at = true, len(s.doc)
}

// space skips white space and returns what is next, without taking it; 0 at the end. It is
// small enough to become part of its callers.
func (s *scanner) space() byte {
	if s.at < len(s.doc) && s.doc[s.at] > ' ' {
		return s.doc[s.at]
	}
	return s.spaces()
}

func (s *scanner) spaces() byte {
	for ; s.at < len(s.doc); s.at++ {
		switch c := s.doc[s.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take takes a character if it is next.
func (s *scanner) take(c byte) bool {
	if s.space() != c {
		return false
	}
	s.at++
	return true
}

// word takes a literal, of which the first letter is there.
func (s *scanner) word(w string) {
	if len(s.doc)-s.at < len(w) || string(s.doc[s.at:s.at+len(w)]) != w {
		s.fail()
		return
	}
	s.at += len(w)
}

// null takes null if it is next.
func (s *scanner) null() bool {
	if s.space() != 'n' {
		return false
	}
	s.word("null")
	return true
}

// open begins an object or an array; false if it is null, empty or something else.
func (s *scanner) open(first, last byte) bool {
	if s.space() != first {
		if !s.null() {
			s.fail()
		}
		return false
	}
	s.at++
	return !s.take(last)
}

// more reports whether another element follows; if not, the end is taken.
func (s *scanner) more(last byte) bool {
	switch s.space() {
	case ',':
		s.at++
		return true
	case last:
		s.at++
	default:
		s.fail()
	}
	return false
}

// members reads an object. each is called with the name of every member, and reads its
// value.
func (s *scanner) members(each func(name string)) {
	for going := s.open('{', '}'); going; going = s.more('}') {
		name := s.name()
		if s.wrong {
			return
		}
		each(name)
	}
}

// name takes the name of a member.
func (s *scanner) name() string {
	name := s.quoted()
	if !s.take(':') {
		s.fail()
	}
	return name
}

// list reads an array.
func list[T any](s *scanner, read func(*scanner) T) (all []T) {
	if s.null() {
		return nil
	}
	all = []T{}
	for going := s.open('[', ']'); going && !s.wrong; going = s.more(']') {
		all = append(all, read(s))
	}
	return all
}

// skip passes over a value of any kind. It does not call itself: what a server answers may
// nest as deep as it likes, and must not use up the plugin's stack.
func (s *scanner) skip() {
	var around []byte // how what is open ends
	for !s.wrong {
		switch c := s.space(); c {
		case '{', '[':
			s.at++
			if end := c + 2; !s.take(end) { // in ASCII
				around = append(around, end)
				if c == '{' {
					s.name()
				}
				continue
			}
		case '"':
			s.quoted()
		case 't', 'f':
			s.boolean()
		case 'n':
			s.null()
		default:
			s.literal()
		}
		if around = s.closed(around); len(around) == 0 {
			return
		}
	}
}

// closed takes what follows a value: the ends of what is around it, until there is more.
func (s *scanner) closed(around []byte) []byte {
	for n := len(around); n > 0; n-- {
		end := around[n-1]
		if s.take(',') {
			if end == '}' {
				s.name()
			}
			return around[:n]
		}
		if !s.take(end) {
			s.fail()
			return nil
		}
	}
	return nil
}

// raw passes over a value and returns it as it is written.
func (s *scanner) raw() []byte {
	s.space()
	from := s.at
	s.skip()
	return s.doc[from:s.at]
}

func (s *scanner) boolean() bool {
	switch s.space() {
	case 't':
		s.word("true")
		return !s.wrong
	case 'f':
		s.word("false")
	default:
		if !s.null() {
			s.fail()
		}
	}
	return false
}

// integer reads a number that is written without a fraction.
func (s *scanner) integer() int64 {
	if s.null() {
		return 0
	}
	n, err := strconv.ParseInt(s.literal(), 10, 64)
	if err != nil {
		s.fail()
	}
	return n
}

func (s *scanner) number() float64 {
	if s.null() {
		return 0
	}
	f, err := strconv.ParseFloat(s.literal(), 64)
	if err != nil {
		s.fail()
	}
	return f
}

// literal takes a number as it is written, RFC 8259 section 6.
func (s *scanner) literal() string {
	s.space()
	from := s.at
	s.one('-')
	if !s.one('0') && s.digits() == 0 {
		s.fail()
	}
	if s.one('.') && s.digits() == 0 {
		s.fail()
	}
	if s.one('e') || s.one('E') {
		if !s.one('+') {
			s.one('-')
		}
		if s.digits() == 0 {
			s.fail()
		}
	}
	return shared(s.doc[from:s.at])
}

// one takes a character that follows at once.
func (s *scanner) one(c byte) bool {
	if s.at == len(s.doc) || s.doc[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) digits() (n int) {
	for s.at < len(s.doc) && s.doc[s.at]-'0' <= 9 {
		s.at++
		n++
	}
	return n
}

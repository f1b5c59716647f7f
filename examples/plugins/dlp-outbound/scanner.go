package main

import (
	"bytes"
	"encoding/binary"
)

// scanner finds the first card number in text that comes in pieces. There are long numbers in
// every mail, so a card's is known by five things: how long it is, how it begins, its check
// digit, that its groups are those that cards have, and that it is no part of a name, as it
// would be in a URL, a Message-ID or INV-4111.
type scanner struct {
	html  bool   // it is HTML: what is in tags is not text
	found string // the last four digits of the number
	seen  int    // how many groups of digits there were, in this text and those before it

	digits []byte // of the groups that stand in a row
	sizes  []int  // of each group how many
	gap    byte   // what stands between them; 0: nothing yet
	open   bool   // it stands after the last one, too
	named  bool   // the first group goes on what was before it

	word bool // what came last goes on in a group
	url  bool // all does, up to the next blank
	last byte
	tag  bool // inside a tag
}

const (
	// mostDigits is how many stand in a row before it is a table of figures.
	mostDigits = 64
	// mostGroups is how many groups of digits are looked at: a call has only so much time.
	mostGroups = 15_000
	// reach is how far back a text is looked at for what a number is part of, in bytes.
	reach = 256
)

// Write looks at a piece of text. Most of it has no digits, and is passed over.
func (s *scanner) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && s.found == "" && s.seen < mostGroups {
		p = p[s.take(p):]
	}
	return n, nil
}

// take looks at the beginning of a text, and returns how much of it that was.
func (s *scanner) take(p []byte) (n int) {
	switch c := p[0]; {
	case s.tag:
		n = bytes.IndexByte(p, '>') + 1
		if s.tag = n == 0; s.tag {
			n = len(p)
		}
		return n
	case c-'0' < 10:
		for n < len(p) && p[n]-'0' < 10 {
			n++
		}
		s.group(p[:n])
		return n
	case len(s.digits) > 0:
		s.after(c)
		return 1
	case c == '<' && s.html:
		s.other(c)
		return 1
	}
	if s.html {
		if tag := bytes.IndexByte(p, '<'); tag > 0 {
			p = p[:tag]
		}
	}
	n = quiet(p)
	s.before(p[:n])
	return n
}

// quiet is how much there is before the next digit. Eight bytes are looked at at once: in
// WebAssembly that takes an eighth of the time.
func quiet(p []byte) (n int) {
	const each, tens, tops = 0x0101010101010101, 0x0a * 0x0101010101010101, 0x80 * 0x0101010101010101
	for ; n+8 <= len(p); n += 8 {
		x := binary.LittleEndian.Uint64(p[n:]) ^ '0'*each // digits are 0 to 9 now
		if (x-tens) & ^x & tops != 0 {
			break
		}
	}
	for n < len(p) && p[n]-'0' > 9 {
		n++
	}
	return n
}

// before takes text without digits, of which the last word matters.
//
//go:noinline
func (s *scanner) before(p []byte) {
	at := max(0, len(p)-reach)
	for i := len(p) - 1; i >= at; i-- {
		if ends(p[i]) {
			at = i
			break
		}
	}
	for _, c := range p[at:] {
		s.other(c)
	}
}

// group takes digits: a group, or the rest of one.
//
//go:noinline
func (s *scanner) group(digits []byte) {
	if len(s.sizes) == 0 {
		s.named = s.word || s.url
	}
	if s.open || len(s.sizes) == 0 {
		s.sizes, s.open = append(s.sizes, 0), false
		s.seen++
	}
	digits = digits[:min(len(digits), mostDigits+1-len(s.digits))]
	s.digits = append(s.digits, digits...)
	s.sizes[len(s.sizes)-1] += len(digits)
}

// after takes a character that comes after digits.
//
//go:noinline
func (s *scanner) after(c byte) {
	switch {
	case c == 0 || c == 0xc2 || c == 0xe2 || c == 0x80: // half of a character: of UTF-16, or of what plain knows
	case s.separates(c):
		s.open, s.gap = true, plain(c)
	default:
		s.other(c)
	}
}

// separates reports whether a character may stand between groups: one, and always the same.
func (s *scanner) separates(c byte) bool {
	same := plain(c)
	return same != 0 && !s.open && (s.gap == 0 || s.gap == same)
}

// plain is a separator in its plain form; 0 if it is none. A no-break space ends in 0xa0, in
// UTF-8 and in Latin-1; the hyphens and dashes of Unicode end in 0x90 to 0x93.
func plain(c byte) byte {
	switch {
	case c == ' ' || c == '-' || c == '.':
		return c
	case c == 0xa0:
		return ' '
	case c >= 0x90 && c <= 0x93:
		return '-'
	}
	return 0
}

// other takes what is neither digit nor between groups, and so ends a row of them.
//
//go:noinline
func (s *scanner) other(c byte) {
	joins := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '@' || c == '#' || c == '+' || c == '%'
	if len(s.digits) > 0 {
		s.judge(joins && (!s.open || s.gap == '-'))
	}
	s.word = joins || s.word && c == '-'
	switch {
	case ends(c):
		s.url = false
	case c == '@' || c == '/' && s.last == '/':
		s.url = true
	}
	s.last, s.tag = c, s.html && c == '<'
}

// ends reports whether a character ends a word, and a URL.
func ends(c byte) bool { return c <= ' ' || c == '<' || c == '>' || c == '"' }

// spare is how many groups may stand beside a card number: a date, a code.
const spare = 3

// judge looks for a card in the groups, of which the last goes on in a name or not, and
// forgets them.
//
//go:noinline
func (s *scanner) judge(goesOn bool) {
	if len(s.digits) >= least && len(s.digits) <= mostDigits {
		at := 0
		for i, size := range s.sizes {
			if s.found == "" && (i > 0 || !s.named) {
				s.from(i, at, goesOn)
			}
			at += size
		}
	}
	s.digits, s.sizes, s.gap, s.open, s.last = s.digits[:0], s.sizes[:0], 0, false, 0
}

// from looks for a card that begins with group i, whose digits begin at a place.
func (s *scanner) from(i, at int, goesOn bool) {
	end := at
	for j := i; j < len(s.sizes) && end-at < longest; j++ {
		end += s.sizes[j]
		number := s.digits[at:end]
		if goesOn && j == len(s.sizes)-1 || len(s.sizes)-(j-i+1) > spare || !grouped(s.sizes[i:j+1]) || !card(number) {
			continue
		}
		s.found = string(number[len(number)-4:])
		return
	}
}

// end takes the end of the text.
func (s *scanner) end() { s.judge(false) }

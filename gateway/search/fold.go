package search

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Contains reports whether a text holds another one, in any case.
func Contains(text, part string) bool { return strings.Contains(Fold(text), Fold(part)) }

// Fold makes texts equal that differ in case alone: Unicode simple case folding, each
// letter as the first of those it may be written as.
func Fold(s string) string {
	var all strings.Builder
	all.Grow(len(s))
	var piece [512]byte // so that the text is copied once
	for rest := s; len(rest) > 0; {
		n := copy(piece[:], rest)
		if !upper(piece[:n]) {
			return strings.Map(foldRune, s)
		}
		all.Write(piece[:n])
		rest = rest[n:]
	}
	return all.String()
}

// upper folds b in its place, eight bytes at a time: most of a search is that. False if it
// is not all ASCII; then b is spoilt.
func upper(b []byte) (ascii bool) {
	const ones = 0x0101010101010101
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		if w&(0x80*ones) != 0 {
			return false
		}
		// The high bit of a byte says that it is at least 'a', or over 'z'.
		letters := (w + (0x80-'a')*ones) &^ (w + (0x80-'z'-1)*ones) & (0x80 * ones)
		binary.LittleEndian.PutUint64(b, w^letters>>2)
	}
	for i, c := range b {
		switch {
		case c >= utf8.RuneSelf:
			return false
		case 'a' <= c && c <= 'z':
			b[i] = c - ('a' - 'A')
		}
	}
	return true
}

func foldRune(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z':
		return r - 'a' + 'A'
	case r < utf8.RuneSelf:
		return r
	}
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		first = min(first, next)
	}
	return first
}

// Finder looks for one text in many others, in any case. One goroutine uses it.
type Finder struct {
	part   []byte // folded
	folded []byte // the text looked at last
}

// NewFinder makes a Finder of a text.
func NewFinder(part string) *Finder { return &Finder{part: []byte(Fold(part))} }

// In reports whether a text holds the one looked for, as Contains does.
func (f *Finder) In(text string) bool {
	f.folded = append(f.folded[:0], text...)
	if !upper(f.folded) {
		return strings.Contains(strings.Map(foldRune, text), string(f.part))
	}
	return bytes.Contains(f.folded, f.part)
}

// InLines is In for the bytes of a text whose lines end with CRLF instead of LF. known is
// false where they are no other text's: they are not all ASCII, or have a NUL, or what is
// looked for ends a line.
func (f *Finder) InLines(raw []byte) (found, known bool) {
	if bytes.ContainsAny(f.part, "\r\n") || bytes.IndexByte(raw, 0) >= 0 {
		return false, false
	}
	f.folded = append(f.folded[:0], raw...)
	if !upper(f.folded) {
		return false, false
	}
	return bytes.Contains(f.folded, f.part), true
}

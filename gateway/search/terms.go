package search

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Texts are cut into terms after folding. A term is a run of letters, marks and numbers;
// what stands between is a boundary. Scripts that are written without spaces are indexed
// as pairs of neighbours, or their dictionary would be the text itself.

const (
	// termBytes is the longest term, in bytes; ours: longer runs are no words but digests
	// and the like. They are indexed as pieces that overlap.
	termBytes = 64
	// termOverlap is how much of a long run two pieces share, in bytes: a text of that
	// length lies in one of them.
	termOverlap = 24
)

// class is what a character is to the index.
type class uint8

const (
	boundary class = iota
	word
	unspaced // of a script without spaces
)

// ascii is the class of each folded ASCII character.
var ascii = func() (t [utf8.RuneSelf]class) {
	for r := range rune(utf8.RuneSelf) {
		t[r] = classOf(r)
	}
	return t
}()

// unspacedScripts start at U+0E00.
var unspacedScripts = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

func classOf(r rune) class {
	switch {
	case !unicode.In(r, unicode.L, unicode.M, unicode.N):
		return boundary
	case r >= 0x0e00 && unicode.In(r, unspacedScripts...):
		return unspaced
	}
	return word
}

// run is the longest piece of a folded text, from its start, that is of one class.
func run(s string) (n int, of class) {
	for n < len(s) {
		var c class
		size := 1
		if b := s[n]; b < utf8.RuneSelf {
			c = ascii[b]
		} else {
			var r rune
			r, size = utf8.DecodeRuneInString(s[n:])
			c = classOf(r)
		}
		if n > 0 && c != of {
			break
		}
		of = c
		n += size
	}
	return n, of
}

// eachRun calls one of two functions with each run of a folded text.
func eachRun(s string, ofWord, ofUnspaced func(run string)) {
	for len(s) > 0 {
		n, of := run(s)
		switch of {
		case word:
			ofWord(s[:n])
		case unspaced:
			ofUnspaced(s[:n])
		}
		s = s[n:]
	}
}

// eachPiece cuts a run that is over termBytes.
func eachPiece(s string, fn func(string)) {
	for len(s) > termBytes {
		fn(head(s, termBytes))
		s = s[startBefore(s, len(head(s, termBytes))-termOverlap):]
	}
	fn(s)
}

// eachPair gives each character with the next one; one that is alone, alone.
func eachPair(s string, fn func(string)) {
	_, first := utf8.DecodeRuneInString(s)
	if first == len(s) {
		fn(s)
		return
	}
	for first < len(s) {
		_, second := utf8.DecodeRuneInString(s[first:])
		fn(s[:first+second])
		s, first = s[first:], second
	}
}

// head is the longest start of whole characters that has at most so many bytes.
func head(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:startBefore(s, most)]
}

// startBefore is where the character begins that byte i is part of.
func startBefore(s string, i int) int {
	for i > 0 && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}

// tail is the longest end of whole characters that has at most so many bytes.
func tail(s string, most int) string {
	i := max(0, len(s)-most)
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	return s[i:]
}

// separator stands around each term of a dictionary; no term contains it.
const separator = "\x00"

// maxPatterns is how many pieces of a query the index looks for: the longest. What it
// finds is looked at anyhow.
const maxPatterns = 8

// plan is what a query asks of a dictionary: each pattern occurs in it, and the messages
// of the terms around one are those that may match; of all patterns, those of each.
type plan struct {
	patterns []string
	pairs    []pair
	triples  []triple
	exact    bool // the patterns find all that match, and no others
}

// planOf turns the text of a query into patterns. Without any, the index can't tell.
func planOf(text string) (p plan) {
	s := Fold(text)
	whole := len(s)
	var before, beforeIt *side
	for at := 0; at < whole; {
		n, of := run(s[at:])
		piece, first, last := s[at:at+n], at == 0, at+n == whole
		switch of {
		case word:
			p.exact = first && last && n <= termOverlap
			p.patterns = append(p.patterns, wordPattern(piece, !first, !last))
			now := &side{piece, !first, !last}
			if before != nil && len(p.pairs) < maxPatterns {
				p.pairs = append(p.pairs, pair{*before, *now})
				if beforeIt != nil {
					p.triples = append(p.triples, triple{*beforeIt, before.piece, *now})
				}
			}
			beforeIt, before = before, now
		case unspaced:
			pairs := 0
			before, beforeIt = nil, nil
			eachPair(piece, func(pair string) {
				pairs++
				if utf8.RuneCountInString(pair) > 1 {
					pair = separator + pair + separator
				}
				p.patterns = append(p.patterns, pair)
			})
			p.exact = first && last && pairs == 1
		}
		at += n
	}
	p.patterns = longest(p.patterns)
	return p
}

// wordPattern finds the terms that a piece of a query may be part of: with a boundary
// before it in the query it starts a run, with one behind it it ends one. Of a run that
// may have been cut, only what is sure to lie in one term is looked for.
func wordPattern(piece string, starts, ends bool) string {
	switch {
	case starts && ends && len(piece) <= termBytes:
		return separator + piece + separator
	case starts:
		return separator + head(piece, termOverlap)
	case ends:
		return tail(piece, termOverlap) + separator
	}
	return head(piece, termOverlap)
}

// longest are the patterns that are looked for, of which a query may have thousands.
func longest(all []string) []string {
	if len(all) > maxPatterns {
		slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
		all = slices.Compact(all)
		all = all[:min(len(all), maxPatterns)]
	}
	return all
}

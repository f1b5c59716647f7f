package snapshot

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// pattern is an image of pages that are zero or not: runs of "." and "x".
func pattern(runs ...any) (zeros bits, pages int) {
	for i := 0; i < len(runs); i += 2 {
		pages += runs[i].(int)
	}
	zeros = newBits(pages)
	at := 0
	for i := 0; i < len(runs); i += 2 {
		for range runs[i].(int) {
			if runs[i+1] == "." {
				zeros.add(at)
			}
			at++
		}
	}
	return zeros, pages
}

// What lies in the file of an image is all but the longest runs of zeros.
func TestFileParts(t *testing.T) {
	repeated := func(n int, runs ...any) []any { return slices.Repeat(runs, n) }
	for _, tt := range []struct {
		name string
		runs []any
		want []part
	}{
		{"nothing", nil, nil},
		{"all zeros", []any{300, "."}, nil},
		{"no zeros", []any{300, "x"}, []part{{0, 300}}},
		{"one page of zeros", []any{1, "."}, []part{{0, 1}}},
		{"zeros around", []any{100, ".", 3, "x", 100, "."}, []part{{100, 103}}},
		{"zeros between", []any{3, "x", 100, ".", 4, "x"}, []part{{0, 3}, {103, 107}}},
		{"too few zeros", []any{3, "x", leastZeros - 1, ".", 1, "x"}, []part{{0, leastZeros + 3}}},
		{"just enough", []any{3, "x", leastZeros, ".", 1, "x"}, []part{{0, 3}, {leastZeros + 3, leastZeros + 4}}},
		{
			"too many runs, of one length", append(repeated(mostZeros, 1, "x", 20, "."), 1, "x", 20, ".", 1, "x"),
			append(everyPart(mostZeros, 21), part{21 * mostZeros, 21*mostZeros + 22}),
		},
		{
			"too many runs, the first is short", append([]any{1, "x", 19, "."}, repeated(mostZeros, 1, "x", 20, ".")...),
			append([]part{{0, 21}}, everyPart(mostZeros-1, 21, 41)...),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zeros, pages := pattern(tt.runs...)
			if got := fileParts(zeros, pages); !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// everyPart are parts of one page, each so many after the one before.
func everyPart(n, step int, from ...int) (parts []part) {
	first := append(from, 0)[0]
	for i := range n {
		parts = append(parts, part{first + i*step, first + i*step + 1})
	}
	return parts
}

// Whatever an image is, its parts are in order and apart, few, and have all that is not
// zero.
func TestFilePartsHaveAll(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 21))
	for range 2000 {
		pages := 1 + r.IntN(2000)
		zeros := newBits(pages)
		for at, zero := 0, false; at < pages; zero = !zero {
			for n := 1 + r.IntN(1<<r.IntN(8)); n > 0 && at < pages; n-- {
				if zero {
					zeros.add(at)
				}
				at++
			}
		}
		parts := fileParts(zeros, pages)
		if len(parts) > mostZeros+1 {
			t.Fatalf("%d parts, want %d at most", len(parts), mostZeros+1)
		}
		before := 0
		for i, p := range parts {
			if p.size() <= 0 || i > 0 && p.first-before < leastZeros || p.end > pages {
				t.Fatalf("%v of %d pages", parts, pages)
			}
			for page := before; page < p.first; page++ {
				if !zeros.has(page) {
					t.Fatalf("page %d is in none of %v", page, parts)
				}
			}
			before = p.end
		}
		for page := before; page < pages; page++ {
			if !zeros.has(page) {
				t.Fatalf("page %d is in none of %v", page, parts)
			}
		}
	}
}

// zerosOf and fileParts of a content agree: what is left out is zero.
func TestZerosOf(t *testing.T) {
	const page = 4 << 10
	content := make([]byte, 100*page)
	content[0], content[50*page-1], content[70*page] = 1, 2, 3
	left := bytes.Clone(content)
	for _, p := range fileParts(zerosOf(content, page), 100) {
		clear(left[p.first*page : p.end*page])
	}
	if want := []part{{0, 1}, {49, 50}, {70, 71}}; !slices.Equal(fileParts(zerosOf(content, page), 100), want) {
		t.Errorf("%v, want %v", fileParts(zerosOf(content, page), 100), want)
	}
	if !bytes.Equal(left, make([]byte, len(content))) {
		t.Error("what is left out is not zero")
	}
}

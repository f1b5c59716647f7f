package snapshot

import (
	"cmp"
	"slices"
)

// An image lies in its file in parts. Between them there are only zeros, which any
// memory is that nobody has written to: there an instance keeps the memory that was
// reserved for it. The kernel then finds a page once when it is first written, not one
// for the file and another one for the instance, and one that is only read takes none.
//
// Each part is a mapping of its own, and so is what lies between two: 17 of an instance at
// most. A process may have 65,530 by default; plugins/sandbox lets 256 instances wait.
const (
	// leastZeros is how many pages of zeros in a row are left out at least; ours. The
	// kernel maps 16 pages of a file at once when one is read, so fewer gain nothing.
	leastZeros = 16
	// mostZeros is how many such runs are left out at most, the longest ones; ours. One of
	// a plugin in Go has about ten, and the ninth is short.
	mostZeros = 8
)

// part is pages in a row, by number.
type part struct{ first, end int }

func (p part) size() int { return p.end - p.first }

// fileParts are those of an image that lie in its file.
func fileParts(zeros bits, pages int) (parts []part) {
	runs := runsOf(zeros, pages, leastZeros)
	slices.SortFunc(runs, func(a, b part) int { return cmp.Or(b.size()-a.size(), a.first-b.first) })
	runs = runs[:min(len(runs), mostZeros)]
	slices.SortFunc(runs, func(a, b part) int { return a.first - b.first })
	from := 0
	for _, run := range append(runs, part{pages, pages}) {
		if run.first > from {
			parts = append(parts, part{from, run.first})
		}
		from = run.end
	}
	return parts
}

// runsOf are the runs of pages in a set that are long enough.
func runsOf(set bits, pages, least int) (runs []part) {
	for first := 0; first < pages; first++ {
		end := first
		for end < pages && set.has(end) {
			end++
		}
		if end-first >= least {
			runs = append(runs, part{first, end})
		}
		first = end
	}
	return runs
}

package mailbox

import (
	"iter"
	"math/bits"
	"slices"
)

// marks is a set of numbers of a view.
type marks []uint64

func newMarks(n int) marks { return make(marks, (n+63)/64) }

func (m marks) has(i int) bool { return m[i/64]&(1<<(i%64)) != 0 }
func (m marks) set(i int)      { m[i/64] |= 1 << (i % 64) }
func (m marks) clear(i int)    { m[i/64] &^= 1 << (i % 64) }

func (m marks) clone() marks { return slices.Clone(m) }

func (m marks) empty() bool { return !slices.ContainsFunc(m, func(w uint64) bool { return w != 0 }) }

func (m marks) count() (n int) {
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

// remove takes out what is in other, keep what is not, and add puts it in.
func (m marks) remove(other marks) {
	for i := range m {
		m[i] &^= other[i]
	}
}

func (m marks) keep(other marks) {
	for i := range m {
		m[i] &= other[i]
	}
}

func (m marks) add(other marks) {
	for i := range m {
		m[i] |= other[i]
	}
}

// all yields the numbers in order. Those that are yielded may be cleared meanwhile.
func (m marks) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range m {
			for ; w != 0; w &= w - 1 {
				if !yield(i*64 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

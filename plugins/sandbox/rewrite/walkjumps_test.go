package rewrite

import "slices"

// The branches that a walker writes.

// label is one of the blocks around that takes what is there, from the inside; -1 if none.
func (w *walker) label(nothing bool) int {
	for range 8 {
		n := w.IntN(len(w.open))
		if b := w.open[len(w.open)-1-n].brings(); nothing && len(b) == 0 || !nothing && w.fits(b) {
			return n
		}
	}
	return -1
}

// table is a loop around blocks and a table of jumps.
func (w *walker) table() {
	w.block(opLoop, emptyBlock)
	blocks := w.IntN(5)
	for range blocks {
		w.block(opBlock, emptyBlock)
	}
	w.ran(weightPlain, opLocalGet, w.number())
	if w.IntN(12) == 0 {
		w.ran(weightPlain, opNop)
	}
	w.branches(func() int {
		if blocks == 0 || w.IntN(10) == 0 {
			return w.label(true)
		}
		return w.IntN(blocks)
	})
}

// branches is a table that leads to some labels.
func (w *walker) branches(label func() int) {
	var to []byte
	for range 1 + w.IntN(5) {
		if n := label(); n >= 0 {
			to = append(to, byte(n))
		}
	}
	if len(to) == 0 {
		w.ran(weightPlain, opDrop)
		return
	}
	w.ran(weightMemory, append([]byte{opBrTable, byte(len(to) - 1)}, to...)...)
	w.top().dead = true
}

// jump sets a local to a number and goes somewhere, as Go's compiler would, or nearly so;
// perhaps on a condition.
func (w *walker) jump() {
	inside := w.IntN(2) == 0
	if inside {
		w.block(opIf, emptyBlock)
	}
	w.ran(weightPlain, num(int32(w.IntN(7)-1))...)
	to := w.number()
	switch w.IntN(8) {
	case 0:
		w.ran(weightPlain, opLocalTee, to)
		w.ran(weightPlain, opDrop)
	case 1:
		w.ran(weightPlain, opLocalSet, to)
		w.ran(weightPlain, opNop)
	default:
		w.ran(weightPlain, opLocalSet, to)
	}
	switch n, how := w.label(true), w.IntN(6); {
	case n < 0:
	case how == 0:
		w.ran(weightPlain, opLocalGet, w.number())
		w.ran(weightMemory, opBrIf, byte(n))
	case how == 1:
		w.ran(weightPlain, opLocalGet, w.number())
		w.branches(func() int { return w.label(true) })
	default:
		w.ran(weightMemory, opBr, byte(n))
		w.top().dead = true
	}
	if inside {
		w.close()
	}
}

// leave is another branch, a call, or a choice.
func (w *walker) leave() {
	n := w.label(false)
	switch w.IntN(6) {
	case 0, 1:
		if n >= 0 {
			w.ran(weightPlain, opLocalGet, w.number())
			w.ran(weightMemory, opBrIf, byte(n))
		}
	case 2:
		if n >= 0 {
			brings := w.open[len(w.open)-1-n].brings()
			w.ran(weightPlain, opLocalGet, w.number())
			w.branches(func() int {
				for to := range w.open {
					if slices.Equal(w.open[len(w.open)-1-to].brings(), brings) && w.IntN(2) == 0 {
						return to
					}
				}
				return n
			})
		}
	case 3:
		f := uint32(w.IntN(2)) // itself or another one
		w.values(w.of[f].in)
		w.ran(weightCall, ins(opCall, f)...)
		w.took(w.of[f].in, w.of[f].out)
	case 4:
		f := uint32(w.IntN(len(w.of)))
		w.values(w.of[f].in)
		w.ran(weightPlain, opLocalGet, w.number())
		w.ran(weightIndirect, append(ins(opCallIndirect, f), 0)...)
		w.took(w.of[f].in, w.of[f].out)
	default:
		t := walkTypes[w.IntN(5)]
		w.values([]byte{t, t, i32})
		w.ran(weightPlain, opSelect)
		w.took([]byte{t, t, i32}, []byte{t})
	}
}

package rewrite

import (
	"math/rand/v2"
	"slices"
)

// walker writes random functions that are valid, instruction by instruction: whatever the
// operands permit, in blocks of all types, and tables of jumps as Go's compiler writes them,
// or nearly so. They need not end. Beside each it writes the same with every instruction
// counted, which ends: it is what fuel is compared with.
type walker struct {
	*rand.Rand
	code, counted []byte
	stack         []byte
	open          []opened
	locals        []byte
	of            []signature // by index of type
}

// opened is a block that is not yet closed.
type opened struct {
	op      byte
	in, out []byte
	height  int
	dead    bool
}

func (o *opened) brings() []byte {
	if o.op == opLoop {
		return o.in
	}
	return o.out
}

// Globals of what a walker writes.
const (
	walkNumber = 0 // i32
	walkLong   = 1 // i64: how often it was counted up, which shows how far it came
	walkCount  = 2 // the weights of all that ran, where they are counted
)

// walkMost is where a counted function traps.
const walkMost = 1 << 16

// ran adds an instruction, and its weight.
func (w *walker) ran(weight int64, code ...byte) {
	w.code = append(w.code, code...)
	w.counted = slices.Concat(w.counted, ins(opGlobalGet, walkCount), num64(weight), ops(opI64Add), ins(opGlobalSet, walkCount),
		ins(opGlobalGet, walkCount), num64(walkMost), ops(opI64GtU, opIf, emptyBlock, opUnreachable, opEnd), code)
}

// silent adds what runs nothing.
func (w *walker) silent(code ...byte) {
	w.code, w.counted = append(w.code, code...), append(w.counted, code...)
}

func (w *walker) top() *opened { return &w.open[len(w.open)-1] }

// fits reports whether the operands on top are of some types.
func (w *walker) fits(types []byte) bool {
	return len(w.stack)-w.top().height >= len(types) && slices.Equal(w.stack[len(w.stack)-len(types):], types)
}

func (w *walker) took(in, out []byte) {
	w.stack = append(w.stack[:len(w.stack)-len(in)], out...)
}

// value pushes one of a type.
func (w *walker) value(of byte) {
	w.stack = append(w.stack, of)
	var from []byte
	for i, t := range w.locals {
		if t == of {
			from = append(from, byte(i))
		}
	}
	if len(from) > 0 && w.IntN(3) > 0 {
		w.ran(weightPlain, opLocalGet, from[w.IntN(len(from))])
		return
	}
	switch of {
	case i32:
		w.ran(weightPlain, num(int32(w.IntN(12)-2))...)
	case i64:
		w.ran(weightPlain, num64(int64(w.IntN(12)-2))...)
	case f32:
		w.ran(weightPlain, opF32Const, 0, 0, 0x80, 0x3f)
	case f64:
		w.ran(weightPlain, opF64Const, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f)
	case v128:
		w.ran(weightVector, append([]byte{opVector, vectorConst}, make([]byte, 16)...)...)
	default:
		w.ran(weightPlain, opRefNull, of)
	}
}

// values has the operands on top be of some types.
func (w *walker) values(types []byte) {
	if !w.fits(types) {
		for _, t := range types {
			w.value(t)
		}
	}
}

var walkTypes = []byte{i32, i64, f32, f64, v128, funcRef, externRef}

// function writes a function with so many instructions, and returns its code.
func (w *walker) function(of signature, locals []byte, size int) (code, counted []byte) {
	w.code, w.counted, w.stack, w.locals = nil, nil, nil, slices.Concat(of.in, locals)
	w.open = append(w.open[:0], opened{op: opEnd, out: of.out})
	for range size {
		if w.top().dead || len(w.open) > 1 && w.IntN(9) == 0 {
			w.close()
			continue
		}
		w.next()
	}
	for len(w.open) > 1 {
		w.close()
	}
	if !w.open[0].dead {
		w.values(of.out)
		if len(w.stack) > len(of.out) {
			w.ran(weightMemory, opReturn)
		}
	}
	return w.code, w.counted
}

// close ends the innermost block, or goes on with its other arm.
func (w *walker) close() {
	if len(w.open) == 1 {
		w.open[0].dead = false
		w.stack = w.stack[:0]
		w.silent(opUnreachable) // nothing is behind it
		w.open[0].dead = true
		return
	}
	b := w.top()
	if !b.dead {
		for len(w.stack) > b.height && !slices.Equal(w.stack[b.height:], b.out) {
			w.ran(weightPlain, opDrop)
			w.stack = w.stack[:len(w.stack)-1]
		}
		w.values(b.out)
	}
	w.stack = w.stack[:b.height]
	if b.op == opIf && (w.IntN(2) == 0 || !slices.Equal(b.in, b.out)) {
		w.silent(opElse)
		b.op, b.dead = opElse, false
		w.stack = append(w.stack, b.in...)
		return
	}
	w.silent(opEnd)
	w.open = w.open[:len(w.open)-1]
	w.stack = append(w.stack, b.out...)
}

// next writes one instruction, or a few that belong together.
func (w *walker) next() {
	switch w.IntN(16) {
	case 0, 1:
		w.value(walkTypes[w.IntN(len(walkTypes))])
	case 2, 3, 4:
		w.operation()
	case 5:
		w.keep()
	case 6:
		w.block([]byte{opBlock, opLoop, opIf}[w.IntN(3)], uint32(w.IntN(len(w.of))))
	case 7:
		w.block([]byte{opBlock, opLoop, opIf}[w.IntN(3)], emptyBlock)
	case 8, 9:
		w.table()
	case 10, 11, 12:
		w.jump()
	case 13:
		w.leave()
	case 14:
		w.ran(weightPlain, ins(opGlobalGet, walkLong)...)
		w.ran(weightPlain, num64(1)...)
		w.ran(weightPlain, opI64Add)
		w.ran(weightPlain, ins(opGlobalSet, walkLong)...)
	default:
		if len(w.stack) > w.top().height {
			w.ran(weightPlain, opDrop)
			w.stack = w.stack[:len(w.stack)-1]
		}
	}
}

// keep sets a local or global.
func (w *walker) keep() {
	n := w.IntN(len(w.locals))
	switch w.values(w.locals[n : n+1]); w.IntN(3) {
	case 0:
		w.ran(weightPlain, opLocalTee, byte(n))
	default:
		w.ran(weightPlain, opLocalSet, byte(n))
		w.stack = w.stack[:len(w.stack)-1]
	}
}

// operation is one of those with fixed types; not of memory, nor one that shows the bits of
// a float.
func (w *walker) operation() {
	tables := []struct {
		before []byte
		of     *[256]instruction
	}{{nil, &plainOps}, {[]byte{opMisc}, &truncOps}, {[]byte{opVector}, &vectorOps}}
	t := tables[w.IntN(len(tables))]
	op := byte(w.IntN(256))
	n := &t.of[op]
	if n.imm != immNone && n.imm != immLane {
		return
	}
	w.values(n.in)
	code := append(slices.Clone(t.before), op)
	if len(t.before) > 0 && op >= 0x80 {
		code = append(code, 1)
	}
	if n.imm == immLane {
		code = append(code, byte(w.IntN(int(n.lanes))))
	}
	w.ran(n.weight, code...)
	w.took(n.in, n.out)
}

// block opens one of a type: its index, or emptyBlock.
func (w *walker) block(op byte, kind uint32) {
	var of signature
	if kind != emptyBlock {
		of = w.of[kind]
	}
	w.values(of.in)
	if op == opIf {
		w.value(i32)
		w.stack = w.stack[:len(w.stack)-1]
	}
	w.ran(weightPlain, append([]byte{op}, uleb(kind)...)...)
	w.open = append(w.open, opened{op: op, in: of.in, out: of.out, height: len(w.stack) - len(of.in)})
}

// number is a local of type i32.
func (w *walker) number() byte {
	for {
		if n := w.IntN(len(w.locals)); w.locals[n] == i32 {
			return byte(n)
		}
	}
}

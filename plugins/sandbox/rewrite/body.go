package rewrite

import "slices"

// frame is one block while its instructions are read.
type frame struct {
	op      byte   // opBlock, opLoop, opIf or opElse; opEnd for the function
	in, out []byte // what it takes and leaves
	height  int    // operands below
	dead    bool   // what follows is never reached
	region  int    // that counts before it
	leaves  int    // calls before it
	head    int    // the region of a loop's head
	jumps   *jumps // of a loop that begins with a table of them
	ahead   int    // the head of the loop that has a table, if this is one of its blocks
}

// labels are what a branch to the block brings.
func (f *frame) labels() []byte {
	if f.op == opLoop {
		return f.in
	}
	return f.out
}

// body is the walk through one function: it finds types, regions of fuel, and what has
// to be changed. It is used for one after the other.
// Source: WebAssembly Core Specification 2.0, section 7.3, "Validation Algorithm".
type body struct {
	m            *module
	r            reader
	from         int // of the instructions in the module
	at           int // of the instruction in the module
	of           signature
	locals       []byte // types, parameters included
	operands     []byte
	frames       []frame
	most         int   // operands at once
	blocks       int64 // that a compiler makes of it, about
	work         int64 // of whoever compiles it
	held         int64 // values that a compiler keeps count of, at all places together
	square       int64 // the same, each time for every local
	instructions int64
	calls        int    // of functions of the module
	leaves       int    // calls of any kind
	tight        bool   // there is a loop that calls nobody
	said         uint32 // the last i32.const,
	saidTo       int    // and where in the module it ends
	prelude      prelude
	aim          aim
	groups       uint32
	declared     []byte // its locals, as they are written

	regions []region
	now     int   // the region that is paid for
	total   int64 // that was to be paid so far, in the order in which the code is written
	edits   []edit
}

func (b *body) fault(what string) error { return &FaultError{What: what, Offset: b.at} }

// What a compiler has to join and keep in one function: at each place where code parts or
// joins, all values that are there. That grows with the product of two numbers that each
// look small; and where locals are joined, the time with their square. Ours: as much as may
// be takes 350 MB or some seconds. What Go's compiler writes stays fifty times below.
const (
	maxHeld   = 4 << 20
	maxSquare = 2 << 30
)

// spend counts values that reach a place, beside those that lie on the stack of operands.
func (b *body) spend(n int) error {
	b.work += int64(n)
	b.held += int64(n + len(b.operands))
	b.square += int64(n) * int64(len(b.locals))
	return b.fits()
}

// fits reports whether what was counted so far is no more than a compiler can have.
func (b *body) fits() error {
	switch {
	case b.blocks > b.m.cfg.Limits.Blocks:
		return b.fault("a function has too many blocks")
	case b.held > maxHeld || b.square > maxSquare:
		return b.fault("a function is too complex to compile")
	}
	return nil
}

// reread counts what a call takes and leaves: all globals that can change are read anew
// after it, each by an instruction, which is as much as four values.
func (b *body) reread(n int) error {
	b.held += 3 * int64(b.m.changing)
	return b.spend(n + b.m.changing)
}

// walk reads all instructions of a function.
func (b *body) walk() error {
	b.frames = append(b.frames[:0], frame{op: opEnd, out: b.of.out})
	b.operands, b.edits = b.operands[:0], b.edits[:0]
	b.most, b.blocks, b.instructions, b.work, b.held, b.square = 0, 0, 0, 0, 0, 0
	b.calls, b.leaves, b.tight, b.saidTo = 0, 0, false, -1
	b.prelude, b.aim = prelude{to: -1, got: -1}, aim{to: -1}
	b.open()
	for len(b.frames) > 0 {
		b.at = b.r.at
		op, err := b.r.byte()
		if b.instructions++; err == nil {
			err = b.instruction(op)
		}
		if err != nil {
			return err
		}
		b.most = max(b.most, len(b.operands))
		b.cut()
		if err = b.fits(); err != nil { // checks that were put in are blocks, too
			return err
		}
	}
	if len(b.r.b) > 0 {
		return b.r.fault("a function goes on behind its end")
	}
	return nil
}

// instruction reads one.
func (b *body) instruction(op byte) error {
	if n := &plainOps[op]; n.imm != 0 {
		return b.fixed(n)
	}
	switch op {
	case opUnreachable, opNop:
		b.pay(weightPlain)
		if op == opUnreachable {
			b.die()
		}
		return nil
	case opBlock, opLoop, opIf:
		return b.begin(op)
	case opElse:
		return b.otherwise()
	case opEnd:
		return b.end()
	case opBr, opBrIf, opBrTable, opReturn:
		return b.branch(op)
	case opCall, opCallIndirect:
		return b.call(op)
	case opDrop, opSelect, opSelectTyped:
		b.pay(weightPlain)
		return b.parametric(op)
	case opLocalGet, opLocalSet, opLocalTee, opGlobalGet, opGlobalSet:
		return b.variable(op)
	case opI32Const, opI64Const, opF32Const, opF64Const:
		b.pay(weightPlain)
		return b.number(op)
	case opMemorySize, opMemoryGrow:
		return b.memorySize(op)
	case opTableGet, opTableSet, opRefNull, opRefIsNull, opRefFunc:
		return b.reference(op)
	case opMisc:
		return b.misc()
	case opVector:
		return b.vector()
	}
	return b.fault(later(op))
}

// later says what an instruction of another version is for.
func later(op byte) string {
	switch {
	case op == 0x12 || op == 0x13:
		return "tail calls are not supported"
	case op >= 0x06 && op <= 0x0a || op == 0x18 || op == 0x19 || op == 0x1f:
		return "exceptions are not supported"
	case op == 0x14 || op == 0x15 || op >= 0xd3 && op <= 0xd6 || op == 0xfb:
		return "garbage-collected types are not supported"
	case op == 0xfe:
		return "threads are not supported"
	}
	return "there is no such instruction"
}

func (b *body) push(t byte) { b.operands = append(b.operands, t) }

func (b *body) pushAll(types []byte) { b.operands = append(b.operands, types...) }

// pop takes an operand of a type; of any if the type is unknown.
func (b *body) pop(want byte) (byte, error) {
	f := &b.frames[len(b.frames)-1]
	if len(b.operands) == f.height {
		if f.dead {
			return unknown, nil
		}
		return 0, b.fault("an instruction has too few operands")
	}
	got := b.operands[len(b.operands)-1]
	if got != want && got != unknown && want != unknown {
		return 0, b.fault("an operand is of type " + typeNames[got] + ", not " + typeNames[want])
	}
	b.operands = b.operands[:len(b.operands)-1]
	return got, nil
}

func (b *body) popAll(types []byte) error {
	for _, want := range slices.Backward(types) {
		if _, err := b.pop(want); err != nil {
			return err
		}
	}
	return nil
}

// die marks what follows as never reached.
func (b *body) die() {
	f := &b.frames[len(b.frames)-1]
	b.operands = b.operands[:f.height]
	f.dead = true
}

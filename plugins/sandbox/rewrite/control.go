package rewrite

// blockType reads what a block takes and leaves.
func (b *body) blockType() (in, out []byte, err error) {
	if len(b.r.b) > 0 {
		switch t := b.r.b[0]; {
		case t == emptyBlock:
			b.r.skip(1)
			return nil, nil, nil
		case isValueType(t):
			out = b.r.b[:1:1]
			b.r.skip(1)
			return nil, out, nil
		}
	}
	n, err := b.r.signed(33)
	if err == nil && (n < 0 || n >= int64(len(b.m.types))) {
		err = b.fault("there is no such type of a block")
	}
	if err != nil {
		return nil, nil, err
	}
	return b.m.types[n].in, b.m.types[n].out, nil
}

// emptyBlock is the type of a block that takes and leaves nothing.
const emptyBlock = 0x40

// begin starts a block, a loop or an if.
func (b *body) begin(op byte) error {
	in, out, err := b.blockType()
	if err != nil {
		return err
	}
	b.pay(weightPlain)
	if op == opIf {
		if _, err := b.pop(i32); err != nil {
			return err
		}
	}
	if err := b.popAll(in); err != nil {
		return err
	}
	if op == opLoop {
		b.m.info.Loops++
	}
	n := int64(1)
	if op == opIf { // its arms
		n = 2
	}
	if err := b.block(n); err != nil {
		return err
	}
	if err := b.spend(len(b.locals) + len(in) + len(out)); err != nil {
		return err
	}
	b.frames = append(b.frames, frame{op: op, in: in, out: out, height: len(b.operands), region: b.now, leaves: b.leaves})
	b.pushAll(in)
	switch op {
	case opLoop:
		b.check(b.r.at - b.from)
		b.frames[len(b.frames)-1].head = b.now
	case opIf:
		b.split(b.r.at - b.from)
	}
	if len(in)+len(out) == 0 {
		b.preludes(op)
	}
	return nil
}

// block counts blocks that a compiler makes of the function.
func (b *body) block(n int64) error {
	b.blocks += n
	return b.fits()
}

// finish closes the innermost block and returns it.
func (b *body) finish() (frame, error) {
	f := b.frames[len(b.frames)-1]
	if err := b.popAll(f.out); err != nil {
		return f, err
	}
	if len(b.operands) != f.height {
		return f, b.fault("a block leaves more than it says")
	}
	b.frames = b.frames[:len(b.frames)-1]
	return f, nil
}

func (b *body) otherwise() error {
	f, err := b.finish()
	if err == nil && f.op != opIf {
		err = b.fault("else without if")
	}
	if err != nil {
		return err
	}
	b.frames = append(b.frames, frame{op: opElse, in: f.in, out: f.out, height: f.height, region: f.region})
	b.pushAll(f.in)
	b.now = f.region
	b.split(b.r.at - b.from)
	return nil
}

func (b *body) end() error {
	f, err := b.finish()
	if err != nil {
		return err
	}
	if f.op == opIf && string(f.in) != string(f.out) {
		return b.fault("an if without else leaves other than it takes")
	}
	if f.op == opEnd {
		return nil // of the function
	}
	b.pushAll(f.out)
	b.now = f.region
	if f.op == opLoop && f.leaves == b.leaves {
		b.tight = true
	}
	if f.op == opLoop { // nothing jumps behind a loop, but out of it
		b.pass(b.r.at - b.from)
	} else {
		b.split(b.r.at - b.from)
	}
	return nil
}

// label reads which block a branch leads to, as its place in frames, and what it brings.
func (b *body) label() (at int, brings []byte, err error) {
	n, err := b.r.u32()
	if err == nil && int(n) >= len(b.frames) {
		err = b.fault("there is no such block to branch to")
	}
	if err != nil {
		return 0, nil, err
	}
	at = len(b.frames) - 1 - int(n)
	brings = b.frames[at].labels()
	return at, brings, b.spend(len(b.locals) + len(brings))
}

// branch is one of the instructions that go elsewhere.
func (b *body) branch(op byte) error {
	b.pay(weightMemory) // a guess of the processor that may be wrong
	if op == opBrIf {   // what follows is one, and often the way to where it leads
		if err := b.block(2); err != nil {
			return err
		}
	}
	if op == opReturn {
		b.edit(editReturn, uint32(len(b.frames)-1))
		if err := b.popAll(b.of.out); err != nil {
			return err
		}
		b.die()
		return b.spend(len(b.of.out))
	}
	if op == opBrTable {
		return b.branchTable()
	}
	to, brings, err := b.label()
	if err != nil {
		return err
	}
	if op == opBrIf {
		if _, err := b.pop(i32); err != nil {
			return err
		}
	}
	if err := b.popAll(brings); err != nil {
		return err
	}
	b.jump(to, op)
	if op == opBr {
		b.die()
		return nil
	}
	b.pushAll(brings)
	b.pass(b.r.at - b.from)
	return nil
}

func (b *body) branchTable() error {
	n, err := b.r.u32()
	if err != nil {
		return err
	}
	if int64(n) > int64(len(b.r.b)) {
		return b.r.early()
	}
	if _, err := b.pop(i32); err != nil {
		return err
	}
	arity := -1
	var table []int
	for i := uint32(0); i <= n; i++ { // the last one is for all other numbers
		if err := b.block(1); err != nil { // which brings there what it takes
			return err
		}
		to, brings, err := b.label()
		if err != nil {
			return err
		}
		if arity >= 0 && arity != len(brings) {
			return b.fault("blocks of one table take different numbers of operands")
		}
		arity = len(brings)
		if err := b.peekAll(brings); err != nil {
			return err
		}
		b.jump(to, opBrTable)
		if b.prelude.got == b.at {
			table = append(table, to)
		}
	}
	b.tabled(table)
	b.die()
	return nil
}

// peekAll holds the operands to types, and leaves them.
func (b *body) peekAll(types []byte) error {
	f := &b.frames[len(b.frames)-1]
	for i, want := range types {
		at := len(b.operands) - len(types) + i
		if at < f.height {
			if !f.dead {
				return b.fault("an instruction has too few operands")
			}
			continue
		}
		if got := b.operands[at]; got != want && got != unknown {
			return b.fault("an operand is of type " + typeNames[got] + ", not " + typeNames[want])
		}
	}
	return nil
}

// call calls a function, by its index or by what stands in a table.
func (b *body) call(op byte) error {
	var of signature
	if op == opCall {
		n, err := b.m.functionOf(&b.r)
		if err != nil {
			return err
		}
		of = b.m.types[b.m.functions[n]]
		if int(n) < len(b.m.imported) {
			b.check(b.at - b.from) // it costs as much as what is around it
			b.pay(weightCall + b.m.imported[n].Weight)
			b.edit(editImport, b.m.moved(n))
		} else {
			b.pay(weightCall)
			b.edit(editCall, b.m.moved(n))
			b.calls++
		}
	} else {
		n, err := b.m.typeOf(&b.r)
		if err != nil {
			return err
		}
		table, err := b.r.u32()
		if err == nil && (int(table) >= len(b.m.tables) || b.m.tables[table] != funcRef) {
			err = b.fault("there is no such table of functions")
		}
		if err != nil {
			return err
		}
		if _, err := b.pop(i32); err != nil {
			return err
		}
		of = b.m.types[n]
		b.pay(weightIndirect)
		b.edit(editIndirect, 0)
		b.calls++
	}
	b.leaves++
	if err := b.popAll(of.in); err != nil {
		return err
	}
	b.pushAll(of.out)
	return b.reread(len(of.in) + len(of.out))
}

package rewrite

// fixed is an instruction with fixed types.
func (b *body) fixed(n *instruction) error {
	b.pay(n.weight)
	var err error
	switch n.imm {
	case immMemory:
		err = b.address(n)
	case immLane:
		err = b.lane(n.lanes)
	case immMemLane:
		if err = b.address(n); err == nil {
			err = b.lane(n.lanes)
		}
	case immBytes:
		err = b.r.pass(16)
	case immShuffle:
		for range 16 {
			if err == nil {
				err = b.lane(n.lanes)
			}
		}
	}
	if err == nil {
		err = b.popAll(n.in)
	}
	b.pushAll(n.out)
	return err
}

// address reads the alignment and offset of a memory access.
func (b *body) address(n *instruction) error {
	if b.m.memories == 0 {
		return b.fault("there is no memory")
	}
	align, err := b.r.u32()
	if err == nil && align > n.align {
		if align >= 64 {
			return b.fault("several memories are not supported")
		}
		return b.fault("an access is aligned to more than its size")
	}
	if err == nil {
		_, err = b.r.u32()
	}
	return err
}

func (b *body) lane(lanes byte) error {
	n, err := b.r.byte()
	if err == nil && n >= lanes {
		err = b.fault("there is no such lane")
	}
	return err
}

// zero reads the index of the only memory.
func (b *body) zero() error {
	n, err := b.r.byte()
	if err == nil && n != 0 {
		err = b.fault("several memories are not supported")
	}
	if err == nil && b.m.memories == 0 {
		err = b.fault("there is no memory")
	}
	return err
}

func (b *body) number(op byte) (err error) {
	switch op {
	case opI32Const:
		var v int64
		v, err = b.r.signed(32)
		b.said, b.saidTo = uint32(v), b.r.at
		b.push(i32)
	case opI64Const:
		_, err = b.r.signed(64)
		b.push(i64)
	case opF32Const:
		err = b.r.pass(4)
		b.push(f32)
	default:
		err = b.r.pass(8)
		b.push(f64)
	}
	return err
}

// parametric is drop or select.
func (b *body) parametric(op byte) error {
	if op == opDrop {
		_, err := b.pop(unknown)
		return err
	}
	want := unknown
	if op == opSelectTyped {
		n, err := b.r.u32()
		if err == nil && n != 1 {
			err = b.fault("select is of one type")
		}
		if err == nil {
			want, err = b.r.valueType()
		}
		if err != nil {
			return err
		}
	}
	if _, err := b.pop(i32); err != nil {
		return err
	}
	second, err := b.pop(want)
	if err != nil {
		return err
	}
	if want == unknown {
		want = second
	}
	first, err := b.pop(want)
	if err != nil {
		return err
	}
	if op == opSelect && (isRef(first) || isRef(second)) {
		return b.fault("select of references needs their type")
	}
	if want == unknown {
		want = first
	}
	b.push(want)
	return nil
}

// variable is one of the instructions for locals and globals.
func (b *body) variable(op byte) error {
	b.pay(weightPlain)
	n, err := b.r.u32()
	if err != nil {
		return err
	}
	var of byte
	if op == opGlobalGet || op == opGlobalSet {
		if int(n) >= len(b.m.globals) {
			return b.fault("there is no such global")
		}
		g := b.m.globals[n]
		if of = g.of; op == opGlobalSet && !g.mutable {
			return b.fault("the global can't change")
		}
	} else {
		if int(n) >= len(b.locals) {
			return b.fault("there is no such local")
		}
		of = b.locals[n]
	}
	switch {
	case op == opLocalGet && b.prelude.to == b.at:
		b.prelude.local, b.prelude.got = n, b.r.at
	case op == opLocalSet && b.saidTo == b.at:
		b.aim = aim{local: n, said: b.said, to: b.r.at}
	}
	if op == opLocalGet || op == opGlobalGet {
		b.push(of)
		return nil
	}
	if _, err = b.pop(of); op == opLocalTee {
		b.push(of)
	}
	return err
}

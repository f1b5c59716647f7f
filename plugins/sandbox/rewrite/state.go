package rewrite

import "strconv"

// memorySize reads how large the memory is, or makes it grow.
func (b *body) memorySize(op byte) error {
	if err := b.zero(); err != nil {
		return err
	}
	b.pay(weightMemory)
	if op == opMemoryGrow {
		b.pay(weightCall)
		b.edit(editHelper, helperGrow)
		b.leaves++
		if _, err := b.pop(i32); err != nil {
			return err
		}
	}
	b.push(i32)
	return b.reread(0)
}

// reference is one of the instructions about references.
func (b *body) reference(op byte) error {
	b.pay(weightPlain)
	switch op {
	case opRefNull:
		t, err := b.r.refType()
		b.push(t)
		return err
	case opRefIsNull:
		t, err := b.pop(unknown)
		if err == nil && t != unknown && !isRef(t) {
			err = b.fault("an operand is no reference")
		}
		b.push(i32)
		return err
	case opRefFunc:
		n, err := b.m.functionOf(&b.r)
		if err == nil && !b.m.declared[n] {
			err = b.fault("a function is referred to that nothing outside of functions names")
		}
		if err != nil {
			return err
		}
		b.edit(editIndex, b.m.byValue(n))
		b.push(funcRef)
		return nil
	case opTableSet:
		return b.changes("table.set")
	}
	of, err := b.table()
	if err == nil {
		_, err = b.pop(i32)
	}
	b.push(of)
	return err
}

// table reads the index of one.
func (b *body) table() (of byte, err error) {
	n, err := b.r.u32()
	if err == nil && int(n) >= len(b.m.tables) {
		err = b.fault("there is no such table")
	}
	if err != nil {
		return 0, err
	}
	return b.m.tables[n], nil
}

// changes refuses what would outlive a call: a call's state is put back, and that is
// memory and globals.
func (b *body) changes(what string) error {
	return b.fault(what + " is not supported: what it changes could not be put back after a call")
}

// bulk are the instructions behind 0xfc that change what is no memory.
var bulk = map[byte]string{
	miscDataDrop: "data.drop", miscTableInit: "table.init", miscElemDrop: "elem.drop",
	miscTableCopy: "table.copy", miscTableGrow: "table.grow", miscTableFill: "table.fill",
}

// misc is one of the instructions behind 0xfc.
func (b *body) misc() error {
	op, err := b.r.byte()
	if err != nil {
		return err
	}
	if n := &truncOps[op]; n.imm != 0 {
		return b.fixed(n)
	}
	if what, refused := bulk[op]; refused {
		return b.changes(what)
	}
	b.pay(weightMemory)
	switch op {
	case miscMemoryInit:
		return b.memoryInit()
	case miscMemoryCopy, miscMemoryFill:
		return b.bulkMemory(op)
	case miscTableSize:
		_, err := b.table()
		b.push(i32)
		return err
	}
	return b.fault("there is no such instruction")
}

// bulkMemory copies or fills: at once if what stands before it says that it is little,
// else in pieces.
func (b *body) bulkMemory(op byte) (err error) {
	if op == miscMemoryCopy {
		err = b.zero()
	}
	if err == nil {
		err = b.zero()
	}
	if err != nil {
		return err
	}
	b.pay(weightCall)
	if b.saidTo == b.at && b.said <= smallBulk {
		b.pay(int64(b.said) >> bulkShift)
	} else {
		b.edit(editHelper, map[byte]uint32{miscMemoryCopy: helperCopy, miscMemoryFill: helperFill}[op])
		b.leaves++
	}
	if err := b.popAll([]byte{i32, i32, i32}); err != nil {
		return err
	}
	return b.reread(0)
}

// memoryInit copies from a segment of data. What it may copy is known, and paid.
func (b *body) memoryInit() error {
	n, err := b.r.u32()
	if err == nil && !b.m.counted {
		err = b.fault("the number of data segments is not announced")
	}
	if err == nil && int(n) >= len(b.m.data) {
		err = b.fault("there is no such data segment")
	}
	if err == nil && len(b.m.data[n].init) > maxInit {
		err = b.fault("memory.init of more than " + strconv.Itoa(maxInit) + " bytes of data is not supported")
	}
	if err == nil {
		err = b.zero()
	}
	if err != nil {
		return err
	}
	b.m.named = true
	b.pay(weightCall + int64(len(b.m.data[n].init))>>bulkShift)
	return b.popAll([]byte{i32, i32, i32})
}

// vector is one of the instructions behind 0xfd. Those above 0x7f have a second byte.
func (b *body) vector() error {
	op, err := b.r.byte()
	if err != nil {
		return err
	}
	if op >= 0x80 {
		if more, err := b.r.byte(); err != nil {
			return err
		} else if more != 1 {
			return b.fault("relaxed vectors are not supported")
		}
	}
	n := &vectorOps[op]
	if n.imm == 0 {
		return b.fault("there is no such vector instruction")
	}
	return b.fixed(n)
}

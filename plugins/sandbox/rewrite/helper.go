package rewrite

import "encoding/binary"

// What takes the place of instructions that take longer than a slice of fuel: the same
// in pieces, each paid for before it is done. Functions that are added, in this order.
const (
	helperFill = iota
	helperCopy
	helperGrow
	helpers
)

const (
	// bulkShift is how many bytes of memory cost one of fuel, as a power of two: 16, what
	// memory takes in about a quarter of a nanosecond.
	bulkShift = 4
	// piece is how many bytes are done at once: half of the slices of those who have much of it.
	piece = 64 << 10
	// smallBulk is up to how many bytes, if a module says the number right before, are paid
	// for where the code around is: they take less time than a slice. Compilers move
	// variables like that.
	smallBulk = 4 << 10
)

// helperTypes are what they take and leave.
var helperTypes = [helpers]signature{
	helperFill: {in: []byte{i32, i32, i32}},
	helperCopy: {in: []byte{i32, i32, i32}},
	helperGrow: {in: []byte{i32}, out: []byte{i32}},
}

// Locals of fill and copy: parameters, then how many bytes the next piece has.
const (
	localTo     = 0
	localFrom   = 1 // of fill: the byte
	localBytes  = 2
	localPiece  = 3
	localsOfOne = 1 // that are declared
)

func get(out []byte, local uint32) []byte { return indexed(out, opLocalGet, local) }
func set(out []byte, local uint32) []byte { return indexed(out, opLocalSet, local) }

func constant32(out []byte, v int32) []byte {
	return appendSigned(append(out, opI32Const), int64(v))
}

// beyond pushes whether some bytes from a local on reach behind the end of memory.
func beyond(out []byte, local uint32) []byte {
	out = append(get(out, local), opI64ExtendU)
	out = append(get(out, localBytes), opI64ExtendU, opI64Add)
	out = append(out, opMemorySize, 0, opI64ExtendU, opI64Const, 16, opI64Shl)
	return append(out, opI64GtU)
}

// What makes fuel of a number of bytes, and of pages of WebAssembly.
var (
	ofBytes = []byte{opI32Const, bulkShift, opI32ShrU}
	ofPages = []byte{opI32Const, 16 - bulkShift, opI32Shl}
)

// payFor takes fuel for as many bytes or pages as a local says.
func (m *module) payFor(out []byte, local uint32, of []byte) []byte {
	out = append(get(less(out, m.fuel(), weightCheck), local), of...)
	out = indexed(append(out, opI32Sub), opGlobalSet, m.fuel())
	return m.ask(indexed(out, opGlobalGet, m.fuel()))
}

// nextPiece sets how long the next piece is, and pays for it.
func (m *module) nextPiece(out []byte) []byte {
	out = constant32(get(out, localBytes), piece)
	out = append(constant32(get(out, localBytes), piece), opI32LtU, opSelect)
	return m.payFor(set(out, localPiece), localPiece, ofBytes)
}

// move adds the piece to a local, or takes it away.
func move(out []byte, local uint32, op byte) []byte {
	return set(append(get(get(out, local), localPiece), op), local)
}

// onePiece is what has no more bytes than that: paid for, and done.
func (m *module) onePiece(out, op []byte) []byte {
	out = append(constant32(get(out, localBytes), piece), opI32LeU, opIf, emptyBlock)
	out = m.payFor(out, localBytes, ofBytes)
	out = append(get(get(get(out, localTo), localFrom), localBytes), op...)
	return append(out, opReturn, opEnd)
}

// fill is memory.fill. One that reaches behind the end of memory is done at once: it
// traps before it writes anything.
func (m *module) fill() []byte {
	op := []byte{opMisc, miscMemoryFill, 0}
	out := m.onePiece([]byte{1, localsOfOne, i32}, op)
	out = append(beyond(out, localTo), opIf, emptyBlock)
	out = append(get(get(get(out, localTo), localFrom), localBytes), op...)
	out = append(out, opEnd, opLoop, emptyBlock)
	out = m.nextPiece(out)
	out = append(get(get(get(out, localTo), localFrom), localPiece), op...)
	out = move(move(out, localTo, opI32Add), localBytes, opI32Sub)
	return append(indexed(get(out, localBytes), opBrIf, 0), opEnd, opEnd)
}

// copies is memory.copy: from the end, where the beginning would overwrite what is
// still to be copied.
func (m *module) copies() []byte {
	op := []byte{opMisc, miscMemoryCopy, 0, 0}
	out := m.onePiece([]byte{1, localsOfOne, i32}, op)
	for _, local := range []uint32{localTo, localFrom} {
		out = append(beyond(out, local), opIf, emptyBlock)
		out = append(get(get(get(out, localTo), localFrom), localBytes), op...)
		out = append(out, opEnd)
	}
	out = m.nextPiece(append(out, opLoop, emptyBlock))
	out = append(get(get(out, localTo), localFrom), opI32LeU, opIf, emptyBlock)
	out = append(get(get(get(out, localTo), localFrom), localPiece), op...)
	out = move(move(move(out, localTo, opI32Add), localFrom, opI32Add), localBytes, opI32Sub)
	out = move(append(out, opElse), localBytes, opI32Sub)
	for _, local := range []uint32{localTo, localFrom} {
		out = append(get(get(out, local), localBytes), opI32Add)
	}
	out = append(append(get(out, localPiece), op...), opEnd)
	return append(indexed(get(out, localBytes), opBrIf, 0), opEnd, opEnd)
}

// grow is memory.grow. What is refused anyway is not paid for. Whoever decides how much fuel
// there is at once by the size of memory is asked anew when it has become larger.
func (m *module) grow() []byte {
	out := []byte{0}
	out = append(get(out, localTo), opI64ExtendU)
	out = append(out, opMemorySize, 0, opI64ExtendU, opI64Add, opI64Const)
	out = append(appendSigned(out, int64(m.pages.max)), opI64LeU, opIf, emptyBlock)
	out = append(m.payFor(out, localTo, ofPages), opEnd)
	out = append(get(out, localTo), opMemoryGrow, 0)
	return append(indexed(out, opCall, m.tick()), opEnd)
}

// thunk calls an import, and pays for it.
func (m *module) thunk(f uint32) []byte {
	out := m.askFor([]byte{0}, weightCheck+weightCall+m.imported[f].Weight)
	for i := range m.types[m.functions[f]].in {
		out = get(out, uint32(i))
	}
	return append(indexed(out, opCall, f), opEnd)
}

// addHelpers writes the types and the code of what is added.
func (m *module) addHelpers(types, code []byte) (newTypes, newCode []byte) {
	for i, body := range [helpers][]byte{m.fill(), m.copies(), m.grow()} {
		types = binary.AppendUvarint(types, uint64(m.typeIndex(helperTypes[i].in, helperTypes[i].out)))
		code = append(binary.AppendUvarint(code, uint64(len(body))), body...)
	}
	for _, f := range m.thunked {
		body := m.thunk(f)
		types = binary.AppendUvarint(types, uint64(m.functions[f]))
		code = append(binary.AppendUvarint(code, uint64(len(body))), body...)
	}
	return types, code
}

package rewrite

import "encoding/binary"

// edit is a place of a function where something else is written: in place of an
// instruction, or before one.
type edit struct {
	at, end int // in the instructions
	kind    editKind
	n       uint32
}

type editKind byte

const (
	editPay      editKind = iota // n: the region that is paid for
	editIndex                    // n: what the function that is named is called now
	editImport                   // n: what the import that is called is called now
	editCall                     // n: what the function of the module that is called is called now
	editIndirect                 // a call through a table
	editHelper                   // n: what does in pieces what the instruction does at once
	editReturn                   // n: how many blocks are around it
)

func (b *body) edit(kind editKind, n uint32) {
	b.edits = append(b.edits, edit{at: b.at - b.from, end: b.r.at - b.from, kind: kind, n: n})
}

// written is what a module becomes.
type written struct {
	out struct{ globals, exports, elements, code []byte }

	thunks     map[uint32]uint32 // imports that are used as values: the functions that call them
	thunked    []uint32
	blockTypes map[string]uint32 // types that were added, by what they leave
	added      [][]byte
}

// moved is what a function's index becomes: Tick is the last one imported.
func (m *module) moved(f uint32) uint32 {
	if int(f) >= len(m.imported) {
		f++
	}
	return f
}

// tick is the index of Tick.
func (m *module) tick() uint32 { return uint32(len(m.imported)) }

// byValue is moved for a function that is not called but named, so that it may be called
// by whoever has the name. Nobody could say then that an import costs more: a function
// stands for it that pays.
func (m *module) byValue(f uint32) uint32 {
	if int(f) >= len(m.imported) {
		return m.moved(f)
	}
	n, known := m.thunks[f]
	if !known {
		if m.thunks == nil {
			m.thunks = map[uint32]uint32{}
		}
		n = uint32(len(m.functions)+1+helpers) + uint32(len(m.thunked))
		m.thunks[f] = n
		m.thunked = append(m.thunked, f)
	}
	return n
}

// fuel and depth are indexes of the globals that are added.
func (m *module) fuel() uint32  { return uint32(len(m.globals)) }
func (m *module) depth() uint32 { return uint32(len(m.globals)) + 1 }

// typeIndex adds a type, once.
func (m *module) typeIndex(in, out []byte) uint32 {
	t := append(binary.AppendUvarint([]byte{0x60}, uint64(len(in))), in...)
	t = append(binary.AppendUvarint(t, uint64(len(out))), out...)
	n, known := m.blockTypes[string(t)]
	if !known {
		if m.blockTypes == nil {
			m.blockTypes = map[string]uint32{}
		}
		n = uint32(len(m.types) + len(m.added))
		m.blockTypes[string(t)] = n
		m.added = append(m.added, t)
	}
	return n
}

// appendSigned appends a signed number in LEB128.
func appendSigned(out []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(out, c)
		}
		out = append(out, c|0x80)
	}
}

// indexed appends an instruction with an index.
func indexed(out []byte, op byte, n uint32) []byte {
	return binary.AppendUvarint(append(out, op), uint64(n))
}

// less pushes a global less a number.
func less(out []byte, global uint32, by int64) []byte {
	return minus(indexed(out, opGlobalGet, global), by)
}

// mostPaid is what may be taken at once: more than there ever is, and so little that what
// is left stays an i32. Only what never runs can cost so much.
const mostPaid = 1 << 28

// minus takes a number from what was pushed. Engines know a constant that is subtracted.
func minus(out []byte, by int64) []byte {
	return append(appendSigned(append(out, opI32Const), min(by, mostPaid)), opI32Sub)
}

// ask calls Tick if what was pushed is below zero.
func (m *module) ask(out []byte) []byte {
	out = append(out, opI32Const, 0, opI32LtS, opIf, emptyBlock)
	return append(indexed(out, opCall, m.tick()), opEnd)
}

// askFor takes a number of fuel, and asks for more.
func (m *module) askFor(out []byte, cost int64) []byte {
	out = indexed(less(out, m.fuel(), cost), opGlobalSet, m.fuel())
	return m.ask(indexed(out, opGlobalGet, m.fuel()))
}

// blockType is that of a block around what leaves some values.
func (m *module) blockType(out, leaves []byte) []byte {
	switch len(leaves) {
	case 0:
		return append(out, emptyBlock)
	case 1:
		return append(out, leaves[0])
	}
	return appendSigned(out, int64(m.typeIndex(nil, leaves)))
}

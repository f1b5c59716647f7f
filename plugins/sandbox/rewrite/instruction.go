package rewrite

// The instructions of version 2, by their first byte and, behind 0xfd, their second.
// Source: WebAssembly Core Specification 2.0, section 5.4, "Instructions".

// Types of values.
const (
	i32       byte = 0x7f
	i64       byte = 0x7e
	f32       byte = 0x7d
	f64       byte = 0x7c
	v128      byte = 0x7b
	funcRef   byte = 0x70
	externRef byte = 0x6f
	unknown   byte = 0 // of an operand that code which is never reached would find
)

func isValueType(t byte) bool { return t >= v128 && t <= i32 || t == funcRef || t == externRef }

func isRef(t byte) bool { return t == funcRef || t == externRef }

var typeNames = map[byte]string{i32: "i32", i64: "i64", f32: "f32", f64: "f64", v128: "v128", funcRef: "funcref", externRef: "externref"}

// Instructions that the rewrite looks at or writes.
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opSelectTyped  = 0x1c
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableGet     = 0x25
	opTableSet     = 0x26
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32LtS       = 0x48
	opI64GtU       = 0x56
	opI64LeU       = 0x58
	opI32LtU       = 0x49
	opI32LeU       = 0x4d
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64Mul       = 0x7e
	opI32Or        = 0x72
	opI32ShrU      = 0x76
	opI32Shl       = 0x74
	opI64Shl       = 0x86
	opI64ExtendU   = 0xad // of an i32
	opRefNull      = 0xd0
	opRefIsNull    = 0xd1
	opRefFunc      = 0xd2
	opMisc         = 0xfc
	opVector       = 0xfd

	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17

	vectorConst = 12
)

// What stands behind an instruction.
type immediate byte

const (
	immNone    immediate = iota + 1
	immMemory            // alignment and offset
	immLane              // a lane
	immMemLane           // both
	immBytes             // sixteen bytes
	immShuffle           // sixteen lanes of 32
)

// instruction is one that takes operands of fixed types and leaves some.
type instruction struct {
	in, out []byte
	imm     immediate // 0: there is no such instruction
	align   uint32    // the exponent of the largest alignment
	lanes   byte
	weight  int64
}

// Weights, in fuel: about a nanosecond for four on the machine they were chosen on.
const (
	weightPlain    = 1
	weightMemory   = 2
	weightVector   = 3
	weightDivide   = 8
	weightCall     = 4
	weightIndirect = 8
	weightBlockEnd = 0 // nothing runs
)

// row describes instructions from one to another: what they take and leave, as
// letters, and what differs.
type row struct {
	from, to byte
	types    string // i32 is i, i64 I, f32 f, f64 F, v128 v: what is taken, a colon, what is left
	imm      immediate
	align    uint32
	lanes    byte
	weight   int64
}

// table lays rows out by instruction.
func table(rows []row) (t [256]instruction) {
	letters := map[rune]byte{'i': i32, 'I': i64, 'f': f32, 'F': f64, 'v': v128}
	for _, r := range rows {
		n := instruction{imm: r.imm, align: r.align, lanes: r.lanes, weight: r.weight}
		into := &n.in
		for _, c := range r.types {
			if c == ':' {
				into = &n.out
				continue
			}
			*into = append(*into, letters[c])
		}
		for op := int(r.from); op <= int(r.to); op++ {
			t[op] = n
		}
	}
	return t
}

func plain(from, to byte, types string) row {
	return row{from: from, to: to, types: types, imm: immNone, weight: weightPlain}
}

func heavy(from, to byte, types string) row {
	return row{from: from, to: to, types: types, imm: immNone, weight: weightDivide}
}

func memory(from, to byte, types string, align uint32) row {
	return row{from: from, to: to, types: types, imm: immMemory, align: align, weight: weightMemory}
}

// plainOps are those of one byte.
var plainOps = table([]row{
	memory(0x28, 0x28, "i:i", 2), memory(0x29, 0x29, "i:I", 3), memory(0x2a, 0x2a, "i:f", 2), memory(0x2b, 0x2b, "i:F", 3), // loads
	memory(0x2c, 0x2d, "i:i", 0), memory(0x2e, 0x2f, "i:i", 1),
	memory(0x30, 0x31, "i:I", 0), memory(0x32, 0x33, "i:I", 1), memory(0x34, 0x35, "i:I", 2),
	memory(0x36, 0x36, "ii:", 2), memory(0x37, 0x37, "iI:", 3), memory(0x38, 0x38, "if:", 2), memory(0x39, 0x39, "iF:", 3), // stores
	memory(0x3a, 0x3a, "ii:", 0), memory(0x3b, 0x3b, "ii:", 1),
	memory(0x3c, 0x3c, "iI:", 0), memory(0x3d, 0x3d, "iI:", 1), memory(0x3e, 0x3e, "iI:", 2),
	plain(0x45, 0x45, "i:i"), plain(0x46, 0x4f, "ii:i"), plain(0x50, 0x50, "I:i"), plain(0x51, 0x5a, "II:i"), // comparisons
	plain(0x5b, 0x60, "ff:i"), plain(0x61, 0x66, "FF:i"),
	plain(0x67, 0x69, "i:i"), plain(0x6a, 0x6c, "ii:i"), heavy(0x6d, 0x70, "ii:i"), plain(0x71, 0x78, "ii:i"), // i32
	plain(0x79, 0x7b, "I:I"), plain(0x7c, 0x7e, "II:I"), heavy(0x7f, 0x82, "II:I"), plain(0x83, 0x8a, "II:I"), // i64
	plain(0x8b, 0x90, "f:f"), heavy(0x91, 0x91, "f:f"), plain(0x92, 0x94, "ff:f"), heavy(0x95, 0x95, "ff:f"), plain(0x96, 0x98, "ff:f"), // f32
	plain(0x99, 0x9e, "F:F"), heavy(0x9f, 0x9f, "F:F"), plain(0xa0, 0xa2, "FF:F"), heavy(0xa3, 0xa3, "FF:F"), plain(0xa4, 0xa6, "FF:F"), // f64
	plain(0xa7, 0xa7, "I:i"), plain(0xa8, 0xa9, "f:i"), plain(0xaa, 0xab, "F:i"), plain(0xac, 0xad, "i:I"), // conversions
	plain(0xae, 0xaf, "f:I"), plain(0xb0, 0xb1, "F:I"), plain(0xb2, 0xb3, "i:f"), plain(0xb4, 0xb5, "I:f"), plain(0xb6, 0xb6, "F:f"),
	plain(0xb7, 0xb8, "i:F"), plain(0xb9, 0xba, "I:F"), plain(0xbb, 0xbb, "f:F"),
	plain(0xbc, 0xbc, "f:i"), plain(0xbd, 0xbd, "F:I"), plain(0xbe, 0xbe, "i:f"), plain(0xbf, 0xbf, "I:F"),
	plain(0xc0, 0xc1, "i:i"), plain(0xc2, 0xc4, "I:I"),
})

// truncOps are those behind 0xfc that saturate.
var truncOps = table([]row{plain(0, 1, "f:i"), plain(2, 3, "F:i"), plain(4, 5, "f:I"), plain(6, 7, "F:I")})

package rewrite

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// generator writes random modules that are valid and end.
type generator struct {
	*rand.Rand
	b      *builder
	sigs   []sig // of the functions, in order; the import comes first
	code   []byte
	locals string // of the function, parameters included
	counts int    // of its last locals, those that count loops
	self   int
	nest   int // of loops
	labels []string
	left   int // statements of the function
}

type sig struct{ in, out string }

const (
	numbers   = "iIfF"
	maxNest   = 2
	genLocals = "iiIIfF" // of every function, beside counters
)

// generate makes a module of some functions. Each calls only later ones, and all give
// up when the first global is below zero: so every one ends.
func generate(seed uint64, size int) []byte {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), b: &builder{counted: seed%2 == 0}}
	g.b.imp("env", "twice", "i", "i")
	g.b.global(i32, 1, num(2000)...).global(i64, 1, num64(-5)...).global(i32, 0, num(3)...).global(i64, 1, num64(0)...)
	g.sigs = []sig{{"i", "i"}}
	for range 1 + size%4 {
		g.sigs = append(g.sigs, sig{g.types(3), g.types(2)})
	}
	for i := 1; i < len(g.sigs); i++ {
		g.function(i, 3+size)
	}
	all := make([]uint32, len(g.sigs))
	for i := range all {
		all[i] = uint32(i)
	}
	return g.b.table(all...).text(8, "what memory begins with").bytes()
}

// types is a list of at most so many.
func (g *generator) types(most int) (s string) {
	for range g.IntN(most + 1) {
		s += string(numbers[g.IntN(4)])
	}
	return s
}

func (g *generator) add(b ...byte) { g.code = append(g.code, b...) }

func (g *generator) function(i, size int) {
	s := g.sigs[i]
	g.self, g.code, g.left = i, nil, size
	g.locals, g.counts, g.labels, g.nest = s.in+genLocals+"ii", 2, []string{s.out}, 0
	g.add(ins(opGlobalGet, 0)...)
	g.add(opI32Const, 1, opI32Sub)
	g.add(ins(opGlobalSet, 0)...)
	g.add(ins(opGlobalGet, 0)...)
	g.add(opI32Const, 0, 0x48, opIf, emptyBlock) // i32.lt_s
	g.exprs(s.out, 0)
	g.add(opReturn, opEnd)
	for g.left > 0 {
		g.statement()
	}
	g.exprs(s.out, 3)
	g.b.fn("f"+string(rune('0'+i)), s.in, s.out, genLocals+"ii", g.code)
}

func (g *generator) exprs(types string, depth int) {
	for _, t := range types {
		g.expr(t, depth)
	}
}

// local is one of a type that may be set, or -1.
func (g *generator) local(of rune) int {
	var all []int
	for i, t := range g.locals[:len(g.locals)-g.counts] {
		if t == of {
			all = append(all, i)
		}
	}
	return all[g.IntN(len(all))]
}

// expr pushes a value of a type.
func (g *generator) expr(of rune, depth int) {
	switch {
	case depth <= 0 || g.IntN(4) == 0:
		g.constant(of)
	case g.IntN(3) == 0:
		g.add(ins(opLocalGet, uint32(g.local(of)))...)
	case g.IntN(8) == 0:
		g.conditional(of, depth)
	case g.IntN(8) == 0 && g.call(of, depth):
	default:
		g.operation(of, depth)
	}
}

func (g *generator) constant(of rune) {
	small := int64(g.IntN(40) - 8)
	if g.IntN(5) == 0 {
		small = int64(g.Uint64())
	}
	switch of {
	case 'i':
		g.add(num(int32(small))...)
	case 'I':
		g.add(num64(small)...)
	case 'f':
		g.code = binary.LittleEndian.AppendUint32(append(g.code, opF32Const), math.Float32bits(float32(small)))
	default:
		g.code = binary.LittleEndian.AppendUint64(append(g.code, opF64Const), math.Float64bits(float64(small)))
	}
}

// conditional is a value from an if, a select or a block that is left early.
func (g *generator) conditional(of rune, depth int) {
	t := types(string(of))[0]
	switch g.IntN(3) {
	case 0:
		g.expr('i', depth-1)
		g.add(opIf, t)
		g.labels = append(g.labels, string(of))
		g.expr(of, depth-1)
		g.add(opElse)
		g.expr(of, depth-1)
		g.add(opEnd)
		g.labels = g.labels[:len(g.labels)-1]
	case 1:
		g.expr(of, depth-1)
		g.expr(of, depth-1)
		g.expr('i', depth-1)
		g.add(opSelect)
	default:
		g.add(opBlock, t)
		g.labels = append(g.labels, string(of))
		g.expr(of, depth-1)
		g.expr('i', depth-1)
		g.add(opBrIf, 0, opDrop)
		g.expr(of, depth-1)
		g.add(opEnd)
		g.labels = g.labels[:len(g.labels)-1]
	}
}

// call pushes what a later function leaves, if there is one that leaves one value of
// the type. It may be named in a table.
func (g *generator) call(of rune, depth int) bool {
	var fit []int
	for i, s := range g.sigs {
		if (i == 0 || i > g.self) && s.out == string(of) {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		return false
	}
	f := fit[g.IntN(len(fit))]
	g.exprs(g.sigs[f].in, depth-1)
	if g.IntN(2) == 0 {
		g.add(ins(opCall, uint32(f))...)
		return true
	}
	g.add(num(int32(f))...)
	g.add(append(ins(opCallIndirect, g.b.typ(g.sigs[f].in, g.sigs[f].out)), 0)...)
	return true
}

// operation is an instruction of the table that leaves a value of the type. Those that
// show the bits of a float are left out: one NaN is like another.
func (g *generator) operation(of rune, depth int) {
	for {
		op := byte(g.IntN(256))
		n := &plainOps[op]
		load := n.imm == immMemory
		if n.imm == 0 || len(n.out) != 1 || n.out[0] != types(string(of))[0] || op >= 0xbc && op <= 0xbf || load && (of == 'f' || of == 'F') {
			continue
		}
		for _, t := range n.in {
			g.expr(rune(numbers[slices.Index([]byte{i32, i64, f32, f64}, t)]), depth-1)
		}
		if load {
			g.mask()
		}
		if g.add(op); load {
			g.add(byte(g.IntN(int(n.align)+1)), byte(g.IntN(128)))
		}
		return
	}
}

// mask makes of a number a place in memory, most of the time.
func (g *generator) mask() {
	if g.IntN(20) > 0 {
		g.add(num(0xffff)...)
		g.add(0x71) // i32.and
	}
}

// Each statement counts itself, which takes four instructions: so many have to be paid for.
const (
	genCount  = 3 // the global
	countCost = 4
)

// statement leaves nothing.
func (g *generator) statement() {
	g.left--
	g.add(ins(opGlobalGet, genCount)...)
	g.add(num64(1)...)
	g.add(opI64Add)
	g.add(ins(opGlobalSet, genCount)...)
	switch g.IntN(14) {
	case 0, 1:
		t := rune(genLocals[g.IntN(len(genLocals))])
		g.expr(t, 3)
		g.add(ins(opLocalSet, uint32(g.local(t)))...)
	case 2:
		g.expr('i', 2)
		g.mask()
		g.expr('I', 2)
		g.add(0x37, byte(g.IntN(4)), 0) // i64.store
	case 3:
		g.block(opBlock)
	case 4:
		g.expr('i', 2)
		g.block(opIf)
	case 5, 6:
		g.loop()
	case 7:
		g.leave()
	case 8:
		g.bulk()
	case 9:
		g.expr('I', 2)
		g.add(ins(opGlobalSet, 1)...)
	case 10:
		g.expr('i', 1)
		g.add(num(3)...)
		g.add(0x71, opMemoryGrow, 0, opDrop)
	case 11, 12:
		g.jumps()
	default:
		t := rune(numbers[g.IntN(4)])
		g.expr(t, 3)
		g.add(opDrop)
	}
}

// block is one with statements in it, with an else if it is an if.
func (g *generator) block(op byte) {
	g.add(op, emptyBlock)
	g.labels = append(g.labels, "")
	for range 1 + g.IntN(3) {
		g.statement()
	}
	if op == opIf && g.IntN(2) == 0 {
		g.add(opElse)
		g.statement()
	}
	g.add(opEnd)
	g.labels = g.labels[:len(g.labels)-1]
}

// loop runs a few times, by a counter of its own.
func (g *generator) loop() {
	if g.nest == maxNest {
		return
	}
	counter := uint32(len(g.locals) - g.counts + g.nest)
	g.nest++
	g.add(num(int32(1 + g.IntN(4)))...)
	g.add(ins(opLocalSet, counter)...)
	g.add(opLoop, emptyBlock)
	g.labels = append(g.labels, "-") // nothing may jump to its head but its end
	for range 1 + g.IntN(3) {
		g.statement()
	}
	g.add(ins(opLocalGet, counter)...)
	g.add(opI32Const, 1, opI32Sub)
	g.add(ins(opLocalTee, counter)...)
	g.add(opBrIf, 0, opEnd)
	g.labels = g.labels[:len(g.labels)-1]
	g.nest--
}

// jumps is a loop around a table of jumps to what stands behind some blocks, as Go's
// compiler writes it, or nearly so.
func (g *generator) jumps() {
	if g.nest == maxNest {
		return
	}
	counter, to := uint32(len(g.locals)-g.counts+g.nest), uint32(g.local('i'))
	g.nest++
	g.add(num(int32(1 + g.IntN(6)))...)
	g.add(ins(opLocalSet, counter)...)
	n := 1 + g.IntN(4)
	g.add(opLoop, emptyBlock)
	g.add(slices.Repeat([]byte{opBlock, emptyBlock}, n)...)
	g.labels = append(append(g.labels, "-"), slices.Repeat([]string{""}, n)...)
	g.add(ins(opLocalGet, to)...)
	if g.IntN(8) == 0 { // it looks like one and is none
		g.add(opI32Const, 1, opI32Sub)
	}
	entries := g.IntN(n + 2)
	g.add(opBrTable, byte(entries))
	for range entries + 1 {
		g.add(byte(g.IntN(n)))
	}
	for open := n - 1; open >= 0; open-- {
		g.add(opEnd)
		g.labels = g.labels[:len(g.labels)-1]
		g.statement()
		for range g.IntN(3) {
			g.jump(counter, to, open)
		}
	}
	g.add(opEnd)
	g.labels = g.labels[:len(g.labels)-1]
	g.nest--
}

// jump goes back to the head of such a loop, as long as its counter is above zero.
func (g *generator) jump(counter, to uint32, open int) {
	g.add(ins(opLocalGet, counter)...)
	g.add(opI32Const, 1, opI32Sub)
	g.add(ins(opLocalTee, counter)...)
	g.add(opI32Const, 0, 0x4a, opIf, emptyBlock) // i32.gt_s
	if g.IntN(6) == 0 {
		g.expr('i', 2)
	} else {
		g.add(num(int32(g.IntN(8) - 1))...)
	}
	if g.IntN(8) == 0 {
		to = uint32(g.local('i'))
	}
	g.add(ins(opLocalSet, to)...)
	switch g.IntN(10) {
	case 0:
		g.add(opNop, opBr, byte(open+1))
	case 1:
		g.add(opI32Const, 1, opBrIf, byte(open+1))
	case 2:
		g.add(opI32Const, 1, opBrTable, 1, byte(open+1), byte(open+1))
	default:
		g.add(opBr, byte(open+1))
	}
	g.add(opEnd)
}

// leave goes out of one of the blocks around, or returns.
func (g *generator) leave() {
	to := g.IntN(len(g.labels))
	brings := g.labels[len(g.labels)-1-to]
	if strings.Contains(brings, "-") {
		return
	}
	switch g.IntN(3) {
	case 0:
		g.add(opBlock, emptyBlock)
		g.exprs(brings, 1)
		g.add(ins(opBr, uint32(to)+1)...)
		g.add(opEnd)
	case 1:
		g.exprs(brings, 1)
		g.expr('i', 2)
		g.add(ins(opBrIf, uint32(to))...)
		g.add(slices.Repeat([]byte{opDrop}, len(brings))...)
	default:
		g.expr('i', 1)
		g.add(opIf, emptyBlock)
		g.exprs(g.sigs[g.self].out, 1)
		if g.IntN(2) == 0 {
			g.add(opReturn)
		} else {
			g.expr('i', 1)
			g.add(opBrTable, 2)
			for range 3 {
				g.add(uleb(uint32(len(g.labels)))...)
			}
		}
		g.add(opEnd)
	}
}

// bulk fills or copies memory, sometimes beyond its end.
func (g *generator) bulk() {
	for i := range 3 {
		g.expr('i', 1)
		if i < 2 || g.IntN(4) > 0 {
			g.add(num(0x1ffff)...)
			g.add(0x71)
		} else if g.IntN(2) == 0 { // a number that is said
			g.add(opDrop)
			g.add(num(int32(g.IntN(2 * smallBulk)))...)
		}
	}
	if g.IntN(2) == 0 {
		g.add(opMisc, miscMemoryFill, 0)
	} else {
		g.add(opMisc, miscMemoryCopy, 0, 0)
	}
}

package rewrite

import (
	"slices"
	"testing"
)

// Whatever stands in a module does the same afterwards, for the same fuel in slices of
// any size.
func TestConstructs(t *testing.T) {
	const plenty = 1 << 40
	for _, tt := range []struct {
		name string
		b    *builder
		arg  uint64
		want uint64
	}{
		{"a number", (&builder{}).fn("f", "i", "i", "", ins(opLocalGet, 0)), 7, 7},
		{"return from blocks", (&builder{}).fn("f", "i", "i", "", ops(opBlock, emptyBlock, opLoop, emptyBlock), ins(opLocalGet, 0), ops(opReturn, opEnd, opEnd), num(1)), 5, 5},
		{
			"return where frames count", (&builder{}).fn("f", "i", "i", "", ops(opBlock, emptyBlock), ins(opLocalGet, 0), ins(opBrIf, 0), num(9), ops(opReturn, opEnd), ins(opCall, 1)).
				fn("", "", "i", "", num(3)), 0, 9,
		},
		{"a branch to the function", (&builder{}).fn("f", "i", "i", "", ins(opCall, 1), ins(opBr, 0)).fn("", "", "i", "", num(4)), 0, 4},
		{
			"a table of branches to the function", (&builder{}).fn("f", "i", "i", "", ops(opBlock, emptyBlock), ins(opCall, 1), ins(opLocalGet, 0), ops(opBrTable, 1, 1, 1), ops(opEnd), num(1)).
				fn("", "", "i", "", num(6)), 1, 6,
		},
		{"several results", (&builder{}).fn("f", "i", "i", "", ins(opCall, 1), ops(opI32Add)).fn("", "", "ii", "", ins(opCall, 2), ops(opReturn)).fn("", "", "ii", "", num(3), num(4)), 0, 7},
		{"an import", (&builder{}).imp("env", "twice", "i", "i").fn("f", "i", "i", "", ins(opLocalGet, 0), ins(opCall, 0)), 21, 42},
		{
			"a table with an import", (&builder{}).imp("env", "twice", "i", "i").fn("f", "i", "i", "", num(5), ins(opLocalGet, 0), ops(opCallIndirect, 0, 0)).
				fn("", "i", "i", "", num(1)).table(0, 2), 0, 10,
		},
		{"a table with a function", (&builder{}).imp("env", "twice", "i", "i").fn("f", "i", "i", "", num(5), ins(opLocalGet, 0), ops(opCallIndirect, 0, 0)).fn("", "i", "i", "", num(1)).table(0, 2), 1, 1},
		{
			"a loop", (&builder{}).fn("f", "i", "i", "i", ops(opLoop, emptyBlock), ins(opLocalGet, 1), ins(opLocalGet, 0), ops(opI32Add), ins(opLocalSet, 1),
				ins(opLocalGet, 0), num(1), ops(opI32Sub), ins(opLocalTee, 0), ins(opBrIf, 0), ops(opEnd), ins(opLocalGet, 1)), 100, 5050,
		},
		{"a loop with operands", (&builder{}).fn("f", "i", "i", "", num(8), ops(opLoop, 0), num(1), ops(opI32Add, opEnd)), 1, 9},
		{"an if with two arms", (&builder{}).fn("f", "i", "i", "", ins(opLocalGet, 0), ops(opIf, i32), num(1), ops(opElse), num(2), ops(opEnd)), 0, 2},
		{"code that is never reached", (&builder{}).fn("f", "i", "i", "", num(3), ops(opReturn), ops(opI32Add, opDrop, opUnreachable)), 0, 3},
		{"globals", (&builder{}).global(i32, 1, opI32Const, 5).fn("f", "i", "i", "", ins(opGlobalGet, 0), num(1), ops(opI32Add), ins(opGlobalSet, 0), ins(opGlobalGet, 0)), 0, 6},
		{"memory.fill", (&builder{}).fn("f", "i", "i", "", num(16), num(7), ins(opLocalGet, 0), ops(opMisc, miscMemoryFill, 0), num(100_015), ops(0x2d, 0, 0)), 100_000, 7},
		{"memory.fill of a few", (&builder{}).fn("f", "i", "i", "", num(16), num(7), num(40), ops(opMisc, miscMemoryFill, 0), ins(opLocalGet, 0), ops(0x2d, 0, 0)), 55, 7},
		{"memory.copy of a few", (&builder{}).text(70_000, "xyz").fn("f", "i", "i", "", ins(opLocalGet, 0), num(70_000), num(3), ops(opMisc, miscMemoryCopy, 0, 0), num(7), ops(0x2d, 0, 0)), 5, 'z'},
		{"memory.fill of nothing", (&builder{}).fn("f", "i", "i", "", num(131_072), num(7), ins(opLocalGet, 0), ops(opMisc, miscMemoryFill, 0), num(1)), 0, 1},
		{"memory.copy forwards", (&builder{}).text(70_000, "x").fn("f", "i", "i", "", num(0), ins(opLocalGet, 0), num(70_000), ops(opMisc, miscMemoryCopy, 0, 0), num(69_995), ops(0x2d, 0, 0)), 5, 'x'},
		{"memory.copy backwards", (&builder{}).text(70_000, "x").fn("f", "i", "i", "", ins(opLocalGet, 0), num(0), num(70_001), ops(opMisc, miscMemoryCopy, 0, 0), num(70_003), ops(0x2d, 0, 0)), 3, 'x'},
		{"memory.grow", (&builder{}).fn("f", "i", "i", "", ins(opLocalGet, 0), ops(opMemoryGrow, 0, opMemorySize, 0, opI32Add)), 2, 6},
		{"memory.grow of too much", (&builder{}).fn("f", "i", "i", "", ins(opLocalGet, 0), ops(opMemoryGrow, 0)), 0xffffffff, 0xffffffff},
		{
			"memory.init", &builder{
				counted: true, data: [][]byte{slices.Concat([]byte{1}, sized([]byte("abc")))},
			}, 1, 'b',
		},
		{"ref.func", (&builder{}).fn("f", "i", "i", "", ins(opRefFunc, 0), ops(opRefIsNull)), 0, 0},
		{"ref.func of an import that only an export names", (&builder{}).imp("env", "twice", "i", "i").fn("f", "i", "i", "", ins(opRefFunc, 0), ops(opRefIsNull)).export("again", 0, 0), 0, 0},
		{"vectors", (&builder{}).fn("f", "i", "i", "v", ins(opLocalGet, 0), ops(opVector, 0x11), ins(opLocalTee, 1), ins(opLocalGet, 1), ops(opVector, 0xae, 1, opVector, 0x1b, 2)), 4, 8},
		{"select", (&builder{}).fn("f", "i", "i", "", num(1), num(2), ins(opLocalGet, 0), ops(opSelectTyped, 1, i32)), 0, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "memory.init" {
				tt.b.fn("f", "i", "i", "", num(0), ins(opLocalGet, 0), num(2), ops(opMisc, miscMemoryInit, 0, 0), num(0), ops(0x2d, 0, 0))
			}
			wasm := tt.b.bytes()
			out, info := mustRewrite(t, wasm)
			before := start(t, wasm, 0, 0)
			if got, fault := before.call("f", tt.arg); fault != "" || uint32(got[0]) != uint32(tt.want) {
				t.Fatalf("unmodified: %v %s, want %d", got, fault, tt.want)
			}
			fuel := int64(-1)
			for _, slice := range []int64{1, 1000, 1 << 16} {
				g := start(t, out, plenty, slice)
				got, fault := g.call("f", tt.arg)
				if fault != "" || uint32(got[0]) != uint32(tt.want) {
					t.Fatalf("%v %s, want %d", got, fault, tt.want)
				}
				used := plenty - g.left - g.have()
				if fuel >= 0 && used != fuel || used <= 0 {
					t.Errorf("fuel %d, then %d", fuel, used)
				}
				fuel = used
				if got, want := g.state(nil), before.state(nil); got != want {
					t.Errorf("state %s, want %s", got, want)
				}
				if len(info.Globals) > 0 && g.instance.ExportedGlobal(info.Globals[0]).Get() != 6 {
					t.Error("a global is not exported")
				}
			}
		})
	}
}

// What runs on is stopped, and what traps still does.
func TestStops(t *testing.T) {
	forever := ops(opLoop, emptyBlock, opBr, 0, opEnd)
	twice := slices.Concat(ins(opLocalGet, 0), num(1), ops(opI32Sub), ins(opCall, 0))
	for _, tt := range []struct {
		name string
		b    *builder
		want string
	}{
		{"an endless loop", (&builder{}).fn("f", "", "", "", forever), "fuel"},
		{"one inside another", (&builder{}).fn("f", "", "", "", ops(opLoop, emptyBlock), forever, ops(opEnd)), "fuel"},
		{"a tree of calls", (&builder{}).fn("", "i", "", "", ins(opLocalGet, 0), ops(opIf, emptyBlock), twice, twice, ops(opEnd)).fn("f", "", "", "", num(40), ins(opCall, 0)), "fuel"},
		{"recursion", (&builder{}).fn("f", "", "", "", ins(opCall, 0)), "depth"},
		{"recursion through a table", (&builder{}).fn("f", "", "", "", num(0), ops(opCallIndirect, 0, 0)).table(0), "depth"},
		{"recursion of two", (&builder{}).fn("f", "", "i", "", ins(opCall, 1)).fn("", "", "i", "", ins(opCall, 0), ops(opReturn)), "depth"},
		{"calls of an import in a table", (&builder{}).imp("env", "twice", "i", "i").fn("f", "", "", "", ops(opLoop, emptyBlock), num(1), num(0), ops(opCallIndirect, 0, 0, opDrop, opBr, 0, opEnd)).table(0), "fuel"},
		{"fills", (&builder{}).fn("f", "", "", "", ops(opLoop, emptyBlock), num(0), num(0), num(131_072), ops(opMisc, miscMemoryFill, 0, opBr, 0, opEnd)), "fuel"},
		{"a fill beyond the end", (&builder{}).fn("f", "", "", "", num(1), num(0), num(-1), ops(opMisc, miscMemoryFill, 0)), "wasm error: out of bounds memory access"},
		{"a copy of which nobody says how long it is, beyond the end", (&builder{}).fn("f", "", "", "i", num(0), num(131_000), num(100), ins(opLocalTee, 0), ops(opMisc, miscMemoryCopy, 0, 0)), "wasm error: out of bounds memory access"},
		{"a copy beyond the end", (&builder{}).fn("f", "", "", "", num(0), num(131_000), num(100), ops(opMisc, miscMemoryCopy, 0, 0)), "wasm error: out of bounds memory access"},
		{"unreachable", (&builder{}).fn("f", "", "", "", ops(opUnreachable)), "wasm error: unreachable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := mustRewrite(t, tt.b.bytes())
			g := start(t, out, 1<<24, 1<<16)
			before := g.state(nil)
			if _, got := g.call("f"); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if tt.want != "fuel" && g.state(nil) != before {
				t.Error("memory was written before the trap")
			}
		})
	}
}

// Code that is jumped over is not paid for, and no jump leads past the payment.
func TestPaysForWhatRuns(t *testing.T) {
	long := slices.Repeat(slices.Concat(num(1), ops(opDrop)), 1000)
	out, _ := mustRewrite(t, (&builder{}).fn("f", "i", "", "", ops(opBlock, emptyBlock, opBlock, emptyBlock), ins(opLocalGet, 0), ops(opBrTable, 1, 0, 1, opEnd), long, ops(opEnd), long).bytes())
	var used []int64
	for _, arg := range []uint64{0, 1} {
		g := start(t, out, 1<<20, 1<<20)
		if _, fault := g.call("f", arg); fault != "" {
			t.Fatal(fault)
		}
		used = append(used, 1<<20-g.left-g.have())
	}
	if used[0] < 4000 || used[1] < 2000 || used[1] > 2200 {
		t.Errorf("4000 instructions took %d, 2000 took %d", used[0], used[1])
	}
}

// What may not run is not paid for before, but for a little.
func TestPaysLittleInVain(t *testing.T) {
	long := slices.Repeat(slices.Concat(num(1), ops(opDrop)), 100) // 200 of fuel
	ask := slices.Concat(num(1), ins(opCall, 0), ops(opDrop))      // an import, 100
	leave := func(block uint32) []byte { return slices.Concat(ins(opLocalGet, 0), ins(opBrIf, block)) }
	block, loop, end := ops(opBlock, emptyBlock), ops(opLoop, emptyBlock), ops(opEnd)
	for _, tt := range []struct {
		name string
		code [][]byte
	}{
		{"past a branch", [][]byte{block, leave(0), long, end}},
		{"past many", [][]byte{block, leave(0), long, leave(0), long, leave(0), long, end}},
		{"past many short ones", [][]byte{block, slices.Repeat(slices.Concat(leave(0), long[:30]), 60), end}},
		{"imports past a branch", [][]byte{block, leave(0), ask, ask, end}},
		{"past a loop", [][]byte{block, loop, leave(1), end, long, end}},
		{"past a loop in a loop", [][]byte{block, loop, loop, leave(2), end, long, end, long, end}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := mustRewrite(t, (&builder{}).imp("env", "twice", "i", "i").fn("f", "i", "", "", slices.Concat(tt.code...)).bytes())
			var used [2]int64
			for arg := range used {
				g := start(t, out, 1<<20, 1<<20)
				if _, fault := g.call("f", uint64(arg)); fault != "" {
					t.Fatal(fault)
				}
				used[arg] = 1<<20 - g.left - g.have()
			}
			if used[0] < 200 || used[1] > 2*foldPast+20 {
				t.Errorf("all of it took %d, to leave took %d", used[0], used[1])
			}
		})
	}
}

// What an import finds to be used is the same in slices of any size: it may tell the module.
func TestImportsSeeFuel(t *testing.T) {
	count := slices.Concat(ops(opLoop, emptyBlock), ins(opLocalGet, 0), num(1), ops(opI32Sub), ins(opLocalTee, 0), ins(opBrIf, 0), ops(opEnd))
	out, _ := mustRewrite(t, (&builder{}).imp("env", "twice", "i", "i").fn("f", "i", "i", "", count, num(1), ins(opCall, 0)).bytes())
	seen := int64(0)
	for _, slice := range []int64{1, 1000, 1 << 16} {
		g := start(t, out, 1<<20, slice)
		if _, fault := g.call("f", 1000); fault != "" {
			t.Fatal(fault)
		}
		if seen > 0 && g.seen != seen || g.seen > 1<<20-5000 {
			t.Errorf("in slices of %d there were %d left, before %d", slice, g.seen, seen)
		}
		seen = g.seen
	}
}

// Whoever hands out fuel is asked when memory has grown, or was to.
func TestGrowingAsks(t *testing.T) {
	for pages, want := range map[int32]uint32{1: 2, 100: 1<<32 - 1} {
		out, _ := mustRewrite(t, (&builder{}).fn("f", "", "i", "", num(pages), ops(opMemoryGrow, 0)).bytes())
		g := start(t, out, 1<<20, 1<<20)
		if _, fault := g.call("f"); fault != "" { // gets its first slice
			t.Fatal(fault)
		}
		g = start(t, out, 1<<20, 1<<20)
		g.global(Fuel).Set(1 << 19)
		if got, fault := g.call("f"); fault != "" || uint32(got[0]) != want || g.ticks != 1 {
			t.Errorf("to grow by %d returned %d, %q, and asked %d times", pages, got, fault, g.ticks)
		}
	}
}

// What is found out about a module is told.
func TestInfo(t *testing.T) {
	_, info := mustRewrite(t, (&builder{}).imp("env", "twice", "i", "i").global(i32, 0, opI32Const, 1).global(i64, 1, opI64Const, 1).global(f64, 1, append([]byte{opF64Const}, make([]byte, 8)...)...).
		fn("hook", "", "i", "iiI", ops(opLoop, emptyBlock, opEnd), num(1), num(2), ops(opDrop)).bytes())
	if !slices.Equal(info.Globals, []string{"postern_rt.g1", "postern_rt.g2"}) || !slices.Equal(info.Exports, []string{"hook"}) || info.Functions != 1 || info.Loops != 1 ||
		info.MinBytes != 2*PageBytes || info.MaxBytes != 4*PageBytes || info.Checks != 2 || info.Wide != 5 {
		t.Errorf("%+v", info)
	}
}

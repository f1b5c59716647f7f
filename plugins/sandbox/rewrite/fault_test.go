package rewrite

import (
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// in is a module with one function of some instructions.
func in(code ...[]byte) *builder { return (&builder{}).fn("f", "", "", "i", code...) }

// What is refused says why, and where.
func TestFaults(t *testing.T) {
	good := in().bytes()
	tabled := func(code ...[]byte) *builder { return in(code...).table(0) }
	with := func(b *builder, change func(*builder)) []byte {
		change(b)
		return b.bytes()
	}
	passive := func(code ...[]byte) []byte {
		b := in(code...)
		b.counted, b.data = true, [][]byte{slices.Concat([]byte{1}, sized([]byte("abc")))}
		return b.bytes()
	}
	for _, tt := range []struct {
		name string
		wasm []byte
		want string
		at   string // the instruction at fault, if it is about one
	}{
		{"nothing", nil, "no WebAssembly module", ""},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "no WebAssembly module", ""},
		{"truncated", good[:len(good)-3], "longer than what contains it", ""},
		{"two sections of types", append(slices.Clone(good), section(sectionType, []byte{0})...), "out of order", ""},
		{"a start function", append(slices.Clone(good[:8]), section(sectionStart, []byte{0})...), "start function", ""},
		{"a tag", append(slices.Clone(good[:8]), section(13, []byte{0})...), "exceptions are not supported", ""},
		{"a section of a later version", append(slices.Clone(good[:8]), section(14, nil)...), "later version", ""},
		{"a section with more in it", append(slices.Clone(good[:8]), section(sectionType, []byte{0, 0})...), "longer than what is in it", ""},
		{"a type that is none", append(slices.Clone(good[:8]), section(sectionType, []byte{1, 0x5f})...), "type of a later version", ""},
		{"a value of a later type", append(slices.Clone(good[:8]), section(sectionType, []byte{1, 0x60, 1, 0x64, 0})...), "type of a later version", ""},
		{"another module", (&builder{}).imp("os", "exec", "", "").bytes(), `"os.exec" is not offered; there are env`, ""},
		{"an unknown import", (&builder{}).imp("env", "thrice", "i", "i").bytes(), `"env.thrice" is not offered`, ""},
		{"an import of another type", (&builder{}).imp("env", "twice", "I", "i").bytes(), "has another type: it is (i32) -> (i32)", ""},
		{"the runtime's own", (&builder{}).imp(Runtime, Tick, "", "").bytes(), "is not offered", ""},
		{"an imported table", with(in(), func(b *builder) {
			b.imports = [][]byte{slices.Concat(sized([]byte("env")), sized([]byte("t")), []byte{1, funcRef, 0, 1})}
		}), "only functions can be imported", ""},
		{"an imported memory", with(in(), func(b *builder) {
			b.imports = [][]byte{slices.Concat(sized([]byte("env")), sized([]byte("m")), []byte{2, 0, 1})}
		}), "only functions can be imported", ""},
		{"a name that is not UTF-8", with(in(), func(b *builder) { b.export("\xff", 0, 0) }), "not UTF-8", ""},
		{"a reserved name", with(in(), func(b *builder) { b.export(Fuel, 0, 0) }), "reserved", ""},
		{"one export twice", with(in(), func(b *builder) { b.export("f", 0, 0) }), "twice", ""},
		{"an export of nothing", with(in(), func(b *builder) { b.export("g", 0, 9) }), "stands for nothing", ""},
		{"an export of another type", (&builder{}).fn("hook", "i", "i", "", num(1)).bytes(), "hook must be () -> (i32)", ""},
		{"shared memory", with(in(), func(b *builder) { b.memory = []byte{3, 1, 2} }), "shared or 64-bit", ""},
		{"64-bit memory", with(in(), func(b *builder) { b.memory = []byte{4, 1} }), "shared or 64-bit", ""},
		{"too much memory", with(in(), func(b *builder) { b.memory = append([]byte{0}, uleb(513)...) }), "memory is too large", ""},
		{"memory over its maximum", with(in(), func(b *builder) { b.memory = []byte{1, 2, 1} }), "larger than it may become", ""},
		{"memory over 4 GiB", with(in(), func(b *builder) { b.memory = append([]byte{1, 1}, uleb(65537)...) }), "larger than 4 GiB", ""},
		{"memory of as many pages as can be said", with(in(), func(b *builder) { b.memory = append([]byte{1, 1}, uleb(math.MaxUint32)...) }), "larger than 4 GiB", ""},
		{"a large table", with(in(), func(b *builder) { b.tables = [][]byte{append([]byte{funcRef, 0}, uleb(100_001)...)} }), "table is too large", ""},
		{"a mutable vector", with(in(), func(b *builder) {
			b.global(v128, 1, append([]byte{opVector, vectorConst}, make([]byte, 16)...)...)
		}), "may not be of type v128", ""},
		{"a mutable reference", with(in(), func(b *builder) { b.global(funcRef, 1, opRefNull, funcRef) }), "may not be of type funcref", ""},
		{"a global of another type", with(in(), func(b *builder) { b.global(i32, 0, opI64Const, 0) }), "an expression is of type i64, not i32", ""},
		{"a global that is computed", with(in(), func(b *builder) { b.global(i32, 0, opGlobalGet, 0) }), "not constant", ""},
		{"data without end", with(in(), func(b *builder) { b.data = [][]byte{{1, 9}} }), "longer than what contains it", ""},
		{"elements of no table", with(in(), func(b *builder) { b.elements = [][]byte{{0, opI32Const, 0, opEnd, 0}} }), "no such table", ""},

		{"table.set", tabled(num(0), ops(opRefNull, funcRef), ops(opTableSet, 0)).bytes(), "table.set is not supported", "\x26\x00"},
		{"table.grow", tabled(ops(opRefNull, funcRef), num(1), ops(opMisc, miscTableGrow, 0, opDrop)).bytes(), "table.grow is not supported", "\xfc\x0f"},
		{"table.copy", tabled(num(0), num(0), num(0), ops(opMisc, miscTableCopy, 0, 0)).bytes(), "table.copy is not supported", "\xfc\x0e"},
		{"table.fill", tabled(num(0), ops(opRefNull, funcRef), num(0), ops(opMisc, miscTableFill, 0)).bytes(), "table.fill is not supported", "\xfc\x11"},
		{"table.init", tabled(num(0), num(0), num(0), ops(opMisc, miscTableInit, 0, 0)).bytes(), "table.init is not supported", "\xfc\x0c"},
		{"elem.drop", tabled(ops(opMisc, miscElemDrop, 0)).bytes(), "elem.drop is not supported", "\xfc\x0d"},
		{"data.drop", passive(ops(opMisc, miscDataDrop, 0)), "data.drop is not supported", "\xfc\x09"},
		{"threads", in(ops(0xfe, 0x03, 0)).bytes(), "threads are not supported", "\xfe\x03"},
		{"tail calls", in(ops(0x12, 0)).bytes(), "tail calls are not supported", "\x12\x00"},
		{"exceptions", in(ops(0x1f, emptyBlock, 0, opEnd)).bytes(), "exceptions are not supported", "\x1f\x40"},
		{"garbage collection", in(ops(0xfb, 0, 0)).bytes(), "garbage-collected types", "\xfb\x00"},
		{"relaxed vectors", in(ops(opVector, 0x80, 2)).bytes(), "relaxed vectors", "\xfd\x80\x02"},
		{"several memories", in(num(0), ops(0x28, 0x42, 1, 0, opDrop)).bytes(), "several memories", "\x28\x42"},
		{"another memory", in(ops(opMemorySize, 1, opDrop)).bytes(), "several memories", "\x3f\x01"},
		{"no instruction", in(ops(0xff)).bytes(), "no such instruction", "\xff"},
		{"no vector instruction", in(ops(opVector, 0x9a, 1)).bytes(), "no such vector instruction", "\xfd\x9a"},

		{"too few operands", in(ops(opI32Add)).bytes(), "too few operands", "\x6a"},
		{"an operand of another type", in(num64(1), num(1), ops(opI32Add)).bytes(), "of type i64, not i32", "\x6a"},
		{"too many results", in(num(1)).bytes(), "leaves more than it says", "\x0b"},
		{"no result", (&builder{}).fn("f", "", "i", "").bytes(), "too few operands", "\x0b"},
		{"else without if", in(ops(opBlock, emptyBlock, opElse, opEnd)).bytes(), "else without if", "\x05"},
		{"an if that leaves nothing", in(num(1), ops(opIf, i32), num(1), ops(opEnd, opDrop)).bytes(), "leaves other than it takes", "\x0b"},
		{"a branch to nowhere", in(ops(opBr, 2)).bytes(), "no such block", "\x0c\x02"},
		{"a table of unlike branches", in(ops(opBlock, i32), num(1), num(1), ops(opBrTable, 1, 0, 1, opEnd, opDrop)).bytes(), "different numbers", "\x0e\x01"},
		{"no such function", in(ins(opCall, 9)).bytes(), "no such function", ""},
		{"no such local", in(ins(opLocalGet, 1), ops(opDrop)).bytes(), "no such local", "\x20\x01"},
		{"no such global", in(ins(opGlobalGet, 0), ops(opDrop)).bytes(), "no such global", "\x23\x00"},
		{"a constant global", with(in(num(1), ins(opGlobalSet, 0)), func(b *builder) { b.global(i32, 0, opI32Const, 0) }), "can't change", "\x24\x00"},
		{"an unlikely alignment", in(num(0), ops(0x28, 3, 0, opDrop)).bytes(), "aligned", "\x28\x03"},
		{"no such lane", in(ins(opLocalGet, 0), ops(opVector, 0x11, opVector, 0x1b, 4, opDrop)).bytes(), "no such lane", "\xfd\x1b"},
		{"an undeclared reference", (&builder{}).fn("", "", "", "").fn("f", "", "", "", ins(opRefFunc, 0), ops(opDrop)).bytes(), "nothing outside of functions names", "\xd2\x00"},
		{"select of references", in(ops(opRefNull, funcRef, opRefNull, funcRef), num(1), ops(opSelect, opDrop)).bytes(), "needs their type", "\x1b"},
		{"a function behind its end", in(ops(opEnd, opNop)).bytes(), "goes on behind its end", ""},
		{"a function without end", in(ops(opBlock, emptyBlock)).bytes(), "ends too early", ""},
		{"a number that is too long", in([]byte{opI32Const, 0x80, 0x80, 0x80, 0x80, 0x70}, ops(opDrop)).bytes(), "no number", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Module(tt.wasm, testConfig())
			fault, ok := errors.AsType[*FaultError](err)
			if !ok || !strings.Contains(fault.Error(), tt.want) {
				t.Fatalf("%v, want a fault with %q", err, tt.want)
			}
			if tt.at != "" && !strings.HasPrefix(string(tt.wasm[fault.Offset:]), tt.at) {
				t.Errorf("byte %d is at % x, want % x", fault.Offset, tt.wasm[fault.Offset:], tt.at)
			}
		})
	}
}

// A few bytes that announce a lot are refused before memory is set aside for it.
func TestBombs(t *testing.T) {
	many := uleb(math.MaxUint32)
	alone := func(id byte, before ...byte) []byte {
		return append([]byte(Preamble), section(id, append(before, many...))...)
	}
	function := []byte(Preamble)
	function = append(append(function, section(sectionType, []byte{1, 0x60, 0, 0})...), section(sectionFunction, []byte{1, 0})...)
	behind := func(id byte, before ...byte) []byte {
		return append(slices.Clone(function), section(id, append(before, many...))...)
	}
	tabled := append(slices.Clone(function), section(sectionTable, []byte{1, funcRef, 0, 1})...)
	elements := func(before ...byte) []byte {
		return append(slices.Clone(tabled), section(sectionElement, append(before, many...))...)
	}
	locals := &builder{}
	for range 1700 {
		locals.funcs = append(locals.funcs, locals.typ("", ""))
		locals.code = append(locals.code, sized([]byte{1}, uleb(9_999), []byte{i32, opEnd}))
	}
	functions := &builder{}
	for range 100_000 {
		functions.fn("", "", "", "")
	}
	joins := (&builder{}).fn("f", "", "", strings.Repeat("i", 9_000), ops(opBlock, emptyBlock), slices.Repeat(append(num(1), opBrIf, 0), 10_000), ops(opEnd))
	branch := slices.Concat(ins(opLocalGet, 0), ops(opBrIf, 0))
	few, tables := slices.Concat(ops(opBlock, emptyBlock), branch, ops(opEnd)), slices.Concat(ops(opBlock, emptyBlock), ins(opLocalGet, 0), ops(opBrTable, 5, 0, 0, 0, 0, 0, 0, opEnd))
	back := slices.Concat(ins(opLocalGet, 0), ops(opIf, emptyBlock), ins(opBr, 1), ops(opEnd))
	taking := func(locals int, code ...[]byte) []byte {
		return (&builder{}).fn("f", "i", "", strings.Repeat("i", locals), code...).bytes()
	}
	calls := in(slices.Repeat(ins(opCall, 0), 20_000))
	asks := (&builder{}).imp("env", "twice", "i", "i").fn("f", "", "", "", slices.Repeat(slices.Concat(num(1), ins(opCall, 0), ops(opDrop)), 11_000))
	cuts := (&builder{counted: true}).text(0, strings.Repeat("x", 32<<10)).
		fn("f", "", "", strings.Repeat("i", 9_000), slices.Repeat(slices.Concat(num(0), num(0), num(0), ops(opMisc, miscMemoryInit, 0, 0)), 1000))
	changed := in(slices.Repeat(ins(opCall, 0), 90))
	for range 45_000 {
		changed.global(i32, 1, opI32Const, 0)
	}
	for range 1000 {
		calls.global(i32, 1, opI32Const, 0)
	}
	for _, tt := range []struct {
		name string
		wasm []byte
		want string
	}{
		{"types", alone(sectionType), "too many types"},
		{"parameters", alone(sectionType, 1, 0x60), "too many parameters"},
		{"results", alone(sectionType, 1, 0x60, 0), "too many parameters"},
		{"imports", alone(sectionImport), "too many imports"},
		{"functions", alone(sectionFunction), "too many functions"},
		{"real functions", functions.bytes(), "too many functions"},
		{"tables", alone(sectionTable), "too many tables"},
		{"memories", alone(sectionMemory), "too many memories"},
		{"globals", alone(sectionGlobal), "too many globals"},
		{"exports", alone(sectionExport), "too many exports"},
		{"the name of an export", alone(sectionExport, 1), "longer than what contains it"},
		{"element segments", alone(sectionElement), "too many element segments"},
		{"elements", elements(1, 0, opI32Const, 0, opEnd), "too many functions in tables"},
		{"passive elements", elements(1, 1, 0), "too many functions in tables"},
		{"elements of a table", elements(1, 2, 0, opI32Const, 0, opEnd, 0), "too many functions in tables"},
		{"elements that are expressions", elements(1, 5, funcRef), "too many functions in tables"},
		{"bodies", behind(sectionCode), "too many functions"},
		{"a body", behind(sectionCode, 1), "longer than what contains it"},
		{"data segments", alone(sectionData), "too many data segments"},
		{"data", alone(sectionData, 1, 1), "longer than what contains it"},
		{"locals of one function", (&builder{}).fn("", "", "", strings.Repeat("i", 10_001)).bytes(), "too many locals"},
		{"locals in all", locals.bytes(), "too many locals"},
		{"a large function", in(slices.Repeat([]byte{opNop}, 128<<10)).bytes(), "function is too large"},
		{"blocks", in(slices.Repeat([]byte{opLoop, emptyBlock, opEnd}, 10_001)).bytes(), "too many blocks"},
		{"a table of branches", in(num(0), append([]byte{opBrTable}, binary.AppendUvarint(nil, 1<<30)...)).bytes(), "ends too early"},
		{"branches on a condition", taking(0, ops(opBlock, emptyBlock), slices.Repeat(branch, 30_000), ops(opEnd)), "too many blocks"},
		{"small tables of branches", taking(0, slices.Repeat(tables, 8000)), "too many blocks"},
		{"jumps back that are checked", taking(0, tableOf(1, 0), slices.Repeat(back, 9000), ops(opEnd)), "too many blocks"},
		{"imports, each of which is checked", asks.bytes(), "too many blocks"},
		{"checks of what is long, and locals", cuts.bytes(), "too complex"},
		{"operands beside many blocks", taking(0, slices.Repeat(slices.Concat(ins(opLocalGet, 0), ops(0x67)), 12_000), slices.Repeat(few, 1500), slices.Repeat(ops(opDrop), 12_000)), "too complex"},
		{"locals that some blocks join", taking(9000, slices.Repeat(few, 30)), "too complex"},
		{"globals that some calls change", changed.bytes(), "too complex"},
		{"what many branches bring", joins.bytes(), "too complex"},
		{"what many calls change", calls.bytes(), "too complex"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := Module(tt.wasm, testConfig())
			runtime.ReadMemStats(&after)
			if fault, ok := errors.AsType[*FaultError](err); !ok || !strings.Contains(fault.What, tt.want) {
				t.Errorf("%v, want a fault with %q", err, tt.want)
			}
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 8 {
				t.Errorf("%d MiB were allocated", mib)
			}
		})
	}
}

// Loops are short, and what is put into them is not.
func TestGrowsTooMuch(t *testing.T) {
	cfg := testConfig()
	cfg.Limits.ModuleBytes = 4000
	_, _, err := Module(in(slices.Repeat([]byte{opLoop, emptyBlock, opEnd}, 1000)).bytes(), cfg)
	if fault, ok := errors.AsType[*FaultError](err); !ok || !strings.Contains(fault.What, "with what is put into it") {
		t.Errorf("%v", err)
	}
}

package snapshot

import (
	"encoding/binary"
	"slices"
)

// The module of the tests, assembled by hand so that it does what no compiler would.

func sized(b []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }

func section(id byte, content ...[]byte) []byte {
	return append([]byte{id}, sized(slices.Concat(content...))...)
}

func vec(items ...[]byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(items))), slices.Concat(items...)...)
}

// numbers are as many i32 as there are parameters or results.
func numbers(n int) []byte { return sized(slices.Repeat([]byte{0x7f}, n)) }

// modulePages and moduleMost are how large its memory is, and may become, in pages of
// 64 KiB.
const (
	modulePages = 16
	moduleMost  = 32
)

// moduleGlobals are its mutable globals, one of each type that a number has.
var moduleGlobals = [][]byte{
	{0x7f, 1, 0x41, 7, 0x0b},                            // i32
	{0x7e, 1, 0x42, 9, 0x0b},                            // i64
	{0x7d, 1, 0x43, 0, 0, 0x80, 0x3f, 0x0b},             // f32
	{0x7c, 1, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x0b}, // f64
}

// moduleFunctions are what it exports; all numbers are i32.
var moduleFunctions = []struct {
	name            string
	params, results int
	locals          byte
	code            []byte
}{
	{"poke", 2, 0, 0, []byte{0x20, 0, 0x20, 1, 0x3a, 0, 0}},              // i32.store8
	{"peek", 1, 1, 0, []byte{0x20, 0, 0x2d, 0, 0}},                       // i32.load8_u
	{"fill", 3, 0, 0, []byte{0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 11, 0}},    // at, value, n
	{"copy", 3, 0, 0, []byte{0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 10, 0, 0}}, // to, from, n
	{"init", 3, 0, 0, []byte{0x20, 0, 0x20, 1, 0x20, 2, 0xfc, 8, 0, 0}},  // to, from in the segment, n
	{"grow", 1, 1, 0, []byte{0x20, 0, 0x40, 0}},                          // pages; -1: it can't
	{"fall", 2, 0, 0, []byte{0x20, 0, 0x20, 1, 0x3a, 0, 0, 0x00}},        // poke, then trap
	{"ask", 2, 0, 0, []byte{0x20, 0, 0x20, 1, 0x10, 0}},                  // let the host poke
	{"ask then fall", 2, 0, 0, []byte{0x20, 0, 0x20, 1, 0x10, 0, 0x00}},  // and trap
	{"get", 0, 1, 0, []byte{0x23, 0, 0x23, 1, 0xa7, 0x6a, 0x23, 2, 0xbc, // the sum of all globals,
		0x6a, 0x23, 3, 0xbd, 0xa7, 0x6a}}, // by their bits
	{"set", 1, 0, 0, []byte{
		0x20, 0, 0x24, 0, 0x20, 0, 0xad, 0x24, 1, 0x20, 0, 0xbe, 0x24, 2,
		0x20, 0, 0xad, 0xbf, 0x24, 3,
	}}, // all globals, by their bits
	{"count", 2, 1, 2, []byte{ // how many of the first n bytes are v
		0x02, 0x40, 0x03, 0x40,
		0x20, 2, 0x20, 1, 0x4f, 0x0d, 1, // i >= n: done
		0x20, 2, 0x2d, 0, 0, 0x20, 0, 0x46, 0x20, 3, 0x6a, 0x21, 3, // total += memory[i] == v
		0x20, 2, 0x41, 1, 0x6a, 0x21, 2, // i++
		0x0c, 0, 0x0b, 0x0b,
		0x20, 3,
	}},
}

// module is the whole of it. extra are more mutable globals.
func module(extra ...[]byte) []byte {
	types := [][]byte{slices.Concat([]byte{0x60}, numbers(2), numbers(0))} // of the import
	var functions, code, exports, globals [][]byte
	export := func(name string, kind byte, index int) {
		exports = append(exports, append(sized([]byte(name)), kind, byte(index)))
	}
	for i, f := range moduleFunctions {
		types = append(types, slices.Concat([]byte{0x60}, numbers(f.params), numbers(f.results)))
		functions = append(functions, []byte{byte(i + 1)})
		locals := vec()
		if f.locals > 0 {
			locals = vec([]byte{f.locals, 0x7f})
		}
		code = append(code, sized(slices.Concat(locals, f.code, []byte{0x0b})))
		export(f.name, 0, i+1) // behind the import
	}
	globals = slices.Concat(moduleGlobals, extra)
	for i := range globals {
		export(globalName(i), 3, i)
	}
	export("memory", 2, 0)
	text := []byte("a warm instance")
	return slices.Concat([]byte{0, 'a', 's', 'm', 1, 0, 0, 0},
		section(1, vec(types...)),
		section(2, vec(slices.Concat(sized([]byte("host")), sized([]byte("poke")), []byte{0, 0}))),
		section(3, vec(functions...)),
		section(5, vec([]byte{1, modulePages, moduleMost})),
		section(6, vec(globals...)),
		section(7, vec(exports...)),
		section(12, []byte{2}),
		section(10, vec(code...)),
		section(11, vec(append([]byte{1}, sized(text)...), // to be copied from
			slices.Concat([]byte{0, 0x41}, []byte{0x80, 0x20}, []byte{0x0b}, sized(text)))), // at 4096
	)
}

func globalName(i int) string { return "global " + string(rune('a'+i)) }

// exporting returns a module with all its mutable globals exported, as the rewriting of
// plugins does it, and their names. It panics on what is no module of Go's linker.
func exporting(wasm []byte) (out []byte, names []string) {
	out = slices.Clone(wasm[:8])
	var more [][]byte
	for rest := wasm[8:]; len(rest) > 0; {
		id := rest[0]
		n, w := binary.Uvarint(rest[1:])
		content := rest[1+w:][:n]
		rest = rest[1+w:][n:]
		switch id {
		case 6:
			for i, g := range globalsOf(content) {
				if g[1] == 1 {
					names = append(names, globalName(len(names)))
					more = append(more, slices.Concat(sized([]byte(names[len(names)-1])), []byte{3}, binary.AppendUvarint(nil, uint64(i))))
				}
			}
		case 7:
			count, w := binary.Uvarint(content)
			content = slices.Concat(binary.AppendUvarint(nil, count+uint64(len(more))), content[w:], slices.Concat(more...))
		}
		out = append(out, section(id, content)...)
	}
	return out, names
}

// globalsOf cuts the contents of a section of globals apart. Those of Go are set to
// numbers of 32 and 64 bits.
func globalsOf(content []byte) (all [][]byte) {
	n, w := binary.Uvarint(content)
	at := w
	for range n {
		from := at
		if op := content[at+2]; op != 0x41 && op != 0x42 {
			panic("a global that is no whole number")
		}
		at += 3
		for content[at] >= 0x80 {
			at++
		}
		at += 2 // the last byte, and the end
		all = append(all, content[from:at])
	}
	return all
}

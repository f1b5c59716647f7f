package sandbox

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
)

// assembler writes modules by hand, so that tests can say what no compiler would.
type assembler struct {
	types, imports, functions, exports, code, globals, data [][]byte
	memories, tables                                        [][]byte
	extra                                                   []byte // sections put in front of the code
	hideMemory                                              bool
}

func vec(items [][]byte) []byte {
	out := binary.AppendUvarint(nil, uint64(len(items)))
	for _, i := range items {
		out = append(out, i...)
	}
	return out
}

func sized(b []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }

func name(s string) []byte { return sized([]byte(s)) }

func sectionOf(id byte, content []byte) []byte { return append([]byte{id}, sized(content)...) }

// sleb is a signed number in LEB128.
func sleb(v int64) (out []byte) {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// typ returns the index of a type written as "iI:i": i is i32, I is i64.
func (a *assembler) typ(sig string) []byte {
	params, results, _ := strings.Cut(sig, ":")
	types := func(s string) []byte {
		out := []byte{}
		for _, c := range s {
			out = append(out, map[rune]byte{'i': 0x7f, 'I': 0x7e}[c])
		}
		return sized(out)
	}
	t := append(append([]byte{0x60}, types(params)...), types(results)...)
	for i, known := range a.types {
		if bytes.Equal(known, t) {
			return binary.AppendUvarint(nil, uint64(i))
		}
	}
	a.types = append(a.types, t)
	return binary.AppendUvarint(nil, uint64(len(a.types)-1))
}

// imp imports a function; imports come before functions.
func (a *assembler) imp(module, fn, sig string) *assembler {
	a.imports = append(a.imports, append(append(append(name(module), name(fn)...), 0), a.typ(sig)...))
	return a
}

// fn adds a function of some instructions and exports it, if it has a name.
func (a *assembler) fn(export, sig string, code ...[]byte) *assembler {
	a.functions = append(a.functions, a.typ(sig))
	body := []byte{0} // no locals
	for _, c := range code {
		body = append(body, c...)
	}
	a.code = append(a.code, sized(append(body, 0x0b)))
	if export != "" {
		a.export(export, 0, len(a.imports)+len(a.functions)-1)
	}
	return a
}

func (a *assembler) export(as string, kind byte, index int) {
	a.exports = append(a.exports, binary.AppendUvarint(append(name(as), kind), uint64(index)))
}

// global adds a mutable i32 of 0.
func (a *assembler) global() *assembler {
	a.globals = append(a.globals, []byte{0x7f, 1, 0x41, 0, 0x0b})
	return a
}

// text puts bytes into memory.
func (a *assembler) text(at int32, s string) *assembler {
	d := append([]byte{0}, konst(at)...)
	a.data = append(a.data, append(append(d, 0x0b), sized([]byte(s))...))
	return a
}

func (a *assembler) bytes() []byte {
	if a.memories == nil {
		a.memories = [][]byte{{0, 1}} // a page at least
	}
	if !a.hideMemory {
		a.export("memory", 2, 0)
	}
	out := []byte(rewrite.Preamble)
	for _, s := range []struct {
		id    byte
		items [][]byte
	}{{1, a.types}, {2, a.imports}, {3, a.functions}, {4, a.tables}, {5, a.memories}, {6, a.globals}, {7, a.exports}} {
		if len(s.items) > 0 {
			out = append(out, sectionOf(s.id, vec(s.items))...)
		}
	}
	out = append(out, a.extra...)
	out = append(out, sectionOf(10, vec(a.code))...)
	if len(a.data) > 0 {
		out = append(out, sectionOf(11, vec(a.data))...)
	}
	return out
}

// Instructions.
func konst(v int32) []byte   { return append([]byte{0x41}, sleb(int64(v))...) }
func konst64(v int64) []byte { return append([]byte{0x42}, sleb(v)...) }
func invoke(i int) []byte    { return binary.AppendUvarint([]byte{0x10}, uint64(i)) }

var (
	drop        = []byte{0x1a}
	unreachable = []byte{0x00}
	forever     = []byte{0x03, 0x40, 0x0c, 0x00, 0x0b}       // loop br 0 end
	growForever = []byte{0x03, 0x40, 0x41, 1, 0x40, 0, 0x41, // loop: memory.grow(1) != -1 -> again
		0x7f, 0x47, 0x0d, 0, 0x0b}
	bump  = []byte{0x23, 0, 0x41, 1, 0x6a, 0x24, 0, 0x23, 0}               // global 0 += 1; push it
	load  = func(at int32) []byte { return append(konst(at), 0x28, 2, 0) } // push the i32 there
	store = func(at, v int32) []byte { return append(append(konst(at), konst(v)...), 0x36, 2, 0) }
)

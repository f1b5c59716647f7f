package hostile

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// assembler writes a module by hand. Imports come before functions.
type assembler struct {
	types, imports, functions, exports, code, data [][]byte
	globals, pages                                 int // of type i32; of memory, at least one
	table                                          []byte
}

func number(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func sized(b []byte) []byte { return append(number(len(b)), b...) }

func name(s string) []byte { return sized([]byte(s)) }

func vector(items [][]byte) []byte { return append(number(len(items)), slices.Concat(items...)...) }

// signed is a number in LEB128.
func signed(v int64) (out []byte) {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// typed returns the index of a type written as "iI:i": i is i32, I is i64.
func (a *assembler) typed(sig string) []byte {
	params, results, _ := strings.Cut(sig, ":")
	types := strings.NewReplacer("i", "\x7f", "I", "\x7e")
	t := slices.Concat([]byte{0x60}, name(types.Replace(params)), name(types.Replace(results)))
	for i, known := range a.types {
		if bytes.Equal(known, t) {
			return number(i)
		}
	}
	a.types = append(a.types, t)
	return number(len(a.types) - 1)
}

func (a *assembler) imported(module, fn, sig string) *assembler {
	a.imports = append(a.imports, slices.Concat(name(module), name(fn), []byte{0}, a.typed(sig)))
	return a
}

// function adds one with some locals of type i32, and exports it if it has a name.
func (a *assembler) function(export, sig string, locals int, code ...[]byte) *assembler {
	a.functions = append(a.functions, a.typed(sig))
	declared := []byte{0}
	if locals > 0 {
		declared = slices.Concat([]byte{1}, number(locals), []byte{0x7f})
	}
	a.code = append(a.code, sized(slices.Concat(declared, slices.Concat(code...), []byte{0x0b})))
	if export != "" {
		a.exported(export, 0, len(a.imports)+len(a.functions)-1)
	}
	return a
}

func (a *assembler) exported(as string, kind byte, index int) {
	a.exports = append(a.exports, slices.Concat(name(as), []byte{kind}, number(index)))
}

// text puts bytes into memory.
func (a *assembler) text(at int, s string) *assembler {
	a.data = append(a.data, slices.Concat([]byte{0}, i32(at), []byte{0x0b}, name(s)))
	return a
}

func (a *assembler) bytes() []byte {
	a.exported("memory", 2, 0)
	globals := slices.Repeat([][]byte{{0x7f, 1, 0x41, 0, 0x0b}}, a.globals)
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range []struct {
		id      byte
		content []byte
	}{
		{1, vector(a.types)},
		{2, vector(a.imports)},
		{3, vector(a.functions)},
		{4, tableOf(a.table)},
		{5, slices.Concat([]byte{1, 0}, number(max(1, a.pages)))},
		{6, vector(globals)},
		{7, vector(a.exports)},
		{9, a.table},
		{10, vector(a.code)},
		{11, vector(a.data)},
	} {
		if len(s.content) > 0 {
			out = append(append(out, s.id), sized(s.content)...)
		}
	}
	return out
}

// tableOf is a table for one function, if there are elements to put in.
func tableOf(elements []byte) []byte {
	if elements == nil {
		return nil
	}
	return []byte{1, 0x70, 0, 1}
}

// Instructions.

func i32(v int) []byte   { return append([]byte{0x41}, signed(int64(v))...) }
func i64(v int64) []byte { return append([]byte{0x42}, signed(v)...) }
func call(i int) []byte  { return append([]byte{0x10}, number(i)...) }

// loop runs code again and again, without end.
func loop(code ...[]byte) []byte {
	return slices.Concat([]byte{0x03, 0x40}, slices.Concat(code...), []byte{0x0c, 0, 0x0b})
}

// when runs code if the number on the stack is not zero.
func when(code ...[]byte) []byte {
	return slices.Concat([]byte{0x04, 0x40}, slices.Concat(code...), []byte{0x0b})
}

// leave ends the hook with a status.
func leave(status int) []byte { return append(i32(status), 0x0f) }

var (
	drop        = []byte{0x1a}
	unreachable = []byte{0x00}
	equal       = []byte{0x46}
	bump        = []byte{0x23, 0, 0x41, 1, 0x6a, 0x24, 0, 0x23, 0} // adds one to global 0, and pushes it
)

// times runs code n times; global 0 counts.
func times(n int, code ...[]byte) []byte {
	return slices.Concat([]byte{0x03, 0x40}, slices.Concat(code...), bump, i32(n), []byte{0x48, 0x0d, 0, 0x0b})
}

package rewrite

import (
	"encoding/binary"
	"slices"
)

// builder writes modules by hand, so that tests can say what no compiler would.
type builder struct {
	types    [][]byte
	imports  [][]byte
	funcs    []uint32
	tables   [][]byte
	memory   []byte // limits; default: two pages, at most four
	globals  [][]byte
	exports  [][]byte
	elements [][]byte
	counted  bool // the number of data segments stands before the code
	code     [][]byte
	data     [][]byte
}

func sized(b ...[]byte) []byte {
	all := slices.Concat(b...)
	return append(binary.AppendUvarint(nil, uint64(len(all))), all...)
}

func vec(items [][]byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(items))), slices.Concat(items...)...)
}

// types of a string such as "iI": i32 and i64.
func types(s string) (out []byte) {
	for _, c := range s {
		out = append(out, map[rune]byte{'i': i32, 'I': i64, 'f': f32, 'F': f64, 'v': v128, 'r': funcRef, 'e': externRef}[c])
	}
	return out
}

// typ is the index of a function's type.
func (b *builder) typ(in, out string) uint32 {
	t := slices.Concat([]byte{0x60}, sized(types(in)), sized(types(out)))
	for i, known := range b.types {
		if slices.Equal(known, t) {
			return uint32(i)
		}
	}
	b.types = append(b.types, t)
	return uint32(len(b.types) - 1)
}

// imp imports a function; imports come before functions.
func (b *builder) imp(module, name, in, out string) *builder {
	b.imports = append(b.imports, slices.Concat(sized([]byte(module)), sized([]byte(name)), []byte{0}, uleb(b.typ(in, out))))
	return b
}

// fn adds a function with locals and exports it, if it has a name.
func (b *builder) fn(name, in, out, locals string, code ...[]byte) *builder {
	b.funcs = append(b.funcs, b.typ(in, out))
	groups := make([][]byte, 0, len(locals))
	for _, t := range types(locals) {
		groups = append(groups, []byte{1, t})
	}
	b.code = append(b.code, sized(vec(groups), slices.Concat(code...), []byte{opEnd}))
	if name != "" {
		b.export(name, 0, uint32(len(b.imports)+len(b.funcs)-1))
	}
	return b
}

func (b *builder) export(name string, kind byte, n uint32) *builder {
	b.exports = append(b.exports, slices.Concat(sized([]byte(name)), []byte{kind}, uleb(n)))
	return b
}

func (b *builder) global(of byte, mutable byte, init ...byte) *builder {
	b.globals = append(b.globals, slices.Concat([]byte{of, mutable}, init, []byte{opEnd}))
	return b
}

// table has so many entries, which are the functions named.
func (b *builder) table(functions ...uint32) *builder {
	b.tables = append(b.tables, append([]byte{funcRef, 0}, uleb(uint32(len(functions)))...))
	items := make([][]byte, len(functions))
	for i, f := range functions {
		items[i] = uleb(f)
	}
	b.elements = append(b.elements, slices.Concat([]byte{0, opI32Const, 0, opEnd}, vec(items)))
	return b
}

func (b *builder) text(at int32, s string) *builder {
	b.data = append(b.data, slices.Concat([]byte{0}, num(at), []byte{opEnd}, sized([]byte(s))))
	return b
}

func section(id byte, content []byte) []byte { return append([]byte{id}, sized(content)...) }

func (b *builder) bytes() []byte {
	out := []byte(Preamble)
	memory := b.memory
	if memory == nil {
		memory = []byte{1, 2, 4}
	}
	exports := append(slices.Clone(b.exports), slices.Concat(sized([]byte("memory")), []byte{2, 0}))
	functions := make([][]byte, len(b.funcs))
	for i, f := range b.funcs {
		functions[i] = uleb(f)
	}
	for _, s := range []struct {
		id    byte
		items [][]byte
	}{
		{sectionType, b.types},
		{sectionImport, b.imports},
		{sectionFunction, functions},
		{sectionTable, b.tables},
		{sectionMemory, [][]byte{memory}},
		{sectionGlobal, b.globals},
		{sectionExport, exports},
		{sectionElement, b.elements},
	} {
		if len(s.items) > 0 {
			out = append(out, section(s.id, vec(s.items))...)
		}
	}
	if b.counted {
		out = append(out, section(sectionDataCount, uleb(uint32(len(b.data))))...)
	}
	if len(b.code) > 0 {
		out = append(out, section(sectionCode, vec(b.code))...)
	}
	if len(b.data) > 0 {
		out = append(out, section(sectionData, vec(b.data))...)
	}
	return out
}

func uleb(n uint32) []byte         { return binary.AppendUvarint(nil, uint64(n)) }
func num(v int32) []byte           { return appendSigned([]byte{opI32Const}, int64(v)) }
func num64(v int64) []byte         { return appendSigned([]byte{opI64Const}, v) }
func ins(op byte, n uint32) []byte { return append([]byte{op}, uleb(n)...) }
func ops(b ...byte) []byte         { return b }

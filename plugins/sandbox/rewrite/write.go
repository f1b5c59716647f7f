package rewrite

import (
	"encoding/binary"
	"slices"
)

// listed returns how many items a section has, and the items.
func (m *module) listed(id byte) (n uint32, items []byte) {
	s := m.by[id]
	if s == nil {
		return 0, nil
	}
	in := s.in
	n, _ = in.u32() // it was read before
	return n, in.b
}

// write puts the module together.
func (m *module) write() []byte {
	types, code := []byte(nil), m.out.code
	for _, of := range m.functions[len(m.imported):] {
		types = binary.AppendUvarint(types, uint64(of))
	}
	types, code = m.addHelpers(types, code)
	functions := m.info.Functions + helpers + len(m.thunked)
	tickType := m.typeIndex(nil, nil)

	out := []byte(Preamble)
	section := func(id byte, n int, items []byte) {
		if n == 0 {
			return
		}
		content := append(binary.AppendUvarint(nil, uint64(n)), items...)
		out = append(binary.AppendUvarint(append(out, id), uint64(len(content))), content...)
	}
	n, items := m.listed(sectionType)
	items = slices.Clip(items)
	for _, t := range m.added {
		items = append(items, t...)
	}
	section(sectionType, int(n)+len(m.added), items)
	_, items = m.listed(sectionImport)
	items = appendName(appendName(slices.Clip(items), Runtime), Tick)
	section(sectionImport, len(m.imported)+1, binary.AppendUvarint(append(items, 0), uint64(tickType)))
	section(sectionFunction, functions, types)
	n, items = m.listed(sectionTable)
	section(sectionTable, int(n), items)
	n, items = m.listed(sectionMemory)
	section(sectionMemory, int(n), items)
	section(sectionGlobal, len(m.globals)+2, m.addGlobals())
	section(sectionExport, len(m.exported)+2+len(m.info.Globals), m.addExports())
	section(sectionElement, m.addElements(), m.out.elements)
	segments := m.joined()
	if m.counted {
		count := binary.AppendUvarint(nil, uint64(len(segments)))
		out = append(binary.AppendUvarint(append(out, sectionDataCount), uint64(len(count))), count...)
	}
	section(sectionCode, functions, code)
	section(sectionData, len(segments), writeData(segments))
	return out
}

func appendName(out []byte, name string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(name))), name...)
}

// addElements announces what stands for imports that are used as values, and returns how
// many segments there are then: code may name by value only what is named outside of it,
// and what an export names is the import itself.
func (m *module) addElements() int {
	n, _ := m.listed(sectionElement)
	if len(m.thunked) == 0 {
		return int(n)
	}
	const declarative, functions = 3, 0
	out := binary.AppendUvarint(append(m.out.elements, declarative, functions), uint64(len(m.thunked)))
	for _, f := range m.thunked {
		out = binary.AppendUvarint(out, uint64(m.byValue(f)))
	}
	m.out.elements = out
	return int(n) + 1
}

// addGlobals adds Fuel and Depth.
func (m *module) addGlobals() []byte {
	out := m.out.globals
	out = append(out, i32, 1, opI32Const, 0, opEnd, i32, 1, opI32Const)
	return append(appendSigned(out, m.cfg.Limits.StackBytes), opEnd)
}

// addExports adds what holds state outside of memory.
func (m *module) addExports() []byte {
	out := m.out.exports
	export := func(name string, n uint32) {
		out = binary.AppendUvarint(append(appendName(out, name), 3), uint64(n))
	}
	export(Fuel, m.fuel())
	export(Depth, m.depth())
	next := 0
	for i, g := range m.globals {
		if g.mutable {
			export(m.info.Globals[next], uint32(i))
			next++
		}
	}
	return out
}

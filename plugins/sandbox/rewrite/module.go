package rewrite

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Bounds of a module that no plugin comes near; ours, where no source is named.
const (
	maxTypes    = 1000    // parameters, or results, of a function; as browsers have it (WebAssembly JavaScript Interface 2.0, section 7.1)
	maxTables   = 16      // compilers write one
	maxSegments = 100_000 // of data; what Go's linker writes at most (cmd/link/internal/wasm, maxNumSegments)
	maxInit     = 1 << 20 // bytes of data that one instruction copies; only threads need passive data
)

// signature is the type of a function.
type signature struct{ in, out []byte }

// global is a variable of the module.
type global struct {
	of      byte
	mutable bool
}

// module is what is known of one while it is read.
type module struct {
	cfg  *Config
	info Info
	by   [sectionIDs]*Section

	types     []signature
	imported  []Import
	functions []uint32 // their types, imported ones first
	tables    []byte   // the types of their entries
	memories  int
	pages     struct{ min, max uint32 }
	globals   []global
	changing  int             // globals that can change
	declared  map[uint32]bool // functions that the module names outside of its code
	exported  map[string]byte // what each export is
	data      []data
	named     bool // whether code names segments of data
	counted   bool // whether the number of data segments stands before the code
	written
}

// arrange finds each section, and refuses what is not in order.
func (m *module) arrange(all []Section) error {
	last := 0
	for i := range all {
		s := &all[i]
		if s.ID == SectionCustom {
			continue
		}
		fault := func(what string) error { return &FaultError{What: what, Offset: s.At} }
		switch {
		case s.ID == 13:
			return fault("the module has a section of a later version: exceptions are not supported")
		case s.ID >= sectionIDs:
			return fault("the module has a section of a later version")
		case s.ID == sectionStart:
			return fault("a start function is not run; export _initialize instead")
		case order[s.ID] <= last:
			return fault("the sections of the module are out of order")
		}
		last = order[s.ID]
		m.by[s.ID] = s
	}
	return nil
}

// read looks at everything. Data comes before the code, which refers to it.
func (m *module) read() error {
	lim := &m.cfg.Limits
	for _, s := range []struct {
		id   byte
		most int64
		of   string
		item func(*reader) error
	}{
		{sectionType, lim.Functions, "types", m.functionType},
		{sectionImport, lim.Functions, "imports", m.importFunction},
		{sectionFunction, lim.Functions, "functions", m.function},
		{sectionTable, maxTables, "tables", m.table},
		{sectionMemory, 1, "memories", m.memory},
		{sectionGlobal, lim.Functions, "globals", m.global},
		{sectionExport, lim.Functions, "exports", m.export},
		{sectionElement, lim.Functions, "element segments", nil},
		{sectionDataCount, 0, "", nil},
		{sectionData, maxSegments, "data segments", m.segment},
		{sectionCode, lim.Functions, "functions", nil},
	} {
		if err := m.section(s.id, s.most, s.of, s.item); err != nil {
			return err
		}
	}
	if m.exported["memory"] != 2 {
		return &FaultError{What: "the module does not export its memory", Offset: -1}
	}
	return nil
}

// section reads one to its end.
func (m *module) section(id byte, most int64, of string, item func(*reader) error) (err error) {
	s := m.by[id]
	if s == nil {
		if id == sectionCode && len(m.functions) > len(m.imported) {
			err = &FaultError{What: "functions are announced and not there", Offset: -1}
		}
		return err
	}
	in := s.in
	switch id {
	case sectionElement:
		entries := 2 * m.cfg.Limits.Functions
		err = in.each(most, of, func() error { return m.elements(&in, &entries) })
	case sectionDataCount:
		err = m.countData(&in)
	case sectionCode:
		err = m.bodies(&in)
	default:
		err = in.each(most, of, func() error { return item(&in) })
	}
	if err == nil && len(in.b) > 0 {
		err = in.fault("a section is longer than what is in it")
	}
	return err
}

// functionType reads parameters and results.
func (m *module) functionType(r *reader) error {
	form, err := r.byte()
	if err == nil && form != 0x60 {
		r.at--
		err = r.fault("the module has a type of a later version")
	}
	var s signature
	for _, list := range []*[]byte{&s.in, &s.out} {
		if err == nil {
			err = r.each(maxTypes, "parameters", func() error {
				t, err := r.valueType()
				*list = append(*list, t)
				return err
			})
		}
	}
	m.types = append(m.types, s)
	return err
}

// importFunction takes what is offered, of the type it has.
func (m *module) importFunction(r *reader) error {
	at := r.at
	from, err := r.name()
	if err != nil {
		return err
	}
	name, err := r.name()
	if err != nil {
		return err
	}
	kind, err := r.byte()
	if err == nil && kind != 0 {
		err = &FaultError{What: "only functions can be imported, not " + quoted(name), Offset: at}
	}
	if err != nil {
		return err
	}
	of, err := m.typeOf(r)
	if err != nil {
		return err
	}
	refused := func(why string) error {
		return &FaultError{What: "the import " + quoted(from+"."+name) + " " + why, Offset: at}
	}
	offers, known := m.cfg.Imports[from]
	if !known {
		return refused("is not offered; there are " + names(m.cfg.Imports))
	}
	offer, known := offers[name]
	if !known {
		return refused("is not offered")
	}
	if !bytes.Equal(offer.Params, m.types[of].in) || !bytes.Equal(offer.Results, m.types[of].out) {
		return refused("has another type: it is " + shown(offer.Params, offer.Results))
	}
	m.imported = append(m.imported, offer)
	m.functions = append(m.functions, of)
	return nil
}

// typeOf reads the index of a type.
func (m *module) typeOf(r *reader) (uint32, error) {
	at := r.at
	n, err := r.u32()
	if err == nil && int(n) >= len(m.types) {
		err = &FaultError{What: "there is no such type", Offset: at}
	}
	return n, err
}

// functionOf reads the index of a function.
func (m *module) functionOf(r *reader) (uint32, error) {
	at := r.at
	n, err := r.u32()
	if err == nil && int(n) >= len(m.functions) {
		err = &FaultError{What: "there is no such function", Offset: at}
	}
	return n, err
}

func (m *module) function(r *reader) error {
	of, err := m.typeOf(r)
	m.functions = append(m.functions, of)
	return err
}

// export reads a name and what it stands for.
func (m *module) export(r *reader) error {
	at := r.at
	fault := func(what string) error { return &FaultError{What: what, Offset: at} }
	name, err := r.name()
	if err != nil {
		return err
	}
	if _, twice := m.exported[name]; twice {
		return fault("the export " + quoted(name) + " is there twice")
	}
	if strings.HasPrefix(name, Runtime) {
		return fault("the export " + quoted(name) + " has a name that is reserved")
	}
	kind, err := r.byte()
	if err != nil {
		return err
	}
	n, err := r.u32()
	if err != nil {
		return err
	}
	if int(kind) > 3 {
		return fault("the export " + quoted(name) + " is of a later version")
	}
	if there := [...]int{len(m.functions), len(m.tables), m.memories, len(m.globals)}; int(n) >= there[kind] {
		return fault("the export " + quoted(name) + " stands for nothing")
	}
	m.exported[name] = kind
	m.out.exports = append(append(binary.AppendUvarint(m.out.exports, uint64(len(name))), name...), kind)
	if kind != 0 {
		m.out.exports = binary.AppendUvarint(m.out.exports, uint64(n))
		return nil
	}
	m.out.exports = binary.AppendUvarint(m.out.exports, uint64(m.moved(n)))
	m.declared[n] = true
	m.info.Exports = append(m.info.Exports, name)
	want, fixed := m.cfg.Exports[name]
	if is := m.types[m.functions[n]]; fixed && (!bytes.Equal(want.Params, is.in) || !bytes.Equal(want.Results, is.out)) {
		return fault(name + " must be " + shown(want.Params, want.Results))
	}
	return nil
}

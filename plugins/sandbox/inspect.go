package sandbox

import "bytes"

// Compiling costs time and memory by what a module says is in it, and a few bytes
// can say a lot: a list is given its memory before its items are read. So the walk
// below reads every list to its end before anything is compiled.

// Bounds of a module that no plugin comes near; ours, where no source is named.
const (
	maxTypes    = 1000    // parameters, or results, of a function; as browsers have it (WebAssembly JavaScript Interface 2.0, section 7.1)
	maxTables   = 16      // compilers write one
	maxSegments = 100_000 // of data; what Go's linker writes at most (cmd/link/internal/wasm, maxNumSegments)
)

// maxEntries is how many functions all tables of a module hold. A table of every
// function, as Go's linker writes it, is one longer than their number.
func (l *Limits) maxEntries() int64 { return 2 * l.Functions }

// inspect refuses what is too large to compile, and what no plugin needs. What it
// lets pass need not be valid.
func inspect(wasm []byte, lim *Limits) error {
	if int64(len(wasm)) > lim.ModuleBytes {
		return &FaultError{What: "the module is too large", Offset: -1}
	}
	all, err := sections(wasm)
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := s.inspect(lim); err != nil {
			return err
		}
	}
	return nil
}

// inspect is the walk of one section.
func (s *section) inspect(lim *Limits) (err error) {
	in := s.contents
	switch s.id {
	case sectionCustom: // not compiled
	case sectionType:
		return in.each(lim.Functions, "types", (*reader).functionType)
	case sectionImport:
		return in.each(lim.Functions, "imports", (*reader).importedFunction)
	case sectionFunction:
		_, err = in.count(lim.Functions, "functions")
	case sectionTable:
		return in.each(maxTables, "tables", func(r *reader) error {
			_, err := r.table(lim)
			return err
		})
	case sectionMemory, sectionDataCount: // they hold no list
	case sectionGlobal:
		_, err = in.count(lim.Functions, "globals")
	case sectionExport:
		return in.each(lim.Functions, "exports", (*reader).export)
	case sectionStart:
		return &FaultError{What: "a start function is not run; export _initialize instead", Offset: s.at}
	case sectionElement:
		entries := lim.maxEntries()
		return in.each(lim.Functions, "element segments", func(r *reader) error { return r.elements(&entries) })
	case sectionCode:
		locals := lim.ModuleBytes // a byte each is what a compiler needs at least
		return in.each(lim.Functions, "functions", func(r *reader) error {
			_, _, err := r.function(lim, &locals)
			return err
		})
	case sectionData:
		return in.each(maxSegments, "data segments", (*reader).data)
	default:
		return &FaultError{What: "the module has a section of a later version", Offset: s.at}
	}
	return err
}

// each reads a list, item by item.
func (r *reader) each(most int64, of string, item func(*reader) error) error {
	n, err := r.count(most, of)
	if err != nil {
		return err
	}
	for range n {
		if err := item(r); err != nil {
			return err
		}
	}
	return nil
}

// functionType reads parameters and results.
func (r *reader) functionType() error {
	form, err := r.byte()
	if err == nil && form != 0x60 {
		err = r.fault("the module has a type of a later version")
	}
	for range 2 {
		if err == nil {
			err = r.each(maxTypes, "parameters", (*reader).valueType)
		}
	}
	return err
}

// valueType reads a type of version 2: a number, a vector or a reference.
func (r *reader) valueType() error {
	t, err := r.byte()
	if err == nil && bytes.IndexByte([]byte{0x7f, 0x7e, 0x7d, 0x7c, 0x7b, refFunction, refExternal}, t) < 0 {
		err = r.fault("the module has a type of a later version")
	}
	return err
}

// The types of references.
const (
	refFunction = 0x70
	refExternal = 0x6f
)

// refType reads the type of a reference.
func (r *reader) refType() error {
	t, err := r.byte()
	if err == nil && t != refFunction && t != refExternal {
		err = r.fault("the module has a reference of a later version")
	}
	return err
}

// importedFunction refuses memories, tables and globals of somebody else. Which
// functions may be imported is seen when the module is compiled.
func (r *reader) importedFunction() error {
	if _, err := r.take(); err != nil {
		return err
	}
	name, err := r.take()
	if err != nil {
		return err
	}
	kind, err := r.byte()
	if err == nil && kind != 0 {
		err = r.fault("only functions can be imported, not " + quoted(name.b))
	}
	if err == nil {
		_, err = r.u32()
	}
	return err
}

// export reads a name, a kind and an index.
func (r *reader) export() error {
	if _, err := r.take(); err != nil {
		return err
	}
	if _, err := r.byte(); err != nil {
		return err
	}
	_, err := r.u32()
	return err
}

// table is the size of one table.
type table struct {
	of       byte // the type of its entries
	min, max uint32
}

// table reads one. Without a maximum, or with a larger one, it may grow to
// maxEntries: tables are not part of an instance's memory, which is bounded
// elsewhere.
func (r *reader) table(lim *Limits) (t table, err error) {
	at := r.at
	if len(r.b) > 0 {
		t.of = r.b[0]
	}
	if err := r.refType(); err != nil {
		return t, err
	}
	flags, err := r.byte()
	if err != nil {
		return t, err
	}
	if flags > 1 {
		return t, r.fault("the module has a table of a later version")
	}
	if t.min, err = r.u32(); err != nil {
		return t, err
	}
	most := lim.maxEntries()
	t.max = uint32(most)
	if flags == 1 {
		named, err := r.u32()
		if err != nil {
			return t, err
		}
		t.max = min(t.max, named)
	}
	if t.min > t.max {
		return t, &FaultError{What: "a table is too large", Offset: at}
	}
	return t, nil
}

// elements reads one segment of a table, and takes what it holds from entries.
func (r *reader) elements(entries *int64) error {
	form, err := r.u32()
	if err == nil && form > 7 {
		err = r.fault("the module has an element segment of a later version")
	}
	if err != nil {
		return err
	}
	if active := form&1 == 0; active {
		if form&2 != 0 { // of another table than the first
			if _, err := r.u32(); err != nil {
				return err
			}
		}
		if err := r.expression(); err != nil {
			return err
		}
	}
	expressions := form&4 != 0
	if form&3 != 0 { // the type, in one of two forms
		if expressions {
			err = r.refType()
		} else {
			err = r.pass(1)
		}
		if err != nil {
			return err
		}
	}
	n, err := r.count(*entries, "functions in tables")
	*entries -= int64(n)
	for i := uint32(0); i < n && err == nil; i++ {
		if expressions {
			err = r.expression()
		} else {
			_, err = r.u32()
		}
	}
	return err
}

// expression reads an expression that is constant.
func (r *reader) expression() error {
	for {
		op, err := r.byte()
		if err != nil {
			return err
		}
		switch op {
		case 0x0b: // end
			return nil
		case 0x41, 0x42: // i32.const, i64.const
			err = r.passNumber()
		case 0x43: // f32.const
			err = r.pass(4)
		case 0x44: // f64.const
			err = r.pass(8)
		case 0xfd: // v128.const, the only one of its group
			err = r.pass(1 + 16)
		case 0xd0: // ref.null
			err = r.refType()
		case 0x23, 0xd2: // global.get, ref.func
			_, err = r.u32()
		default:
			err = r.fault("an expression is not constant")
		}
		if err != nil {
			return err
		}
	}
}

// passNumber skips a signed number in LEB128.
func (r *reader) passNumber() error {
	for {
		if b, err := r.byte(); err != nil || b < 0x80 {
			return err
		}
	}
}

// function reads one function and returns what declares its locals, and the
// instructions behind. It takes its locals from those of the module.
func (r *reader) function(lim *Limits, locals *int64) (declared []byte, code reader, err error) {
	at := r.at
	code, err = r.take()
	if err != nil {
		return nil, code, err
	}
	if int64(len(code.b)) > lim.FunctionBytes {
		return nil, code, &FaultError{What: "a function is too large", Offset: at}
	}
	whole, mine := code.b, int64(0)
	groups, err := code.u32()
	for i := uint32(0); i < groups && err == nil; i++ {
		var n uint32
		if n, err = code.u32(); err == nil {
			err = code.valueType()
		}
		if mine += int64(n); err == nil && mine > lim.Locals {
			err = &FaultError{What: "a function has too many locals", Offset: at}
		}
	}
	if *locals -= mine; err == nil && *locals < 0 {
		err = &FaultError{What: "the functions have too many locals", Offset: at}
	}
	if err == nil && mayBeBlocks(code.b) > lim.Blocks {
		err = &FaultError{What: "a function has too many blocks", Offset: at}
	}
	return whole[:len(whole)-len(code.b)], code, err
}

// mayBeBlocks counts the bytes that begin a block, a loop or an if, or are part of
// something else and look like it.
func mayBeBlocks(code []byte) (n int64) {
	for _, b := range code {
		if b >= 0x02 && b <= 0x04 {
			n++
		}
	}
	return n
}

// data reads one segment of memory.
func (r *reader) data() error {
	form, err := r.u32()
	if err == nil && form > 2 {
		err = r.fault("the module has a data segment of a later version")
	}
	if form == 2 && err == nil { // it names the memory
		_, err = r.u32()
	}
	if form != 1 && err == nil { // it says where
		err = r.expression()
	}
	if err == nil {
		_, err = r.take()
	}
	return err
}

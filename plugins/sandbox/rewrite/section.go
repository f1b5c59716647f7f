package rewrite

import "bytes"

// The parts of a module. Source: WebAssembly Core Specification 2.0, section 5,
// "Binary Format".

// Ids of sections.
const (
	SectionCustom = iota
	sectionType
	sectionImport
	sectionFunction
	sectionTable
	sectionMemory
	sectionGlobal
	sectionExport
	sectionStart
	sectionElement
	sectionCode
	sectionData
	sectionDataCount
	sectionIDs
)

// order is where sections may stand, by id; custom ones stand anywhere.
var order = [sectionIDs]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10}

// Preamble is what a module begins with.
const Preamble = "\x00asm\x01\x00\x00\x00"

// Section is one section of a module.
type Section struct {
	ID       byte
	Name     string // of a custom section
	At, End  int    // in the module, its id and size included
	Contents []byte // of a custom section without its name
	in       reader
}

// Sections lists the sections of a module. It fails with a *FaultError.
func Sections(wasm []byte) (all []Section, err error) {
	if !bytes.HasPrefix(wasm, []byte(Preamble)) {
		return nil, &FaultError{What: "this is no WebAssembly module of version 1", Offset: 0}
	}
	r := reader{wasm[len(Preamble):], len(Preamble)}
	for len(r.b) > 0 {
		s := Section{At: r.at}
		if s.ID, err = r.byte(); err != nil {
			return nil, err
		}
		if s.in, err = r.take(); err != nil {
			return nil, err
		}
		s.End = r.at
		if s.ID == SectionCustom {
			if s.Name, err = s.in.name(); err != nil {
				return nil, err
			}
		}
		s.Contents = s.in.b
		all = append(all, s)
	}
	return all, nil
}

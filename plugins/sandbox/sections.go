package sandbox

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/centerleap/postern/sdk/abi"
)

// The parts of a module. Source: WebAssembly Core Specification 2.0, section 5,
// "Binary Format".

// Ids of sections.
const (
	sectionCustom = iota
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
)

var preamble = []byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// section is one section of a module.
type section struct {
	id       byte
	name     string // of a custom section
	at, end  int    // in the module, its id and size included
	contents reader
}

// reader takes apart what lies at some place of a module.
type reader struct {
	b  []byte
	at int // of b[0] in the module
}

func (r *reader) fault(what string) error { return &FaultError{What: what, Offset: r.at} }

func (r *reader) skip(n int) {
	r.b = r.b[n:]
	r.at += n
}

func (r *reader) byte() (byte, error) {
	if len(r.b) == 0 {
		return 0, r.fault("the module ends too early")
	}
	v := r.b[0]
	r.skip(1)
	return v, nil
}

// u32 reads an unsigned number in LEB128.
func (r *reader) u32() (uint32, error) {
	v, n := binary.Uvarint(r.b[:min(len(r.b), binary.MaxVarintLen32)])
	if n <= 0 || v > math.MaxUint32 {
		return 0, r.fault("there is no number where one is expected")
	}
	r.skip(n)
	return uint32(v), nil
}

// count reads how many items follow, at most so many of what is named.
func (r *reader) count(most int64, of string) (uint32, error) {
	at := r.at
	n, err := r.u32()
	if err == nil && int64(n) > most {
		err = &FaultError{What: "the module has too many " + of, Offset: at}
	}
	return n, err
}

// pass skips bytes that are not looked at.
func (r *reader) pass(n int) error {
	if len(r.b) < n {
		return r.fault("the module ends too early")
	}
	r.skip(n)
	return nil
}

// take reads bytes behind their length.
func (r *reader) take() (reader, error) {
	n, err := r.u32()
	if err != nil {
		return reader{}, err
	}
	if uint64(n) > uint64(len(r.b)) {
		return reader{}, r.fault("something is longer than what contains it")
	}
	in := reader{r.b[:n:n], r.at}
	r.skip(int(n))
	return in, nil
}

// sections lists the sections of a module.
func sections(wasm []byte) (all []section, err error) {
	if !bytes.HasPrefix(wasm, preamble) {
		return nil, &FaultError{What: "this is no WebAssembly module of version 1", Offset: 0}
	}
	r := reader{wasm[len(preamble):], len(preamble)}
	for len(r.b) > 0 {
		s := section{at: r.at}
		if s.id, err = r.byte(); err != nil {
			return nil, err
		}
		if s.contents, err = r.take(); err != nil {
			return nil, err
		}
		s.end = r.at
		if s.id == sectionCustom {
			in := s.contents
			name, err := in.take()
			if err != nil {
				return nil, err
			}
			s.name, s.contents = string(name.b), in
		}
		all = append(all, s)
	}
	return all, nil
}

// Manifest returns the document in a module's section postern.manifest, if it has
// one. A *FaultError if it can't be read, or has several.
func Manifest(wasm []byte) (doc []byte, ok bool, err error) {
	all, err := sections(wasm)
	for _, s := range all {
		if s.id != sectionCustom || s.name != abi.ManifestSection {
			continue
		}
		if ok {
			return nil, false, &FaultError{What: "there are two sections " + abi.ManifestSection, Offset: s.at}
		}
		doc, ok = s.contents.b, true
	}
	return doc, ok, err
}

// WithManifest returns the module with doc as its manifest, in place of those it
// has. All other sections stay as they are.
func WithManifest(wasm, doc []byte) ([]byte, error) {
	out, err := withoutManifest(wasm)
	if err != nil {
		return nil, err
	}
	content := binary.AppendUvarint(nil, uint64(len(abi.ManifestSection)))
	content = append(append(content, abi.ManifestSection...), doc...)
	out = binary.AppendUvarint(append(out, sectionCustom), uint64(len(content)))
	return append(out, content...), nil
}

// withoutManifest returns the module without its manifests.
func withoutManifest(wasm []byte) ([]byte, error) {
	all, err := sections(wasm)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(preamble)
	for _, s := range all {
		if s.id != sectionCustom || s.name != abi.ManifestSection {
			out = append(out, wasm[s.at:s.end]...)
		}
	}
	return out, nil
}

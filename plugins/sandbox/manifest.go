package sandbox

import (
	"encoding/binary"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/sdk/abi"
)

// Manifest returns the document in a module's section postern.manifest, if it has
// one. A *FaultError if it can't be read, or has several.
func Manifest(wasm []byte) (doc []byte, ok bool, err error) {
	all, err := rewrite.Sections(wasm)
	for _, s := range all {
		if s.ID != rewrite.SectionCustom || s.Name != abi.ManifestSection {
			continue
		}
		if ok {
			return nil, false, &FaultError{What: "there are two sections " + abi.ManifestSection, Offset: s.At}
		}
		doc, ok = s.Contents, true
	}
	return doc, ok, err
}

// WithManifest returns the module with doc as its manifest, in place of those it
// has. All other sections stay as they are.
func WithManifest(wasm, doc []byte) ([]byte, error) {
	out, err := without(wasm, abi.ManifestSection)
	if err != nil {
		return nil, err
	}
	return withSection(out, abi.ManifestSection, doc), nil
}

// withSection adds a custom section at the end of a module.
func withSection(out []byte, name string, doc []byte) []byte {
	content := binary.AppendUvarint(nil, uint64(len(name)))
	content = append(append(content, name...), doc...)
	out = binary.AppendUvarint(append(out, rewrite.SectionCustom), uint64(len(content)))
	return append(out, content...)
}

// Strip returns the module without its custom sections: names, and what compilers say of
// themselves. They run nothing.
func Strip(wasm []byte) ([]byte, error) {
	return kept(wasm, func(s *rewrite.Section) bool { return s.ID != rewrite.SectionCustom })
}

// without returns the module without its custom sections of a name.
func without(wasm []byte, name string) ([]byte, error) {
	return kept(wasm, func(s *rewrite.Section) bool { return s.ID != rewrite.SectionCustom || s.Name != name })
}

// kept returns the module with the sections that keep wants.
func kept(wasm []byte, keep func(*rewrite.Section) bool) ([]byte, error) {
	all, err := rewrite.Sections(wasm)
	if err != nil {
		return nil, err
	}
	out := []byte(rewrite.Preamble)
	for i := range all {
		if s := &all[i]; keep(s) {
			out = append(out, wasm[s.At:s.End]...)
		}
	}
	return out, nil
}

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
	out, err := withoutManifest(wasm)
	if err != nil {
		return nil, err
	}
	content := binary.AppendUvarint(nil, uint64(len(abi.ManifestSection)))
	content = append(append(content, abi.ManifestSection...), doc...)
	out = binary.AppendUvarint(append(out, rewrite.SectionCustom), uint64(len(content)))
	return append(out, content...), nil
}

// withoutManifest returns the module without its manifests.
func withoutManifest(wasm []byte) ([]byte, error) {
	all, err := rewrite.Sections(wasm)
	if err != nil {
		return nil, err
	}
	out := []byte(rewrite.Preamble)
	for _, s := range all {
		if s.ID != rewrite.SectionCustom || s.Name != abi.ManifestSection {
			out = append(out, wasm[s.At:s.End]...)
		}
	}
	return out, nil
}

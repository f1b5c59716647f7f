package plugintest

import "github.com/centerleap/postern/plugins/sandbox"

// Pack makes of what a compiler wrote what is uploaded: its manifest is in it, and nothing
// that does not run.
func Pack(wasm, manifest []byte) ([]byte, error) {
	wasm, err := sandbox.Strip(wasm)
	if err != nil {
		return nil, err
	}
	return sandbox.WithManifest(wasm, manifest)
}

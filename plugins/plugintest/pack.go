package plugintest

import (
	"crypto/ed25519"

	"github.com/centerleap/postern/plugins/sandbox"
)

// Pack makes of what a compiler wrote what is uploaded: its manifest is in it, and nothing
// that does not run.
func Pack(wasm, manifest []byte) ([]byte, error) {
	wasm, err := sandbox.Strip(wasm)
	if err != nil {
		return nil, err
	}
	return sandbox.WithManifest(wasm, manifest)
}

// Sign returns the module with a signature of all of it, its manifest included.
func Sign(wasm []byte, key ed25519.PrivateKey) ([]byte, error) { return sandbox.Sign(wasm, key) }

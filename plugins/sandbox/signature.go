package sandbox

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/sdk/abi"
)

// signature is what the section postern.signature holds.
type signature struct {
	Key []byte `json:"key"` // Ed25519, as sig
	Sig []byte `json:"sig"` // over the SHA-256 of the module without this section
}

// Signer returns the key that a module is signed by; nil if it is not signed. What claims to
// be a signature and is none of this module is a *FaultError: the code, or its manifest, is
// not what was signed. The section is the last one, so that there is one way to write it.
func Signer(wasm []byte) (ed25519.PublicKey, error) {
	all, err := rewrite.Sections(wasm)
	if err != nil {
		return nil, err
	}
	var found *rewrite.Section
	for i := range all {
		s := &all[i]
		if s.ID != rewrite.SectionCustom || s.Name != abi.SignatureSection {
			continue
		}
		if found != nil {
			return nil, &FaultError{What: "there are two sections " + abi.SignatureSection, Offset: s.At}
		}
		found = s
	}
	switch {
	case found == nil:
		return nil, nil
	case found.End < len(wasm):
		return nil, &FaultError{What: "the section " + abi.SignatureSection + " is not the last one: what stands behind it was added to a signed module", Offset: found.At}
	}
	sig, err := readSignature(found.Contents)
	if err != nil {
		return nil, &FaultError{What: "the section " + abi.SignatureSection + " can't be read: " + err.Error(), Offset: found.At}
	}
	if digest := sha256.Sum256(wasm[:found.At]); !ed25519.Verify(sig.Key, digest[:], sig.Sig) {
		return nil, &FaultError{What: "the signature does not fit: the module or its manifest is not what was signed", Offset: found.At}
	}
	return sig.Key, nil
}

// readSignature takes it only as Sign writes it: two ways to write one signature would be two
// digests of one module.
func readSignature(doc []byte) (sig signature, err error) {
	if err = json.Unmarshal(doc, &sig); err != nil {
		return sig, errors.New(`it is not {"key":"...","sig":"..."} in base64`)
	}
	if len(sig.Key) != ed25519.PublicKeySize || len(sig.Sig) != ed25519.SignatureSize {
		return sig, errors.New("key has 32 bytes, sig 64")
	}
	if again, err := json.Marshal(sig); err != nil || !bytes.Equal(doc, again) {
		return sig, errors.New(`it is not exactly {"key":"...","sig":"..."}`)
	}
	return sig, nil
}

// Sign returns the module with a signature, in place of those it has. Nothing may be changed
// of it after, its manifest included.
func Sign(wasm []byte, key ed25519.PrivateKey) ([]byte, error) {
	out, err := without(wasm, abi.SignatureSection)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(out)
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("sandbox: no Ed25519 key")
	}
	doc, err := json.Marshal(signature{public, ed25519.Sign(key, digest[:])})
	if err != nil {
		return nil, err
	}
	return withSection(out, abi.SignatureSection, doc), nil
}

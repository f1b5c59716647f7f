package sandbox

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// keyOf is a key that is the same in every run.
func keyOf(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

// signedModule is a module with a manifest and a signature; body is what stands before them.
func signedModule(t *testing.T, body []byte, manifest string, seed byte) []byte {
	t.Helper()
	m, err := WithManifest(append([]byte("\x00asm\x01\x00\x00\x00"), body...), []byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	if m, err = Sign(m, keyOf(seed)); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSigner(t *testing.T) {
	plain := []byte("\x00asm\x01\x00\x00\x00")
	note := withSection(nil, "note", []byte("one"))
	signed := signedModule(t, note, `{"v":1}`, 1)
	again, err := Sign(signed, keyOf(2))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := without(signed, abi.SignatureSection)
	if err != nil {
		t.Fatal(err)
	}
	section := signed[len(bare):] // whole
	section = append([]byte(nil), section...)
	doc := string(section[bytes.IndexByte(section, '{'):])
	forged := func(by byte, as byte) []byte { // signed by one, and says another
		digest := sha256.Sum256(bare)
		doc, err := json.Marshal(signature{keyOf(as).Public().(ed25519.PublicKey), ed25519.Sign(keyOf(by), digest[:])})
		if err != nil {
			t.Fatal(err)
		}
		return withSection(bytes.Clone(bare), abi.SignatureSection, doc)
	}
	said := func(doc string) []byte { return withSection(bytes.Clone(bare), abi.SignatureSection, []byte(doc)) }
	newer, err := WithManifest(signed, []byte(`{"v":1}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		wasm []byte
		by   byte // 0: nobody
		says string
	}{
		{"unsigned", plain, 0, ""},
		{"unsigned, with a manifest", bare, 0, ""},
		{"signed", signed, 1, ""},
		{"signed again by another", again, 2, ""},
		{"tampered code", bytes.Replace(signed, []byte("one"), []byte("two"), 1), 0, "does not fit"},
		{"tampered manifest", bytes.Replace(signed, []byte(`"v":1`), []byte(`"v":2`), 1), 0, "does not fit"},
		{"a manifest put in after", newer, 0, "is not the last one"},
		{"moved to another module", append(bytes.Clone(plain), section...), 0, "does not fit"},
		{"moved within the module", append(append(bytes.Clone(plain), section...), bare[len(plain):]...), 0, "is not the last one"},
		{"something added behind", append(bytes.Clone(signed), note...), 0, "is not the last one"},
		{"twice", append(bytes.Clone(signed), section...), 0, "two sections"},
		{"two, of two keys", append(bytes.Clone(signed), again[len(bare):]...), 0, "two sections"},
		{"another's key", forged(1, 2), 0, "does not fit"},
		{"no JSON", said(`key`), 0, "can't be read"},
		{"an unknown member", said(strings.Replace(doc, `","sig"`, `","alg":"none","sig"`, 1)), 0, "not exactly"},
		{"written another way", said(" " + doc), 0, "not exactly"},
		{"nothing in it", said(`{}`), 0, "key has 32 bytes"},
		{"two documents", said(`{}{}`), 0, "can't be read"},
		{"no module", []byte("GIF89a"), 0, "module"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			by, err := Signer(tt.wasm)
			if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("%v, want %q", err, tt.says)
			}
			switch {
			case tt.by == 0 && by != nil:
				t.Errorf("signed by %x", by)
			case tt.by != 0 && !by.Equal(keyOf(tt.by).Public()):
				t.Errorf("signed by %x, want %x", by, keyOf(tt.by).Public())
			}
		})
	}
}

// Every bit counts, those of the signature too.
func TestSignerBits(t *testing.T) {
	signed := signedModule(t, withSection(nil, "note", []byte("one")), `{"v":1}`, 1)
	for i := range signed {
		for bit := range 8 {
			other := bytes.Clone(signed)
			other[i] ^= 1 << bit
			if by, err := Signer(other); err == nil && by != nil && by.Equal(keyOf(1).Public()) {
				t.Errorf("bit %d of byte %d changes nothing", bit, i)
			}
		}
	}
}

package gateway

import (
	"crypto/sha256"
	"log/slog"
)

// Secret is a credential in clear. It never prints: not with fmt, slog or JSON.
type Secret string

const redacted = "[redacted]"

// String hides the secret from fmt.
func (Secret) String() string { return redacted }

// GoString hides it from %#v.
func (Secret) GoString() string { return redacted }

// LogValue hides it from slog, whatever handler is set.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides it from JSON and other encoders; an answer that must show a
// new key says so by Reveal.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal returns the secret itself. Each caller is a place to look at.
func (s Secret) Reveal() string { return string(s) }

// Digest is what is stored of a key: 160 random bits need no slow hash.
func (s Secret) Digest() Digest { return sha256.Sum256([]byte(s)) }

// Digest is the SHA-256 of an API key.
type Digest [sha256.Size]byte

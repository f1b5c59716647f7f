package serve

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
)

// signingKey takes the public key of somebody who vouches for plugins, as postern plugin
// keygen prints it.
func signingKey(v string) error {
	key, err := base64.StdEncoding.Strict().DecodeString(v)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("an Ed25519 public key in base64 is expected, as postern plugin keygen prints it, not %q", v)
	}
	return nil
}

package plugins

import (
	"encoding/base64"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
)

// signer is who signed a module, in base64, or empty; it is refused if it is signed badly, or
// by none of those who have to. An operator is held to that, too: who can upload is not who
// vouches for the code.
func (p *Plugins) signer(code []byte) (string, error) {
	key, err := sandbox.Signer(code)
	if err != nil {
		return "", unfit(err)
	}
	if key == nil {
		if len(p.cfg.Signers) > 0 {
			return "", gateway.Fieldf(gateway.InvalidParameter, "wasm", "the module is not signed, and this gateway takes signed ones only")
		}
		return "", nil
	}
	by := base64.StdEncoding.EncodeToString(key)
	if len(p.cfg.Signers) > 0 && !slices.Contains(p.cfg.Signers, by) {
		return "", gateway.Fieldf(gateway.InvalidParameter, "wasm", "the module is signed by %s, which is none of the keys that this gateway trusts", by)
	}
	return by, nil
}

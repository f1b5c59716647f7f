package domains

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"

	"github.com/centerleap/postern/gateway"
)

// rsaBits is the size of RSA keys. RFC 8301 section 3.2 wants at least 2048 of a
// signer; more does not fit one string of a TXT record.
const rsaBits = 2048

// SigningKeys returns the keys that sign a domain's mail, one of each algorithm. A
// domain without gets them now: it is older than they are, or its creation was cut
// short.
func (d *Domains) SigningKeys(ctx context.Context, s gateway.Scope, dom *gateway.Domain) ([]gateway.SigningKey, error) {
	all, err := d.cfg.Store.SigningKeys(ctx, s, dom.ID)
	if err != nil || len(all) > 0 {
		return all, err
	}
	made, err := d.newSigningKeys()
	if err != nil {
		return nil, err
	}
	return d.cfg.Store.MakeSigningKeys(ctx, s, dom.ID, made)
}

// newSigningKeys makes one key of each algorithm: RSA for every verifier, Ed25519
// for those that know RFC 8463. The selectors say when, so that the next ones differ.
func (d *Domains) newSigningKeys() ([]gateway.SigningKey, error) {
	long, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&long.PublicKey)
	if err != nil {
		return nil, err
	}
	short, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	prefix := "postern-" + d.cfg.Now().UTC().Format("200601") + "-"
	out := []gateway.SigningKey{
		{Selector: prefix + "ed25519", Algorithm: "ed25519", Public: short},
		{Selector: prefix + "rsa", Algorithm: "rsa", Public: public},
	}
	for i, private := range []any{edPrivate, long} {
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return nil, err
		}
		out[i].Private = gateway.Secret(der)
	}
	return out, nil
}

package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// The keys that sign a domain's mail stand apart from its record: what shows a
// domain never reads them.

func signingKey(d gateway.DomainID, selector string) []byte { return key(subSigning, d).text(selector) }

func encodeSigning(k *gateway.SigningKey) []byte {
	e := newRecord(len(k.Private) + len(k.Public) + 64)
	e.text(1, k.Algorithm)
	e.text(2, k.Private.Reveal())
	e.bytes(3, k.Public)
	e.time(4, k.CreatedAt)
	return e.b
}

func decodeSigning(selector string, b []byte) (*gateway.SigningKey, error) {
	k := &gateway.SigningKey{Selector: selector}
	err := readRecord("signing key", b, func(f field) error {
		switch f.n {
		case 1:
			k.Algorithm = f.text()
		case 2:
			k.Private = gateway.Secret(f.text())
		case 3:
			k.Public = f.clone()
		case 4:
			k.CreatedAt = f.time()
		}
		return nil
	})
	return k, err
}

// SigningKeys returns the keys that sign a domain's mail, by selector; none if they
// are still to be made.
func (s *Store) SigningKeys(ctx context.Context, sc gateway.Scope, d gateway.DomainID) (all []gateway.SigningKey, err error) {
	if !sc.CoversDomain(d) {
		return nil, denied("domain")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		all, err = signingKeys(r, d)
		return err
	})
	return all, err
}

func signingKeys(r engine.Reader, d gateway.DomainID) (all []gateway.SigningKey, err error) {
	prefix := key(subSigning, d)
	err = r.Scan(engine.Prefix(prefix), func(k, v []byte) error {
		one, err := decodeSigning(string(k[len(prefix):]), v)
		if err == nil {
			all = append(all, *one)
		}
		return err
	})
	return all, err
}

// MakeSigningKeys gives a domain its first keys. If it has some, those are returned
// and nothing changes: of two callers one wins.
func (s *Store) MakeSigningKeys(ctx context.Context, sc gateway.Scope, d gateway.DomainID, made []gateway.SigningKey) (all []gateway.SigningKey, err error) {
	if !sc.CoversDomain(d) {
		return nil, denied("domain")
	}
	err = s.update(ctx, d, func(t *tx) error {
		if _, err := readDomain(t, d); err != nil {
			return missing(err, "domain")
		}
		if all, err = signingKeys(t, d); err != nil || len(all) > 0 {
			return err
		}
		for i := range made {
			k := made[i]
			k.CreatedAt = t.now
			t.Set(signingKey(d, k.Selector), encodeSigning(&k))
			all = append(all, k)
		}
		return nil
	})
	return all, err
}

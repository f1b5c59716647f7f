package store

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func apiKeyKey(d gateway.DomainID, id gateway.ID) []byte { return key(subKey, d).id(id) }
func digestKey(dg gateway.Digest) []byte                 { return append(key(subDigest, 0), dg[:]...) }
func usageKey(d gateway.DomainID, id gateway.ID) []byte  { return key(subKeyUsage, d).id(id) }

// mayHold reports whether a scope reaches key k: all of an instance, those of
// a domain and its accounts, or those of one account.
func mayHold(sc gateway.Scope, k *gateway.Key) bool {
	if k.Level == gateway.LevelAccount {
		return sc.Covers(k.Domain, k.Account)
	}
	return sc.CoversDomain(k.Domain)
}

// CreateKey makes a key durable. InvalidState past the domain's number of live
// keys.
func (s *Store) CreateKey(ctx context.Context, sc gateway.Scope, k *gateway.Key) error {
	if !mayHold(sc, k) {
		return denied("domain")
	}
	return s.update(ctx, k.Domain, func(t *tx) error {
		if err := t.ownerExists(k); err != nil {
			return err
		}
		if _, err := t.Get(digestKey(k.Digest)); err == nil {
			return gateway.Errorf(gateway.AlreadyExists, "the key exists")
		} else if !errors.Is(err, engine.ErrNotFound) {
			return err
		}
		n, err := loadOr(t, key(subDomainSeq, t.domain), decodeNumbers)
		if err != nil {
			return err
		}
		most := t.store.cfg.Limits.KeysPerDomain
		if sc.Level() == gateway.LevelAccount { // none of its accounts keeps a domain from rotating its own
			most /= 2
		}
		if k.Domain != 0 && n[countKeys] >= uint64(most) {
			return gateway.Errorf(gateway.InvalidState, "the domain has all the %d keys it may have; revoke one first", most)
		}
		n[countKeys]++
		t.Set(key(subDomainSeq, t.domain), n.encode())
		t.Set(apiKeyKey(k.Domain, k.ID), encodeKey(k))
		t.Set(digestKey(k.Digest), append(encodeU32(uint32(k.Domain)), k.ID[:]...))
		t.emit(gateway.Event{Type: gateway.EventKeyChanged, Detail: k.ID.String()})
		return nil
	})
}

func (t *tx) ownerExists(k *gateway.Key) error {
	switch k.Level {
	case gateway.LevelAccount:
		_, err := readAccount(t, k.Domain, k.Account)
		return missing(err, "account")
	case gateway.LevelDomain:
		_, err := readDomain(t, k.Domain)
		return missing(err, "domain")
	}
	return nil
}

// KeyByDigest finds the key that a caller shows.
func (s *Store) KeyByDigest(ctx context.Context, sc gateway.Scope, dg gateway.Digest) (k *gateway.Key, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		b, err := r.Get(digestKey(dg))
		if err != nil {
			return missing(err, "key")
		}
		if len(b) != 20 {
			return errRecord
		}
		k, err = readKey(r, gateway.DomainID(binary.BigEndian.Uint32(b)), gateway.ID(b[4:]))
		if err == nil && !mayHold(sc, k) {
			k, err = nil, denied("key")
		}
		return missing(err, "key")
	})
	return k, err
}

func readKey(r engine.Reader, d gateway.DomainID, id gateway.ID) (*gateway.Key, error) {
	k, err := load(r, apiKeyKey(d, id), decodeKey)
	if err != nil {
		return nil, err
	}
	k.Used, err = loadOr(r, usageKey(d, id), decodeUsage)
	return k, err
}

// findKey looks for a key by its id: in the scope's domain, or in all of them.
func findKey(r engine.Reader, sc gateway.Scope, id gateway.ID) (*gateway.Key, error) {
	if sc.Level() != gateway.LevelInstance {
		k, err := readKey(r, sc.Domain(), id)
		if err == nil && !mayHold(sc, k) {
			return nil, denied("key")
		}
		return k, missing(err, "key")
	}
	if k, err := readKey(r, 0, id); !errors.Is(err, engine.ErrNotFound) {
		return k, err
	}
	domains, err := domainNumbers(r)
	if err != nil {
		return nil, err
	}
	for _, d := range domains {
		if k, err := readKey(r, d, id); !errors.Is(err, engine.ErrNotFound) {
			return k, err
		}
	}
	return nil, denied("key")
}

func domainNumbers(r engine.Reader) (all []gateway.DomainID, err error) {
	err = r.Scan(engine.Range{From: []byte{subDomain}, To: []byte{subDomain + 1}, KeysOnly: true}, func(k, _ []byte) error {
		all = append(all, gateway.DomainID(binary.BigEndian.Uint32(k[1:])))
		return nil
	})
	return all, err
}

// Key returns one key of the scope.
func (s *Store) Key(ctx context.Context, sc gateway.Scope, id gateway.ID) (k *gateway.Key, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		k, err = findKey(r, sc, id)
		return err
	})
	return k, err
}

// Keys lists the keys a scope reaches, newest first, revoked ones included.
func (s *Store) Keys(ctx context.Context, sc gateway.Scope) (all []gateway.Key, err error) {
	rng := engine.Prefix([]byte{subKey})
	if sc.Level() != gateway.LevelInstance {
		rng = engine.Prefix(key(subKey, sc.Domain()))
	}
	err = s.view(ctx, func(r engine.Reader) error {
		err := r.Scan(rng, func(_, v []byte) error {
			k, err := decodeKey(v)
			if err == nil && mayHold(sc, k) {
				all = append(all, *k)
			}
			return err
		})
		for i := range all {
			if err == nil {
				all[i].Used, err = loadOr(r, usageKey(all[i].Domain, all[i].ID), decodeUsage)
			}
		}
		return err
	})
	slices.SortStableFunc(all, func(a, b gateway.Key) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return all, err
}

// UpdateKey changes a key's record within a commit. It works on a disk that is
// nearly full: a key can always be revoked.
func (s *Store) UpdateKey(ctx context.Context, sc gateway.Scope, id gateway.ID, change func(*gateway.Key) error) (*gateway.Key, error) {
	k, err := s.Key(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	err = s.frees(ctx, k.Domain, func(t *tx) error {
		if k, err = readKey(t, k.Domain, id); err != nil {
			return missing(err, "key")
		}
		before := *k
		if err := change(k); err != nil {
			return err
		}
		k.ID, k.Digest, k.Domain, k.Account, k.Level = before.ID, before.Digest, before.Domain, before.Account, before.Level
		if before.RevokedAt.IsZero() && !k.RevokedAt.IsZero() {
			if err := t.countKey(-1); err != nil {
				return err
			}
		}
		t.Set(apiKeyKey(k.Domain, id), encodeKey(k))
		t.emit(gateway.Event{Type: gateway.EventKeyChanged, Detail: id.String()})
		return nil
	})
	if err == nil && k.Domain == 0 {
		err = s.view(ctx, func(r engine.Reader) error { return s.instanceUse(r, k) })
	}
	return k, err
}

func (t *tx) countKey(by int) error {
	n, err := loadOr(t, key(subDomainSeq, t.domain), decodeNumbers)
	if err == nil {
		n[countKeys] += uint64(by)
		t.Set(key(subDomainSeq, t.domain), n.encode())
	}
	return err
}

// TouchKeys notes when keys were last used. A key that is gone is passed over.
func (s *Store) TouchKeys(ctx context.Context, sc gateway.Scope, uses []gateway.KeyUse) error {
	byDomain := make(map[gateway.DomainID][]gateway.KeyUse)
	for _, u := range uses {
		if !sc.CoversDomain(u.Domain) {
			return denied("key")
		}
		byDomain[u.Domain] = append(byDomain[u.Domain], u)
	}
	for d, uses := range byDomain {
		if err := s.frees(ctx, d, func(t *tx) error { return t.touch(uses) }); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) touch(uses []gateway.KeyUse) error {
	for _, u := range uses {
		k, err := load(t, apiKeyKey(t.domain, u.ID), decodeKey)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		if k.LastUsedAt.Before(u.At) {
			k.LastUsedAt = u.At
			t.Set(apiKeyKey(t.domain, u.ID), encodeKey(k))
		}
	}
	return nil
}

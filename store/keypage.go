package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// KeyPage lists keys that a scope reaches, revoked ones included, behind the one
// with the id after, unless that is zero; at most most. Those of the instance come
// first, then those of each domain; newest first in each.
func (s *Store) KeyPage(ctx context.Context, sc gateway.Scope, after gateway.ID, most int) (all []gateway.Key, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		lanes := []gateway.DomainID{sc.Domain()}
		if sc.Level() == gateway.LevelInstance {
			domains, err := domainNumbers(r)
			if err != nil {
				return err
			}
			lanes = append(lanes, domains...)
		}
		var from *gateway.Key
		if !after.IsZero() {
			if from, err = findKey(r, sc, after); err != nil {
				return err
			}
		}
		for _, d := range lanes {
			if from != nil && d < from.Domain {
				continue
			}
			rng := engine.Prefix(key(subKey, d))
			if from != nil && d == from.Domain {
				rng.To = apiKeyKey(d, after)
			}
			if all, err = keysDown(r, sc, rng, all, most); err != nil || len(all) == most {
				break
			}
		}
		for i := range all {
			if err == nil {
				err = s.use(r, &all[i])
			}
		}
		return err
	})
	return all, err
}

// keysDown adds to all what a scope reaches of a range of keys, from its end.
func keysDown(r engine.Reader, sc gateway.Scope, rng engine.Range, all []gateway.Key, most int) ([]gateway.Key, error) {
	rng.Reverse = true
	err := r.Scan(rng, func(_, v []byte) error {
		k, err := decodeKey(v)
		if err != nil || !mayHold(sc, k) {
			return err
		}
		if all = append(all, *k); len(all) == most {
			return engine.ErrStop
		}
		return nil
	})
	return all, err
}

// use fills in what a key has used of its current hour.
func (s *Store) use(r engine.Reader, k *gateway.Key) (err error) {
	if k.Domain == 0 {
		return s.instanceUse(r, k)
	}
	k.Used, err = loadOr(r, usageKey(k.Domain, k.ID), decodeUsage)
	return err
}

// instanceUse adds up the windows of an instance key: it has one in each domain that
// it sends for. Together they count as opened when the newest was.
func (s *Store) instanceUse(r engine.Reader, k *gateway.Key) error {
	domains, err := domainNumbers(r)
	if err != nil {
		return err
	}
	now := s.cfg.Now()
	k.Used = gateway.Usage{}
	for _, d := range domains {
		u, err := loadOr(r, usageKey(d, k.ID), decodeUsage)
		if err != nil {
			return err
		}
		u = u.At(now)
		k.Used.Messages += u.Messages
		k.Used.Recipients += u.Recipients
		if u.Opened.After(k.Used.Opened) {
			k.Used.Opened = u.Opened
		}
	}
	return nil
}

package store

import (
	"context"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// KeyPage lists keys that a scope reaches, revoked ones included: a span of them. Those
// of the instance come first, then those of each domain; newest first in each. NotFound if
// there is no key that the span names.
func (s *Store) KeyPage(ctx context.Context, sc gateway.Scope, w gateway.Span) (all []gateway.Key, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		lanes, err := keyLanes(r, sc, w)
		for _, rng := range lanes {
			if err == nil && len(all) < w.Most {
				all, err = heldKeys(r, sc, rng, all, w.Most)
			}
		}
		for i := range all {
			if err == nil {
				err = s.use(r, &all[i])
			}
		}
		return err
	})
	return inOrder(all, w), err
}

// keyLanes are the ranges of keys that a span is in, in the order in which they are read.
func keyLanes(r engine.Reader, sc gateway.Scope, w gateway.Span) (ranges []engine.Range, err error) {
	lanes := []gateway.DomainID{sc.Domain()}
	if sc.Level() == gateway.LevelInstance {
		domains, err := domainNumbers(r)
		if err != nil {
			return nil, err
		}
		lanes = append(lanes, domains...)
	}
	from, back := gateway.DomainID(0), !w.Before.IsZero()
	if id := first(w.After, w.Before); !id.IsZero() {
		k, err := findKey(r, sc, id)
		if err != nil {
			return nil, err
		}
		from = k.Domain
	}
	if back {
		slices.Reverse(lanes)
	}
	for _, d := range lanes {
		if d != from && (d < from) != back {
			continue
		}
		rng := engine.Prefix(key(subKey, d))
		if rng.Reverse = !back; d == from {
			rng.Reverse = true
			rng = span(rng, w, func(id gateway.ID) []byte { return apiKeyKey(d, id) })
		}
		ranges = append(ranges, rng)
	}
	return ranges, nil
}

// first is the first id that is not zero.
func first(ids ...gateway.ID) (id gateway.ID) {
	for _, id = range ids {
		if !id.IsZero() {
			break
		}
	}
	return id
}

// heldKeys adds to all what a scope reaches of a range of keys.
func heldKeys(r engine.Reader, sc gateway.Scope, rng engine.Range, all []gateway.Key, most int) ([]gateway.Key, error) {
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

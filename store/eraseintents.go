package store

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// reclaimPage is how many intents one look of ReclaimIntents goes through.
const reclaimPage = 1000

// ReclaimIntents makes due at once what an earlier process was trying. It is called at
// the start, before the first LeaseIntents.
func (s *Store) ReclaimIntents(ctx context.Context, sc gateway.Scope) error {
	if sc.Level() != gateway.LevelInstance {
		return denied("queue")
	}
	rng := engine.Range{From: []byte{subIntentDue}, To: []byte{subIntentDue + 1}, KeysOnly: true, Limit: reclaimPage}
	for n := reclaimPage; n == reclaimPage; {
		byDomain := make(map[gateway.DomainID][]gateway.ID)
		n = 0
		err := s.view(ctx, func(r engine.Reader) error {
			return r.Scan(rng, func(k, _ []byte) error {
				n++
				d := gateway.DomainID(binary.BigEndian.Uint32(k[9:]))
				byDomain[d] = append(byDomain[d], lastID(k))
				rng.From = append(append([]byte(nil), k...), 0)
				return nil
			})
		})
		for d, ids := range byDomain {
			if err == nil {
				err = s.reclaimIntents(ctx, d, ids)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) reclaimIntents(ctx context.Context, d gateway.DomainID, ids []gateway.ID) error {
	return s.frees(ctx, d, func(t *tx) error {
		for _, id := range ids {
			in, err := readIntent(t, d, id)
			if errors.Is(err, engine.ErrNotFound) || err == nil && (in.Fence == 0 || in.Fence >= s.engine.Boot()<<32) {
				continue
			} else if err != nil {
				return err
			}
			in.Fence = 0
			t.moveIntent(in, t.now)
		}
		return nil
	})
}

// NextIntent is when LeaseIntents will next find something; the zero time if nothing waits.
func (s *Store) NextIntent(ctx context.Context, sc gateway.Scope) (next time.Time, err error) {
	if sc.Level() != gateway.LevelInstance {
		return next, denied("queue")
	}
	found, err := s.scanTimed(ctx, subIntentDue, time.UnixMilli(1<<47), 1)
	if err == nil && len(found) == 1 {
		next = found[0].at
	}
	return next, err
}

// forgetIntent takes one of a domain that is being deleted out of the index.
func (t *tx) forgetIntent(k, v []byte) error {
	in, err := decodeIntent(t.domain, lastID(k), v)
	if err == nil {
		t.Delete(timedKey(subIntentDue, in.Due, t.domain, in.ID))
	}
	return err
}

// dropIntents drops those that match, so many in one commit.
func (t *tx) dropIntents(match func(*gateway.Intent) bool) (n int, err error) {
	var gone []*gateway.Intent
	err = t.Scan(engine.Prefix(key(subIntent, t.domain)), func(k, v []byte) error {
		in, err := decodeIntent(t.domain, lastID(k), v)
		if err != nil || !match(in) {
			return err
		}
		if gone = append(gone, in); len(gone) == valuesPerCommit {
			return engine.ErrStop
		}
		return nil
	})
	for _, in := range gone {
		if err == nil {
			err = t.dropIntent(in)
		}
	}
	return len(gone), err
}

// eraseIntents drops the mail that was to be sent for an account, and forgets whom plugins
// have answered from there.
func (s *Store) eraseIntents(ctx context.Context, a *gateway.Account) error {
	for n := valuesPerCommit; n == valuesPerCommit; {
		err := s.frees(ctx, a.Domain, func(t *tx) (err error) {
			n, err = t.dropIntents(func(in *gateway.Intent) bool { return in.Account == a.ID })
			return err
		})
		if err != nil {
			return err
		}
	}
	rng := engine.Prefix(key(subReplied, a.Domain))
	rng.KeysOnly, rng.Limit = true, eraseKeys
	for n := eraseKeys; n == eraseKeys; {
		var gone [][]byte
		n = 0
		err := s.view(ctx, func(r engine.Reader) error {
			return r.Scan(rng, func(k, _ []byte) error {
				n++
				rng.From = append(append([]byte(nil), k...), 0)
				if gateway.AccountID(binary.BigEndian.Uint32(k[21:])) == a.ID {
					gone = append(gone, append([]byte(nil), k...))
				}
				return nil
			})
		})
		if err == nil && len(gone) > 0 {
			err = s.frees(ctx, a.Domain, func(t *tx) error {
				for _, k := range gone {
					t.Delete(k)
				}
				return nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// intents compares what is said to wait with the intents that do, and looks whether each
// stands where its time finds it.
func (c *checker) intents() error {
	uses := make(map[string]numbers)
	err := c.r.Scan(engine.Prefix(key(subIntent, c.domain)), func(k, v []byte) error {
		in, err := decodeIntent(c.domain, lastID(k), v)
		if err != nil {
			return err
		}
		for _, k := range []keyBuilder{intentUseKey(c.domain), intentUseKey(c.domain).id(in.Plugin)} {
			n := uses[string(k)]
			n[0], n[1] = n[0]+1, n[1]+uint64(weight(in))
			uses[string(k)] = n
		}
		if _, err := c.r.Get(timedKey(subIntentDue, in.Due, c.domain, in.ID)); errors.Is(err, engine.ErrNotFound) {
			c.report("intent %s is in no index", in.ID)
		} else if err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = c.r.Scan(engine.Prefix(intentUseKey(c.domain)), func(k, v []byte) error {
		n, err := decodeNumbers(v)
		if err == nil && uses[string(k)] != n {
			c.report("%d intents of %d bytes, counted %d and %d", n[0], n[1], uses[string(k)][0], uses[string(k)][1])
		}
		delete(uses, string(k))
		return err
	})
	if len(uses) > 0 {
		c.report("intents that are not counted")
	}
	return err
}

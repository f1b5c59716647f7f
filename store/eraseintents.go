package store

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// forgetIntent takes one of a domain that is being deleted out of the index.
func (t *tx) forgetIntent(k, v []byte) error {
	in, err := decodeIntent(t.domain, lastID(k), v)
	if err == nil {
		t.Delete(timedKey(subIntentDue, in.Due, t.domain, in.ID))
	}
	return err
}

// dropBytes is how much of intents one commit drops, about. Ours: it reads them, and the
// others wait for it.
const dropBytes = 1 << 20

// dropIntents drops those that match, in bounded commits. They are looked for outside of
// these: much may wait that does not match.
func (s *Store) dropIntents(ctx context.Context, d gateway.DomainID, match func(*gateway.Intent) bool) error {
	rng := engine.Prefix(key(subIntent, d))
	for more := true; more; {
		var gone []gateway.ID
		size := 0
		more = false
		err := s.view(ctx, func(r engine.Reader) error {
			return r.Scan(rng, func(k, v []byte) error {
				rng.From = append(append([]byte(nil), k...), 0)
				in, err := decodeIntent(d, lastID(k), v)
				if err != nil || !match(in) {
					return err
				}
				gone = append(gone, in.ID)
				if size += len(v); size >= dropBytes || len(gone) == valuesPerCommit {
					more = true
					return engine.ErrStop
				}
				return nil
			})
		})
		if err == nil && len(gone) > 0 {
			err = s.frees(ctx, d, func(t *tx) error {
				for _, id := range gone {
					in, err := readIntent(t, d, id)
					if err == nil {
						err = t.dropIntent(in)
					}
					if err = ignoreMissing(err); err != nil {
						return err
					}
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

// eraseIntents drops the mail that was to be sent for an account, and forgets whom plugins
// have answered from there.
func (s *Store) eraseIntents(ctx context.Context, a *gateway.Account) error {
	if err := s.dropIntents(ctx, a.Domain, func(in *gateway.Intent) bool { return in.Account == a.ID }); err != nil {
		return err
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

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

package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func failureKey(d gateway.DomainID, id gateway.ID, n uint64) []byte {
	return key(subFailure, d).id(id).u64(n)
}

// giveUp keeps an event that a subscription could not be told of. Of each so many stay,
// and none longer than rows of the log.
func (t *tx) giveUp(f *follows, id gateway.ID, v *gateway.Failure) {
	f.Failed++
	t.SetUntil(failureKey(t.domain, id, f.Failed), encodeFailure(v), until(t.now, t.store.cfg.ActivityRetention))
	if most := uint64(t.store.cfg.Limits.EventFailures); f.Failed > most {
		t.Delete(failureKey(t.domain, id, f.Failed-most))
	}
}

// Failures returns what a plugin could not be told of, the newest first: those before
// one, unless that is 0, at most most.
func (s *Store) Failures(ctx context.Context, sc gateway.Scope, id gateway.ID, before uint64, most int) (page gateway.FailurePage, err error) {
	d := sc.Domain()
	err = s.view(ctx, func(r engine.Reader) error {
		if _, err := pluginOf(r, sc, id); err != nil {
			return err
		}
		rng := engine.Prefix(key(subFailure, d).id(id))
		if rng.Reverse, rng.Limit = true, most+1; before > 0 {
			rng.To = failureKey(d, id, before)
		}
		return r.Scan(rng, func(k, v []byte) error {
			if page.More = len(page.Failures) == most; page.More {
				return engine.ErrStop
			}
			f, err := decodeFailure(d, uint64(lastNumber(k)), v)
			if err == nil {
				page.Failures = append(page.Failures, *f)
			}
			return err
		})
	})
	return page, err
}

// Backlog counts what a plugin is to be told again, and what it could not be told.
func (s *Store) Backlog(ctx context.Context, sc gateway.Scope, id gateway.ID) (waiting, failed int, err error) {
	d := sc.Domain()
	err = s.view(ctx, func(r engine.Reader) error {
		if _, err := pluginOf(r, sc, id); err != nil {
			return err
		}
		f, err := load(r, followsKey(d, id), decodeFollows)
		if err != nil {
			return ignoreMissing(err)
		}
		if waiting = f.Waiting; f.Failed == 0 {
			return nil
		}
		rng := engine.Prefix(key(subFailure, d).id(id))
		rng.KeysOnly = true
		return r.Scan(rng, func(_, _ []byte) error { failed++; return nil })
	})
	return waiting, failed, err
}

// RetryFailure has a plugin told of an event again that it could not be told of, from the
// first attempt on. InvalidState when too many wait already.
func (s *Store) RetryFailure(ctx context.Context, sc gateway.Scope, id gateway.ID, n uint64) (v *gateway.Failure, err error) {
	d := sc.Domain()
	err = s.update(ctx, d, func(t *tx) error {
		if v, err = t.failure(sc, id, n); err != nil {
			return err
		}
		f, err := load(t, followsKey(d, id), decodeFollows)
		if err != nil {
			return missing(err, "failure")
		}
		if most := t.store.cfg.Limits.EventWaiting; int64(f.Waiting) >= most {
			return gateway.Errorf(gateway.InvalidState, "the plugin is to be told of %d events again already", most)
		}
		w := gateway.Waiting{Position: v.Position, Event: v.Event, Due: t.now, Error: v.Error}
		t.Set(againKey(d, id, w.Due, w.Position), encodeWaiting(&w))
		t.Delete(failureKey(d, id, n))
		f.Waiting++
		t.Set(followsKey(d, id), encodeFollows(f))
		return nil
	})
	return v, err
}

// DropFailure forgets an event that a plugin could not be told of.
func (s *Store) DropFailure(ctx context.Context, sc gateway.Scope, id gateway.ID, n uint64) error {
	d := sc.Domain()
	return s.frees(ctx, d, func(t *tx) error {
		_, err := t.failure(sc, id, n)
		if err == nil {
			t.Delete(failureKey(d, id, n))
		}
		return err
	})
}

// failure reads one of a plugin that the scope reaches.
func (t *tx) failure(sc gateway.Scope, id gateway.ID, n uint64) (*gateway.Failure, error) {
	if _, err := pluginOf(t, sc, id); err != nil {
		return nil, err
	}
	v, err := load(t, failureKey(t.domain, id, n), func(b []byte) (*gateway.Failure, error) { return decodeFailure(t.domain, n, b) })
	return v, missing(err, "failure")
}

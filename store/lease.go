package store

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// lease is an engine's lease with its time.
type lease struct {
	engine.Lease
	ttl time.Duration
}

// Lease takes the right to do a job for a time. InvalidState when somebody else
// has it. The holder's commits don't look at it: it spares work, and what it is
// for must be right without.
func (s *Store) Lease(ctx context.Context, sc gateway.Scope, job string, ttl time.Duration) (gateway.Lease, error) {
	if sc.Level() != gateway.LevelInstance {
		return nil, denied("job")
	}
	l, err := s.engine.Lease(ctx, job, ttl)
	if err != nil {
		return nil, elsewhere(err)
	}
	return lease{l, ttl}, nil
}

func (l lease) Renew(ctx context.Context) error { return elsewhere(l.Lease.Renew(ctx, l.ttl)) }

func (l lease) Release(ctx context.Context) error { return translate(l.Lease.Release(ctx)) }

// elsewhere says that somebody else does the job, if that is what err means.
func elsewhere(err error) error {
	if errors.Is(err, engine.ErrHeld) || errors.Is(err, engine.ErrFenced) {
		return &gateway.Error{Kind: gateway.InvalidState, Message: "somebody else does that", Err: err}
	}
	return translate(err)
}

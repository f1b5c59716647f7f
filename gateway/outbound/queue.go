package outbound

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

const (
	// attemptsAtOnce is how many deliveries are tried side by side. Ours: enough
	// to keep the store's commits grouped, few enough to bound memory.
	attemptsAtOnce = 32
	// idlePoll is how long the queue sleeps when nothing is known to be due: a
	// safety net under Wake and NextDue.
	idlePoll = time.Minute
	// troubleWait is how long the queue waits after the store failed.
	troubleWait = time.Second
)

// Run is the queue: it leases what is due and tries it, until ctx ends; then it
// waits for the attempts under way. It returns the error that kept it from
// starting, if any.
func (s *Sender) Run(ctx context.Context) error {
	if err := s.cfg.Store.Reclaim(ctx, s.cfg.System); err != nil {
		return err
	}
	var attempts sync.WaitGroup
	defer attempts.Wait()
	free := make(chan struct{}, attemptsAtOnce)
	for {
		for _, d := range s.due(ctx, cap(free)-len(free)) {
			free <- struct{}{}
			attempts.Go(func() {
				defer s.Wake() // a place is free
				defer func() { <-free }()
				s.attempt(context.WithoutCancel(ctx), d)
			})
		}
		if !s.rest(ctx, len(free) == cap(free)) {
			return nil
		}
	}
}

// due leases what may be tried now, at most room.
func (s *Sender) due(ctx context.Context, room int) []gateway.Delivery {
	if room == 0 || ctx.Err() != nil {
		return nil
	}
	leased, err := s.cfg.Store.LeaseDue(ctx, s.cfg.System, room, gateway.LeaseTime)
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.LogAttrs(ctx, slog.LevelError, "queue can't lease", slog.Any("err", err))
	}
	return leased // also what was leased before an error
}

// rest waits until something may be due; false when ctx has ended.
func (s *Sender) rest(ctx context.Context, full bool) bool {
	wait := idlePoll
	if !full {
		next, err := s.cfg.Store.NextDue(ctx, s.cfg.System)
		switch {
		case err != nil:
			wait = troubleWait
		case !next.IsZero():
			wait = min(wait, max(next.Sub(s.cfg.Now()), time.Millisecond))
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.wake:
	case <-timer.C:
	}
	return ctx.Err() == nil
}

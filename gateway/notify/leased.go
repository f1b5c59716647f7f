package notify

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Leaser gives the right to do a job.
type Leaser interface {
	// Lease takes it for a time. InvalidState when somebody else has it.
	Lease(ctx context.Context, s gateway.Scope, job string, ttl time.Duration) (gateway.Lease, error)
}

const (
	// leaseTime is how long the work may stand still before another process takes it over,
	// and leaseAsk how often one asks that has not got it. Ours.
	leaseTime = time.Minute
	leaseAsk  = 15 * time.Second
)

// leased does a job whenever its lease can be had, until ctx ends. work returns when its
// context ends, which is when the lease is lost, too.
func leased(ctx context.Context, store Leaser, system gateway.Scope, job string, log *slog.Logger, work func(context.Context) error) error {
	for {
		lease, err := store.Lease(ctx, system, job, leaseTime)
		if err == nil {
			held, lost := context.WithCancel(ctx)
			var renewing sync.WaitGroup
			renewing.Go(func() { keep(held, lost, lease, job, log) })
			err = work(held)
			lost()
			renewing.Wait()
			_ = lease.Release(context.WithoutCancel(ctx)) // else it ends by itself
			if err == nil && ctx.Err() == nil {
				continue // it was lost, perhaps to nobody
			}
		}
		if gateway.KindOf(err) != gateway.InvalidState && ctx.Err() == nil {
			log.LogAttrs(ctx, slog.LevelError, "a job waits: its lease can't be had", slog.String("job", job), slog.Any("err", err))
		}
		if !sleep(ctx, leaseAsk) {
			return nil
		}
	}
}

// keep renews a lease until ctx ends, or it was lost. A failure to renew may be over before
// the lease is.
func keep(ctx context.Context, lost context.CancelFunc, lease gateway.Lease, job string, log *slog.Logger) {
	for sleep(ctx, leaseTime/3) {
		if err := lease.Renew(ctx); err != nil && gateway.KindOf(err) == gateway.InvalidState {
			log.LogAttrs(ctx, slog.LevelWarn, "the lease of a job was lost", slog.String("job", job))
			lost()
			return
		}
	}
}

// outliving is a context for calls that may go on when ctx has ended: drain gives them
// gateway.DrainTimeout to, and returns when wait does.
func outliving(ctx context.Context) (work context.Context, drain func(wait func())) {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	return work, func(wait func()) {
		defer cut()
		late := time.AfterFunc(gateway.DrainTimeout, cut)
		defer late.Stop()
		wait()
	}
}

// Slots are the calls that may run at once, of all that share them: one domain has half of
// them, whoever makes them for it, and those who may keep theirs for long have half of them
// together, whatever domain they are of.
type Slots struct {
	all, doubtful chan struct{}
	of            gateway.Shares
}

// NewSlots makes n of them, at least one.
func NewSlots(n int) *Slots {
	n = max(1, n)
	half := max(1, n/2)
	return &Slots{all: make(chan struct{}, n), doubtful: make(chan struct{}, half), of: gateway.Shares{Most: half}}
}

// size is how many there are, share how many of them one domain may have.
func (s *Slots) size() int  { return cap(s.all) }
func (s *Slots) share() int { return s.of.Most }

// take waits for one, first for its domain's share, and then, if it may be kept for long,
// for one of those: who waits for either keeps no slot from others. It is false if ctx
// ended before.
func (s *Slots) take(ctx context.Context, d gateway.DomainID, doubtful bool) (give func(), ok bool) {
	share, err := s.of.Take(ctx, d)
	if err != nil {
		return nil, false
	}
	held := []chan struct{}{s.all}
	if doubtful {
		held = []chan struct{}{s.doubtful, s.all}
	}
	give = share
	for _, c := range held {
		select {
		case c <- struct{}{}:
			before := give
			give = func() { <-c; before() }
		case <-ctx.Done():
			give()
			return nil, false
		}
	}
	return give, true
}

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

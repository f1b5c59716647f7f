package domains

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

const (
	// watchEvery is how often domains are looked for that are due; ours.
	watchEvery = time.Minute
	// watchBatch is how many are taken in one go, and watchAtOnce how many of them are
	// looked at side by side; ours: each asks DNS some ten questions.
	watchBatch  = 20
	watchAtOnce = 4
	// watchLease is how long the work may stand still before another process takes it
	// over; ours: over what a batch may take.
	watchLease = 5 * time.Minute
	// watchJob names the lease.
	watchJob = "domains/checks"
)

// Run looks at the records of domains when they are due, until ctx ends. Without a
// resolver there is nothing to do.
func (d *Domains) Run(ctx context.Context) error {
	if d.cfg.Resolver == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := d.CheckDue(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Log.LogAttrs(ctx, slog.LevelError, "domains not checked", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// CheckDue looks at all domains that are due by now. It does nothing while another
// process does it.
func (d *Domains) CheckDue(ctx context.Context) error {
	lease, err := d.cfg.Store.Lease(ctx, d.cfg.System, watchJob, watchLease)
	if gateway.KindOf(err) == gateway.InvalidState {
		return nil
	} else if err != nil {
		return err
	}
	for more := true; more && err == nil; {
		if more, err = d.checkBatch(ctx); more && err == nil {
			err = lease.Renew(ctx)
		}
	}
	if gone := lease.Release(context.WithoutCancel(ctx)); err == nil {
		err = gone
	}
	return err
}

// checkBatch checks some domains; more says that others may be due. What fails ends the
// round: that domain stays due, and must not be all that is looked at.
func (d *Domains) checkBatch(ctx context.Context) (more bool, err error) {
	due, err := d.cfg.Store.DueDomains(ctx, d.cfg.System, watchBatch)
	if err != nil || len(due) == 0 {
		return false, err
	}
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		free = make(chan struct{}, watchAtOnce)
	)
	for _, id := range due {
		free <- struct{}{}
		wait.Go(func() {
			defer func() { <-free }()
			if fault := d.checkOne(ctx, id); fault != nil {
				mu.Lock()
				defer mu.Unlock()
				err = fault
			}
		})
	}
	wait.Wait()
	return len(due) == watchBatch, err
}

func (d *Domains) checkOne(ctx context.Context, id gateway.DomainID) error {
	dom, err := d.cfg.Store.Domain(ctx, d.cfg.System, id)
	if err == nil {
		was := dom.Status
		if dom, err = d.check(ctx, d.cfg.System, dom, false); err == nil && dom.Status != was {
			d.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "domain checked", slog.String("domain", dom.Name), slog.String("status", string(dom.Status)))
		}
	}
	if gateway.KindOf(err) == gateway.NotFound { // deleted meanwhile
		return nil
	}
	return err
}

package outbound

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

const (
	// attemptsAtOnce is how many deliveries inside are tried side by side. Ours: enough
	// to keep the store's commits grouped, few enough to bound memory.
	attemptsAtOnce = 32
	// idlePoll is how long the queue sleeps when nothing is known to be due: a
	// safety net under Wake and NextDue.
	idlePoll = time.Minute
	// troubleWait is how long the queue waits after the store failed.
	troubleWait = time.Second
	// rampWait is how long it waits for a hop to which more may go soon.
	rampWait = 250 * time.Millisecond
	// sitesLooked is how many sites one look goes through for one that may be served, and
	// sitesPage how many it asks for at once. Ours.
	sitesLooked = 5000
	sitesPage   = 100
	// perSlot is how many messages are leased for each attempt that may begin, so that a
	// commit serves several and none waits long for its turn.
	perSlot = 4
)

// Run is the queue: it leases what is due and tries it, and what plugins want sent, until
// ctx ends; then it waits for what is under way. It returns the error that kept it from
// starting, if any.
func (s *Sender) Run(ctx context.Context) error {
	if err := s.cfg.Store.Reclaim(ctx, s.cfg.System); err != nil {
		return err
	}
	if err := s.cfg.Store.ReclaimIntents(ctx, s.cfg.System); err != nil {
		return err
	}
	q := &queue{s: s}
	defer q.attempts.Wait()
	s.inside.open()
	defer s.inside.close()
	var sending sync.WaitGroup
	sending.Go(func() { s.sendIntents(ctx) })
	defer sending.Wait()
	for {
		q.inside(ctx)
		soon := q.outside(ctx)
		if !q.rest(ctx, soon) {
			return nil
		}
	}
}

// queue is one run of it.
type queue struct {
	s        *Sender
	attempts sync.WaitGroup // outside
}

// inside tries what is for recipients who live here.
func (q *queue) inside(ctx context.Context) {
	s := q.s
	room := s.inside.take(attemptsAtOnce)
	if room == 0 || ctx.Err() != nil {
		s.inside.giveBack(room)
		return
	}
	leased, err := s.cfg.Store.LeaseDue(ctx, s.cfg.System, room, gateway.LeaseTime)
	q.complain(ctx, err)
	s.inside.giveBack(room - len(leased))
	for i := range leased { // also what was leased before an error
		go s.attemptInside(context.WithoutCancel(ctx), leased[i])
	}
}

// outside begins attempts at other hosts, as many as may be. soon says that more may
// follow in a moment although nothing will wake the queue.
func (q *queue) outside(ctx context.Context) (soon bool) {
	var behind *gateway.DueSite
	for looked := 0; looked < sitesLooked && q.s.hops.free() && ctx.Err() == nil; looked += sitesPage {
		found, err := q.s.cfg.Store.DueSites(ctx, q.s.cfg.System, behind, sitesPage)
		q.complain(ctx, err)
		for i := range found {
			later, err := q.serve(ctx, found[i])
			q.complain(ctx, err)
			soon = soon || later
		}
		if len(found) < sitesPage {
			break
		}
		behind = &found[len(found)-1]
	}
	return soon
}

// serve begins attempts at one site, or puts it off.
func (q *queue) serve(ctx context.Context, at gateway.DueSite) (soon bool, err error) {
	s := q.s
	hop, err := s.cfg.Courier.Hop(ctx, at.Site)
	if err != nil {
		return false, err
	}
	p := s.hops.plan(hop, at.Domain, s.cfg.Now())
	switch {
	case !p.shut.IsZero():
		return false, s.cfg.Store.PostponeSite(ctx, s.cfg.System, at, p.shut)
	case p.slots == 0:
		return p.ramp, nil
	}
	most := p.slots * perSlot
	if p.probe {
		most = 1
	}
	leased, err := s.cfg.Store.LeaseSite(ctx, s.cfg.System, at, most, int(s.cfg.Limits.QueueBatch), gateway.LeaseTime)
	if err != nil || len(leased) == 0 {
		return false, err
	}
	all := trips(leased)
	work := make(chan []gateway.Delivery, len(all))
	for _, trip := range all {
		work <- trip
	}
	close(work)
	workers := min(p.slots, len(all))
	s.hops.enter(hop, at.Domain, workers, s.cfg.Now())
	for range workers {
		q.attempts.Go(func() {
			defer s.Wake()
			defer s.hops.leave(hop, at.Domain)
			for trip := range work {
				q.carry(ctx, hop, trip)
			}
		})
	}
	return p.ramp, nil
}

// carry makes one trip, unless the hop went down while it waited, or the gateway stops.
func (q *queue) carry(ctx context.Context, hop string, trip []gateway.Delivery) {
	s := q.s
	now := s.cfg.Now()
	until := s.hops.shutUntil(hop, now)
	if ctx.Err() == nil && until.IsZero() {
		s.attempt(context.WithoutCancel(ctx), hop, trip)
		return
	}
	s.finish(context.WithoutCancel(ctx), untried(trip, now))
}

// untried gives back what was leased: it is as due as it was, and what nobody has tried
// yet keeps its place by age. The row of its site may be put off with all that wait there.
func untried(trip []gateway.Delivery, now time.Time) (all []gateway.Attempt) {
	for _, d := range trip {
		due := now
		if d.Attempts == 1 {
			due = d.CreatedAt
		}
		all = append(all, gateway.Attempt{Delivery: d, Outcome: gateway.Outcome{State: gateway.DeliveryQueued, Retry: due, Untried: true}})
	}
	return all
}

// trips puts together what one transaction can carry: recipients of one message with one
// return path. A report is of no message, and travels alone.
func trips(leased []gateway.Delivery) (all [][]gateway.Delivery) {
	type same struct {
		email gateway.ID
		path  string
	}
	at := make(map[same]int)
	for _, d := range leased {
		k := same{cmp.Or(d.Email, d.ID), d.ReturnPath}
		i, known := at[k]
		if !known {
			i = len(all)
			at[k], all = i, append(all, nil)
		}
		all[i] = append(all[i], d)
	}
	return all
}

func (q *queue) complain(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		q.s.cfg.Log.LogAttrs(ctx, slog.LevelError, "queue can't lease", slog.Any("err", err))
	}
}

// rest waits until something may be due; false when ctx has ended.
func (q *queue) rest(ctx context.Context, soon bool) bool {
	s := q.s
	wait := idlePoll
	next, err := s.cfg.Store.NextDue(ctx, s.cfg.System)
	switch now := s.cfg.Now(); {
	case err != nil:
		wait = troubleWait
	case next.IsZero():
	case next.After(now) || s.inside.free():
		wait = min(wait, max(next.Sub(now), time.Millisecond))
	}
	if soon {
		wait = min(wait, rampWait)
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

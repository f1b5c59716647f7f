package notify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/centerleap/postern/gateway"
)

const (
	// laneIdle is how long a lane sleeps when nothing is known to be due: a safety net.
	laneIdle = time.Minute
	// saveEvery is how many events a subscription passes over until that is written down,
	// and saveAfter how long it may take. Ours: after a crash they are passed over again.
	saveEvery = 1000
	saveAfter = 10 * time.Minute
	// againBatch is how many events that are told again are taken in one go.
	againBatch = 16
)

// lane tells the subscriptions of one domain. One goroutine, run, owns all but what says
// otherwise.
type lane struct {
	c      *Consumers
	domain gateway.DomainID
	scope  gateway.Scope
	feed   gateway.Feed
	stop   context.CancelFunc
	look   chan struct{}                          // one slot: anybody may fill it
	wanted atomic.Pointer[[]gateway.Subscription] // whom it is for from now on; nil: no change

	subs    []*subscriber
	former  []*subscriber // who are none now, and have calls under way
	turn    int           // whose turn it is to have a call
	running int
	results chan outcome // has room for all that run
	calls   sync.WaitGroup
}

func newLane(c *Consumers, d gateway.DomainID, feed gateway.Feed) *lane {
	return &lane{
		c: c, domain: d, scope: c.cfg.Internal(d), feed: feed, look: make(chan struct{}, 1),
		results: make(chan outcome, c.cfg.Slots.share()),
	}
}

// run works until ctx ends, and waits for its calls. Another lane may be there by then,
// which does not know what has come of them.
func (l *lane) run(ctx, work context.Context) {
	defer func() {
		l.calls.Wait()
		if l.running > 0 {
			l.c.Refresh(l.domain)
		}
	}()
	defer l.feed.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-l.results:
			l.ended(o)
		case <-l.feed.Wake():
		case <-l.look:
		case <-timer.C:
		}
		wait := retryRead
		if err := l.step(ctx); err == nil {
			wait = l.rest()
		} else if ctx.Err() == nil {
			l.c.cfg.Log.LogAttrs(ctx, slog.LevelError, "events not read", slog.Uint64("domain", uint64(l.domain)), slog.Any("err", err))
		}
		l.begin(ctx, work)
		timer.Reset(wait)
	}
}

// step brings everything up to date but for the calls.
func (l *lane) step(ctx context.Context) error {
	for _, do := range []func(context.Context) error{l.adopt, l.read, l.again, l.save} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// adopt takes over whom the lane is for. Who was there before goes on; if it was switched
// off and on, behind what happened meanwhile.
func (l *lane) adopt(ctx context.Context) error {
	wanted := l.wanted.Swap(nil)
	if wanted == nil {
		return nil
	}
	var subs []*subscriber
	for _, w := range *wanted {
		c, err := l.c.cfg.Store.Cursor(ctx, l.scope, w.ID)
		if gateway.KindOf(err) == gateway.NotFound {
			continue
		} else if err != nil {
			l.wanted.CompareAndSwap(nil, wanted) // again later, unless there is something newer
			return err
		}
		s := l.find(w.ID)
		if s == nil {
			s = newSubscriber(c, &l.c.cfg.Limits, l.c.cfg.Now())
		} else if s.low().Less(c.Next) {
			s.restart(c, l.c.cfg.Now())
		}
		s.Subscription = w
		if s.waiting = c.Waiting; s.again == 0 {
			s.due = c.Due
		}
		subs = append(subs, s)
	}
	before := slices.Concat(l.subs, l.former)
	l.subs = subs
	l.former = slices.DeleteFunc(before, func(s *subscriber) bool { return s.calls == 0 || slices.Contains(subs, s) })
	return nil
}

// find finds who is known to the lane.
func (l *lane) find(id gateway.ID) *subscriber {
	for _, s := range slices.Concat(l.subs, l.former) {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// read fills the windows of all who have room, those that are as far as each other with
// one look at the feed.
func (l *lane) read(ctx context.Context) error {
	for {
		at := uint64(0)
		for _, s := range l.subs {
			if s.hungry() && (at == 0 || s.at.Sequence < at) {
				at = s.at.Sequence
			}
		}
		if at == 0 {
			return nil
		}
		l.feed.Seek(at - 1)
		events, err := l.feed.Next(ctx, readAtOnce)
		if errors.Is(err, gateway.ErrTrimmed) {
			err = l.skip(ctx, at)
		} else if err == nil && len(events) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		for _, s := range l.subs {
			if s.at.Sequence == at && s.hungry() {
				s.take(events)
			}
		}
	}
}

// skip goes on at the oldest event there is for those who stand before it.
func (l *lane) skip(ctx context.Context, at uint64) error {
	to, err := oldest(ctx, l.feed, at)
	if err != nil {
		return err
	}
	for _, s := range l.subs {
		if s.at.Sequence < to {
			s.at = gateway.Position{Sequence: to}
			l.c.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a subscription missed events: the feed no longer reaches back to them",
				slog.String("subscription", s.ID.String()), slog.Uint64("from", at), slog.Uint64("to", to))
		}
	}
	return nil
}

// oldest finds the first event that a feed still has, behind one that it has not.
func oldest(ctx context.Context, feed gateway.Feed, gone uint64) (uint64, error) {
	head, err := feed.Head(ctx)
	if err != nil {
		return 0, err
	}
	for there := head + 1; ; {
		mid := gone + (there-gone)/2
		if mid == gone {
			return there, nil
		}
		feed.Seek(mid - 1)
		switch _, err := feed.Next(ctx, 1); {
		case errors.Is(err, gateway.ErrTrimmed):
			gone = mid
		case err != nil:
			return 0, err
		default:
			there = mid
		}
	}
}

// again takes what is due again.
func (l *lane) again(ctx context.Context) error {
	now := l.c.cfg.Now()
	for _, s := range l.subs {
		if s.again > 0 || s.due.IsZero() || now.Before(s.due) {
			continue
		}
		rows, next, err := l.c.cfg.Store.WaitingEvents(ctx, l.scope, s.ID, againBatch)
		if gateway.KindOf(err) == gateway.NotFound {
			l.drop(s)
			return nil // the list has changed; the next look goes on
		} else if err != nil {
			return err
		}
		s.due, s.again = next, len(rows)
		for _, w := range rows {
			s.ready = append(s.ready, &job{Position: w.Position, event: w.Event, attempts: w.Attempts, due: w.Due})
		}
	}
	return nil
}

// save writes down how far those have come who were told of nothing for a while.
func (l *lane) save(ctx context.Context) error {
	now := l.c.cfg.Now()
	for _, s := range l.subs {
		low := s.low()
		if !s.saved.Less(low) || low.Sequence-s.saved.Sequence < saveEvery && now.Sub(s.savedAt) < saveAfter {
			continue
		}
		err := l.c.cfg.Store.Advance(ctx, l.scope, s.ID, low)
		if gateway.KindOf(err) == gateway.NotFound {
			l.drop(s)
			return nil
		} else if err != nil {
			return err
		}
		s.saved, s.savedAt = low, now
	}
	return nil
}

// drop forgets a subscription that is none any more.
func (l *lane) drop(gone *subscriber) {
	i := slices.Index(l.subs, gone)
	if i < 0 {
		return
	}
	l.subs = slices.Concat(l.subs[:i], l.subs[i+1:])
	if gone.calls > 0 {
		l.former = append(l.former, gone)
	}
	poke(l.look)
}

// rest is how long there is nothing to do unless somebody says so.
func (l *lane) rest() time.Duration {
	now, wait := l.c.cfg.Now(), laneIdle
	for _, s := range l.subs {
		if len(s.ready) > 0 && now.Before(s.rests) {
			wait = min(wait, s.rests.Sub(now))
		}
		if s.again == 0 && !s.due.IsZero() {
			wait = min(wait, max(0, s.due.Sub(now)))
		}
	}
	return wait
}

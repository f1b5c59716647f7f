package mailbox

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
)

const (
	// indexEvery is how often segments are written while mail comes; ours: a search
	// may lag by 2 s, and what is not indexed yet is looked at anyhow.
	indexEvery = time.Second
	// indexSweep is how often all accounts are looked at, whoever said that they have
	// mail; ours.
	indexSweep = time.Hour
	// indexRetry is when what failed is tried again; ours.
	indexRetry = 10 * time.Second
	// indexLease is how long the work may stand still before another process takes it
	// over, and indexJob names it; ours.
	indexLease = time.Minute
	indexJob   = "mailbox/search"
	// indexAtOnce is how often an account is added to, or merged, before the next has its
	// turn; ours: some seconds.
	indexAtOnce = 8
	// indexLagging is how long a round may take before the log tells of it; ours: then
	// searches lag by more than 2 s.
	indexLagging = 2 * time.Second
)

// RunIndex keeps the search indexes up to date until ctx ends. What fails is logged and
// tried again. It is one goroutine, and rests as long as it works while mail comes.
func (m *Mail) RunIndex(ctx context.Context) error {
	x := newIndexer(m)
	defer x.release(context.WithoutCancel(ctx))
	tick, sweep := time.NewTicker(indexEvery), time.NewTicker(indexSweep)
	defer tick.Stop()
	defer sweep.Stop()
	for began := time.Now(); ctx.Err() == nil; {
		err := x.round(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil || !x.more {
			x.tell(ctx, time.Since(began), err)
		}
		if x.more {
			continue
		}
		x.wait(ctx, sweep.C)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		began, x.indexed = time.Now(), 0
	}
	return nil
}

// tell logs what an operator should know of what was done.
func (x *indexer) tell(ctx context.Context, took time.Duration, err error) {
	log := x.mail.cfg.Log
	if err != nil {
		attrs := append(aboutIndex(x.failed), slog.Int("accounts", len(x.waiting)), slog.Any("err", err))
		log.LogAttrs(ctx, slog.LevelError, "the search index lags", attrs...)
	} else if took > indexLagging {
		log.LogAttrs(ctx, slog.LevelInfo, "the search index was behind", slog.Int64("messages", x.indexed), slog.Duration("took", took))
	}
}

// wait returns when there is work.
func (x *indexer) wait(ctx context.Context, sweep <-chan time.Time) {
	wake, again := x.mail.cfg.Store.Unindexed(), (<-chan time.Time)(nil)
	if x.paused {
		wake = nil
	}
	if due, some := x.due(); some {
		t := time.NewTimer(due.Sub(x.now()))
		defer t.Stop()
		again = t.C
	}
	select {
	case <-ctx.Done():
	case <-wake:
	case <-again:
	case <-sweep:
		x.all = true
	}
}

// due is when what failed is to be tried again, if anything did.
func (x *indexer) due() (at time.Time, some bool) {
	if x.paused || x.all {
		at, some = x.from, true
	}
	if x.paused {
		return at, some
	}
	for _, from := range x.waiting {
		if !some || from.Before(at) {
			at, some = from, true
		}
	}
	return at, some
}

// indexer writes segments.
type indexer struct {
	mail    *Mail
	now     func() time.Time // of what waits, which no test's clock holds up
	lease   gateway.Lease    // nil: not held
	renewed time.Time

	// What there is to do. What failed rests until a time; zero if nothing did.
	waiting map[gateway.AccountRef]time.Time // accounts that may have unindexed mail
	all     bool                             // any account may
	from    time.Time                        // when to look for all, or to go on if paused

	indexed int64 // messages, since nothing was left to do

	// Of the last round.
	more   bool               // an account has more to do than is done at once
	paused bool               // it ended early: what failed would fail for all accounts
	failed gateway.AccountRef // the first that failed; zero if that was no account's fault
}

// newIndexer has to look at all accounts once.
func newIndexer(m *Mail) *indexer {
	return &indexer{mail: m, now: time.Now, waiting: make(map[gateway.AccountRef]time.Time), all: true}
}

// round indexes what accounts have got. One that fails keeps no other from its turn; the
// first failure is returned.
func (x *indexer) round(ctx context.Context) error {
	x.more, x.paused, x.failed = false, false, gateway.AccountRef{}
	err := x.list(ctx)
	for _, ref := range slices.Collect(maps.Keys(x.waiting)) {
		if x.waiting[ref].After(x.now()) {
			continue
		}
		failed := x.serve(ctx, ref)
		if err == nil && failed != nil && !errors.Is(failed, errElsewhere) {
			err, x.failed = failed, ref
		}
		if x.paused || ctx.Err() != nil {
			x.more = false
			break
		}
	}
	return err
}

// list notes who has got mail; all accounts, where that can't be told, until all are noted.
func (x *indexer) list(ctx context.Context) error {
	refs, lost := x.mail.cfg.Store.TakeUnindexed()
	for _, ref := range refs {
		x.expect(ref)
	}
	if x.all = x.all || lost; !x.all || x.from.After(x.now()) {
		return nil
	}
	err := x.mail.eachAccount(ctx, func(a *gateway.Account) error {
		x.expect(gateway.AccountRef{Domain: a.Domain, Account: a.ID})
		return nil
	})
	if x.all = err != nil; x.all {
		x.from = x.now().Add(indexRetry)
	}
	return err
}

// serve is the turn of an account. After a failure it rests; all do, where they would meet
// the same: another process indexes, the disk is full, or the store closed.
func (x *indexer) serve(ctx context.Context, ref gateway.AccountRef) error {
	held := x.hold(ctx)
	done, err := false, held
	if held == nil {
		done, err = x.account(ctx, ref)
	}
	again := x.now().Add(indexRetry)
	switch {
	case err == nil && done:
		delete(x.waiting, ref)
	case err == nil:
		x.more = true
	case held != nil, errors.Is(err, errElsewhere), gateway.KindOf(err) == gateway.Unavailable:
		x.paused, x.from = true, again
	default:
		x.waiting[ref] = again
	}
	return err
}

// expect puts an account on the list, where it may be already.
func (x *indexer) expect(ref gateway.AccountRef) {
	if _, known := x.waiting[ref]; !known {
		x.waiting[ref] = time.Time{}
	}
}

// errElsewhere means that another process holds the lease.
var errElsewhere = errors.New("another process indexes")

// hold sees to it that this process holds the lease; errElsewhere while another one does.
// It spares work: what is written is right without.
func (x *indexer) hold(ctx context.Context) error {
	now := x.mail.cfg.Now()
	if x.lease != nil {
		if now.Sub(x.renewed) < indexLease/2 {
			return nil
		}
		if x.lease.Renew(ctx) == nil {
			x.renewed = now
			return nil
		}
		x.lease = nil
	}
	lease, err := x.mail.cfg.Store.Lease(ctx, x.mail.cfg.System, indexJob, indexLease)
	if gateway.KindOf(err) == gateway.InvalidState {
		return errElsewhere
	} else if err == nil {
		x.lease, x.renewed = lease, now
	}
	return err
}

func (x *indexer) release(ctx context.Context) {
	if x.lease == nil {
		return
	}
	if err := x.lease.Release(ctx); err != nil {
		x.mail.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "the lease of the search index is left to run out", slog.Any("err", err))
	}
	x.lease = nil
}

// account brings one index up to where the mail is when it begins, and merges segments where
// there are many; done is false if it stopped after indexAtOnce of that. What comes meanwhile
// is left to the next round: who ran after it would write a segment of each few messages, and
// merge them all again.
func (x *indexer) account(ctx context.Context, ref gateway.AccountRef) (done bool, err error) {
	store, scope := x.mail.cfg.Store, x.mail.cfg.Internal(ref.Domain)
	var until gateway.MessageNumber
	for n := range indexAtOnce {
		segments, newest, err := store.Segments(ctx, scope, ref.Domain, ref.Account)
		if err != nil {
			return true, deletedMeanwhile(err)
		}
		if n == 0 {
			until = newest
		}
		after := gateway.MessageNumber(0)
		if n := len(segments); n > 0 {
			after = segments[n-1].Last
		}
		work := func() error { return x.add(ctx, scope, ref, after) }
		if from, to := mergeable(segments, x.mail.cfg.Limits.IndexSegment); to > from {
			work = func() error { return x.merge(ctx, scope, ref, segments[from:to]) }
		} else if after >= until {
			return true, nil
		}
		began := time.Now()
		if err := work(); err != nil {
			if err = deletedMeanwhile(err); err == nil || gateway.KindOf(err) != gateway.InvalidState {
				return true, err
			}
		}
		if err := x.hold(ctx); err != nil {
			return false, err
		}
		if err := x.rest(ctx, time.Since(began)); err != nil {
			return false, err
		}
	}
	return false, nil
}

// deletedMeanwhile forgives that an account is gone.
func deletedMeanwhile(err error) error {
	if gateway.KindOf(err) == gateway.NotFound {
		return nil
	}
	return err
}

// rest leaves the processor to mail that is coming in.
func (x *indexer) rest(ctx context.Context, worked time.Duration) error {
	if len(x.mail.cfg.Store.Unindexed()) == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(min(worked, indexEvery))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

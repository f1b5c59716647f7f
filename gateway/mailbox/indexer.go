package mailbox

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
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
	// indexRead is how many messages are in memory while they are indexed; ours.
	indexRead = 50
	// indexWhole is the largest body that is read at once, in bytes; ours.
	indexWhole = 256 << 10
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
	for all := true; ctx.Err() == nil; {
		began := time.Now()
		err := x.round(ctx, all)
		if ctx.Err() != nil {
			break
		}
		x.tell(ctx, time.Since(began), err)
		all = all && err != nil // what a sweep did not see it has to see yet
		all = x.wait(ctx, sweep.C) || all
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

// tell logs what an operator should know of a round.
func (x *indexer) tell(ctx context.Context, took time.Duration, err error) {
	log := x.mail.cfg.Log
	if err != nil {
		log.LogAttrs(ctx, slog.LevelError, "the search index lags", slog.Int("accounts", len(x.waiting)), slog.Any("err", err))
	} else if took > indexLagging {
		log.LogAttrs(ctx, slog.LevelInfo, "the search index was behind", slog.Int64("messages", x.indexed), slog.Duration("took", took))
	}
}

// wait returns when there is work; true if all accounts are to be looked at.
func (x *indexer) wait(ctx context.Context, sweep <-chan time.Time) bool {
	wake, again := x.mail.cfg.Store.Unindexed(), (<-chan time.Time)(nil)
	if len(x.waiting) > 0 { // something failed, or another process holds the lease
		t := time.NewTimer(indexRetry)
		defer t.Stop()
		wake, again = nil, t.C
	}
	select {
	case <-ctx.Done():
	case <-wake:
	case <-again:
	case <-sweep:
		return true
	}
	return false
}

// indexer writes segments.
type indexer struct {
	mail    *Mail
	lease   gateway.Lease // nil: not held
	renewed time.Time
	waiting map[gateway.AccountRef]struct{} // accounts that may have unindexed mail
	indexed int64                           // messages of this round
}

func newIndexer(m *Mail) *indexer {
	return &indexer{mail: m, waiting: make(map[gateway.AccountRef]struct{})}
}

// round indexes what accounts have got, or looks at all of them. An account that fails
// keeps no other from its turn; the first failure is returned.
func (x *indexer) round(ctx context.Context, all bool) (err error) {
	x.indexed = 0
	refs, lost := x.mail.cfg.Store.TakeUnindexed()
	for _, ref := range refs {
		x.waiting[ref] = struct{}{}
	}
	if all || lost {
		if err := x.everybody(ctx); err != nil {
			return err
		}
	}
	for _, ref := range slices.Collect(maps.Keys(x.waiting)) {
		mine, failed := x.hold(ctx)
		if failed != nil || !mine {
			return failed
		}
		if failed = x.account(ctx, ref); failed == nil {
			delete(x.waiting, ref)
		} else if err == nil {
			err = failed
		}
		if ctx.Err() != nil || gateway.KindOf(failed) == gateway.Unavailable && failed != nil {
			return err // the disk is full, or the store closed: all would meet it
		}
	}
	return err
}

// everybody puts all accounts on the list.
func (x *indexer) everybody(ctx context.Context) error {
	return x.mail.eachAccount(ctx, func(a *gateway.Account) error {
		x.waiting[gateway.AccountRef{Domain: a.Domain, Account: a.ID}] = struct{}{}
		return nil
	})
}

// hold sees to it that this process holds the lease; false while another one does. It
// spares work: what is written is right without.
func (x *indexer) hold(ctx context.Context) (mine bool, err error) {
	now := x.mail.cfg.Now()
	if x.lease != nil {
		if now.Sub(x.renewed) < indexLease/2 {
			return true, nil
		}
		if err = x.lease.Renew(ctx); err == nil {
			x.renewed = now
			return true, nil
		}
		x.lease = nil
	}
	lease, err := x.mail.cfg.Store.Lease(ctx, x.mail.cfg.System, indexJob, indexLease)
	switch {
	case err == nil:
		x.lease, x.renewed = lease, now
		return true, nil
	case gateway.KindOf(err) == gateway.InvalidState:
		return false, nil
	}
	return false, err
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

// account brings one index up to date, and merges segments where there are many.
func (x *indexer) account(ctx context.Context, ref gateway.AccountRef) error {
	store, scope := x.mail.cfg.Store, x.mail.cfg.Internal(ref.Domain)
	for {
		segments, newest, err := store.Segments(ctx, scope, ref.Domain, ref.Account)
		if err != nil {
			return deletedMeanwhile(err)
		}
		after := gateway.MessageNumber(0)
		if n := len(segments); n > 0 {
			after = segments[n-1].Last
		}
		work := func() error { return x.add(ctx, scope, ref, after) }
		if from, to := mergeable(segments, x.mail.cfg.Limits.IndexSegment); to > from {
			work = func() error { return x.merge(ctx, scope, ref, segments[from:to]) }
		} else if after >= newest {
			return nil
		}
		began := time.Now()
		if err := work(); err != nil {
			if err = deletedMeanwhile(err); err == nil || gateway.KindOf(err) != gateway.InvalidState {
				return err
			}
		}
		if mine, err := x.hold(ctx); err != nil || !mine {
			return err
		}
		if err := x.rest(ctx, time.Since(began)); err != nil {
			return err
		}
	}
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

// add indexes messages behind a number: as many as a segment is written of at once.
func (x *indexer) add(ctx context.Context, scope gateway.Scope, ref gateway.AccountRef, after gateway.MessageNumber) error {
	store, lim := x.mail.cfg.Store, &x.mail.cfg.Limits
	b, through := search.NewBuilder(after+1), after
	messages := 0
	for full := false; !full; {
		most := min(indexRead, int(lim.IndexBatch)-messages)
		all, to, err := store.MessagesAfter(ctx, scope, ref.Domain, ref.Account, through, most)
		if err != nil {
			return err
		}
		for _, msg := range all {
			if err := x.read(ctx, scope, msg, b); err != nil {
				return err
			}
			messages++
			through = msg.Number
			if full = b.Size() >= int(lim.IndexMemory); full {
				break
			}
		}
		if !full && len(all) < most {
			through = to // behind the last one there is none
			break
		}
		full = full || messages == int(lim.IndexBatch)
	}
	if through == after {
		return nil
	}
	return x.write(ctx, scope, ref.Domain, b.Segment(through), func(blob gateway.Blob) error {
		x.indexed += int64(messages)
		return store.AddSegment(ctx, scope, ref.Domain, ref.Account, &gateway.IndexSegment{First: after + 1, Last: through, Messages: messages, Blob: blob})
	})
}

// read puts a message into a segment. A body that can't be read is to be looked at: it
// must not hold up the others.
func (x *indexer) read(ctx context.Context, scope gateway.Scope, msg *gateway.Message, b *search.Builder) error {
	t := x.mail.texts(ctx, scope, msg)
	if msg.Blob.Size <= indexWhole {
		t.openOnce(ctx, scope, x.mail.cfg.Store)
	}
	err := t.addTo(b, x.mail.cfg.Limits.IndexText)
	if err == nil || ctx.Err() != nil || gateway.KindOf(err) == gateway.Unavailable {
		return errors.Join(err, ctx.Err())
	}
	b.Look(search.Text)
	x.mail.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a message can't be read for the search index", slog.String("message", msg.ID.String()), slog.Any("err", err))
	return nil
}

// write stores the bytes of a segment; commit makes them part of the index.
func (x *indexer) write(ctx context.Context, scope gateway.Scope, d gateway.DomainID, raw []byte, commit func(gateway.Blob) error) error {
	w, err := x.mail.cfg.Store.CreateBlob(ctx, scope, d, int64(len(raw)))
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(raw); err != nil {
		return err
	}
	blob, err := w.Seal()
	if err != nil {
		return err
	}
	return commit(blob)
}

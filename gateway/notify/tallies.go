package notify

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// TallyStore is the part of the store that counting needs.
type TallyStore interface {
	Store
	Leaser
	Domains(ctx context.Context, s gateway.Scope) ([]gateway.Domain, error)
	// Tally is how far a domain was counted when that was last kept; zero if it never was.
	Tally(ctx context.Context, s gateway.Scope, d gateway.DomainID) (gateway.Tally, error)
	// KeepTally keeps how far it is now, unless somebody has come further.
	KeepTally(ctx context.Context, s gateway.Scope, d gateway.DomainID, t *gateway.Tally) error
}

// TalliesConfig of Tallies.
type TalliesConfig struct {
	Store TallyStore // required
	// System and Internal are the scopes of Postern's own work: all of it, and that of
	// one domain. Both are required.
	System   gateway.Scope
	Internal func(gateway.DomainID) gateway.Scope
	Log      *slog.Logger // default: slog.Default()
}

// Tallies count what happens in each domain by the hour, from its feed: mail costs nothing
// more for it. Who asks has what is new counted then; a worker keeps the counts now and
// then, so that nobody has much to count. What is counted twice, or not at all, after a
// crash is nothing: the counts are kept with the place in the feed that they reach.
type Tallies struct {
	cfg TalliesConfig
	mu  sync.Mutex
	by  map[gateway.DomainID]*tally
}

// tally is that of one domain.
type tally struct {
	mu     sync.Mutex // held while it counts
	loaded bool
	gateway.Tally
	kept uint64 // as far as the store has it
}

// NewTallies checks cfg and fills its defaults. It starts nothing; Run does.
func NewTallies(cfg TalliesConfig) (*Tallies, error) {
	if cfg.Store == nil || cfg.Internal == nil || cfg.System.Level() != gateway.LevelInstance {
		return nil, errors.New("notify: a required field of TalliesConfig is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Tallies{cfg: cfg, by: make(map[gateway.DomainID]*tally)}, nil
}

const (
	// tallyEvery is how often the worker looks at all domains, and tallyKeep how many
	// events of one are counted until that is kept. Ours: to count as many takes 2 ms, and
	// a domain in which little happens has nothing written.
	tallyEvery = time.Minute
	tallyKeep  = 1000
	// tallyAsked is how many events are counted for who asks: 20 ms. Ours.
	tallyAsked = 10_000
	// talliesHeld is how many domains are held in memory, at most 2.5 KiB each. Ours.
	talliesHeld = 10_000
)

// Of is what happened in a domain, and how many events are not counted yet: more than none
// only if very much has happened since the worker looked.
func (n *Tallies) Of(ctx context.Context, s gateway.Scope, d gateway.DomainID) (counted gateway.Tally, behind uint64, err error) {
	if !s.CoversDomain(d) || d == 0 {
		return counted, 0, gateway.Errorf(gateway.NotFound, "no such domain")
	}
	t := n.tally(d)
	t.mu.Lock()
	defer t.mu.Unlock()
	behind, err = n.count(ctx, d, t, tallyAsked)
	counted = t.Tally
	counted.Hours = slices.Clone(t.Hours)
	return counted, behind, err
}

// tally finds that of a domain. There is room for it at the cost of any other.
func (n *Tallies) tally(d gateway.DomainID) *tally {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.by[d]
	if t == nil {
		for other := range n.by {
			if len(n.by) < talliesHeld {
				break
			}
			delete(n.by, other)
		}
		t = &tally{}
		n.by[d] = t
	}
	return t
}

func (n *Tallies) forget(d gateway.DomainID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.by, d)
}

// count counts on, at most most events, and says how many are left. t.mu is held.
func (n *Tallies) count(ctx context.Context, d gateway.DomainID, t *tally, most int) (behind uint64, err error) {
	s := n.cfg.Internal(d)
	if !t.loaded {
		if t.Tally, err = n.cfg.Store.Tally(ctx, s, d); err != nil {
			return 0, err
		}
		t.loaded, t.kept = true, t.Sequence
	}
	feed, err := n.cfg.Store.Events(s, d, t.Sequence)
	if err != nil {
		return 0, err
	}
	defer feed.Close()
	for done := 0; done < most; {
		events, err := feed.Next(ctx, min(readAtOnce, most-done))
		if errors.Is(err, gateway.ErrTrimmed) { // they are older than any hour that is told apart
			var to uint64
			if to, err = oldest(ctx, feed, t.Sequence+1); err == nil {
				t.Sequence = to - 1
				feed.Seek(t.Sequence)
				continue
			}
		}
		if err != nil || len(events) == 0 {
			return 0, err
		}
		for i := range events {
			t.Count(&events[i])
		}
		done += len(events)
	}
	head, err := feed.Head(ctx)
	return head - min(head, t.Sequence), err
}

// Run keeps the counts, in the one process that has the lease, until ctx ends.
func (n *Tallies) Run(ctx context.Context) error {
	return leased(ctx, n.cfg.Store, n.cfg.System, "notify/tallies", n.cfg.Log, n.hold)
}

func (n *Tallies) hold(ctx context.Context) error {
	for {
		all, err := n.cfg.Store.Domains(ctx, n.cfg.System)
		if err != nil && ctx.Err() == nil {
			n.cfg.Log.LogAttrs(ctx, slog.LevelError, "domains not read", slog.Any("err", err))
		}
		for i := range all {
			if err := n.keep(ctx, all[i].ID); err != nil && ctx.Err() == nil && gateway.KindOf(err) != gateway.NotFound {
				n.cfg.Log.LogAttrs(ctx, slog.LevelError, "events not counted", slog.Uint64("domain", uint64(all[i].ID)), slog.Any("err", err))
			}
		}
		if !sleep(ctx, tallyEvery) {
			return nil
		}
	}
}

// keep counts all there is of a domain, if it is much, and keeps how far that is.
func (n *Tallies) keep(ctx context.Context, d gateway.DomainID) error {
	for {
		more, err := n.keepSome(ctx, d)
		if gateway.KindOf(err) == gateway.NotFound && err != nil {
			n.forget(d)
		}
		if err != nil || !more {
			return err
		}
	}
}

// keepSome is one piece of it: who asks meanwhile waits for no more than that.
func (n *Tallies) keepSome(ctx context.Context, d gateway.DomainID) (more bool, err error) {
	t := n.tally(d)
	t.mu.Lock()
	defer t.mu.Unlock()
	behind, err := n.count(ctx, d, t, tallyAsked)
	if err != nil || t.Sequence-t.kept < tallyKeep {
		return false, err
	}
	if err := n.cfg.Store.KeepTally(ctx, n.cfg.Internal(d), d, &t.Tally); err != nil {
		return false, err
	}
	t.kept = t.Sequence
	return behind > 0, nil
}

package notify

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Ticker asks a plugin that has its turn. What it returns is made durable, once. An error is
// a failure of the plugin, whose next turn comes in its time; but with NotFound it has no
// turns any more, and with InvalidState and Unavailable it is asked for this one later, as
// Teller says.
type Ticker interface {
	Tick(ctx context.Context, s gateway.Scope, plugin gateway.ID, t *gateway.Tick) (gateway.Effects, error)
}

// Turns is the part of the store that ticking needs.
type Turns interface {
	Leaser
	// DueTurns are those that are due, at most most and without those of plugins that skip
	// leaves out, and when the next one is.
	DueTurns(ctx context.Context, s gateway.Scope, most int, skip func(plugin gateway.ID) bool) ([]gateway.PluginTurn, time.Time, error)
	// Ticked makes durable that a plugin had its turn, and gives it the next one.
	// InvalidState if it had it before, NotFound if it has none any more.
	Ticked(ctx context.Context, s gateway.Scope, t gateway.PluginTurn, e gateway.Effects) error
}

// TicksConfig of Ticks.
type TicksConfig struct {
	Store    Turns  // required
	Ticker   Ticker // required
	Job      string // required: the name of the lease
	System   gateway.Scope
	Internal func(gateway.DomainID) gateway.Scope
	Slots    *Slots           // required; a domain has half of them
	Log      *slog.Logger     // default: slog.Default()
	Now      func() time.Time // default: time.Now
}

// Ticks asks plugins at their intervals, each one once at a time.
type Ticks struct {
	cfg  TicksConfig
	wake chan struct{} // one slot

	// Of the run.
	running map[gateway.ID]gateway.DomainID
	rests   map[gateway.ID]time.Time // until when one is not asked for a turn that is due
	ended   chan turned
}

// turned is what became of a turn.
type turned struct {
	plugin gateway.ID
	rest   time.Duration // the turn is put off; 0: it is over
}

// NewTicks checks cfg and fills its defaults. It starts nothing; Run does.
func NewTicks(cfg TicksConfig) (*Ticks, error) {
	if cfg.Store == nil || cfg.Ticker == nil || cfg.Job == "" || cfg.Internal == nil || cfg.System.Level() != gateway.LevelInstance || cfg.Slots == nil {
		return nil, errors.New("notify: a required field of TicksConfig is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Ticks{cfg: cfg, wake: make(chan struct{}, 1)}, nil
}

// Wake has it look at what is due now: somebody has new turns, or the clock was moved.
func (k *Ticks) Wake() { poke(k.wake) }

// Run asks whoever has a turn, in the one process that has the lease, until ctx ends. Then
// it waits for the calls under way, at most gateway.DrainTimeout.
func (k *Ticks) Run(ctx context.Context) error {
	return leased(ctx, k.cfg.Store, k.cfg.System, k.cfg.Job, k.cfg.Log, k.hold)
}

const (
	// ticksIdle is how long one sleeps when no turn is known to be due: a safety net.
	ticksIdle = time.Minute
	// ticksLooked is how many turns one look takes that are due and may begin. Ours: far more
	// than a domain may have plugins, so that those that wait for its share hide nobody else's.
	ticksLooked = 1000
	// ticksGone is how long a turn is let alone of a plugin that has none. Ours: it is
	// about to be deleted.
	ticksGone = time.Minute
)

// hold works while the lease is held.
func (k *Ticks) hold(ctx context.Context) error {
	work, drain := outliving(ctx)
	var calls sync.WaitGroup
	defer drain(calls.Wait)
	k.running, k.rests = make(map[gateway.ID]gateway.DomainID), make(map[gateway.ID]time.Time)
	k.ended = make(chan turned, k.cfg.Slots.size())
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-timer.C:
		case t := <-k.ended:
			delete(k.running, t.plugin)
			if t.rest > 0 {
				k.rests[t.plugin] = k.cfg.Now().Add(t.rest)
			}
		}
		due, next, err := k.cfg.Store.DueTurns(ctx, k.cfg.System, ticksLooked, k.busy())
		if err != nil && ctx.Err() == nil {
			k.cfg.Log.LogAttrs(ctx, slog.LevelError, "turns of plugins not read", slog.Any("err", err))
			timer.Reset(retryRead)
			continue
		}
		for _, t := range k.may(due) {
			calls.Go(func() { k.ended <- turned{t.Plugin, k.turn(ctx, work, t)} })
		}
		timer.Reset(k.until(next))
	}
}

// busy tells which plugins have no turn now, though one may be due: those that are asked,
// and those that rest.
func (k *Ticks) busy() func(gateway.ID) bool {
	now := k.cfg.Now()
	maps.DeleteFunc(k.rests, func(_ gateway.ID, until time.Time) bool { return !now.Before(until) })
	return func(id gateway.ID) bool {
		_, running := k.running[id]
		_, rests := k.rests[id]
		return running || rests
	}
}

// may picks the turns that begin now: as many as there are slots, of a domain its share.
func (k *Ticks) may(due []gateway.PluginTurn) (now []gateway.PluginTurn) {
	of := make(map[gateway.DomainID]int)
	for _, d := range k.running {
		of[d]++
	}
	for _, t := range due {
		if of[t.Domain] >= k.cfg.Slots.share() || len(k.running) >= k.cfg.Slots.size() {
			continue
		}
		of[t.Domain]++
		k.running[t.Plugin] = t.Domain
		now = append(now, t)
	}
	return now
}

// until is how long there is nothing to do unless somebody says so.
func (k *Ticks) until(next time.Time) time.Duration {
	now, wait := k.cfg.Now(), ticksIdle
	if !next.IsZero() && next.After(now) { // what is due by now, and did not begin, waits for others
		wait = min(wait, next.Sub(now))
	}
	for _, at := range k.rests {
		wait = min(wait, max(0, at.Sub(now)))
	}
	return wait
}

// turn asks one plugin, and says for how long its turn is put off, if it is.
func (k *Ticks) turn(ctx, work context.Context, t gateway.PluginTurn) time.Duration {
	give, ok := k.cfg.Slots.take(ctx, t.Domain, false)
	if !ok {
		return restLeast
	}
	s := k.cfg.Internal(t.Domain)
	effects, err := k.cfg.Ticker.Tick(work, s, t.Plugin, &gateway.Tick{Scheduled: t.Due, Previous: t.Previous})
	give()
	switch kind := gateway.KindOf(err); {
	case err == nil:
	case work.Err() != nil:
		return restLeast
	case kind == gateway.NotFound:
		return ticksGone
	case kind == gateway.InvalidState, kind == gateway.Unavailable:
		return max(restLeast, gateway.AsError(err).Retry)
	default: // its log says why
		effects = gateway.Effects{}
	}
	return k.settle(work, s, t, effects)
}

// settle makes a turn durable. While the store takes nothing its outcome is kept.
func (k *Ticks) settle(work context.Context, s gateway.Scope, t gateway.PluginTurn, e gateway.Effects) time.Duration {
	for wait := restLeast; ; wait = min(2*wait, commitMost) {
		err := k.cfg.Store.Ticked(work, s, t, e)
		switch kind := gateway.KindOf(err); {
		case err == nil, kind == gateway.InvalidState, kind == gateway.NotFound:
			return 0
		case kind != gateway.Unavailable: // what it wants can't be done
			k.cfg.Log.LogAttrs(work, slog.LevelError, "the outcome of a turn is not stored", slog.String("plugin", t.Plugin.String()), slog.Any("err", err))
			e = gateway.Effects{}
		}
		if !sleep(work, wait) {
			return restLeast
		}
	}
}

package notify

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Teller knows who subscribes to what happens, and tells them.
type Teller interface {
	// Subscriptions are those of a domain.
	Subscriptions(ctx context.Context, s gateway.Scope, d gateway.DomainID) ([]gateway.Subscription, error)
	// Tell tells a subscription of an event: attempt is 1 for the first time. What it
	// returns is made durable, once. An error is a failure of the subscriber, and it is told
	// again later; but with NotFound it is none any more, with InvalidState it is not told
	// of anything for the error's Retry, and with Unavailable nor is it, for it is the
	// gateway that failed.
	Tell(ctx context.Context, s gateway.Scope, sub *gateway.Subscription, at gateway.Position, e *gateway.Event, attempt int) (gateway.Result, error)
}

// Ledger is the part of the store that consumers need.
type Ledger interface {
	Store
	Domains(ctx context.Context, s gateway.Scope) ([]gateway.Domain, error)
	// Cursor is how far a subscription has come. NotFound if it is none.
	Cursor(ctx context.Context, s gateway.Scope, id gateway.ID) (gateway.Cursor, error)
	// WaitingEvents are those that are due, at most most, and when the next one is.
	WaitingEvents(ctx context.Context, s gateway.Scope, id gateway.ID, most int) ([]gateway.Waiting, time.Time, error)
	// Handled makes durable what came of telling; InvalidState if that was done before,
	// NotFound if it is no subscription any more.
	Handled(ctx context.Context, s gateway.Scope, id gateway.ID, t *gateway.Told) error
	Advance(ctx context.Context, s gateway.Scope, id gateway.ID, next gateway.Position) error
	Leaser
}

// ConsumersConfig of Consumers.
type ConsumersConfig struct {
	Store  Ledger // required
	Teller Teller // required
	Job    string // required: the name of the lease, one for each Teller
	// System and Internal are the scopes of Postern's own work: all of it, and that of
	// one domain, or with 0 that of who has the instance's own events. Both are required.
	System   gateway.Scope
	Internal func(gateway.DomainID) gateway.Scope
	Slots    *Slots           // required; a domain has half of them
	Attempts int64            // required: times that it is told of an event before that is given up
	Pauses   []time.Duration  // after each but the last; the last one given repeats. Default: Pauses
	Limits   gateway.Limits   // required
	Log      *slog.Logger     // default: slog.Default()
	Now      func() time.Time // default: time.Now
}

// Consumers tell subscriptions of all that happens, each event at least once, over
// restarts too: a durable cursor says how far each has come, and what fails is told again
// without keeping back what is behind it. An event's outcome is one commit with all that
// came of it, so a crash in between only has it told again.
//
// There is a lane for each domain that has subscriptions, which reads its feed for all of
// them; nothing wakes for the others.
type Consumers struct {
	cfg ConsumersConfig

	mu      sync.Mutex
	lanes   map[gateway.DomainID]*lane
	changed map[gateway.DomainID]bool // whose subscriptions have to be looked at
	wake    chan struct{}             // one slot
}

// NewConsumers checks cfg and fills its defaults. It starts nothing; Run does.
func NewConsumers(cfg ConsumersConfig) (*Consumers, error) {
	if cfg.Store == nil || cfg.Teller == nil || cfg.Job == "" || cfg.Internal == nil || cfg.System.Level() != gateway.LevelInstance || cfg.Slots == nil || cfg.Attempts == 0 || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("notify: a required field of ConsumersConfig is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Pauses == nil {
		cfg.Pauses = Pauses
	}
	return &Consumers{
		cfg: cfg, lanes: make(map[gateway.DomainID]*lane),
		changed: make(map[gateway.DomainID]bool), wake: make(chan struct{}, 1),
	}, nil
}

// Run tells whoever is to be told, in the one process that has the lease, until ctx ends.
// Then it waits for the calls under way, at most gateway.DrainTimeout.
func (c *Consumers) Run(ctx context.Context) error {
	return leased(ctx, c.cfg.Store, c.cfg.System, c.cfg.Job, c.cfg.Log, c.hold)
}

// hold works while the lease is held.
func (c *Consumers) hold(ctx context.Context) error {
	lanes, stop := context.WithCancel(ctx)
	work, drain := outliving(ctx)
	crew := &crew{lanes: lanes, work: work}
	defer func() {
		stop()
		drain(crew.Wait)
		c.mu.Lock()
		clear(c.lanes)
		c.mu.Unlock()
	}()
	all, err := c.cfg.Store.Domains(ctx, c.cfg.System)
	if err != nil {
		return err
	}
	c.Refresh(0) // the instance has a feed, too
	for i := range all {
		c.Refresh(all[i].ID)
	}
	for {
		c.refresh(crew)
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		}
	}
}

// crew is what runs while a lease is held.
type crew struct {
	sync.WaitGroup
	lanes, work context.Context // the second one outlives the first, for calls under way
}

// Refresh has the subscriptions of a domain looked at: some have come, changed or gone.
// Whoever changes them calls it. It waits for nothing.
func (c *Consumers) Refresh(d gateway.DomainID) {
	c.mu.Lock()
	c.changed[d] = true
	c.mu.Unlock()
	poke(c.wake)
}

// Wake has all lanes look at what is due now.
func (c *Consumers) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.lanes {
		poke(l.look)
	}
}

// refresh starts and stops lanes, and tells those there are whom they are for.
func (c *Consumers) refresh(crew *crew) {
	c.mu.Lock()
	changed := c.changed
	c.changed = make(map[gateway.DomainID]bool)
	c.mu.Unlock()
	for d := range changed {
		subs, err := c.cfg.Teller.Subscriptions(crew.lanes, c.cfg.Internal(d), d)
		switch {
		case crew.lanes.Err() != nil:
			return
		case err != nil && gateway.KindOf(err) != gateway.NotFound:
			c.cfg.Log.LogAttrs(crew.lanes, slog.LevelError, "who is to be told can't be read", slog.Uint64("domain", uint64(d)), slog.Any("err", err))
			time.AfterFunc(retryRead, func() { c.Refresh(d) })
			continue
		}
		c.assign(crew, d, subs)
	}
}

// assign gives a domain the lane that it needs, if it needs one.
func (c *Consumers) assign(crew *crew, d gateway.DomainID, subs []gateway.Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[d]
	switch {
	case l == nil && len(subs) == 0:
		return
	case l == nil:
		feed, err := c.cfg.Store.Events(c.cfg.Internal(d), d, 0)
		if err != nil { // the domain has just been deleted
			return
		}
		l = newLane(c, d, feed)
		c.lanes[d] = l
		ctx, stop := context.WithCancel(crew.lanes)
		l.stop = stop
		crew.Go(func() { defer stop(); l.run(ctx, crew.work) })
	case len(subs) == 0:
		l.stop()
		delete(c.lanes, d)
		return
	}
	l.wanted.Store(&subs)
	poke(l.look)
}

// poke fills the one slot of a channel.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

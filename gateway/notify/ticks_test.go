package notify

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
)

// calendar is a store of turns in memory: each plugin has one every minute.
type calendar struct {
	ledger
	next    map[gateway.ID]gateway.PluginTurn
	had     map[gateway.ID][]gateway.PluginTurn
	effects int
}

func (c *calendar) DueTurns(_ context.Context, _ gateway.Scope, most int, skip func(gateway.ID) bool) (due []gateway.PluginTurn, next time.Time, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []gateway.PluginTurn
	for _, t := range c.next {
		if !skip(t.Plugin) {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b gateway.PluginTurn) int { return a.Due.Compare(b.Due) })
	for _, t := range all {
		if t.Due.After(time.Now()) || len(due) == most {
			return due, t.Due, nil
		}
		due = append(due, t)
	}
	return due, next, nil
}

func (c *calendar) Ticked(_ context.Context, _ gateway.Scope, t gateway.PluginTurn, e gateway.Effects) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, known := c.next[t.Plugin]
	switch {
	case c.refuses != nil:
		return c.refuses
	case !known:
		return gateway.Errorf(gateway.NotFound, "no such plugin")
	case now != t:
		return gateway.Errorf(gateway.InvalidState, "it had it")
	}
	c.had[t.Plugin] = append(c.had[t.Plugin], t)
	c.effects += len(e.KV)
	t.Previous, t.Due = t.Due, t.Due.Add(time.Minute*(1+time.Since(t.Due)/time.Minute))
	c.next[t.Plugin] = t
	return nil
}

// clockwork answers as its function says, and counts.
type clockwork struct {
	mu      sync.Mutex
	tick    func(id gateway.ID) error
	calls   map[gateway.ID]int
	running map[gateway.ID]int
	worst   int // calls of one plugin at once
	peak    int // of all
}

func (k *clockwork) Tick(_ context.Context, _ gateway.Scope, id gateway.ID, t *gateway.Tick) (gateway.Effects, error) {
	k.mu.Lock()
	k.calls[id]++
	k.running[id]++
	k.worst = max(k.worst, k.running[id])
	all := 0
	for _, n := range k.running {
		all += n
	}
	k.peak = max(k.peak, all)
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.running[id]--
	}()
	return gateway.Effects{KV: make([]gateway.PluginWrite, 1)}, k.tick(id)
}

// tick runs turns of n plugins, two to each domain, for some time.
func tick(t *testing.T, n int, life time.Duration, answer func(c *calendar, id gateway.ID) error) (*calendar, *clockwork) {
	t.Helper()
	c := &calendar{next: make(map[gateway.ID]gateway.PluginTurn), had: make(map[gateway.ID][]gateway.PluginTurn)}
	for i := range n {
		id := gateway.ID{byte(i + 1), byte((i + 1) >> 8)}
		c.next[id] = gateway.PluginTurn{Domain: gateway.DomainID(i/2 + 1), Plugin: id, Due: time.Now().Add(time.Minute)}
	}
	who := &clockwork{calls: make(map[gateway.ID]int), running: make(map[gateway.ID]int), tick: func(id gateway.ID) error { return answer(c, id) }}
	k, err := NewTicks(TicksConfig{
		Store: c, Ticker: who, Job: "ticks", System: gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{}), Slots: NewSlots(calls),
		Internal: func(d gateway.DomainID) gateway.Scope {
			return gateway.NewScope(gateway.LevelDomain, d, 0, gateway.ID{})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), life)
	defer cancel()
	if err := k.Run(ctx); err != nil {
		t.Error(err)
	}
	if c.holder != nil {
		t.Error("the lease is left")
	}
	return c, who
}

// Each plugin is asked once in its turn; one that is slow, fails or is paused keeps none
// of the others back.
func TestTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow, failing, paused, gone = 1, 3, 5, 7 // each in a domain of its own
		began := time.Now()
		c, who := tick(t, 20, 10*time.Minute+30*time.Second, func(c *calendar, id gateway.ID) error {
			switch id[0] {
			case slow:
				time.Sleep(150 * time.Second)
			case failing:
				return errors.New("no")
			case paused:
				if time.Since(began) < 5*time.Minute {
					return &gateway.Error{Kind: gateway.InvalidState, Retry: 20 * time.Second}
				}
			case gone:
				return gateway.Errorf(gateway.NotFound, "no such plugin")
			}
			return nil
		})
		for i := range 20 {
			id := gateway.ID{byte(i + 1)}
			want := 10
			switch id[0] {
			case slow:
				want = 4 // at 1:00, 4:00, 7:00 and 10:00, which ends while it stops
			case paused:
				want = 6 // the one of 1:00 at 5:00, then those of 6:00 to 10:00
			case gone:
				want = 0
			}
			if got := len(c.had[id]); got != want {
				t.Errorf("plugin %d had %d turns, want %d: %v", id[0], got, want, c.had[id])
			}
		}
		if who.worst != 1 || who.peak > calls {
			t.Errorf("%d calls of one plugin at once, %d of all", who.worst, who.peak)
		}
		if n := who.calls[gateway.ID{gone}]; n > 11 {
			t.Errorf("%d calls of one that is gone", n)
		}
		if want := 16*10 + 4 + 6; c.effects != want {
			t.Errorf("%d effects, want %d: none of one that failed", c.effects, want)
		}
	})
}

// However many plugins are paused, whose turns stay due, the others have theirs.
func TestTicksPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = ticksLooked + 10
		well := gateway.ID{n & 0xff, n >> 8}
		c, who := tick(t, n, 10*time.Minute+30*time.Second, func(_ *calendar, id gateway.ID) error {
			if id != well {
				return &gateway.Error{Kind: gateway.InvalidState, Retry: time.Hour}
			}
			return nil
		})
		if got := len(c.had[well]); got != 10 {
			t.Errorf("it had %d turns, want 10", got)
		}
		if got := who.calls[gateway.ID{1}]; got != 1 {
			t.Errorf("one that is paused was asked %d times, want 1", got)
		}
	})
}

// While the store takes nothing, what came of a turn is kept.
func TestTickKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, who := tick(t, 1, 30*time.Minute, func(c *calendar, _ gateway.ID) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.refuses == nil && c.effects == 0 {
				c.refuses = gateway.Errorf(gateway.Unavailable, "the disk is full")
				time.AfterFunc(10*time.Minute, func() {
					c.mu.Lock()
					defer c.mu.Unlock()
					c.refuses = nil
				})
			}
			return nil
		})
		id := gateway.ID{1}
		if n := len(c.had[id]); n < 18 || n != who.calls[id] || c.had[id][1].Previous != c.had[id][0].Due {
			t.Errorf("%d turns, %d calls: %v", n, who.calls[id], c.had[id])
		}
	})
}

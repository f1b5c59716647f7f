package notify

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
)

// A domain has its share of the calls, whatever they are made for: one whose events and
// turns both wait for a server that never answers keeps no other domain waiting.
func TestShareOfADomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(2)
		s := sub(1, 0)
		l := newLedger(s)
		l.happen(received)
		_, stop := consume(t, l, &teller{subs: []gateway.Subscription{s}, tell: func(*gateway.Subscription, *gateway.Event, int) (gateway.Result, error) {
			time.Sleep(time.Hour)
			return gateway.Result{}, nil
		}}, func(c *ConsumersConfig) { c.Slots = slots })
		defer stop()
		time.Sleep(time.Minute)
		slow, other := gateway.ID{1}, gateway.ID{2}
		c := &calendar{had: make(map[gateway.ID][]gateway.PluginTurn), next: map[gateway.ID]gateway.PluginTurn{
			slow:  {Domain: 1, Plugin: slow, Due: time.Now().Add(time.Minute)},
			other: {Domain: 2, Plugin: other, Due: time.Now().Add(2 * time.Minute)},
		}}
		who := &clockwork{calls: make(map[gateway.ID]int), running: make(map[gateway.ID]int), tick: func(id gateway.ID) error {
			if id == slow {
				time.Sleep(time.Hour)
			}
			return nil
		}}
		k, err := NewTicks(TicksConfig{
			Store: c, Ticker: who, Job: "ticks", System: gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{}), Slots: slots,
			Internal: func(d gateway.DomainID) gateway.Scope {
				return gateway.NewScope(gateway.LevelDomain, d, 0, gateway.ID{})
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute+time.Second)
		defer cancel()
		if err := k.Run(ctx); err != nil {
			t.Error(err)
		}
		if who.calls[other] != 9 || who.calls[slow] != 0 {
			t.Errorf("the other domain's plugin had %d turns, want 9; the slow one began %d beside its event, want 0", who.calls[other], who.calls[slow])
		}
	})
}

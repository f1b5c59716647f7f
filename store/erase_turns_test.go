package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/engine"
)

// meddling is an engine before whose commit of a number somebody else does something.
type meddling struct {
	engine.Engine
	before int
	do     func()
}

func (m *meddling) Update(ctx context.Context, op engine.Op) (engine.Commit, error) {
	if m.before--; m.before == 0 {
		m.do()
	}
	return m.Engine.Update(ctx, op)
}

// Who changes a plugin while its domain is deleted leaves no turn behind: all other
// domains' turns are found by the same index.
func TestTurnsOfADomainThatGoes(t *testing.T) {
	w := newWorld(t)
	on := true
	for before, met := 1, true; met; before++ {
		w.ours = w.domain(fmt.Sprintf("d%d.test", before))
		p := w.ticking("clock", nil)
		met = false
		s, err := store.New(&meddling{w.engine, before, func() {
			met = true
			_, err := w.ChangePlugin(w.ctx(), inside(w.ours.ID), p.ID, gateway.PluginChange{Enabled: &on})
			if err != nil && gateway.KindOf(err) != gateway.NotFound {
				t.Error(err)
			}
		}}, w.cfg)
		w.ok(err)
		w.ok(s.DeleteDomain(w.ctx(), system, w.ours.ID))
		w.clock = w.clock.Add(time.Hour)
		if due, next, err := w.DueTurns(w.ctx(), system, 10, nobody); err != nil || len(due) != 0 || !next.IsZero() {
			t.Fatalf("changed before commit %d: due %v, next %v, %v", before, due, next, err)
		}
		if before > 500 {
			t.Fatal("a deletion never ends")
		}
	}
}

// A row of the index of turns that leads nowhere keeps nobody's turn back.
func TestTurnThatLeadsNowhere(t *testing.T) {
	w := newWorld(t)
	p := w.ticking("clock", nil)
	lost := append([]byte{0x47, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, byte(w.them.ID)}, make([]byte, 16)...)
	_, err := w.engine.Update(w.ctx(), engine.Op{Domain: uint32(w.them.ID), Fn: func(tx engine.Tx) error {
		tx.Set(lost, nil)
		return nil
	}})
	w.ok(err)
	w.clock = w.clock.Add(time.Minute)
	if due := w.turns(1, time.Time{}); due[0].Plugin != p.ID {
		t.Errorf("due: %+v", due)
	}
}

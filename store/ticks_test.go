package store_test

import (
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// ticking installs a plugin that has a turn every minute, and switches it on.
func (w *world) ticking(name string, of *gateway.Account) gateway.Plugin {
	w.Helper()
	ref, done := w.blob(w.ours.ID, "code of "+name)
	defer done()
	p := gateway.Plugin{
		ID: newID(), Domain: w.ours.ID, Name: name, Code: ref, SHA256: ref.SHA256, Failure: gateway.FailOpen,
		Hooks: []gateway.Hook{gateway.HookTick}, PluginReach: gateway.PluginReach{TickSeconds: 60},
	}
	if of != nil {
		p.Account = of.ID
	}
	p, _, err := w.InstallPlugin(w.ctx(), inside(w.ours.ID), &p, false)
	w.ok(err)
	w.enable(&p, true)
	return p
}

func nobody(gateway.ID) bool { return false }

// turns wants so many that are due, and the next one at a time.
func (w *world) turns(want int, next time.Time) []gateway.PluginTurn {
	w.Helper()
	due, at, err := w.DueTurns(w.ctx(), system, 10, nobody)
	if err != nil || len(due) != want || !at.Equal(next) {
		w.Fatalf("due %v, next %v, %v; want %d and %v", due, at, err, want, next)
	}
	return due
}

// Turns keep to their grid, and those that were missed are made up for by one; a turn
// counts once, with what came of it.
func TestTicks(t *testing.T) {
	w := newWorld(t)
	begin := w.clock
	p := w.ticking("clock", nil)
	w.turns(0, begin.Add(time.Minute))
	w.clock = begin.Add(time.Minute)
	first := w.turns(1, time.Time{})[0]
	if !first.Due.Equal(w.clock) || !first.Previous.IsZero() || first.Plugin != p.ID {
		t.Errorf("the first: %+v", first)
	}
	w.clock = begin.Add(10*time.Minute + time.Second) // nobody was there
	e := gateway.Effects{KV: []gateway.PluginWrite{write(&p, "k", "v")}}
	w.ok(w.Ticked(w.ctx(), inside(w.ours.ID), first, e))
	if err := w.Ticked(w.ctx(), inside(w.ours.ID), first, e); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("twice: %v", err)
	}
	w.reopen()
	w.turns(0, begin.Add(11*time.Minute))
	w.clock = begin.Add(11 * time.Minute)
	second := w.turns(1, time.Time{})[0]
	if !second.Previous.Equal(first.Due) || w.value(&p, "k") != "v" {
		t.Errorf("the second: %+v; it remembers %q", second, w.value(&p, "k"))
	}
	w.fits()
	w.enable(&p, false)
	w.turns(0, time.Time{})
	if err := w.Ticked(w.ctx(), inside(w.ours.ID), second, e); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("switched off: %v", err)
	}
	w.enable(&p, true)
	w.turns(0, w.clock.Add(time.Minute))
	for name, s := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "an account": of(w.ann), "nobody": {}} {
		if _, _, err := w.DueTurns(w.ctx(), s, 1, nobody); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s: %v", name, err)
		}
		if err := w.Ticked(w.ctx(), s, second, e); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Turns that are left out take no room from others, and are not the next one.
func TestTicksSkipped(t *testing.T) {
	w := newWorld(t)
	rests := make(map[gateway.ID]bool)
	for _, name := range []string{"a", "b", "c"} {
		p := w.ticking(name, nil)
		rests[p.ID] = true
	}
	w.clock = w.clock.Add(time.Second)
	well := w.ticking("well", nil)
	skip := func(id gateway.ID) bool { return rests[id] }
	due, next, err := w.DueTurns(w.ctx(), system, 1, skip)
	if want := w.clock.Add(time.Minute); err != nil || len(due) != 0 || !next.Equal(want) {
		t.Errorf("due %v, next %v, %v; want none and %v", due, next, err, want)
	}
	w.clock = w.clock.Add(time.Minute)
	due, next, err = w.DueTurns(w.ctx(), system, 1, skip)
	if err != nil || len(due) != 1 || due[0].Plugin != well.ID || !next.IsZero() {
		t.Errorf("due %v, next %v, %v; want that of the other", due, next, err)
	}
}

// With a plugin, its account or its domain its turns go.
func TestTicksGo(t *testing.T) {
	for name, remove := range map[string]func(w *world, p *gateway.Plugin){
		"plugin":  func(w *world, p *gateway.Plugin) { w.ok(w.DeletePlugin(w.ctx(), inside(w.ours.ID), p.ID)) },
		"account": func(w *world, _ *gateway.Plugin) { w.erase(w.ann) },
		"domain":  func(w *world, _ *gateway.Plugin) { w.ok(w.DeleteDomain(w.ctx(), system, w.ours.ID)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.ticking("clock", w.ann)
			if n := w.told(); n != 2 {
				t.Errorf("%d keys before: the test shows nothing", n)
			}
			remove(w, &p)
			if n := w.told(); n != 0 {
				t.Errorf("%d keys are left", n)
			}
			w.fits()
		})
	}
}

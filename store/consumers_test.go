package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// follower is a plugin that is told of events, of an account if there is one.
func (w *world) follower(name string, of *gateway.Account) gateway.Plugin {
	w.Helper()
	ref, done := w.blob(w.ours.ID, "code of "+name)
	defer done()
	p := gateway.Plugin{
		ID: newID(), Domain: w.ours.ID, Name: name, Code: ref, SHA256: ref.SHA256, Failure: gateway.FailOpen,
		Hooks: []gateway.Hook{gateway.HookEvent}, Asks: []string{"kv"}, Grants: []string{"kv"},
	}
	if of != nil {
		p.Account = of.ID
	}
	p, _, err := w.InstallPlugin(w.ctx(), inside(w.ours.ID), &p, false)
	w.ok(err)
	w.enable(&p, true)
	return p
}

func (w *world) enable(p *gateway.Plugin, on bool) {
	w.Helper()
	_, err := w.ChangePlugin(w.ctx(), inside(w.ours.ID), p.ID, gateway.PluginChange{Enabled: &on})
	w.ok(err)
}

func (w *world) cursor(p *gateway.Plugin) gateway.Cursor {
	w.Helper()
	c, err := w.Cursor(w.ctx(), inside(w.ours.ID), p.ID)
	w.ok(err)
	return c
}

// next reads the first event behind a place of ours.test's feed.
func (w *world) next(from gateway.Position) gateway.Event {
	w.Helper()
	feed, err := w.Events(inside(w.ours.ID), w.ours.ID, from.Sequence-1)
	w.ok(err)
	defer feed.Close()
	events, err := feed.Next(w.ctx(), 1)
	w.ok(err)
	if len(events) == 0 {
		w.Fatal("the feed ends")
	}
	return events[0]
}

func (w *world) handled(p *gateway.Plugin, told *gateway.Told) error {
	return w.Handled(w.ctx(), inside(w.ours.ID), p.ID, told)
}

func toldOf(e gateway.Event) *gateway.Told {
	return &gateway.Told{Position: gateway.Position{Sequence: e.Sequence}, Event: e, Next: gateway.Position{Sequence: e.Sequence}, Attempts: 1}
}

// A plugin that is switched on is told of what happens from then on; that it was told is
// durable with what came of it, once.
func TestHandled(t *testing.T) {
	w := newWorld(t)
	w.deliver(w.ann, "<before@x.test>")
	p := w.follower("agent", nil)
	first := w.cursor(&p)
	id := w.deliver(w.ann, "<after@x.test>")
	e := w.next(first.Next)
	if e.Email != id || e.Type != gateway.EventReceived {
		t.Fatalf("the first event after it was switched on: %+v", e)
	}
	told := toldOf(e)
	told.Effects.KV = []gateway.PluginWrite{write(&p, "k", "v")}
	told.Change = gateway.MessageChange{FlagChange: gateway.FlagChange{Add: gateway.Flagged, AddLabels: []string{"seen-by-agent"}}, Folder: "Agents"}
	w.ok(w.handled(&p, told))
	w.reopen()
	m, err := w.Message(w.ctx(), of(w.ann), id)
	w.ok(err)
	boxes, err := w.Mailboxes(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID)
	w.ok(err)
	if got := m.Entries[0]; !got.Flags.Has(gateway.Flagged) || fmt.Sprint(got.Labels) != "[seen-by-agent]" || boxes[len(boxes)-1].Name != "Agents" || got.Mailbox != boxes[len(boxes)-1].ID {
		t.Errorf("the message: %+v", got)
	}
	for at := w.cursor(&p).Next; ; at.Sequence++ {
		if at == w.cursor(&p).Next {
			at.Sequence++ // the event itself
		}
		change := w.next(at)
		if change.Plugin != p.ID {
			t.Errorf("an event that does not say who made it happen: %+v", change)
		}
		if change.Type == gateway.EventMoved && change.Folder == "Agents" {
			break
		}
	}
	told.Effects.KV = []gateway.PluginWrite{write(&p, "k", "again")}
	if err := w.handled(&p, told); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("told twice: %v", err)
	}
	if v := w.value(&p, "k"); v != "v" {
		t.Errorf("it remembers %q", v)
	}
	w.fits()
}

// What happened out of order is not told again, and is forgotten as soon as all before it
// is done.
func TestHandledOutOfOrder(t *testing.T) {
	w := newWorld(t)
	p := w.follower("agent", w.ann)
	begin := w.cursor(&p).Next
	var events []gateway.Event
	for i := range 3 {
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
		events = append(events, w.next(gateway.Position{Sequence: begin.Sequence + uint64(i)}))
	}
	for _, i := range []int{2, 1} {
		told := toldOf(events[i])
		told.Next = begin
		w.ok(w.handled(&p, told))
	}
	if c := w.cursor(&p); c.Next != begin || len(c.Done) != 2 {
		t.Errorf("%+v, want two done behind %v", c, begin)
	}
	told := toldOf(events[0])
	told.Next = gateway.Position{Sequence: events[2].Sequence + 1}
	w.ok(w.handled(&p, told))
	if c := w.cursor(&p); c.Next != told.Next || len(c.Done) != 0 {
		t.Errorf("%+v, want %v", c, told.Next)
	}
	w.ok(w.Advance(w.ctx(), inside(w.ours.ID), p.ID, begin))
	if c := w.cursor(&p); c.Next != told.Next {
		t.Errorf("it went back to %v", c.Next)
	}
}

// What fails waits until its time, and is given up in the end; a tenant has it told again
// or forgets it; so many are kept, for so long.
func TestFailures(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.cfg.Limits = gateway.DefaultLimits()
		w.cfg.Limits.EventFailures, w.cfg.Limits.EventWaiting = 2, 1
	})
	p, sc := w.follower("agent", w.ann), of(w.ann)
	var told *gateway.Told
	for i := range 3 {
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
		told = toldOf(w.next(gateway.Position{Sequence: w.cursor(&p).Next.Sequence + uint64(i)}))
		told.Next, told.Error, told.Again = w.cursor(&p).Next, "no", w.clock.Add(time.Minute)
		w.ok(w.handled(&p, told))
		if due, next, err := w.WaitingEvents(w.ctx(), inside(w.ours.ID), p.ID, 10); err != nil || len(due) != 0 || !next.Equal(told.Again) {
			t.Errorf("before its time: %v %v %v", due, next, err)
		}
		w.clock = told.Again
		due, next, err := w.WaitingEvents(w.ctx(), inside(w.ours.ID), p.ID, 10)
		if err != nil || len(due) != 1 || !next.IsZero() || due[0].Attempts != 1 || due[0].Error != "no" || due[0].Event.Email != told.Event.Email {
			t.Fatalf("at its time: %+v %v %v", due, next, err)
		}
		told.Due, told.Attempts, told.Again, told.Error = due[0].Due, 2, time.Time{}, fmt.Sprint("no ", i)
		w.ok(w.handled(&p, told))
	}
	if err := w.handled(&p, told); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("given up twice: %v", err)
	}
	page, err := w.Failures(w.ctx(), sc, p.ID, 0, 1)
	if err != nil || len(page.Failures) != 1 || !page.More || page.Failures[0].Error != "no 2" || page.Failures[0].Attempts != 2 || page.Failures[0].Sequence != 3 {
		t.Fatalf("the newest: %+v %v", page, err)
	}
	page, err = w.Failures(w.ctx(), sc, p.ID, 3, 10)
	if err != nil || len(page.Failures) != 1 || page.More || page.Failures[0].Error != "no 1" {
		t.Errorf("the rest: %+v %v", page, err)
	}
	if waiting, failed, err := w.Backlog(w.ctx(), sc, p.ID); waiting != 0 || failed != 2 || err != nil {
		t.Errorf("backlog: %d waiting, %d failed, %v", waiting, failed, err)
	}
	_, err = w.RetryFailure(w.ctx(), sc, p.ID, 3)
	w.ok(err)
	if due, _, err := w.WaitingEvents(w.ctx(), inside(w.ours.ID), p.ID, 10); err != nil || len(due) != 1 || due[0].Attempts != 0 {
		t.Errorf("told again: %+v %v", due, err)
	}
	if _, err := w.RetryFailure(w.ctx(), sc, p.ID, 2); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("one more than may wait: %v", err)
	}
	w.ok(w.DropFailure(w.ctx(), sc, p.ID, 2))
	if err := w.DropFailure(w.ctx(), sc, p.ID, 2); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("dropped twice: %v", err)
	}
	w.fits()
	told.Due, told.Attempts = w.clock, 5
	w.ok(w.handled(&p, told))
	w.clock = w.clock.Add(gateway.ActivityRetention + time.Minute)
	if page, err := w.Failures(w.ctx(), sc, p.ID, 0, 10); err != nil || len(page.Failures) != 0 {
		t.Errorf("after their time: %+v %v", page, err)
	}
}

// A plugin that was switched off is told of nothing that happened meanwhile, but still of
// what waits.
func TestFollowAgain(t *testing.T) {
	w := newWorld(t)
	p := w.follower("agent", nil)
	w.deliver(w.ann, "<1@x.test>")
	told := toldOf(w.next(w.cursor(&p).Next))
	told.Error, told.Again = "no", w.clock
	w.ok(w.handled(&p, told))
	w.enable(&p, false)
	if _, err := w.Cursor(w.ctx(), inside(w.ours.ID), p.ID); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("switched off, it is told: %v", err)
	}
	if err := w.handled(&p, told); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("switched off, it acts: %v", err)
	}
	w.deliver(w.ann, "<meanwhile@x.test>")
	w.enable(&p, true)
	w.enable(&p, true)
	id := w.deliver(w.ann, "<2@x.test>")
	c := w.cursor(&p)
	if e := w.next(c.Next); e.Email != id || c.Waiting != 1 || !c.Due.Equal(w.clock) {
		t.Errorf("%+v, then %+v", c, e)
	}
}

// Nobody reaches what is told to others; with a plugin, its account or its domain all of
// it goes.
func TestFollowersGo(t *testing.T) {
	for name, remove := range map[string]func(w *world, p *gateway.Plugin){
		"plugin":  func(w *world, p *gateway.Plugin) { w.ok(w.DeletePlugin(w.ctx(), inside(w.ours.ID), p.ID)) },
		"account": func(w *world, _ *gateway.Plugin) { w.erase(w.ann) },
		"domain":  func(w *world, _ *gateway.Plugin) { w.ok(w.DeleteDomain(w.ctx(), system, w.ours.ID)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.follower("agent", w.ann)
			for i := range 2 {
				w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
				told := toldOf(w.next(gateway.Position{Sequence: w.cursor(&p).Next.Sequence + uint64(i)}))
				told.Next, told.Error = w.cursor(&p).Next, "no"
				if i == 0 {
					told.Again = w.clock
				}
				w.ok(w.handled(&p, told))
			}
			for who, s := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "neighbour": of(w.eve), "nobody": {}} {
				for what, err := range map[string]error{
					"Cursor": second(w.Cursor(w.ctx(), s, p.ID)), "WaitingEvents": third(w.WaitingEvents(w.ctx(), s, p.ID, 1)),
					"Advance": w.Advance(w.ctx(), s, p.ID, gateway.Position{}), "Handled": w.Handled(w.ctx(), s, p.ID, toldOf(gateway.Event{Sequence: 1})),
					"Failures": second(w.Failures(w.ctx(), s, p.ID, 0, 1)), "Backlog": third(w.Backlog(w.ctx(), s, p.ID)),
					"RetryFailure": second(w.RetryFailure(w.ctx(), s, p.ID, 1)), "DropFailure": w.DropFailure(w.ctx(), s, p.ID, 1),
				} {
					if gateway.KindOf(err) != gateway.NotFound || err == nil {
						t.Errorf("%s, %s: %v, want not found", who, what, err)
					}
				}
			}
			w.fits()
			if n := w.told(); n != 3 {
				t.Errorf("%d keys before: the test shows nothing", n)
			}
			remove(w, &p)
			w.fits()
			if n := w.told(); n != 0 {
				t.Errorf("%d keys are left", n)
			}
		})
	}
}

func (w *world) erase(a *gateway.Account) {
	w.Helper()
	w.ok(w.CloseAccount(w.ctx(), inside(a.Domain), a.Domain, a.ID))
	w.ok(w.EraseAccount(w.ctx(), inside(a.Domain), a.Domain, a.ID))
}

// told counts the keys about who is told what.
func (w *world) told() (n int) {
	w.Helper()
	w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
		return r.Scan(engine.Range{From: []byte{0x43}, To: []byte{0x48}}, func(_, _ []byte) error { n++; return nil })
	}))
	return n
}

package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store/engine"
)

// traceOf lists the steps of a message by their names.
func (w *world) traceOf(sc gateway.Scope, id gateway.ID) (names string) {
	w.Helper()
	m, err := w.Message(w.ctx(), sc, id)
	w.ok(err)
	tr, err := w.Trace(w.ctx(), sc, m.Domain, m.Account, m.Number)
	w.ok(err)
	for _, s := range tr.Steps {
		names += s.Name + " "
	}
	return names
}

// traces counts the records.
func (w *world) traces() (n int) {
	w.Helper()
	w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
		return r.Scan(engine.Prefix([]byte{0x19}), func(_, _ []byte) error { n++; return nil })
	}))
	return n
}

// A copy has the steps that were about all copies, and its own; mail that nobody was asked
// about has none. They go with their message, with their time, and with nobody else's.
func TestTraces(t *testing.T) {
	w := newWorld(t)
	ref, done := w.blob(w.ours.ID, "body")
	defer done()
	c := content("<1@x.test>", "subject", w.clock)
	copies := []gateway.Copy{
		{Account: w.ann.ID, Address: w.ann.Email, ID: newID(), Folder: gateway.Inbox}, {Account: w.eve.ID, Address: w.eve.Email, ID: newID(), Folder: gateway.Inbox},
	}
	w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), &gateway.Filing{
		Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock), Copies: copies,
		Effects: gateway.Effects{Steps: []gateway.Step{
			{Name: "all"}, {Name: "ann's", Account: w.ann.ID, Mailbox: w.ann.Email}, {Name: "eve's", Account: w.eve.ID, Mailbox: w.eve.Email}, {Name: "of-eve", Mailbox: w.eve.Email},
		}},
	}))
	ann, eve := copies[0].ID, copies[1].ID
	plain := w.deliver(w.ann, "<2@x.test>")
	a, free := w.acceptance(inside(w.ours.ID), w.ann.Email, "x@y.test")
	defer free()
	a.Effects.Steps = []gateway.Step{{Name: "out", Mailbox: w.ann.Email}}
	_, err := w.Accept(w.ctx(), inside(w.ours.ID), a)
	w.ok(err)
	for id, want := range map[gateway.ID]string{ann: "all ann's ", plain: "", a.Message.ID: "out "} {
		if got := w.traceOf(of(w.ann), id); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := w.traceOf(of(w.eve), eve); got != "all eve's of-eve " {
		t.Errorf("eve's: %q", got)
	}
	m, err := w.Message(w.ctx(), of(w.ann), ann)
	w.ok(err)
	for name, sc := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "their account": of(w.spy), "neighbour": of(w.eve), "nobody": {}} {
		if err := second(w.Trace(w.ctx(), sc, m.Domain, m.Account, m.Number)); err == nil || gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.ok(w.TracedLater(w.ctx(), m.Domain, m.Account, m.Number, []gateway.Step{{Name: "event"}}))
	if got := w.traceOf(of(w.ann), ann); got != "all ann's event " {
		t.Errorf("with a step added: %q", got)
	}
	w.fits()
	w.ok(w.Expunge(w.ctx(), of(w.ann), gateway.Place{Domain: m.Domain, Account: m.Account, Mailbox: m.Entries[0].Mailbox, UID: m.Entries[0].UID}))
	w.ok(w.TracedLater(w.ctx(), m.Domain, m.Account, m.Number, []gateway.Step{{Name: "late"}}))
	if n := w.traces(); n != 2 {
		t.Errorf("%d traces are left", n)
	}
	w.fits()
	w.clock = w.clock.Add(gateway.ActivityRetention + time.Hour)
	w.reopen()
	if got := w.traceOf(of(w.eve), eve); got != "" {
		t.Errorf("after their time: %q", got)
	}
}

// Many copies share the room of a commit.
func TestTracesOfManyCopies(t *testing.T) {
	w := newWorld(t)
	ref, done := w.blob(w.ours.ID, "body")
	defer done()
	c := content("<1@x.test>", "subject", w.clock)
	f := &gateway.Filing{Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock)}
	for i := range 100 {
		a := w.account(w.ours, fmt.Sprint("a", i))
		f.Copies = append(f.Copies, gateway.Copy{Account: a.ID, Address: a.Email, ID: newID(), Folder: gateway.Inbox})
	}
	for range 50 {
		f.Effects.Steps = append(f.Effects.Steps, gateway.Step{Name: "filter", Reason: "a reason of some length, as they are", Lines: make([]gateway.PluginLine, 64)})
	}
	w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), f))
	size := 0
	w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
		return r.Scan(engine.Prefix([]byte{0x19}), func(_, v []byte) error { size += len(v); return nil })
	}))
	if size < 100_000 || size > 300_000 {
		t.Errorf("%d bytes", size)
	}
}

// What becomes of a delivery is remembered turn by turn, the newest ones.
func TestTurns(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.cfg.Limits = gateway.DefaultLimits()
		w.cfg.Limits.DeliveryTurns = 3
	})
	a, done := w.acceptance(inside(w.ours.ID), w.ann.Email, "x@y.test")
	defer done()
	d := &a.Deliveries[0]
	d.State, d.Held, d.Then = gateway.DeliveryHeld, gateway.HeldPlugin, gateway.HeldCapture
	_, err := w.Accept(w.ctx(), inside(w.ours.ID), a)
	w.ok(err)
	turns := func() (out string) {
		t.Helper()
		m, err := w.Message(w.ctx(), of(w.ann), a.Message.ID)
		w.ok(err)
		all, err := w.Deliveries(w.ctx(), of(w.ann), m.Domain, m.Account, m.Number)
		w.ok(err)
		for _, n := range all[0].Turns {
			if !n.At.Equal(w.clock) && n.At.Before(w.clock.Add(-24*time.Hour)) {
				t.Errorf("at %v", n.At)
			}
			out += fmt.Sprintf("%s,%s,%d,%d,%s ", n.State, n.Held, n.Attempt, n.Code, n.Host)
		}
		return out
	}
	may := func(gateway.HeldReason) error { return nil }
	for range 2 { // the plugin, then the capturing
		_, err := w.ReleaseDelivery(w.ctx(), inside(w.ours.ID), d.ID, may)
		w.ok(err)
	}
	if got := turns(); got != "held,plugin,0,0, held,capture,0,0, queued,capture,0,0, " {
		t.Errorf("released: %s", got)
	}
	leased, err := w.LeaseDue(w.ctx(), system, 10, time.Minute)
	w.ok(err)
	w.ok(w.Finish(w.ctx(), system, gateway.Attempt{Delivery: leased[0], Outcome: gateway.Outcome{State: gateway.DeliveryQueued, Code: 450, Text: "later", Host: "mx.y.test", Retry: w.clock.Add(time.Hour)}}))
	w.clock = w.clock.Add(time.Hour)
	leased, err = w.LeaseDue(w.ctx(), system, 10, time.Minute)
	w.ok(err)
	w.ok(w.Finish(w.ctx(), system, gateway.Attempt{Delivery: leased[0], Outcome: gateway.Outcome{State: gateway.DeliveryDelivered, Code: 250, Host: "mx.y.test"}}))
	w.ok(w.Returned(w.ctx(), system, leased[0], gateway.Outcome{State: gateway.DeliveryBounced, Code: 550}))
	if got := turns(); got != "queued,,1,450,mx.y.test delivered,,2,250,mx.y.test bounced,,0,550, " {
		t.Errorf("at the end: %s", got)
	}
}

package store_test

import (
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// leasedMail accepts a mail of ann's to eve whose delivery is leased in the same commit.
func (w *world) leasedMail() gateway.Delivery {
	w.Helper()
	a, drop := w.acceptance(inside(w.ours.ID), "ann@ours.test", "eve@ours.test")
	defer drop()
	a.Message.Plugin = newID()
	a.Deliveries[0].State = gateway.DeliveryLeased
	done, err := w.Accept(w.ctx(), inside(w.ours.ID), a)
	w.ok(err)
	if len(done.Leased) != 1 || done.Leased[0].Attempts != 1 || done.Leased[0].Fence == 0 || done.Leased[0].Plugin != a.Message.Plugin {
		w.Fatalf("leased: %+v", done.Leased)
	}
	return done.Leased[0]
}

// filing receives what a delivery carries.
func (w *world) filing(d *gateway.Delivery) *gateway.Filing {
	m, err := w.Message(w.ctx(), inside(w.ours.ID), d.Email)
	w.ok(err)
	return &gateway.Filing{
		Delivery: d.ID, Leased: d, Message: &gateway.Message{Domain: d.Domain, Arrived: w.clock, Blob: d.Blob, Content: m.Content},
		Copies: []gateway.Copy{{Account: w.eve.ID, ID: newID(), Recipients: []string{d.Recipient}, Folder: gateway.Inbox}},
	}
}

// What is leased with its acceptance nobody else gets before the lease ends or the process
// does; receiving it ends it in one commit, once.
func TestLeasedWithItsAcceptance(t *testing.T) {
	w := newWorld(t)
	d := w.leasedMail()
	if l, err := w.LeaseDue(w.ctx(), system, 10, time.Minute); err != nil || len(l) != 0 {
		t.Errorf("somebody else has it too: %v %v", l, err)
	}
	w.reopen()
	w.ok(w.Reclaim(w.ctx(), system))
	again, err := w.LeaseDue(w.ctx(), system, 10, time.Minute)
	if err != nil || len(again) != 1 || again[0].ID != d.ID || again[0].Attempts != 2 || string(again[0].Prefix) != string(d.Prefix) {
		t.Fatalf("after a crash: %+v %v", again, err)
	}
	if err := w.Deliver(w.ctx(), inside(w.ours.ID), w.filing(&d)); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("a lost lease receives: %v", err)
	}
	w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), w.filing(&again[0])))
	if err := w.Deliver(w.ctx(), inside(w.ours.ID), w.filing(&again[0])); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("it is received twice: %v", err)
	}
	m, err := w.Message(w.ctx(), inside(w.ours.ID), d.Email)
	w.ok(err)
	boxes, err := w.Mailboxes(w.ctx(), inside(w.ours.ID), w.ours.ID, w.eve.ID)
	w.ok(err)
	if m.LastEvent != "delivered" || boxes[0].Total != 1 {
		t.Errorf("last event %s, %d in INBOX", m.LastEvent, boxes[0].Total)
	}
	if _, err := w.Check(w.ctx(), system, func(what string) { t.Error(what) }); err != nil {
		t.Error(err)
	}
}

// The queue of sites: one row for each, whatever waits; a look finds it, a lease takes what
// is due of it, and what is put off is not found before its time.
func TestSites(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		a, drop := w.acceptance(inside(w.ours.ID), "ann@ours.test", "a@far.test", "b@far.test", "c@near.test")
		defer drop()
		for i, site := range []string{"far.test", "far.test", "near.test"} {
			a.Deliveries[i].Site = site
		}
		_, err := w.Accept(w.ctx(), inside(w.ours.ID), a)
		w.ok(err)
		w.clock = w.clock.Add(time.Millisecond)
	}
	look := func(want int) []gateway.DueSite {
		t.Helper()
		found, err := w.DueSites(w.ctx(), system, nil, 10)
		w.ok(err)
		if len(found) != want {
			t.Fatalf("%v, want %d", found, want)
		}
		return found
	}
	far := look(2)[0]
	if far.Site != "far.test" {
		far = look(2)[1]
	}
	two, err := w.LeaseSite(w.ctx(), system, far, 2, 1, time.Minute)
	w.ok(err)
	if len(two) != 2 || two[0].Email == two[1].Email {
		t.Fatalf("%+v", two)
	}
	until := w.clock.Add(time.Hour)
	for _, at := range look(2) {
		w.ok(w.PostponeSite(w.ctx(), system, at, until))
	}
	look(0)
	if next, err := w.NextDue(w.ctx(), system); err != nil || !next.Before(until) {
		t.Errorf("next due %v %v: the leases end before that", next, err)
	}
	w.clock = until
	for _, at := range look(2) {
		rest, err := w.LeaseSite(w.ctx(), system, at, 10, 10, time.Minute)
		w.ok(err)
		if want := map[string]int{"far.test": 4, "near.test": 3}[at.Site]; len(rest) != want {
			t.Errorf("%s: %d, want %d", at.Site, len(rest), want)
		}
	}
	look(0)
	w.clock = w.clock.Add(2 * time.Minute) // all leases have ended
	if l, err := w.LeaseDue(w.ctx(), system, 100, time.Minute); err != nil || len(l) != 0 {
		t.Errorf("%d are leased as if they were inside: %v", len(l), err)
	}
	look(2)
	if _, err := w.Check(w.ctx(), system, func(what string) { t.Error(what) }); err != nil {
		t.Error(err)
	}
}

// Nobody but the domain, and an operator, sees what waits of it or does anything about it.
func TestQueueWalls(t *testing.T) {
	w := newWorld(t)
	id, err := w.accept(inside(w.ours.ID), "ann@ours.test", "a@far.test")
	w.ok(err)
	m, err := w.Message(w.ctx(), inside(w.ours.ID), id)
	w.ok(err)
	all, err := w.Deliveries(w.ctx(), inside(w.ours.ID), m.Domain, m.Account, m.Number)
	w.ok(err)
	d, may := all[0], func(gateway.HeldReason) error { return nil }
	for name, s := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "its account": of(w.ann), "nobody": {}} {
		for what, err := range map[string]error{
			"Delivery": second(w.Delivery(w.ctx(), s, d.ID)), "Hold": second(w.HoldDelivery(w.ctx(), s, d.ID, gateway.HeldDomain)),
			"Release": second(w.ReleaseDelivery(w.ctx(), s, d.ID, may)), "Retry": second(w.RetryDelivery(w.ctx(), s, d.ID)),
			"Cancel": second(w.CancelDelivery(w.ctx(), s, d.ID)), "Drop": second(w.DropDelivery(w.ctx(), s, d.ID)),
			"Finish": w.Finish(w.ctx(), s, gateway.Attempt{Delivery: d}), "Renew": w.Renew(w.ctx(), s, all, time.Minute),
			"DueSites":     second(w.DueSites(w.ctx(), s, nil, 1)),
			"LeaseSite":    second(w.LeaseSite(w.ctx(), s, gateway.DueSite{Domain: w.ours.ID, Site: "far.test"}, 1, 1, time.Minute)),
			"PostponeSite": w.PostponeSite(w.ctx(), s, gateway.DueSite{Domain: w.ours.ID, Site: "far.test"}, w.clock),
		} {
			if gateway.KindOf(err) != gateway.NotFound || err == nil {
				t.Errorf("%s, %s: %v, want not found", name, what, err)
			}
		}
		if found, _, _, err := w.Waiting(w.ctx(), s, gateway.QueueFilter{Limit: 10}); len(found) > 0 || name != "their domain" && gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s sees %v, %v", name, found, err)
		}
	}
	after, err := w.Delivery(w.ctx(), inside(w.ours.ID), d.ID)
	w.ok(err)
	if after.State != gateway.DeliveryQueued || after.Attempts != 0 {
		t.Errorf("something changed: %+v", after)
	}
}

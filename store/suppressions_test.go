package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

func (w *world) suppress(addr string, origin gateway.SuppressionOrigin) *gateway.Suppression {
	w.Helper()
	sup, added, err := w.AddSuppression(w.ctx(), inside(w.ours.ID), addr, origin)
	w.ok(err)
	if !added {
		w.Fatalf("%s was suppressed before", addr)
	}
	return sup
}

// fate is what the store says of a sent message: its last event, and its deliveries.
func (w *world) fate(id gateway.ID) (last string, states []string, m *gateway.Message) {
	w.Helper()
	m, err := w.Message(w.ctx(), inside(w.ours.ID), id)
	w.ok(err)
	all, err := w.Deliveries(w.ctx(), inside(w.ours.ID), m.Domain, m.Account, m.Number)
	w.ok(err)
	for _, j := range all {
		states = append(states, j.Recipient+" "+string(j.State))
	}
	slices.Sort(states)
	return m.LastEvent, states, m
}

// The commit of a message ends the deliveries to suppressed addresses; the others go
// on, and can be canceled.
func TestSuppressedRecipients(t *testing.T) {
	w := newWorld(t)
	w.suppress("Gone@X.test", gateway.SuppressedBounce)
	other := w.suppress("angry@x.test", gateway.SuppressedComplaint)
	sc := inside(w.ours.ID)
	for _, tt := range []struct {
		name       string
		recipients []string
		last       string
		states     string
		events     int
		cancel     bool
	}{
		{"none", []string{"a@x.test"}, "queued", "[a@x.test queued]", 0, true},
		{"the first", []string{"gone@x.test", "a@x.test"}, "queued", "[a@x.test queued gone@x.test suppressed]", 1, true},
		{"in another case", []string{"a@x.test", "GONE@x.test"}, "queued", "[GONE@x.test suppressed a@x.test queued]", 1, true},
		{"all", []string{"gone@x.test", "angry@x.test"}, "suppressed", "[angry@x.test suppressed gone@x.test suppressed]", 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(w.events(w.ours.ID))
			id, err := w.accept(sc, w.ann.Email, tt.recipients...)
			w.ok(err)
			last, states, m := w.fate(id)
			if last != tt.last || fmt.Sprint(states) != tt.states {
				t.Errorf("%s, %v, want %s, %s", last, states, tt.last, tt.states)
			}
			events := 0
			for _, e := range w.events(w.ours.ID)[before:] {
				if e.Type == gateway.EventSuppressed && e.Email == id && slices.Contains(tt.recipients, e.Detail) {
					events++
				}
			}
			if events != tt.events {
				t.Errorf("%d recipients are told of as suppressed, want %d", events, tt.events)
			}
			if err := w.Cancel(w.ctx(), sc, m); (err == nil) != tt.cancel {
				t.Errorf("canceling: %v", err)
			}
		})
	}
	if due, err := w.LeaseDue(w.ctx(), system, 100, 1); err != nil || len(due) != 0 {
		t.Errorf("%d deliveries are tried, %v", len(due), err)
	}
	w.fits()
	w.reopen()
	w.ok(w.RemoveSuppression(w.ctx(), sc, other.ID))
	id, err := w.accept(sc, w.ann.Email, "angry@x.test")
	w.ok(err)
	if last, states, _ := w.fate(id); last != "queued" {
		t.Errorf("after it was removed: %s, %v", last, states)
	}
	if id, err = w.accept(inside(w.them.ID), w.spy.Email, "gone@x.test"); err != nil { // a domain's are its own
		t.Fatal(err)
	}
	if m, err := w.Message(w.ctx(), inside(w.them.ID), id); err != nil || m.LastEvent != "queued" {
		t.Errorf("another domain's mail: %v, %v", m, err)
	}
	w.fits()
}

// Suppressions are listed newest first, in pages, by origin; there is one per
// address, and so many per domain.
func TestSuppressions(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.cfg.Limits = gateway.DefaultLimits()
		w.cfg.Limits.Suppressions = 10
	})
	sc := inside(w.ours.ID)
	origins := []gateway.SuppressionOrigin{gateway.SuppressedManual, gateway.SuppressedBounce}
	var made []*gateway.Suppression
	for i := range 10 {
		made = append(made, w.suppress(fmt.Sprintf("u%d@x.test", i), origins[i%2]))
	}
	slices.Reverse(made)
	if sup, added, err := w.AddSuppression(w.ctx(), sc, "U9@x.test", gateway.SuppressedManual); err != nil || added || sup.ID != made[0].ID || sup.Origin != gateway.SuppressedBounce {
		t.Errorf("once more: %+v, %v, %v", sup, added, err)
	}
	if _, _, err := w.AddSuppression(w.ctx(), sc, "new@x.test", gateway.SuppressedManual); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("one too many: %v", err)
	}
	for _, origin := range append(origins, "") {
		var got, want []gateway.ID
		for before := (gateway.ID{}); ; before = got[len(got)-1] {
			page, err := w.Suppressions(w.ctx(), sc, origin, gateway.Span{After: before, Most: 3})
			w.ok(err)
			for _, s := range page {
				got = append(got, s.ID)
			}
			if len(page) < 3 {
				break
			}
		}
		for _, s := range made {
			if origin == "" || s.Origin == origin {
				want = append(want, s.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("origin %q: %v, want %v", origin, got, want)
		}
	}
	for name, sc := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "an account": of(w.ann), "nobody": {}, "the instance": system} {
		for what, err := range map[string]error{
			"Suppression": second(w.Suppression(w.ctx(), sc, made[0].ID)), "SuppressionOf": second(w.SuppressionOf(w.ctx(), sc, "u1@x.test")),
			"RemoveSuppression": w.RemoveSuppression(w.ctx(), sc, made[0].ID),
		} {
			if gateway.KindOf(err) != gateway.NotFound || err == nil {
				t.Errorf("%s, %s: %v, want not found", name, what, err)
			}
		}
		if all, _ := w.Suppressions(w.ctx(), sc, "", gateway.Span{Most: 10}); len(all) != 0 {
			t.Errorf("%s lists %v", name, all)
		}
	}
	w.ok(w.RemoveSuppression(w.ctx(), sc, made[0].ID))
	if err := w.RemoveSuppression(w.ctx(), sc, made[0].ID); gateway.KindOf(err) != gateway.NotFound || err == nil {
		t.Errorf("removed twice: %v", err)
	}
	w.suppress("new@x.test", gateway.SuppressedManual) // there is room again
	var last []gateway.EventType
	for _, e := range w.events(w.ours.ID) {
		last = append(last, e.Type)
	}
	if got := last[len(last)-2:]; got[0] != gateway.EventSuppressionRemoved || got[1] != gateway.EventSuppressionAdded {
		t.Errorf("the feed ends with %v", got)
	}
	w.ok(w.DeleteDomain(w.ctx(), system, w.ours.ID))
	if n, some := w.keysOf(w.ours.ID); n > 0 {
		t.Errorf("%d keys are left of the domain, such as %v", n, some)
	}
}

// A suppression that a host brought about remembers what it said, and of which email.
func TestSuppressionCause(t *testing.T) {
	w := newWorld(t)
	sc := inside(w.ours.ID)
	sent, done := w.acceptance(sc, w.ann.Email, "gone@x.test")
	sent.Deliveries[0].Site = "x.test"
	_, err := w.Accept(w.ctx(), sc, sent)
	w.ok(err)
	done()
	leased, err := w.LeaseSite(w.ctx(), system, gateway.DueSite{At: w.clock, Domain: w.ours.ID, Site: "x.test"}, 1, 1, time.Minute)
	w.ok(err)
	w.ok(w.Finish(w.ctx(), sc, gateway.Attempt{Delivery: leased[0], Outcome: gateway.Outcome{
		State: gateway.DeliveryBounced, Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "nobody " + strings.Repeat("x", 600), Remote: true, Suppress: gateway.SuppressedBounce,
	}}))
	w.reopen()
	got, err := w.SuppressionOf(w.ctx(), sc, "gone@x.test")
	w.ok(err)
	if got.Code != 550 || !strings.HasPrefix(got.Text, "5.1.1 nobody x") || len(got.Text) != 512 || got.Sent != sent.Message.ID {
		t.Errorf("%+v", got)
	}
	rows, more, err := w.Activity(w.ctx(), sc, gateway.ActivityFilter{Fates: []string{"bounced"}, Limit: 10})
	w.ok(err)
	if len(rows) != 1 || more || rows[0].Email != sent.Message.ID {
		t.Errorf("bounced: %+v", rows)
	}
	if rows, _, err := w.Activity(w.ctx(), sc, gateway.ActivityFilter{Fates: []string{"delivered", "failed"}, Limit: 10}); err != nil || len(rows) != 0 {
		t.Errorf("delivered or failed: %+v, %v", rows, err)
	}
}

package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store"
)

// news are the events of the instance's own feed, but for the beginnings of webhooks.
func (w *world) news() (all []string) {
	w.Helper()
	feed, err := w.Events(system, 0, 0)
	w.ok(err)
	defer feed.Close()
	events, err := feed.Next(w.ctx(), 1000)
	w.ok(err)
	for _, e := range events {
		if e.Domain != 0 || e.Account != 0 {
			w.Errorf("%+v", e)
		}
		if e.Type != gateway.EventWebhook {
			all = append(all, fmt.Sprintf("%s %s %s", e.Type, e.Detail, e.Subject))
		}
	}
	return all
}

// That a domain came or went is told once, wherever a creation or a deletion is cut short.
func TestDomainNews(t *testing.T) {
	w := newWorld(t)
	want := []string{
		fmt.Sprintf("domain.created ours.test %s", w.ours.UUID), fmt.Sprintf("domain.created theirs.test %s", w.them.UUID),
	}
	check := func(what string) {
		t.Helper()
		w.reopen()
		if got := w.news(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	check("two domains")
	for commits := range 3 {
		name := fmt.Sprintf("cut%d.test", commits)
		s, err := store.New(&dying{w.engine, commits}, w.cfg)
		w.ok(err)
		d := &gateway.Domain{UUID: newID(), Name: name}
		if err := s.CreateDomain(w.ctx(), system, d); (err == nil) != (commits == 2) {
			t.Errorf("cut after %d commits: %v", commits, err)
		}
		check("before " + name + " is finished")
		w.ok(second(w.FinishDeletions(w.ctx(), system)))
		if commits < 2 { // nobody was told that it is there
			check(name + ", which is not there")
			d = &gateway.Domain{UUID: newID(), Name: name}
			w.ok(w.CreateDomain(w.ctx(), system, d))
		}
		w.ok(second(w.FinishDeletions(w.ctx(), system)))
		want = append(want, fmt.Sprintf("domain.created %s %s", name, d.UUID))
		check(name)
	}
	count := &dying{w.engine, 1 << 20} // how many commits a deletion takes
	s, err := store.New(count, w.cfg)
	w.ok(err)
	gone := w.domain("gone.test")
	w.ok(s.DeleteDomain(w.ctx(), system, gone.ID))
	want = append(want, fmt.Sprintf("domain.created gone.test %s", gone.UUID), fmt.Sprintf("domain.deleted gone.test %s", gone.UUID))
	check("a deletion")
	whole := 1<<20 - count.left
	for _, commits := range []int{1, 2, whole - 1, whole} {
		d := w.domain("gone.test")
		want = append(want, fmt.Sprintf("domain.created gone.test %s", d.UUID))
		s, err := store.New(&dying{w.engine, commits}, w.cfg)
		w.ok(err)
		if err := s.DeleteDomain(w.ctx(), system, d.ID); (err == nil) != (commits == whole) {
			t.Errorf("cut after %d commits: %v", commits, err)
		}
		if commits < whole {
			check("before a deletion is finished")
			w.ok(second(w.FinishDeletions(w.ctx(), system)))
		}
		want = append(want, fmt.Sprintf("domain.deleted gone.test %s", d.UUID))
		w.ok(second(w.FinishDeletions(w.ctx(), system)))
		check(fmt.Sprintf("a deletion that was cut after %d commits", commits))
	}
	w.fits()
}

// A domain that is deleted before anybody was told that it is there: both are told, in order.
func TestDomainNewsInOrder(t *testing.T) {
	w := newWorld(t)
	before := len(w.news())
	s, err := store.New(&dying{w.engine, 2}, w.cfg)
	w.ok(err)
	d := &gateway.Domain{UUID: newID(), Name: "short.test"}
	w.ok(s.CreateDomain(w.ctx(), system, d))
	select {
	case <-s.Uncleared():
	default:
		t.Error("nobody is told that something is left")
	}
	w.ok(w.DeleteDomain(w.ctx(), system, d.ID))
	w.ok(second(w.FinishDeletions(w.ctx(), system)))
	want := []string{fmt.Sprintf("domain.created short.test %s", d.UUID), fmt.Sprintf("domain.deleted short.test %s", d.UUID)}
	if got := w.news()[before:]; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A webhook of the instance is told of its feed; no domain's scope reaches it, nor its feed,
// and no scope of the instance reaches a domain's webhook without naming the domain.
func TestInstanceWebhook(t *testing.T) {
	w := newWorld(t)
	made, err := w.AddWebhook(w.ctx(), system, gateway.Webhook{ID: newID(), Endpoint: "https://x.test/hook", Enabled: true, Secret: "whsec_eA=="})
	w.ok(err)
	theirs := w.hook(nil)
	d := w.domain("new.test")
	c, err := w.Cursor(w.ctx(), system, made.ID)
	w.ok(err)
	feed, err := w.Events(system, 0, c.Next.Sequence-1)
	w.ok(err)
	defer feed.Close()
	events, err := feed.Next(w.ctx(), 10)
	w.ok(err)
	if len(events) != 1 || events[0].Subject != d.UUID || events[0].Type != gateway.EventDomainCreated {
		t.Fatalf("%+v", events)
	}
	told := toldOf(events[0])
	told.Error, told.Again, told.Attempt = "no", w.clock.Add(time.Minute), &gateway.WebhookAttempt{At: w.clock, Status: 500, Error: "no"}
	told.Next.Sequence++
	w.ok(w.Handled(w.ctx(), system, made.ID, told))
	w.fits()
	w.reopen()
	if row, err := w.RetellWebhook(w.ctx(), system, made.ID, told.Position); err != nil || row.Event.Subject != d.UUID || row.Event.Detail != "new.test" {
		t.Errorf("%+v, %v", row, err)
	}
	if due, _, err := w.WaitingEvents(w.ctx(), system, made.ID, 10); err != nil || len(due) != 1 || due[0].Event.Subject != d.UUID {
		t.Errorf("%+v, %v", due, err)
	}
	for name, sc := range map[string]gateway.Scope{"a domain": inside(w.ours.ID), "an account": of(w.ann), "domain 0": inside(0), "nothing": {}} {
		all, err := w.Webhooks(w.ctx(), sc)
		w.ok(err)
		for _, h := range all {
			if h.ID == made.ID {
				t.Errorf("%s lists it", name)
			}
		}
		for what, err := range map[string]error{
			"read": second(w.Webhook(w.ctx(), sc, made.ID)), "add": second(w.AddWebhook(w.ctx(), sc, gateway.Webhook{ID: newID()})),
			"follow": second(w.Events(sc, 0, 0)), "delete": w.DeleteWebhook(w.ctx(), sc, made.ID), "handled": w.Handled(w.ctx(), sc, made.ID, told),
			"events": second(w.WebhookEvents(w.ctx(), sc, made.ID, gateway.Position{}, 10)), "again": second(w.RetellWebhook(w.ctx(), sc, made.ID, told.Position)),
		} {
			if err == nil || gateway.KindOf(err) != gateway.NotFound {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
	if err := second(w.Webhook(w.ctx(), system, theirs.ID)); gateway.KindOf(err) != gateway.NotFound || err == nil {
		t.Errorf("the instance reads a domain's: %v", err)
	}
	w.ok(w.DeleteWebhook(w.ctx(), system, made.ID))
	if n := w.ofWebhook(made.ID); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	w.fits()
}

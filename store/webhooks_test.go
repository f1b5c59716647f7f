package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// hook makes a webhook of ours.test, of an account if there is one.
func (w *world) hook(of *gateway.Account) *gateway.Webhook {
	w.Helper()
	h := gateway.Webhook{
		ID: newID(), Domain: w.ours.ID, Endpoint: "https://x.test/hook", Enabled: true, Secret: "whsec_eA==",
		Types: []gateway.EventType{gateway.EventReceived},
	}
	if of != nil {
		h.Account = of.ID
	}
	made, err := w.AddWebhook(w.ctx(), inside(w.ours.ID), h)
	w.ok(err)
	return made
}

func (w *world) hookCursor(id gateway.ID) gateway.Cursor {
	w.Helper()
	c, err := w.Cursor(w.ctx(), inside(w.ours.ID), id)
	w.ok(err)
	return c
}

// tell writes down an outcome of telling a webhook of the first event it was not told.
func (w *world) tell(id gateway.ID, failed string, again time.Time, status int) (gateway.Event, error) {
	w.Helper()
	at := w.hookCursor(id).Next
	told := toldOf(w.next(at))
	told.Error, told.Again = failed, again
	told.Next.Sequence++
	told.Attempt = &gateway.WebhookAttempt{At: w.clock, Took: 3 * time.Millisecond, Status: status, Answer: "said", Error: failed}
	return told.Event, w.Handled(w.ctx(), inside(w.ours.ID), id, told)
}

// A webhook is told of what happens after it was made; what it was told is durable with
// how far it has come.
func TestWebhookTold(t *testing.T) {
	w := newWorld(t)
	w.deliver(w.ann, "<before@x.test>")
	h := w.hook(nil)
	id := w.deliver(w.ann, "<after@x.test>")
	e, err := w.tell(h.ID, "it answered 500", w.clock.Add(time.Minute), 500)
	w.ok(err)
	if e.Email != id {
		t.Fatalf("the first event: %+v", e)
	}
	w.reopen()
	at := gateway.Position{Sequence: e.Sequence}
	row, err := w.WebhookEvent(w.ctx(), inside(w.ours.ID), h.ID, at)
	w.ok(err)
	if a := row.Attempts; row.State != gateway.WebhookPending || row.Tried != 1 || len(a) != 1 || a[0].Status != 500 || a[0].Took != 3*time.Millisecond ||
		a[0].Answer != "said" || a[0].Error != "it answered 500" || row.Event.Email != id || !row.Next.Equal(w.clock.Add(time.Minute)) {
		t.Errorf("%+v", row)
	}
	if now, err := w.Webhook(w.ctx(), inside(w.ours.ID), h.ID); err != nil || now.FailingSince.IsZero() || now.Secret != h.Secret {
		t.Errorf("%+v, %v", now, err)
	}

	// Asked for by hand it is due at once, and goes on with its attempts.
	row, err = w.RetellWebhook(w.ctx(), inside(w.ours.ID), h.ID, at)
	w.ok(err)
	due, _, err := w.WaitingEvents(w.ctx(), inside(w.ours.ID), h.ID, 10)
	w.ok(err)
	if len(due) != 1 || due[0].Attempts != 1 || due[0].Sequence != e.Sequence || !due[0].Due.Equal(row.Next) || w.hookCursor(h.ID).Waiting != 1 {
		t.Fatalf("%+v", due)
	}
	told := toldOf(e)
	told.Due, told.Attempts, told.Attempt = due[0].Due, 2, &gateway.WebhookAttempt{At: w.clock, Status: 204}
	w.ok(w.Handled(w.ctx(), inside(w.ours.ID), h.ID, told))
	if err := w.Handled(w.ctx(), inside(w.ours.ID), h.ID, told); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("told twice: %v", err)
	}
	row, err = w.WebhookEvent(w.ctx(), inside(w.ours.ID), h.ID, at)
	w.ok(err)
	if row.State != gateway.WebhookDelivered || row.Tried != 2 || len(row.Attempts) != 2 || !row.Next.IsZero() {
		t.Errorf("%+v", row)
	}
	if now, err := w.Webhook(w.ctx(), inside(w.ours.ID), h.ID); err != nil || !now.FailingSince.IsZero() {
		t.Errorf("%+v, %v", now, err)
	}
	w.fits()
}

// Of many attempts the newest are kept, and of events pages are read.
func TestWebhookLog(t *testing.T) {
	w := newWorld(t)
	h := w.hook(nil)
	for i := range 5 {
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
		_, err := w.tell(h.ID, "", time.Time{}, 200)
		w.ok(err)
	}
	var seen []uint64
	before := gateway.Position{}
	for more := true; more; {
		page, err := w.WebhookEvents(w.ctx(), inside(w.ours.ID), h.ID, before, 2)
		w.ok(err)
		for _, e := range page.Events {
			seen = append(seen, e.Sequence)
			before = e.Position
		}
		more = page.More
	}
	if len(seen) != 5 {
		t.Fatal(seen)
	}
	for i := 1; i < len(seen); i++ {
		if seen[i] >= seen[i-1] {
			t.Errorf("the order is %v", seen)
		}
	}
	at := gateway.Position{Sequence: seen[0]}
	for range 20 {
		row, err := w.RetellWebhook(w.ctx(), inside(w.ours.ID), h.ID, at)
		w.ok(err)
		told := toldOf(row.Event)
		told.Due, told.Attempt = row.Next, &gateway.WebhookAttempt{At: w.clock, Status: 200}
		w.ok(w.Handled(w.ctx(), inside(w.ours.ID), h.ID, told))
	}
	row, err := w.WebhookEvent(w.ctx(), inside(w.ours.ID), h.ID, at)
	w.ok(err)
	if row.Tried != 21 || len(row.Attempts) != 16 {
		t.Errorf("%d tries, %d kept", row.Tried, len(row.Attempts))
	}
	w.fits()
}

// It is stopped by what it answers, and then told of nothing until it is switched on.
func TestWebhookStopped(t *testing.T) {
	w := newWorld(t)
	h := w.hook(nil)
	w.deliver(w.ann, "<1@x.test>")
	told := toldOf(w.next(w.hookCursor(h.ID).Next))
	told.Error, told.Stop, told.Attempt = "gone", "it wants no more", &gateway.WebhookAttempt{At: w.clock, Status: 410}
	w.ok(w.Handled(w.ctx(), inside(w.ours.ID), h.ID, told))
	now, err := w.Webhook(w.ctx(), inside(w.ours.ID), h.ID)
	w.ok(err)
	if now.Enabled || now.Stopped != "it wants no more" {
		t.Errorf("%+v", now)
	}
	if _, err := w.Cursor(w.ctx(), inside(w.ours.ID), h.ID); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("it still follows: %v", err)
	}
	if _, err := w.RetellWebhook(w.ctx(), inside(w.ours.ID), h.ID, told.Position); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("it is told again: %v", err)
	}
	w.deliver(w.ann, "<meanwhile@x.test>")
	on := true
	now, err = w.ChangeWebhook(w.ctx(), inside(w.ours.ID), h.ID, gateway.WebhookChange{Enabled: &on})
	w.ok(err)
	id := w.deliver(w.ann, "<then@x.test>")
	if e := w.next(w.hookCursor(h.ID).Next); e.Email != id || now.Stopped != "" {
		t.Errorf("the first event after it was switched on: %+v", e)
	}
	w.fits()
}

// Nobody else reaches a webhook, and nothing of it is left.
func TestWebhooksGo(t *testing.T) {
	for name, remove := range map[string]func(w *world, id gateway.ID){
		"webhook": func(w *world, id gateway.ID) { w.ok(w.DeleteWebhook(w.ctx(), of(w.ann), id)) },
		"account": func(w *world, _ gateway.ID) { w.erase(w.ann) },
		"domain":  func(w *world, _ gateway.ID) { w.ok(w.DeleteDomain(w.ctx(), system, w.ours.ID)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			stays := w.hook(nil)
			h := w.hook(w.ann)
			at := gateway.Position{}
			for i, again := range []time.Time{w.clock, {}} {
				w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
				e, err := w.tell(h.ID, "no", again, 0)
				w.ok(err)
				at.Sequence = e.Sequence
			}
			for who, s := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "neighbour": of(w.eve), "nobody": {}} {
				for what, err := range map[string]error{
					"Webhook": second(w.Webhook(w.ctx(), s, h.ID)), "ChangeWebhook": second(w.ChangeWebhook(w.ctx(), s, h.ID, gateway.WebhookChange{})),
					"RotateWebhook": second(w.RotateWebhook(w.ctx(), s, h.ID, "x", 0)), "DeleteWebhook": w.DeleteWebhook(w.ctx(), s, h.ID),
					"WebhookEvents": second(w.WebhookEvents(w.ctx(), s, h.ID, gateway.Position{}, 1)), "WebhookEvent": second(w.WebhookEvent(w.ctx(), s, h.ID, at)),
					"RetellWebhook": second(w.RetellWebhook(w.ctx(), s, h.ID, at)), "AddWebhook": second(w.AddWebhook(w.ctx(), s, *h)),
				} {
					if gateway.KindOf(err) != gateway.NotFound || err == nil {
						t.Errorf("%s, %s: %v, want not found", who, what, err)
					}
				}
				if all, err := w.Webhooks(w.ctx(), s); len(all) != 0 {
					t.Errorf("%s sees %v, %v", who, all, err)
				}
			}
			before := w.ofWebhook(h.ID)
			remove(w, h.ID)
			if after := w.ofWebhook(h.ID); before != 5 || after != 0 {
				t.Errorf("%d keys, and then %d", before, after)
			}
			if _, err := w.Webhook(w.ctx(), inside(w.ours.ID), stays.ID); (err == nil) != (name != "domain") {
				t.Errorf("the domain's own webhook: %v", err)
			}
			w.fits()
		})
	}
}

// ofWebhook counts the keys of a webhook.
func (w *world) ofWebhook(id gateway.ID) (n int) {
	w.Helper()
	w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
		for _, sub := range []byte{0x43, 0x44, 0x48, 0x49} {
			from := append([]byte{sub, 0, 0, 0, byte(w.ours.ID)}, id[:]...)
			if err := r.Scan(engine.Prefix(from), func(_, _ []byte) error { n++; return nil }); err != nil {
				return err
			}
		}
		return nil
	}))
	return n
}

// So many and no more; half of them are for accounts.
func TestManyWebhooks(t *testing.T) {
	w := newWorld(t)
	most := gateway.DefaultLimits().Webhooks
	for range most / 2 {
		w.hook(w.ann)
	}
	h := gateway.Webhook{ID: newID(), Domain: w.ours.ID, Account: w.ann.ID, Endpoint: "https://x.test/"}
	if _, err := w.AddWebhook(w.ctx(), of(w.ann), h); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("an account adds more than half: %v", err)
	}
	for range most - most/2 {
		w.hook(nil)
	}
	if _, err := w.AddWebhook(w.ctx(), inside(w.ours.ID), h); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("one too many: %v", err)
	}
	w.erase(w.ann)
	if _, err := w.AddWebhook(w.ctx(), inside(w.ours.ID), h); gateway.KindOf(err) != gateway.NotFound || errors.Is(err, nil) {
		t.Errorf("for an account that is gone: %v", err)
	}
}

package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/engine"
)

// again writes down an outcome of telling a webhook of what waits for it.
func (w *world) again(id gateway.ID, change func(*gateway.Told)) *gateway.Told {
	w.Helper()
	due, _, err := w.WaitingEvents(w.ctx(), inside(w.ours.ID), id, 1)
	w.ok(err)
	if len(due) != 1 {
		w.Fatalf("due: %+v", due)
	}
	told := toldOf(due[0].Event)
	told.Due, told.Attempts, told.Attempt = due[0].Due, due[0].Attempts+1, &gateway.WebhookAttempt{At: w.clock, Status: 200}
	change(told)
	return told
}

func (w *world) row(h *gateway.Webhook, p gateway.Position) *gateway.WebhookEvent {
	w.Helper()
	row, err := w.WebhookEvent(w.ctx(), inside(w.ours.ID), h.ID, p)
	w.ok(err)
	return row
}

func (w *world) hookNow(h *gateway.Webhook) *gateway.Webhook {
	w.Helper()
	now, err := w.Webhook(w.ctx(), inside(w.ours.ID), h.ID)
	w.ok(err)
	return now
}

// A webhook is stopped when it took nothing for too long of what there was, and then only
// with an event that is given up: time in which nothing was to be told is not held
// against it.
func TestWebhookPatience(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t)
	h := w.hook(nil)
	first := func(final bool) {
		t.Helper()
		w.deliver(w.ann, "<"+newID().String()+"@x.test>")
		again := w.clock.Add(time.Minute)
		if final {
			again = time.Time{}
		}
		w.ok(second(w.tell(h.ID, "it answered 500", again, 500)))
	}
	retry := func(final bool) {
		t.Helper()
		w.ok(w.Handled(w.ctx(), inside(w.ours.ID), h.ID, w.again(h.ID, func(told *gateway.Told) {
			if told.Error = "it answered 500"; !final {
				told.Again = w.clock.Add(time.Minute)
			}
		})))
	}
	since := func(want time.Time, on bool, why string) {
		t.Helper()
		if now := w.hookNow(h); !now.FailingSince.Equal(want) || now.Enabled != on {
			t.Errorf("%s: enabled %v, failing since %v, want %v, %v", why, now.Enabled, now.FailingSince, on, want)
		}
	}
	began := w.clock
	first(true)
	since(began, true, "one event, given up")
	w.clock = began.Add(6 * day)
	first(true)
	since(w.clock, true, "another one, days after")

	began = w.clock.Add(6 * day)
	w.clock = began
	first(false)
	since(began, true, "one that waits")
	w.clock = began.Add(day)
	first(false)
	since(began, true, "another one meanwhile")
	w.clock = began.Add(6 * day)
	retry(false)
	since(began, true, "it is asked once more")
	elsewhere := "https://y.test/hook"
	w.ok(second(w.ChangeWebhook(w.ctx(), inside(w.ours.ID), h.ID, gateway.WebhookChange{Endpoint: &elsewhere})))
	since(time.Time{}, true, "another endpoint")
	retry(false)
	since(w.clock, true, "which fails, too")
	began, w.clock = w.clock, w.clock.Add(gateway.WebhookPatience)
	retry(true)
	since(began, false, "it took nothing for five days")
	w.fits()
}

// An event of which nothing is left when it would be told again says nothing of the
// endpoint, which was not asked.
func TestWebhookSkipped(t *testing.T) {
	w := newWorld(t)
	h := w.hook(nil)
	w.deliver(w.ann, "<1@x.test>")
	e, err := w.tell(h.ID, "it answered 500", w.clock, 500)
	w.ok(err)
	failing := w.hookNow(h).FailingSince
	w.clock = w.clock.Add(time.Hour)
	w.ok(w.Handled(w.ctx(), inside(w.ours.ID), h.ID, w.again(h.ID, func(told *gateway.Told) { told.Skipped, told.Attempt = true, nil })))
	row := w.row(h, gateway.Position{Sequence: e.Sequence})
	if row.State != gateway.WebhookSkipped || row.Tried != 1 || len(row.Attempts) != 1 || !row.Next.IsZero() {
		t.Errorf("%+v", row)
	}
	if now := w.hookNow(h).FailingSince; failing.IsZero() || !now.Equal(failing) {
		t.Errorf("failing since %v, and before since %v", now, failing)
	}
	if n := w.hookCursor(h.ID).Waiting; n != 0 {
		t.Errorf("%d wait", n)
	}
	w.fits()
}

// An event that somebody asks for by hand while it is told has its outcome on record, and
// is not told for that once more.
func TestWebhookRetoldUnderWay(t *testing.T) {
	for name, early := range map[string]time.Duration{"due already": 0, "just before it was due": time.Second} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := w.hook(nil)
			w.deliver(w.ann, "<1@x.test>")
			e, err := w.tell(h.ID, "it answered 500", w.clock.Add(time.Minute), 500)
			w.ok(err)
			at := gateway.Position{Sequence: e.Sequence}
			w.clock = w.clock.Add(time.Minute)
			told := w.again(h.ID, func(*gateway.Told) {})
			w.clock = w.clock.Add(-early)
			row, err := w.RetellWebhook(w.ctx(), inside(w.ours.ID), h.ID, at)
			w.ok(err)
			if row.State != gateway.WebhookPending || row.Tried != 1 || row.Next.After(w.clock) {
				t.Errorf("%+v", row)
			}
			if early > 0 {
				other := *told
				other.Attempts++ // it was told of in between
				if err := w.Handled(w.ctx(), inside(w.ours.ID), h.ID, &other); gateway.KindOf(err) != gateway.InvalidState {
					t.Errorf("an attempt that was not under way: %v", err)
				}
			}
			w.ok(w.Handled(w.ctx(), inside(w.ours.ID), h.ID, told))
			if err := w.Handled(w.ctx(), inside(w.ours.ID), h.ID, told); gateway.KindOf(err) != gateway.InvalidState {
				t.Errorf("told twice: %v", err)
			}
			if row := w.row(h, at); row.State != gateway.WebhookDelivered || row.Tried != 2 || len(row.Attempts) != 2 || !row.Next.IsZero() {
				t.Errorf("%+v", row)
			}
			if n := w.hookCursor(h.ID).Waiting; n != 0 {
				t.Errorf("%d wait", n)
			}
			w.fits()
		})
	}
}

// What was under way when a webhook was switched off, or off and on, is on record once;
// what it did not take waits until it is on.
func TestWebhookSwitchedWhileTold(t *testing.T) {
	on, off := true, false
	for name, switches := range map[string][]*bool{"off": {&off}, "off and on": {&off, &on}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := w.hook(nil)
			from := w.hookCursor(h.ID).Next
			var told []*gateway.Told
			for _, failed := range []string{"", "it answered 500"} {
				w.deliver(w.ann, "<"+newID().String()+"@x.test>")
				one := toldOf(w.next(from))
				from = gateway.Position{Sequence: one.Sequence + 1}
				one.Attempt = &gateway.WebhookAttempt{At: w.clock, Status: 200}
				if one.Error = failed; failed != "" {
					one.Again = w.clock
				}
				told = append(told, one)
			}
			for _, to := range switches {
				w.ok(second(w.ChangeWebhook(w.ctx(), inside(w.ours.ID), h.ID, gateway.WebhookChange{Enabled: to})))
			}
			for i, state := range []gateway.WebhookState{gateway.WebhookDelivered, gateway.WebhookPending} {
				w.ok(w.Handled(w.ctx(), inside(w.ours.ID), h.ID, told[i]))
				if err := w.Handled(w.ctx(), inside(w.ours.ID), h.ID, told[i]); gateway.KindOf(err) != gateway.InvalidState {
					t.Errorf("told twice: %v", err)
				}
				if row := w.row(h, told[i].Position); row.State != state || row.Tried != 1 {
					t.Errorf("%+v, want %s", row, state)
				}
			}
			if now := w.hookNow(h); now.Enabled != (len(switches) == 2) {
				t.Errorf("%+v", now)
			}
			w.fits()
			w.ok(second(w.ChangeWebhook(w.ctx(), inside(w.ours.ID), h.ID, gateway.WebhookChange{Enabled: &on})))
			w.ok(w.Handled(w.ctx(), inside(w.ours.ID), h.ID, w.again(h.ID, func(*gateway.Told) {})))
			if row := w.row(h, told[1].Position); row.State != gateway.WebhookDelivered || row.Tried != 2 {
				t.Errorf("%+v", row)
			}
			w.fits()
		})
	}
}

// Who tells a webhook, or changes one, while its domain or it is deleted leaves nothing
// behind.
func TestWebhookGoesMeanwhile(t *testing.T) {
	on := true
	for name, remove := range map[string]func(*world, *store.Store, *gateway.Webhook) error{
		"domain": func(w *world, s *store.Store, _ *gateway.Webhook) error {
			return s.DeleteDomain(w.ctx(), system, w.ours.ID)
		},
		"webhook": func(w *world, s *store.Store, h *gateway.Webhook) error {
			return s.DeleteWebhook(w.ctx(), inside(w.ours.ID), h.ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for before, met := 1, true; met; before++ {
				w.ours = w.domain(newID().String() + ".test")
				w.ann = w.account(w.ours, "ann")
				h := w.hook(w.ann)
				w.deliver(w.ann, "<1@x.test>")
				e, err := w.tell(h.ID, "it answered 500", w.clock, 500)
				w.ok(err)
				first := w.again(h.ID, func(*gateway.Told) {})
				w.deliver(w.ann, "<2@x.test>")
				next := toldOf(w.next(gateway.Position{Sequence: e.Sequence + 1}))
				next.Error, next.Stop = "gone", "it wants no more"
				met = false
				s, err := store.New(&meddling{w.engine, before, func() {
					met = true
					sc := inside(w.ours.ID)
					for _, err := range []error{
						w.Handled(w.ctx(), sc, h.ID, first), w.Handled(w.ctx(), sc, h.ID, next),
						second(w.ChangeWebhook(w.ctx(), sc, h.ID, gateway.WebhookChange{Enabled: &on})),
						second(w.RetellWebhook(w.ctx(), sc, h.ID, first.Position)), second(w.RotateWebhook(w.ctx(), sc, h.ID, "x", time.Hour)),
					} {
						if err != nil && gateway.KindOf(err) != gateway.NotFound {
							t.Error(err)
						}
					}
				}}, w.cfg)
				w.ok(err)
				w.ok(remove(w, s, h))
				if n := w.ofWebhook(h.ID); n != 0 {
					t.Fatalf("before commit %d: %d keys are left", before, n)
				}
				if n, some := w.keysOf(w.ours.ID); name == "domain" && n != 0 {
					t.Fatalf("before commit %d: %v", before, some)
				}
				if before > 500 {
					t.Fatal("a deletion never ends")
				}
			}
			w.fits()
		})
	}
}

// A check finds a webhook that nobody tells, and what was told to one that is not there.
func TestWebhooksChecked(t *testing.T) {
	for name, tt := range map[string]struct {
		lose byte // the sub-space of a webhook's key that is lost
		want string
	}{
		"how far it has come": {0x43, "doesn't fit"}, "itself": {0x48, "is gone, and what it was told is there"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := w.hook(nil)
			w.deliver(w.ann, "<1@x.test>")
			w.ok(second(w.tell(h.ID, "", time.Time{}, 200)))
			w.fits()
			_, err := w.engine.Update(w.ctx(), engine.Op{Domain: uint32(w.ours.ID), Fn: func(tx engine.Tx) error {
				tx.Delete(append([]byte{tt.lose, 0, 0, 0, byte(w.ours.ID)}, h.ID[:]...))
				return nil
			}})
			w.ok(err)
			var found []string
			w.ok(second(w.Check(w.ctx(), system, func(what string) { found = append(found, what) })))
			if len(found) != 1 || !strings.Contains(found[0], tt.want) {
				t.Errorf("%q", found)
			}
		})
	}
}

package store_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// A tally is kept as it is, over a restart too, never goes back, and is its domain's alone.
func TestTally(t *testing.T) {
	w := newWorld(t)
	ours := inside(w.ours.ID)
	none, err := w.Tally(w.ctx(), ours, w.ours.ID)
	w.ok(err)
	if !reflect.DeepEqual(none, gateway.Tally{}) {
		t.Errorf("before: %+v", none)
	}
	hour := gateway.Hour{Received: 1, Sent: 2, Delivered: 3, Failed: 4}
	want := gateway.Tally{Sequence: 9, Total: hour, Hours: []gateway.Hour{hour}}
	want.Hours[0].At = w.clock.Truncate(time.Hour)
	w.ok(w.KeepTally(w.ctx(), ours, w.ours.ID, &want))
	w.ok(w.KeepTally(w.ctx(), ours, w.ours.ID, &gateway.Tally{Sequence: 8}))
	w.reopen()
	got, err := w.Tally(w.ctx(), ours, w.ours.ID)
	w.ok(err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	w.fits()
	for name, sc := range map[string]gateway.Scope{"theirs": inside(w.them.ID), "an account": of(w.ann), "nobody": {}} {
		if _, err := w.Tally(w.ctx(), sc, w.ours.ID); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s reads it: %v", name, err)
		}
		if err := w.KeepTally(w.ctx(), sc, w.ours.ID, &want); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s writes it: %v", name, err)
		}
	}
}

// The check says when what was counted does not fit.
func TestTallyCheck(t *testing.T) {
	w := newWorld(t)
	hour := gateway.Hour{At: w.clock.Truncate(time.Hour), Received: 2}
	w.ok(w.KeepTally(w.ctx(), inside(w.ours.ID), w.ours.ID, &gateway.Tally{Sequence: 1, Total: gateway.Hour{Received: 3}, Hours: []gateway.Hour{hour, hour}}))
	var found []string
	_, err := w.Check(w.ctx(), system, func(what string) { found = append(found, what) })
	w.ok(err)
	if len(found) != 2 {
		t.Errorf("found %q, want that the hours are not in order, and too many", found)
	}
}

// The use of the queue is what waits for other hosts, each domain's own.
func TestQueueUse(t *testing.T) {
	w := newWorld(t)
	sent, done := w.acceptance(inside(w.ours.ID), w.ann.Email, "x@y.test", "z@y.test")
	for i := range sent.Deliveries {
		sent.Deliveries[i].Site = "y.test"
	}
	_, err := w.Accept(w.ctx(), inside(w.ours.ID), sent)
	w.ok(err)
	done()
	use, err := w.QueueUse(w.ctx(), system, w.ours.ID)
	w.ok(err)
	if use.Deliveries != 2 || use.Bytes == 0 {
		t.Errorf("got %+v, want two deliveries", use)
	}
	if use, err := w.QueueUse(w.ctx(), inside(w.them.ID), w.them.ID); err != nil || use != (gateway.QueueUse{}) {
		t.Errorf("theirs: %+v, %v", use, err)
	}
	if _, err := w.QueueUse(w.ctx(), of(w.ann), w.ours.ID); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("an account asks: %v", err)
	}
}

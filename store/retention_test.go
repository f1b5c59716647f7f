package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// What an operator says counts for how long changes and rows of the log are kept.
func TestRetention(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t, func(w *world) { w.disk.FeedRetention, w.cfg.ActivityRetention = 2*day, 3*day })
	w.ok(w.AddActivity(w.ctx(), system, []gateway.Activity{{At: w.clock, Domain: w.ours.ID, Protocol: "rest"}}))
	w.deliver(w.ann, "<1@x.test>")
	began := w.clock
	for _, tt := range []struct {
		after   time.Duration
		trimmed bool
		rows    int
	}{
		{2*day - time.Millisecond, false, 1},
		{2 * day, true, 1},
		{3*day - time.Millisecond, true, 1},
		{3 * day, true, 0},
	} {
		w.clock = began.Add(tt.after)
		feed, err := w.Events(inside(w.ours.ID), w.ours.ID, 0)
		w.ok(err)
		_, err = feed.Next(w.ctx(), 100)
		feed.Close()
		if errors.Is(err, gateway.ErrTrimmed) != tt.trimmed || !tt.trimmed && err != nil {
			t.Errorf("after %v the feed says %v", tt.after, err)
		}
		rows, _, err := w.Activity(w.ctx(), inside(w.ours.ID), gateway.ActivityFilter{Limit: 10})
		if err != nil || len(rows) != tt.rows {
			t.Errorf("after %v: %d rows, %v, want %d", tt.after, len(rows), err, tt.rows)
		}
	}
}

// One at a time has a job; it is free again when it is over, or after its time.
func TestLease(t *testing.T) {
	w := newWorld(t)
	// A closure that fails is answered before its group ends, and what comes next may
	// join the group and its time; once something was written, the group is over.
	wait := func(d time.Duration) {
		t.Helper()
		w.ok(w.SetSetting(w.ctx(), system, "x", "y"))
		w.clock = w.clock.Add(d)
	}
	first, err := w.Lease(w.ctx(), system, "job", time.Minute)
	w.ok(err)
	if _, err := w.Lease(w.ctx(), system, "job", time.Minute); gateway.KindOf(err) != gateway.InvalidState || err == nil {
		t.Errorf("a second holder: %v", err)
	}
	wait(50 * time.Second)
	w.ok(first.Renew(w.ctx()))
	wait(50 * time.Second)
	if _, err := w.Lease(w.ctx(), system, "job", time.Minute); gateway.KindOf(err) != gateway.InvalidState || err == nil {
		t.Errorf("a second holder after a renewal: %v", err)
	}
	wait(10 * time.Second)
	second, err := w.Lease(w.ctx(), system, "job", time.Minute)
	w.ok(err)
	if err := first.Renew(w.ctx()); gateway.KindOf(err) != gateway.InvalidState || err == nil {
		t.Errorf("the first one renews: %v", err)
	}
	w.ok(second.Release(w.ctx()))
	third, err := w.Lease(w.ctx(), system, "job", time.Minute)
	w.ok(err)
	w.ok(third.Release(w.ctx()))
}

package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// A mailbox of eight, one each second but for two of the same millisecond: every
// page and every walk is the part of the list that it asks for.
func TestListRanges(t *testing.T) {
	w := newWorld(t)
	begin := w.clock
	for i := range 8 {
		if i != 4 {
			w.clock = begin.Add(time.Duration(i) * time.Second)
		}
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
	}
	at := func(second int) time.Time { return begin.Add(time.Duration(second) * time.Second) }
	uid := func(n uint32) *gateway.Entry { return &gateway.Entry{UID: n} }
	for _, tt := range []struct {
		name string
		q    gateway.ListQuery
		want string
		more bool
	}{
		{"all", gateway.ListQuery{Limit: 10}, "8 7 6 5 4 3 2 1", false},
		{"a page", gateway.ListQuery{Limit: 3, Skip: 2}, "6 5 4", true},
		{"after", gateway.ListQuery{Limit: 3, After: uid(5)}, "4 3 2", true},
		{"after the last", gateway.ListQuery{Limit: 3, After: uid(1)}, "", false},
		{"before", gateway.ListQuery{Limit: 3, Before: uid(4)}, "7 6 5", true},
		{"before, to the top", gateway.ListQuery{Limit: 3, Before: uid(6)}, "8 7", false},
		{"before the first", gateway.ListQuery{Limit: 3, Before: uid(8)}, "", false},
		{"since", gateway.ListQuery{Limit: 10, Since: at(3)}, "8 7 6 5 4", false},
		{"since, a little later", gateway.ListQuery{Limit: 10, Since: at(3).Add(time.Nanosecond)}, "8 7 6", false},
		{"until", gateway.ListQuery{Limit: 10, Until: at(3)}, "3 2 1", false},
		{"until, a little later", gateway.ListQuery{Limit: 10, Until: at(3).Add(time.Nanosecond)}, "5 4 3 2 1", false},
		{"between", gateway.ListQuery{Limit: 10, Since: at(1), Until: at(6)}, "6 5 4 3 2", false},
		{"nothing between", gateway.ListQuery{Limit: 10, Since: at(6), Until: at(1)}, "", false},
		{"until long ago", gateway.ListQuery{Limit: 10, Until: time.Unix(-5, 0)}, "", false},
		{"since long ago", gateway.ListQuery{Limit: 10, Since: time.Unix(-5, 0)}, "8 7 6 5 4 3 2 1", false},
		{"between, after", gateway.ListQuery{Limit: 10, Since: at(1), Until: at(6), After: uid(5)}, "4 3 2", false},
		{"between, after something newer", gateway.ListQuery{Limit: 10, Since: at(1), Until: at(3), After: uid(8)}, "3 2", false},
		{"between, before something older", gateway.ListQuery{Limit: 10, Since: at(6), Before: uid(3)}, "8 7", false},
		{"between, before", gateway.ListQuery{Limit: 2, Until: at(6), Before: uid(2)}, "4 3", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := tt.q
			q.Domain, q.Account, q.Mailbox = w.ours.ID, w.ann.ID, 1
			l, err := w.List(w.ctx(), of(w.ann), q)
			if got := uidsIn(l.Messages); err != nil || got != tt.want || l.More != tt.more {
				t.Errorf("list: %q, more %v, %v, want %q, %v", got, l.More, err, tt.want, tt.more)
			}
			if q.Skip > 0 {
				return
			}
			var seen []*gateway.Message
			cut, err := w.Walk(w.ctx(), of(w.ann), q, func(m *gateway.Message) bool { seen = append(seen, m); return true })
			if q.Before != nil {
				slices.Reverse(seen)
			}
			if got := uidsIn(seen); err != nil || got != tt.want || cut != tt.more {
				t.Errorf("walk: %q, cut %v, %v, want %q, %v", got, cut, err, tt.want, tt.more)
			}
			at, cut, err := w.Listed(w.ctx(), of(w.ann), q, gateway.Wanted{Among: []gateway.MessageNumber{1, 2}, Behind: 2})
			if err != nil {
				t.Fatal(err)
			}
			seen, err = w.ListedMessages(w.ctx(), of(w.ann), q, at)
			if q.Before != nil {
				slices.Reverse(seen)
			}
			if got := uidsIn(seen); err != nil || got != tt.want || cut != tt.more {
				t.Errorf("listed: %q, cut %v, %v, want %q, %v", got, cut, err, tt.want, tt.more)
			}
		})
	}
}

func uidsIn(all []*gateway.Message) string {
	var out []string
	for _, m := range all {
		out = append(out, fmt.Sprint(m.Entries[0].UID))
	}
	return strings.Join(out, " ")
}

// A walk ends when its function has enough, and then nothing was cut.
func TestWalkEnds(t *testing.T) {
	w := newWorld(t)
	for i := range 4 {
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
	}
	n := 0
	q := gateway.ListQuery{Domain: w.ours.ID, Account: w.ann.ID, Mailbox: 1, Limit: 3}
	if cut, err := w.Walk(w.ctx(), of(w.ann), q, func(*gateway.Message) bool { n++; return n < 2 }); n != 2 || cut || err != nil {
		t.Errorf("%d seen, cut %v, %v", n, cut, err)
	}
}

// The newest of a conversation come first, each with where it stands.
func TestNewest(t *testing.T) {
	w := newWorld(t)
	first := w.deliver(w.ann, "<1@x.test>")
	m, err := w.Message(w.ctx(), of(w.ann), first)
	w.ok(err)
	th, all, err := w.Newest(w.ctx(), of(w.ann), m.Thread, 5)
	if err != nil || th.Count != 1 || len(all) != 1 || all[0].ID != first || len(all[0].Entries) != 1 {
		t.Errorf("%+v, %d messages, %v", th, len(all), err)
	}
}

// The log says whether there may be more: behind a full page, and behind the rows
// that were looked at.
func TestActivityMore(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.cfg.Limits = gateway.DefaultLimits()
		w.cfg.Limits.FilterReach = 3
	})
	var rows []gateway.Activity
	for status := range 5 { // the newest is the last
		rows = append(rows, gateway.Activity{ID: newID(), At: w.clock, Domain: w.ours.ID, Protocol: "rest", Status: status + 1})
	}
	w.ok(w.AddActivity(w.ctx(), system, rows))
	for _, tt := range []struct {
		name string
		f    gateway.ActivityFilter
		want int
		more bool
	}{
		{"a full page", gateway.ActivityFilter{Limit: 2}, 2, true},
		{"as far as it looks", gateway.ActivityFilter{Limit: 3}, 3, true},
		{"one within reach", gateway.ActivityFilter{Limit: 3, Status: 3}, 1, true},
		{"one out of reach", gateway.ActivityFilter{Limit: 3, Status: 1}, 0, true},
		{"one that a cursor reaches", gateway.ActivityFilter{Limit: 3, Status: 1, Before: rows[3].ID}, 1, false},
		{"the rest", gateway.ActivityFilter{Limit: 3, Before: rows[3].ID}, 3, false},
		{"the last page", gateway.ActivityFilter{Limit: 2, Before: rows[2].ID}, 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, more, err := w.Activity(w.ctx(), inside(w.ours.ID), tt.f)
			if err != nil || len(got) != tt.want || more != tt.more {
				t.Errorf("%d rows, more %v, %v, want %d, %v", len(got), more, err, tt.want, tt.more)
			}
		})
	}
}

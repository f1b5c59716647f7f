package store_test

import (
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// Numbers in any order, near and far, twice and gone, give what each gives alone.
func TestMessagesByNumber(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 20)
	d, a := at.Domain, at.Account
	var numbers []gateway.MessageNumber
	for _, e := range w.entries(at) {
		numbers = append(numbers, e.Message)
	}
	_, err := w.ExpungeAll(w.ctx(), of(w.ann), at, uids[3:6], false)
	w.ok(err)
	gone := func(n gateway.MessageNumber) bool { return slices.Contains(numbers[3:6], n) }
	first, last := numbers[0], numbers[19]
	for name, list := range map[string][]gateway.MessageNumber{
		"all":          numbers,
		"every other":  {first, first + 2, first + 4, first + 6},
		"far apart":    {first, last},
		"out of order": {first + 2, first, first + 1},
		"twice":        {first, first, first + 1, first + 1, first + 2},
		"gone":         {first + 2, first + 3, first + 4, first + 6},
		"all gone":     {first + 3, first + 4},
		"behind":       {last, last + 1, last + 2},
		"one":          {first},
		"none":         nil,
	} {
		msgs, err := w.Messages(w.ctx(), of(w.ann), d, a, list, false)
		w.ok(err)
		threaded, err := w.Threaded(w.ctx(), of(w.ann), d, a, list)
		w.ok(err)
		for i, n := range list {
			want := !gone(n) && n <= last
			if m := msgs[i]; (m != nil) != want || m != nil && m.Number != n {
				t.Errorf("%s: at %d is %+v, want number %d: %v", name, i, m, n, want)
			}
			if th := threaded[i]; (th != nil) != want || th != nil && (th.Thread != msgs[i].Thread || th.Facts.MessageID != msgs[i].Content.MessageID) {
				t.Errorf("%s: at %d is %+v", name, i, th)
			}
		}
	}
	for name, sc := range map[string]gateway.Scope{"another account": of(w.eve), "another domain": of(w.spy)} {
		if _, err := w.Threaded(w.ctx(), sc, d, a, numbers); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package store_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Few wanted messages are looked up, many are picked from the list: both ways give
// the part of a walk that is wanted, also of messages that stand twice and of others
// that are gone.
func TestListedIsAPartOfAWalk(t *testing.T) {
	w := newWorld(t)
	begin := w.clock
	const count = 200
	for i := range count {
		w.clock = begin.Add(time.Duration(i*37%count) * time.Second)
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
	}
	at := gateway.Selection{Domain: w.ours.ID, Account: w.ann.ID, Mailbox: 1}
	if _, err := w.Copy(w.ctx(), of(w.ann), at, []uint32{3, 4, 50}, 1, false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ExpungeAll(w.ctx(), of(w.ann), at, []uint32{4, 9, 100}, false); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(4, 2))
	for range 300 {
		q := gateway.ListQuery{Domain: at.Domain, Account: at.Account, Mailbox: at.Mailbox, Limit: 1 + r.IntN(20)}
		switch r.IntN(4) {
		case 0:
			q.After = &gateway.Entry{UID: 10}
		case 1:
			q.Before = &gateway.Entry{UID: 150}
		case 2:
			q.Since, q.Until = begin.Add(50*time.Second), begin.Add(150*time.Second)
		}
		var want gateway.Wanted
		for n := range gateway.MessageNumber(count + 5) {
			if r.IntN(count) < []int{3, 100}[r.IntN(2)] {
				want.Among = append(want.Among, n)
			}
		}
		want.Behind = []gateway.MessageNumber{0, count - 3, count - 60, math.MaxUint64}[r.IntN(4)]
		want.Among = want.Among[:r.IntN(len(want.Among)+1)]
		var all []gateway.Listed
		whole := q
		whole.Limit = count * 2
		if _, err := w.Walk(w.ctx(), of(w.ann), whole, func(m *gateway.Message) bool {
			if slices.Contains(want.Among, m.Number) || m.Number > want.Behind {
				all = append(all, gateway.Listed{Message: m.Number, UID: m.Entries[0].UID})
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		got, cut, err := w.Listed(w.ctx(), of(w.ann), q, want)
		if err != nil || cut != (len(all) > q.Limit) || !slices.Equal(got, all[:min(len(all), q.Limit)]) {
			t.Fatalf("%+v of %+v: %v, cut %v, %v, want %v", q, want, got, cut, err, all)
		}
	}
	if _, _, err := w.Listed(w.ctx(), of(w.eve), gateway.ListQuery{Domain: at.Domain, Account: at.Account, Mailbox: 1, Limit: 1}, gateway.Wanted{}); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("another's list: %v", err)
	}
	if _, err := w.ListedMessages(w.ctx(), of(w.eve), gateway.ListQuery{Domain: at.Domain, Account: at.Account, Mailbox: 1}, []gateway.Listed{{Message: 1, UID: 1}}); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("another's messages: %v", err)
	}
}

package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// watched is a store that counts who reads many messages at once.
type watched struct {
	mailbox.Store
	now, most atomic.Int64
}

func (w *watched) enter() {
	if n := w.now.Add(1); n > w.most.Load() {
		w.most.Store(n)
	}
	runtime.Gosched()
}

func (w *watched) Messages(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, structure bool) ([]*gateway.Message, error) {
	w.enter()
	defer w.now.Add(-1)
	return w.Store.Messages(ctx, s, d, a, numbers, structure)
}

func (w *watched) Threaded(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber) ([]*gateway.Threaded, error) {
	w.enter()
	defer w.now.Add(-1)
	return w.Store.Threaded(ctx, s, d, a, numbers)
}

// Whoever sorts has the turn of the domain while it reads; who has left gets none.
func TestSortInTurns(t *testing.T) {
	h := newHouse(t, 0)
	w := &watched{Store: h.Store}
	s := newShelf(t, h, "ann", w, nil)
	for i := range 5 {
		s.put(fmt.Sprintf("Subject: %d\r\n\r\n", 9-i))
	}
	keys := []mailbox.SortKey{{By: "SUBJECT"}}
	var readers sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) {
		readers.Go(func() {
			v, err := s.mail.View(context.Background(), s.scope(), s.a, gateway.Inbox)
			if err != nil {
				t.Error(err)
				return
			}
			defer v.Close()
			for range 50 {
				sorted, err := v.Sort(context.Background(), []int{0, 1, 2, 3, 4}, keys)
				if _, threaded := v.Threads(context.Background(), []int{0, 1}); err != nil || threaded != nil || !slices.Equal(sorted, []int{4, 3, 2, 1, 0}) {
					t.Errorf("sorted %v, %v, %v", sorted, err, threaded)
				}
			}
			left, cancel := context.WithCancel(context.Background())
			cancel()
			_, sorted := v.Sort(left, []int{0}, keys)
			_, threaded := v.Threads(left, []int{0})
			if !errors.Is(sorted, context.Canceled) || !errors.Is(threaded, context.Canceled) {
				t.Errorf("of who has left: %v, %v", sorted, threaded)
			}
		})
	}
	readers.Wait()
	if half := int64(max(1, runtime.GOMAXPROCS(0)/2)); w.most.Load() > half {
		t.Errorf("%d read at once, of %d", w.most.Load(), half)
	}
}

// A key that comes again decides nothing, and costs nothing.
func TestSortKeysAgain(t *testing.T) {
	h := newHouse(t, 0)
	lim := gateway.DefaultLimits()
	lim.SortBytes = 4 * (32 + 24 + 8)
	h.followWithin(lim)
	at := h.account("ann")
	at.Mailbox = inbox
	h.receive(at, gateway.Inbox, 4)
	v := h.view(at, gateway.Inbox)
	numbers, by := []int{0, 1, 2, 3}, mailbox.SortKey{By: "ARRIVAL"}
	back := mailbox.SortKey{By: "ARRIVAL", Reverse: true}
	want, err := v.Sort(t.Context(), numbers, []mailbox.SortKey{by})
	h.ok(err)
	if got, err := v.Sort(t.Context(), numbers, []mailbox.SortKey{by, back, by, back}); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if _, err := v.Sort(t.Context(), numbers, []mailbox.SortKey{by, {By: "SIZE"}}); gateway.KindOf(err) != gateway.TooLarge {
		t.Errorf("more than fits: %v", err)
	}
}

// What is sorted stands in memory: so few are at once, a quarter of one domain's, and
// others wait for their turn.
func TestSortsAtOnce(t *testing.T) {
	h := newHouse(t, 0)
	s := newShelf(t, h, "ann", h.Store, nil)
	v, err := s.mail.View(t.Context(), s.scope(), s.a, gateway.Inbox)
	s.ok(err)
	defer v.Close()
	try := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, sorted := v.Sort(ctx, nil, []mailbox.SortKey{{By: "SUBJECT"}})
		if _, threaded := v.Threads(ctx, nil); (threaded == nil) != (sorted == nil) {
			t.Errorf("SORT %v, THREAD %v", sorted, threaded)
		}
		return sorted
	}
	most := int(gateway.DefaultLimits().SortsAtOnce)
	hold := func(d gateway.DomainID, n int) (release func()) {
		var held []func()
		for range n {
			give, err := s.mail.HoldSort(t.Context(), d)
			s.ok(err)
			held = append(held, give)
		}
		return func() {
			for _, give := range held {
				give()
			}
		}
	}
	const short, long = 20 * time.Millisecond, time.Minute
	release := hold(s.a.Domain, most/4)
	if err := try(short); err == nil {
		t.Error("a domain has more than its share")
	}
	release()
	for other := range gateway.DomainID(3) {
		defer hold(100+other, most/4)()
	}
	if err := try(long); err != nil {
		t.Errorf("others have three quarters: %v", err)
	}
	defer hold(103, most/4)()
	if err := try(short); err == nil {
		t.Error("there are more than may be")
	}
}

// Long subjects are told apart by their first KiB, and their letters are not cut.
func TestSortLongTexts(t *testing.T) {
	h := newHouse(t, 0)
	s := newShelf(t, h, "ann", h.Store, nil)
	for _, subject := range []string{strings.Repeat("ü", 600) + "b", strings.Repeat("ü", 600) + "a", strings.Repeat("ü", 400) + "a"} {
		s.put("Subject: " + subject + "\r\n\r\n")
	}
	v, err := s.mail.View(t.Context(), s.scope(), s.a, gateway.Inbox)
	s.ok(err)
	defer v.Close()
	if sorted, err := v.Sort(t.Context(), []int{0, 1, 2}, []mailbox.SortKey{{By: "SUBJECT"}}); err != nil || !slices.Equal(sorted, []int{2, 0, 1}) {
		t.Errorf("%v, %v", sorted, err)
	}
}

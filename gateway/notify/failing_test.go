package notify

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Endpoints that hang delay those beside them once, by what one call may take: also if
// there are more of them than calls, and each has many events waiting. Those that work
// again get all of theirs.
func TestHangingDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hang, events = 15 * time.Second, 200
		good := sub(1, 0)
		subs := []gateway.Subscription{good}
		for n := range byte(calls) {
			subs = append(subs, sub(n+2, 0))
		}
		l := newLedger(subs...)
		for range events {
			l.happen(received)
		}
		mended := time.Now().Add(time.Hour)
		who := &teller{subs: subs, tell: func(s *gateway.Subscription, _ *gateway.Event, _ int) (gateway.Result, error) {
			if s.ID == good.ID || time.Now().After(mended) {
				return gateway.Result{}, nil
			}
			time.Sleep(hang)
			return gateway.Result{}, errors.New("the endpoint did not answer in time")
		}}
		_, stop := consume(t, l, who)
		time.Sleep(3 * hang)
		synctest.Wait()
		if n := len(l.kept(good.ID).told); n != events {
			t.Errorf("%d of %d events were told beside those that hang", n, events)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		stop()
		for _, s := range subs[1:] {
			if k := l.kept(s.ID); len(k.told)+len(k.dead) != events || len(k.rows) != 0 || !slices.ContainsFunc(k.dead, func(d gateway.Told) bool { return d.Attempts > 1 }) && len(k.told) == 0 {
				t.Errorf("%v was told of %d, %d were given up and %d wait", s.ID[0], len(k.told), len(k.dead), len(k.rows))
			}
		}
	})
}

// hangs tells of every event after so long, as if the endpoint had taken it, or not.
func hangs(good gateway.ID, took time.Duration, err error) func(*gateway.Subscription, *gateway.Event, int) (gateway.Result, error) {
	return func(s *gateway.Subscription, _ *gateway.Event, _ int) (gateway.Result, error) {
		if s.ID == good {
			return gateway.Result{}, nil
		}
		time.Sleep(took)
		return gateway.Result{}, err
	}
}

// Who takes everything, and takes long for it, keeps the others of its domain waiting no
// more than who fails; what it has to be told it is told.
func TestSlowDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow, events = 9 * time.Second, 200
		good := sub(1, 0)
		subs := []gateway.Subscription{sub(2, 0), sub(3, 0), good, sub(4, 0)}
		l := newLedger(subs...)
		for range events {
			l.happen(received)
		}
		_, stop := consume(t, l, &teller{subs: subs, tell: hangs(good.ID, slow, nil)})
		time.Sleep(2*slow + time.Second)
		synctest.Wait()
		if n := len(l.kept(good.ID).told); n != events {
			t.Errorf("%d of %d events were told beside those that are slow", n, events)
		}
		for range 3 { // what happens then is told at once
			l.happen(received)
		}
		synctest.Wait()
		if n := len(l.kept(good.ID).told); n != events+3 {
			t.Errorf("%d of %d events were told at once", n-events, 3)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		stop()
		for _, s := range subs {
			if n := len(l.kept(s.ID).told); n != events+3 {
				t.Errorf("%v was told of %d events", s.ID[0], n)
			}
		}
	})
}

// An endpoint that was never asked, or has failed, has one call at a time, and more as it
// takes what it is told.
func TestTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sub(1, 0)
		l := newLedger(s)
		for range 100 {
			l.happen(received)
		}
		who := &teller{subs: []gateway.Subscription{s}, tell: hangs(gateway.ID{}, time.Second, nil)}
		_, stop := consume(t, l, who)
		defer stop()
		for _, want := range []int{1, 2, 4, calls / 2, calls / 2} {
			synctest.Wait()
			who.mu.Lock()
			if who.running != want {
				t.Errorf("%d calls are under way, want %d", who.running, want)
			}
			who.mu.Unlock()
			time.Sleep(time.Second)
		}
	})
}

// ledgerOf is the ledger of another domain.
type ledgerOf struct {
	*ledger
	domain gateway.DomainID
}

func (l ledgerOf) Domains(context.Context, gateway.Scope) ([]gateway.Domain, error) {
	return []gateway.Domain{{ID: l.domain}}, nil
}

// However many domains have endpoints that hang, they leave half of all calls to those who
// take what they are told; and who comes new waits for one call to end, not for all.
func TestHangingDomains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hang = 10 * time.Second
		slots := NewSlots(calls)
		join := func(d gateway.DomainID, n byte, events int, tell func(*gateway.Subscription, *gateway.Event, int) (gateway.Result, error)) *ledger {
			var subs []gateway.Subscription
			for i := range n {
				s := sub(i+1, 0)
				s.Domain = d
				subs = append(subs, s)
			}
			l := newLedger(subs...)
			for range events {
				l.happen(received)
			}
			_, stop := consume(t, l, &teller{subs: subs, tell: tell}, func(c *ConsumersConfig) { c.Store, c.Slots = ledgerOf{l, d}, slots })
			t.Cleanup(stop)
			return l
		}
		told := func(l *ledger) int { return len(l.kept(gateway.ID{1}).told) }
		good := join(1, 1, 1, nil)
		synctest.Wait()
		for d := range gateway.DomainID(10) {
			join(d+2, calls, 1000, hangs(gateway.ID{}, hang, errors.New("it hangs")))
		}
		synctest.Wait()
		for n := 2; n <= 50; n++ {
			good.happen(received)
			synctest.Wait()
			if told(good) != n {
				t.Fatalf("of %d events %d are told at once", n, told(good))
			}
			time.Sleep(time.Second)
		}
		fresh := join(100, 1, 1, nil)
		time.Sleep(hang)
		synctest.Wait()
		if told(fresh) != 1 {
			t.Error("who comes new waits for more than one call")
		}
	})
}

// A slot goes to whose domain has the fewest, and nobody has more than the share.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(4)
		var order []gateway.DomainID
		gives := make(chan func(), 100)
		ask := func(d gateway.DomainID, doubtful bool) {
			go func() {
				give, ok := s.take(t.Context(), d, doubtful)
				if !ok {
					t.Error("it has no slot")
					return
				}
				order = append(order, d) // one at a time: each is waited for
				gives <- give
			}()
			synctest.Wait()
		}
		want := func(list ...gateway.DomainID) {
			t.Helper()
			if !slices.Equal(order, list) {
				t.Errorf("%v, want %v", order, list)
			}
		}
		for range 4 {
			ask(1, true)
		}
		want(1, 1) // its share
		ask(2, true)
		want(1, 1) // none is left for those
		ask(2, false)
		ask(2, false)
		want(1, 1, 2, 2)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, ok := s.take(ctx, 3, false); ok {
			t.Error("who has gone has a slot")
		}
		ask(3, true)
		(<-gives)() // of domain 1
		synctest.Wait()
		want(1, 1, 2, 2, 3) // it came last
		for len(gives) > 0 {
			(<-gives)()
			synctest.Wait()
		}
		want(1, 1, 2, 2, 3, 1, 2, 1)
		if s.taken != 0 || s.doubtful != 0 || len(s.of) != 0 || len(s.waiting) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

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

// However many domains have endpoints that hang, they leave half of all calls to others:
// what happens there is told at once.
func TestHangingDomains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(calls)
		join := func(l Ledger, who Teller) {
			_, stop := consume(t, &ledger{now: time.Now}, who, func(c *ConsumersConfig) { c.Store, c.Slots = l, slots })
			t.Cleanup(stop)
		}
		for d := range gateway.DomainID(10) {
			var subs []gateway.Subscription
			for n := range byte(calls) {
				s := sub(n+1, 0)
				s.Domain = d + 2
				subs = append(subs, s)
			}
			l := newLedger(subs...)
			for range 1000 {
				l.happen(received)
			}
			join(ledgerOf{l, d + 2}, &teller{subs: subs, tell: hangs(gateway.ID{}, 10*time.Second, errors.New("it hangs"))})
		}
		good := sub(1, 0)
		l := newLedger(good)
		join(l, &teller{subs: []gateway.Subscription{good}})
		time.Sleep(10 * time.Minute) // until all of them have failed
		for n := 1; n <= 50; n++ {
			l.happen(received)
			synctest.Wait()
			if told := len(l.kept(good.ID).told); told != n {
				t.Fatalf("of %d events %d are told at once", n, told)
			}
		}
	})
}

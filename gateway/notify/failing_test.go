package notify

import (
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

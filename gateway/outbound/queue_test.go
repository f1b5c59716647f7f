package outbound_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/outbound"
	"github.com/centerleap/postern/store"
)

// yard is a lab whose mail goes to hosts that the test plays.
type yard struct {
	*lab
	counted *counted

	mu    sync.Mutex
	trips []outbound.Trip
	now   int // trips under way
	most  int
	play  func(t outbound.Trip) gateway.Outcome
	gate  chan struct{} // each trip takes one, if it is set
}

// counted is a store that counts what the queue does to it.
type counted struct {
	*store.Store
	mu    sync.Mutex
	calls map[string]int
}

func (c *counted) note(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[name]++
}

func (c *counted) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := maps.Clone(c.calls)
	clear(c.calls)
	return out
}

func (c *counted) LeaseSite(ctx context.Context, s gateway.Scope, at gateway.DueSite, most, each int, lease time.Duration) ([]gateway.Delivery, error) {
	c.note("lease")
	return c.Store.LeaseSite(ctx, s, at, most, each, lease)
}

func (c *counted) PostponeSite(ctx context.Context, s gateway.Scope, at gateway.DueSite, until time.Time) error {
	c.note("postpone")
	return c.Store.PostponeSite(ctx, s, at, until)
}

func (c *counted) Finish(ctx context.Context, s gateway.Scope, attempts ...gateway.Attempt) error {
	c.note("finish")
	return c.Store.Finish(ctx, s, attempts...)
}

func (c *counted) DueSites(ctx context.Context, s gateway.Scope, behind *gateway.DueSite, most int) ([]gateway.DueSite, error) {
	c.note("look")
	return c.Store.DueSites(ctx, s, behind, most)
}

func newYard(t testing.TB, change ...func(*gateway.Limits)) *yard {
	t.Helper()
	y := &yard{lab: newLab(t), play: func(outbound.Trip) gateway.Outcome {
		return gateway.Outcome{State: gateway.DeliveryDelivered, Code: 250, Remote: true}
	}}
	y.counted = &counted{Store: y.store, calls: make(map[string]int)}
	limits := gateway.DefaultLimits()
	limits.KeyMessages, limits.KeyRecipients = 0, 0
	for _, c := range change {
		c(&limits)
	}
	var err error
	y.Sender, err = outbound.New(outbound.Config{
		Store: y.counted, Receiver: y.lab, Courier: y, Hooks: y.lab, System: keys.System(), Internal: keys.Internal, Limits: limits, Now: y.lab.now,
		Mode: func(context.Context) (gateway.DeliveryMode, error) { return gateway.ModeDirect, nil },
		Log:  slog.New(slog.DiscardHandler),
	})
	y.ok(err)
	return y
}

// Hop implements outbound.Courier.
func (y *yard) Hop(_ context.Context, site string) (string, error) { return site, nil }

// Carry implements outbound.Courier.
func (y *yard) Carry(_ context.Context, t outbound.Trip) ([]gateway.Outcome, error) {
	y.mu.Lock()
	y.trips = append(y.trips, t)
	y.now++
	y.most = max(y.most, y.now)
	play, gate := y.play, y.gate
	y.mu.Unlock()
	if gate != nil {
		<-gate
	}
	out := make([]gateway.Outcome, len(t.Recipients))
	for i := range out {
		out[i] = play(t)
	}
	y.mu.Lock()
	y.now--
	y.mu.Unlock()
	return out, nil
}

func (y *yard) made() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.trips)
}

// queued submits n messages to some recipients each.
func (y *yard) queued(n, recipients int, site string) {
	y.Helper()
	for i := range n {
		w := &outbound.Written{Body: strings.NewReader("From: ann@a.test\r\nSubject: Hello\r\n\r\nhi\r\n")} // whose sender wants no report
		for j := range recipients {
			w.Recipients = append(w.Recipients, fmt.Sprintf("r%d.%d@%s", i, j, site))
		}
		_, err := y.Submit(y.Context(), keys.Internal(y.domain.ID), outbound.Submission{Written: w})
		y.ok(err)
	}
}

// run has the queue work until the test ends, or stop is called.
func (y *yard) run() (stop func()) {
	y.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(y.Context()))
	done := make(chan error, 1)
	go func() { done <- y.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		y.ok(<-done)
	})
	y.Cleanup(stop)
	return stop
}

func (y *yard) eventually(what string, ok func() bool) {
	y.Helper()
	late := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-late:
			y.Fatalf("this did not happen: %s", what)
		case <-tick.C:
		}
	}
}

// idle waits until nothing is due and nothing is under way.
func (y *yard) idle() {
	y.Helper()
	y.Wake()
	y.eventually("the queue is idle", func() bool {
		sites, err := y.store.DueSites(y.Context(), keys.System(), nil, 1)
		y.ok(err)
		leased, _, _, err := y.store.Waiting(y.Context(), keys.Internal(y.domain.ID), gateway.QueueFilter{State: gateway.DeliveryLeased, Limit: 1})
		y.ok(err)
		return len(sites) == 0 && len(leased) == 0
	})
}

// told counts the events of the domain by type.
func (y *yard) told() map[gateway.EventType]int {
	y.Helper()
	feed, err := y.store.Events(keys.System(), y.domain.ID, 0)
	y.ok(err)
	defer feed.Close()
	out := make(map[gateway.EventType]int)
	for {
		page, err := feed.Next(y.Context(), 1000)
		y.ok(err)
		if len(page) == 0 {
			return out
		}
		for _, e := range page {
			out[e.Type]++
		}
	}
}

var isDown = gateway.Outcome{State: gateway.DeliveryQueued, Code: 451, Enhanced: [3]int{4, 4, 1}, Text: "connection refused", Phase: "connect", Down: true}

// A dead site costs the same whatever waits for it: an attempt of one message now and
// then. Yet every sender learns in time that mail is late, and that it failed; and when
// the site is back, all of it leaves.
func TestDeadSite(t *testing.T) {
	const messages, each = 15, 50
	y := newYard(t, func(l *gateway.Limits) { l.QueueHours = 20 })
	y.play = func(outbound.Trip) gateway.Outcome { return isDown }
	y.queued(messages, each, "dead.test")
	y.queued(1, 1, "alive.test")
	began := y.lab.now()
	y.run()
	y.idle()
	steps := 0
	for y.lab.now().Sub(began) < 3*time.Hour {
		steps++
		next, err := y.store.NextDue(t.Context(), keys.System())
		y.ok(err)
		y.later(next.Sub(y.lab.now()))
		y.idle()
	}
	if n := y.made(); n > 20+2*steps {
		t.Errorf("%d attempts in %d steps", n, steps)
	}
	if n := y.counted.take(); n["lease"]+n["postpone"]+n["finish"] > 60+12*steps {
		t.Errorf("in %d steps: %v", steps, n)
	}
	if n := y.told()[gateway.EventDelayed]; n > (8+steps)*each*2 {
		t.Errorf("%d were tried", n)
	}
	forever := func(until time.Duration) {
		for y.lab.now().Sub(began) < until {
			y.later(time.Hour)
			y.idle()
		}
	}
	forever(7 * time.Hour)
	y.eventually("all know that it is late", func() bool { return y.late() == messages*each })
	forever(26 * time.Hour)
	y.eventually("all have failed", func() bool { return y.told()[gateway.EventFailed] >= messages*each })
}

// late counts the recipients whose sender was told of a delay.
func (y *yard) late() int {
	y.Helper()
	feed, err := y.store.Events(keys.System(), y.domain.ID, 0)
	y.ok(err)
	defer feed.Close()
	who := make(map[string]bool)
	for {
		page, err := feed.Next(y.Context(), 1000)
		y.ok(err)
		if len(page) == 0 {
			return len(who)
		}
		for _, e := range page {
			if e.Type == gateway.EventDelayed && strings.HasSuffix(e.Detail, "@dead.test") {
				who[e.Detail] = true
			}
		}
	}
}

// A site that comes back gets all that waits, from the first probe on.
func TestSiteComesBack(t *testing.T) {
	y := newYard(t)
	y.play = func(outbound.Trip) gateway.Outcome { return isDown }
	y.queued(30, 2, "dead.test")
	y.run()
	y.idle()
	before := y.made()
	if before > 20 {
		t.Errorf("%d attempts at a site that is down", before)
	}
	y.mu.Lock()
	y.play = func(outbound.Trip) gateway.Outcome {
		return gateway.Outcome{State: gateway.DeliveryDelivered, Code: 250}
	}
	y.mu.Unlock()
	y.later(70 * time.Second)
	y.idle()
	y.eventually("what was not tried is delivered", func() bool { return y.told()[gateway.EventDelivered] >= 40 })
	y.later(6 * time.Minute)
	y.idle()
	y.eventually("all is delivered", func() bool { return y.told()[gateway.EventDelivered] == 60 })
}

// Limits hold over all hops, for a domain and for a site; one site's backlog does not
// keep another's mail waiting.
func TestShares(t *testing.T) {
	for _, tt := range []struct {
		what   string
		change func(*gateway.Limits)
		sites  int
		want   int
	}{
		{"a site begins with two", func(*gateway.Limits) {}, 1, 2},
		{"a site of one", func(l *gateway.Limits) { l.QueueSite = 1 }, 1, 1},
		{"all together", func(l *gateway.Limits) { l.QueueAttempts = 5 }, 8, 5},
		{"a domain", func(l *gateway.Limits) { l.QueueDomain = 3 }, 8, 3},
		{"several sites", func(*gateway.Limits) {}, 8, 16},
	} {
		t.Run(tt.what, func(t *testing.T) {
			y := newYard(t, tt.change)
			y.gate = make(chan struct{})
			for i := range tt.sites {
				y.queued(9, 1, fmt.Sprintf("site%d.test", i))
			}
			y.run()
			y.eventually("as many run as may", func() bool { y.mu.Lock(); defer y.mu.Unlock(); return y.now == tt.want })
			for range 9 * tt.sites {
				y.gate <- struct{}{}
			}
			y.eventually("all is delivered", func() bool { return y.told()[gateway.EventDelivered] == 9*tt.sites })
			y.mu.Lock()
			defer y.mu.Unlock()
			if y.most != tt.want {
				t.Errorf("%d at once, want %d", y.most, tt.want)
			}
		})
	}
}

// More may go to a site with each second of work, up to its limit.
func TestRamp(t *testing.T) {
	y := newYard(t)
	y.gate = make(chan struct{})
	y.queued(60, 1, "site.test")
	y.run()
	for _, want := range []int{2, 4, 6, 8, 10, 10} {
		y.eventually(fmt.Sprint(want, " run"), func() bool { y.mu.Lock(); defer y.mu.Unlock(); return y.now == want })
		y.later(time.Second)
		y.Wake()
	}
	close(y.gate)
	y.eventually("all is delivered", func() bool { return y.told()[gateway.EventDelivered] == 60 })
	if y.most > 10 {
		t.Errorf("%d at once", y.most)
	}
}

// Recipients of one message at one site share a transaction, of at most so many, and each
// has its own end.
func TestBatches(t *testing.T) {
	y := newYard(t, func(l *gateway.Limits) { l.QueueBatch = 20 })
	y.queued(2, 50, "site.test")
	y.run()
	y.idle()
	y.eventually("all is delivered", func() bool { return y.told()[gateway.EventDelivered] == 100 })
	var sizes []int
	for _, trip := range y.trips {
		sizes = append(sizes, len(trip.Recipients))
	}
	slices.Sort(sizes)
	if !slices.Equal(sizes, []int{10, 10, 20, 20, 20, 20}) {
		t.Errorf("%v", sizes)
	}
}

// What is leased when the gateway stops, and was not tried, is as due as it was.
func TestStopGivesBack(t *testing.T) {
	y := newYard(t)
	y.gate = make(chan struct{}, 100)
	y.queued(30, 1, "site.test")
	stop := y.run()
	y.eventually("some run", func() bool { return y.made() == 2 })
	go func() {
		for range 2 {
			y.gate <- struct{}{}
		}
	}()
	stop()
	if n := y.made(); n != 2 {
		t.Errorf("%d were tried", n)
	}
	all, err := y.store.LeaseSite(t.Context(), keys.System(), gateway.DueSite{Domain: y.domain.ID, Site: "site.test"}, 100, 1, time.Minute)
	y.ok(err)
	if len(all) != 28 || all[0].Attempts != 1 {
		t.Errorf("%d are due, the first with %d attempts", len(all), all[0].Attempts)
	}
}

// BenchmarkDeadSite is what 100,000 deliveries to a dead site cost while nothing comes of
// them: one look of the queue, and the memory that it holds.
func BenchmarkDeadSite(b *testing.B) {
	y := newYard(b)
	y.play = func(outbound.Trip) gateway.Outcome { return isDown }
	y.queued(2000, 50, "dead.test")
	y.run()
	y.putOff()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	y.counted.take()
	b.ResetTimer()
	for b.Loop() {
		next, err := y.store.NextDue(context.Background(), keys.System())
		y.ok(err)
		y.later(min(next.Sub(y.lab.now()), time.Minute))
		y.putOff()
	}
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	n := y.counted.take()
	b.ReportMetric(float64(n["lease"]+n["finish"]+n["postpone"])/float64(b.N), "commits/op")
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1024, "KiB-kept")
}

// putOff waits until the queue leaves alone the sites that are dead. Unlike idle it does not
// read what waits there, which would be all that is measured.
func (y *yard) putOff() {
	y.Helper()
	y.Wake()
	y.eventually("dead sites are put off", func() bool {
		sites, err := y.store.DueSites(y.Context(), keys.System(), nil, 1)
		y.ok(err)
		return len(sites) == 0
	})
}

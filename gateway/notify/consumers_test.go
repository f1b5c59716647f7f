package notify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
)

// ledger is a store of consumers in memory, for one domain. It counts what it is told
// twice.
type ledger struct {
	fakeStore
	subs    map[gateway.ID]*kept
	holder  *holding
	refuses error // what Handled answers, while it is set
	now     func() time.Time
}

type kept struct {
	gateway.Cursor
	rows  []gateway.Waiting
	dead  []gateway.Told
	told  []gateway.Position // successes, in order
	peak  int                // of Done
	saves int
}

type holding struct{ l *ledger }

func newLedger(subs ...gateway.Subscription) *ledger {
	l := &ledger{subs: make(map[gateway.ID]*kept), now: time.Now}
	for _, s := range subs {
		l.subs[s.ID] = &kept{Cursor: gateway.Cursor{Next: gateway.Position{Sequence: 1}}}
	}
	return l
}

func (l *ledger) Domains(context.Context, gateway.Scope) ([]gateway.Domain, error) {
	return []gateway.Domain{{ID: 1}, {ID: 2}}, nil
}

func (l *ledger) Lease(context.Context, gateway.Scope, string, time.Duration) (gateway.Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder != nil {
		return nil, gateway.Errorf(gateway.InvalidState, "somebody else does that")
	}
	l.holder = &holding{l}
	return l.holder, nil
}

func (h *holding) Renew(context.Context) error {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	if h.l.holder != h {
		return gateway.Errorf(gateway.InvalidState, "somebody else does that")
	}
	return nil
}

func (h *holding) Release(context.Context) error {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	if h.l.holder == h {
		h.l.holder = nil
	}
	return nil
}

func (l *ledger) of(id gateway.ID) (*kept, error) {
	if k := l.subs[id]; k != nil {
		return k, nil
	}
	return nil, gateway.Errorf(gateway.NotFound, "no such subscription")
}

func (l *ledger) Cursor(_ context.Context, _ gateway.Scope, id gateway.ID) (gateway.Cursor, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, err := l.of(id)
	if err != nil {
		return gateway.Cursor{}, err
	}
	c := k.Cursor
	c.Done = slices.Clone(c.Done)
	if c.Waiting = len(k.rows); c.Waiting > 0 {
		c.Due = k.rows[0].Due
	}
	return c, nil
}

func (l *ledger) WaitingEvents(_ context.Context, _ gateway.Scope, id gateway.ID, most int) (due []gateway.Waiting, next time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, err := l.of(id)
	if err != nil {
		return nil, next, err
	}
	for _, w := range k.rows {
		if len(due) == most || w.Due.After(l.now()) {
			return due, w.Due, nil
		}
		due = append(due, w)
	}
	return due, next, nil
}

func (l *ledger) Advance(_ context.Context, _ gateway.Scope, id gateway.ID, next gateway.Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, err := l.of(id)
	if err == nil {
		k.Next = next
		k.saves++
	}
	return err
}

func (l *ledger) Handled(_ context.Context, _ gateway.Scope, id gateway.ID, t *gateway.Told) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, err := l.of(id)
	if err != nil || l.refuses != nil {
		return cmpErr(err, l.refuses)
	}
	if i := slices.IndexFunc(k.rows, func(w gateway.Waiting) bool { return w.Position == t.Position }); !t.Due.IsZero() && i >= 0 {
		k.rows = slices.Delete(k.rows, i, i+1)
	} else if !t.Due.IsZero() || t.Less(k.Next) || slices.Contains(k.Done, t.Position) {
		return gateway.Errorf(gateway.InvalidState, "told before")
	} else {
		k.Done = append(k.Done, t.Position)
	}
	if k.Next.Less(t.Next) {
		k.Next = t.Next
	}
	k.Done = slices.DeleteFunc(k.Done, func(p gateway.Position) bool { return p.Less(k.Next) })
	k.peak = max(k.peak, len(k.Done))
	switch {
	case t.Error == "":
		k.told = append(k.told, t.Position)
	case t.Again.IsZero():
		k.dead = append(k.dead, *t)
	default:
		k.rows = append(k.rows, gateway.Waiting{Position: t.Position, Event: t.Event, Attempts: t.Attempts, Due: t.Again, Error: t.Error})
		slices.SortFunc(k.rows, func(a, b gateway.Waiting) int { return a.Due.Compare(b.Due) })
	}
	return nil
}

func cmpErr(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) happen(e gateway.Event) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Sequence, e.Domain = l.floor+uint64(len(l.events))+1, 1
	l.events = append(l.events, e)
	for w := range l.wakes {
		poke(w)
	}
	return e.Sequence
}

// kept returns a copy of what is known of a subscription.
func (l *ledger) kept(id gateway.ID) kept {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := *l.subs[id]
	k.told, k.dead, k.rows = slices.Clone(k.told), slices.Clone(k.dead), slices.Clone(k.rows)
	return k
}

// teller answers as its function says.
type teller struct {
	mu      sync.Mutex
	subs    []gateway.Subscription
	tell    func(sub *gateway.Subscription, e *gateway.Event, attempt int) (gateway.Result, error)
	running int
	peak    int
}

func (t *teller) Subscriptions(_ context.Context, _ gateway.Scope, d gateway.DomainID) (mine []gateway.Subscription, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.subs {
		if s.Domain == d {
			mine = append(mine, s)
		}
	}
	return mine, nil
}

func (t *teller) Tell(_ context.Context, _ gateway.Scope, sub *gateway.Subscription, _ gateway.Position, e *gateway.Event, attempt int) (gateway.Result, error) {
	t.mu.Lock()
	t.running++
	t.peak = max(t.peak, t.running)
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.running--
	}()
	if t.tell == nil {
		return gateway.Result{}, nil
	}
	return t.tell(sub, e, attempt)
}

func sub(n byte, account gateway.AccountID) gateway.Subscription {
	return gateway.Subscription{ID: gateway.ID{n}, Domain: 1, Account: account, Types: []gateway.EventType{gateway.EventReceived}, Plugin: true}
}

// calls are how many may run at once.
const calls = 8

var received = gateway.Event{Type: gateway.EventReceived, Account: 1}

// consume runs consumers until the returned function is called, which waits for their end.
func consume(t *testing.T, l *ledger, who Teller, change ...func(*ConsumersConfig)) (c *Consumers, stop func()) {
	t.Helper()
	cfg := ConsumersConfig{
		Slots: NewSlots(calls), Store: l, Teller: who, Job: "events", Attempts: gateway.DefaultLimits().EventAttempts, System: gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{}), Limits: gateway.DefaultLimits(), Now: l.now,
		Internal: func(d gateway.DomainID) gateway.Scope {
			return gateway.NewScope(gateway.LevelDomain, d, 0, gateway.ID{})
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := NewConsumers(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	return c, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// closed fails the test if anything is left of consumers that have ended.
func (l *ledger) closed(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != 0 || l.holder != nil {
		t.Errorf("%d feeds and the lease %v are left", l.open, l.holder)
	}
}

// Each subscription is told of what is for it, once, and of nothing else.
func TestConsume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole, one := sub(1, 0), sub(2, 1)
		l := newLedger(whole, one)
		var want, wantOne []uint64
		for i := range 300 {
			e := received
			switch i % 5 {
			case 1:
				e.Account = 2
			case 2:
				e.Type = gateway.EventMoved
			case 3:
				e.Plugin = gateway.ID{9}
			}
			seq := l.happen(e)
			if i%5 != 2 && i%5 != 3 {
				if want = append(want, seq); e.Account == 1 {
					wantOne = append(wantOne, seq)
				}
			}
		}
		who := &teller{subs: []gateway.Subscription{whole, one}}
		_, stop := consume(t, l, who)
		synctest.Wait()
		seq := l.happen(received)
		want, wantOne = append(want, seq), append(wantOne, seq)
		synctest.Wait()
		stop()
		l.closed(t)
		for id, want := range map[gateway.ID][]uint64{whole.ID: want, one.ID: wantOne} {
			var got []uint64
			for _, p := range l.kept(id).told {
				got = append(got, p.Sequence)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%v was told %v, want %v", id[0], got, want)
			}
		}
		if who.peak > calls/2 {
			t.Errorf("%d calls of a domain at once, want at most %d", who.peak, calls/2)
		}
	})
}

// What always fails is given up after its attempts, about an hour later; what stands
// behind it is told at once.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sub(1, 0)
		l := newLedger(s)
		poison := l.happen(received)
		for range 50 {
			l.happen(received)
		}
		began := time.Now()
		var tried []time.Duration
		who := &teller{subs: []gateway.Subscription{s}, tell: func(_ *gateway.Subscription, e *gateway.Event, attempt int) (gateway.Result, error) {
			if e.Sequence != poison {
				return gateway.Result{}, nil
			}
			if tried = append(tried, time.Since(began)); attempt != len(tried) {
				t.Errorf("attempt %d is called %d", len(tried), attempt)
			}
			return gateway.Result{}, fmt.Errorf("no %d", attempt)
		}}
		_, stop := consume(t, l, who)
		synctest.Wait()
		if n := len(l.kept(s.ID).told); n != 50 {
			t.Errorf("%d of the others were told at once, want 50", n)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		stop()
		k := l.kept(s.ID)
		if len(k.dead) != 1 || k.dead[0].Error != "no 5" || k.dead[0].Attempts != 5 || len(k.rows) != 0 {
			t.Fatalf("given up: %+v", k.dead)
		}
		least, most := time.Duration(0), time.Duration(0)
		for i, at := range tried {
			if at < least || at > most+time.Second {
				t.Errorf("attempt %d after %v, want %v to %v", i+1, at, least, most)
			}
			if i < len(Pauses) {
				least, most = least+Pauses[i]*4/5, most+Pauses[i]*6/5
			}
		}
	})
}

// A crash at any time loses no event and counts none twice, though one may be told twice.
func TestConsumeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sub(1, 0)
		l := newLedger(s)
		for range 200 {
			l.happen(received)
		}
		asked := 0
		var mu sync.Mutex
		for range 40 {
			who := &teller{subs: []gateway.Subscription{s}, tell: func(*gateway.Subscription, *gateway.Event, int) (gateway.Result, error) {
				mu.Lock()
				asked++
				n := asked
				mu.Unlock()
				time.Sleep(time.Duration(n%7) * time.Millisecond)
				return gateway.Result{}, nil
			}}
			c, stop := consume(t, l, who)
			time.Sleep(11 * time.Millisecond)
			l.mu.Lock()
			l.refuses = gateway.Errorf(gateway.Unavailable, "dead") // what is under way is lost
			l.mu.Unlock()
			time.AfterFunc(gateway.DrainTimeout+time.Second, func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.refuses = nil
			})
			c.Wake()
			stop()
			time.Sleep(2 * gateway.DrainTimeout)
		}
		_, stop := consume(t, l, &teller{subs: []gateway.Subscription{s}})
		synctest.Wait()
		stop()
		got := l.kept(s.ID).told
		slices.SortFunc(got, func(a, b gateway.Position) int { return int(a.Sequence) - int(b.Sequence) })
		if len(got) != 200 || len(slices.Compact(got)) != 200 || asked < 200 {
			t.Errorf("%d outcomes of %d calls, want 200", len(got), asked)
		}
	})
}

// Who can't be told at the moment is left alone for a while and has not failed; what the
// gateway can't do for ever has.
func TestPutOff(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		dead bool
	}{
		"paused":      {&gateway.Error{Kind: gateway.InvalidState, Retry: 30 * time.Second}, false},
		"our failure": {&gateway.Error{Kind: gateway.Unavailable, Message: "down"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sub(1, 0)
				l := newLedger(s)
				l.happen(received)
				l.happen(received)
				until, calls := time.Now().Add(24*time.Hour), 0
				who := &teller{subs: []gateway.Subscription{s}, tell: func(_ *gateway.Subscription, e *gateway.Event, attempt int) (gateway.Result, error) {
					if calls++; e.Sequence == 1 && time.Now().Before(until) {
						return gateway.Result{}, tt.err
					}
					return gateway.Result{}, nil
				}}
				_, stop := consume(t, l, who, func(c *ConsumersConfig) { c.Slots = NewSlots(2) })
				time.Sleep(30 * time.Hour)
				synctest.Wait()
				stop()
				k := l.kept(s.ID)
				if len(k.dead) > 0 != tt.dead || len(k.dead)+len(k.told) != 2 || len(k.rows) > 0 {
					t.Errorf("%d given up, %d told, %d wait", len(k.dead), len(k.told), len(k.rows))
				}
				if calls > 4000 {
					t.Errorf("%d calls", calls)
				}
			})
		})
	}
}

// While the store takes nothing, an outcome is kept, not called for again.
func TestOutcomeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sub(1, 0)
		l := newLedger(s)
		l.refuses = gateway.Errorf(gateway.Unavailable, "the disk is full")
		l.happen(received)
		calls := 0
		who := &teller{subs: []gateway.Subscription{s}, tell: func(*gateway.Subscription, *gateway.Event, int) (gateway.Result, error) {
			calls++
			return gateway.Result{}, nil
		}}
		_, stop := consume(t, l, who)
		time.Sleep(time.Hour)
		l.mu.Lock()
		l.refuses = nil
		l.mu.Unlock()
		time.Sleep(time.Hour)
		stop()
		if calls != 1 || len(l.kept(s.ID).told) != 1 {
			t.Errorf("%d calls, %d outcomes", calls, len(l.kept(s.ID).told))
		}
	})
}

// An event about many entries is told for each, and goes on where it was.
func TestParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sub(1, 1)
		s.Types = []gateway.EventType{gateway.EventUpdated}
		l := newLedger(s)
		uids := make([]uint32, 1000)
		for i := range uids {
			uids[i] = uint32(i + 1)
		}
		l.happen(gateway.Event{Type: gateway.EventUpdated, Account: 1, UIDs: uids})
		l.happen(gateway.Event{Type: gateway.EventUpdated, Account: 1, UID: 5000})
		seen := make(map[uint32]int)
		var mu sync.Mutex
		for range 5 {
			who := &teller{subs: []gateway.Subscription{s}, tell: func(_ *gateway.Subscription, e *gateway.Event, _ int) (gateway.Result, error) {
				if len(e.UIDs) > 0 {
					t.Error("it is told of several at once")
				}
				mu.Lock()
				seen[e.UID]++
				mu.Unlock()
				time.Sleep(time.Second)
				return gateway.Result{}, nil
			}}
			_, stop := consume(t, l, who)
			time.Sleep(250 * time.Second)
			stop()
		}
		if len(seen) != 1001 || len(l.kept(s.ID).told) != 1001 {
			t.Errorf("%d of 1001 were told, %d outcomes", len(seen), len(l.kept(s.ID).told))
		}
		for uid, n := range seen {
			if n != 1 {
				t.Errorf("entry %d was told %d times", uid, n)
			}
		}
	})
}

// A subscription that stood still for longer than the feed reaches goes on at the oldest.
func TestTrimmedConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sub(1, 0)
		l := newLedger(s)
		for range 100 {
			l.happen(received)
		}
		l.trim(63)
		_, stop := consume(t, l, &teller{subs: []gateway.Subscription{s}})
		synctest.Wait()
		stop()
		got := l.kept(s.ID).told
		if len(got) != 37 || !slices.Contains(got, gateway.Position{Sequence: 64}) {
			t.Errorf("%d were told, want the 37 that are left", len(got))
		}
	})
}

// Subscriptions come, go, and begin anew while others are told; one process has the
// lease, and another takes over.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sub(1, 0), sub(2, 0)
		l := newLedger(a)
		who := &teller{subs: []gateway.Subscription{a}}
		c, stop := consume(t, l, who)
		l.happen(received)
		synctest.Wait()
		set := func(subs ...gateway.Subscription) {
			who.mu.Lock()
			who.subs = subs
			who.mu.Unlock()
			c.Refresh(1)
			synctest.Wait()
		}
		l.mu.Lock()
		l.subs[b.ID] = &kept{Cursor: gateway.Cursor{Next: gateway.Position{Sequence: 2}}}
		l.mu.Unlock()
		set(a, b)
		l.happen(received)
		synctest.Wait()
		set(b) // a is switched off,
		l.happen(received)
		synctest.Wait()
		l.mu.Lock()
		l.subs[a.ID].Next = gateway.Position{Sequence: 4}
		l.mu.Unlock()
		set(a, b) // and on
		l.happen(received)
		synctest.Wait()
		set()
		if l.open != 0 {
			t.Error("a feed is open for nobody")
		}
		set(a)
		other := &teller{subs: []gateway.Subscription{a}}
		_, stopOther := consume(t, l, other)
		l.happen(received)
		time.Sleep(time.Hour)
		if other.peak > 0 {
			t.Error("two processes tell")
		}
		l.mu.Lock()
		l.holder = nil // as if it had slept too long
		l.mu.Unlock()
		time.Sleep(time.Hour)
		l.happen(received)
		time.Sleep(time.Hour)
		stop()
		stopOther()
		l.closed(t)
		if got := fmt.Sprint(l.kept(a.ID).told, l.kept(b.ID).told); got != "[{1 0} {2 0} {4 0} {5 0} {6 0}] [{2 0} {3 0} {4 0}]" {
			t.Errorf("told %s", got)
		}
	})
}

// Many plugins and many events take little memory, and leave no goroutine.
func TestManyEvents(t *testing.T) {
	const plugins, events = 50, 10_000
	synctest.Test(t, func(t *testing.T) {
		var subs []gateway.Subscription
		for i := range plugins {
			subs = append(subs, sub(byte(i+1), 0))
		}
		l := newLedger(subs...)
		for range events {
			l.happen(received)
		}
		who := &teller{subs: subs}
		var before, during runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		calls, goroutines := 0, 0
		who.tell = func(*gateway.Subscription, *gateway.Event, int) (gateway.Result, error) {
			who.mu.Lock()
			defer who.mu.Unlock()
			if calls++; calls == plugins*events/2 {
				runtime.GC()
				runtime.ReadMemStats(&during)
				goroutines = runtime.NumGoroutine()
			}
			return gateway.Result{}, nil
		}
		_, stop := consume(t, l, who)
		synctest.Wait()
		stop()
		l.closed(t)
		told := 0
		for _, s := range subs {
			k := l.kept(s.ID)
			if told += len(k.told); k.peak > int(gateway.DefaultLimits().EventWindow) {
				t.Errorf("%d events are remembered as done", k.peak)
			}
		}
		if told != plugins*events {
			t.Errorf("%d outcomes, want %d", told, plugins*events)
		}
		// What the ledger itself keeps is 16 bytes an outcome, doubled as slices grow.
		if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc) - plugins*events*32; grown > 8<<20 {
			t.Errorf("%d bytes more in the middle", grown)
		}
		if goroutines > 64 {
			t.Errorf("%d goroutines", goroutines)
		}
	})
}

// New configurations that lack something are refused.
func TestNewConsumers(t *testing.T) {
	if _, err := NewConsumers(ConsumersConfig{}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("an empty configuration: %v", err)
	}
}

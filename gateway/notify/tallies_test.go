package notify

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
)

// books is a store of one domain that keeps its tally in memory.
type books struct {
	ledger
	kept  gateway.Tally
	keeps int
	gone  bool
}

func (b *books) Tally(context.Context, gateway.Scope, gateway.DomainID) (gateway.Tally, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept, nil
}

func (b *books) KeepTally(_ context.Context, _ gateway.Scope, _ gateway.DomainID, t *gateway.Tally) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return gateway.Errorf(gateway.NotFound, "no such domain")
	}
	b.keeps++
	b.kept = *t
	b.kept.Hours = append([]gateway.Hour(nil), t.Hours...)
	return nil
}

func (b *books) Domains(context.Context, gateway.Scope) ([]gateway.Domain, error) {
	return []gateway.Domain{{ID: 1}}, nil
}

// happens adds n events that count as received.
func (b *books) happens(n int) {
	for range n {
		b.add(1)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.events {
		b.events[i].Type, b.events[i].At = gateway.EventReceived, time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	}
}

func newTallies(t *testing.T, b *books) *Tallies {
	t.Helper()
	n, err := NewTallies(TalliesConfig{
		Store: b, System: gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{}),
		Internal: func(d gateway.DomainID) gateway.Scope {
			return gateway.NewScope(gateway.LevelDomain, d, 0, gateway.ID{})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var domainOne = gateway.NewScope(gateway.LevelDomain, 1, 0, gateway.ID{})

// wants fails unless so much is counted of domain 1.
func (n *Tallies) wants(t *testing.T, received int64, behind uint64) {
	t.Helper()
	got, left, err := n.Of(t.Context(), domainOne, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Total.Received != received || left != behind {
		t.Errorf("counted %d and %d are left, want %d and %d", got.Total.Received, left, received, behind)
	}
}

// Whoever asks sees all that has happened, also after a restart that nobody expected, and
// when the feed no longer goes back to where the counting stood.
func TestTallies(t *testing.T) {
	b := &books{}
	n := newTallies(t, b)
	n.wants(t, 0, 0)
	b.happens(tallyKeep - 1)
	n.wants(t, tallyKeep-1, 0)
	if err := n.keep(t.Context(), 1); err != nil || b.keeps != 0 {
		t.Errorf("few events were kept %d times, error %v", b.keeps, err)
	}
	b.happens(1)
	if err := n.keep(t.Context(), 1); err != nil || b.keeps != 1 {
		t.Errorf("kept %d times, error %v", b.keeps, err)
	}
	b.happens(7)
	n = newTallies(t, b) // a crash: the seven were counted by nobody
	n.wants(t, tallyKeep+7, 0)
	b.happens(10)
	b.trim(tallyKeep + 12) // five are lost, for who begins anew
	newTallies(t, b).wants(t, tallyKeep+5, 0)
	n.wants(t, tallyKeep+12, 0)
	if b.open != 0 {
		t.Errorf("%d feeds are open", b.open)
	}
}

// Nobody waits for all that a busy domain has.
func TestTalliesBehind(t *testing.T) {
	b := &books{}
	n := newTallies(t, b)
	b.happens(tallyAsked + 5)
	n.wants(t, tallyAsked, 5)
	n.wants(t, tallyAsked+5, 0)
	b.happens(2*tallyAsked + 5)
	if err := n.keep(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	n.wants(t, 3*tallyAsked+10, 0)
	b.gone = true
	b.happens(tallyKeep)
	if err := n.keep(t.Context(), 1); gateway.KindOf(err) != gateway.NotFound || len(n.by) != 0 {
		t.Errorf("a domain that is gone: %v, %d are held", err, len(n.by))
	}
}

func TestTalliesScope(t *testing.T) {
	n := newTallies(t, &books{})
	for name, s := range map[string]gateway.Scope{
		"another domain": gateway.NewScope(gateway.LevelDomain, 2, 0, gateway.ID{}), "an account": of(1), "nobody": {},
	} {
		if _, _, err := n.Of(t.Context(), s, 1); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The worker looks each minute, and ends when it is told to.
func TestTalliesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &books{}
		n := newTallies(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		synctest.Wait()
		b.happens(tallyKeep)
		<-time.After(tallyEvery)
		synctest.Wait()
		if b.keeps != 1 || b.kept.Sequence != tallyKeep {
			t.Errorf("kept %d times, as far as %d", b.keeps, b.kept.Sequence)
		}
		cancel()
		if err := <-ended; err != nil || b.holder != nil {
			t.Errorf("it ended with %v, the lease is %v", err, b.holder)
		}
	})
}

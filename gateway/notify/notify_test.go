package notify

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// fakeStore is a feed in memory whose oldest events can be dropped.
type fakeStore struct {
	mu     sync.Mutex
	events []gateway.Event
	floor  uint64
	wakes  map[chan struct{}]struct{}
	open   int
}

type fakeFeed struct {
	s     *fakeStore
	after uint64
	wake  chan struct{}
}

func (s *fakeStore) Events(_ gateway.Scope, _ gateway.DomainID, after uint64) (gateway.Feed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &fakeFeed{s, after, make(chan struct{}, 1)}
	if s.wakes == nil {
		s.wakes = make(map[chan struct{}]struct{})
	}
	s.wakes[f.wake] = struct{}{}
	s.open++
	return f, nil
}

func (s *fakeStore) add(account gateway.AccountID) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	seq := s.floor + uint64(len(s.events)) + 1
	s.events = append(s.events, gateway.Event{Sequence: seq, Account: account})
	for w := range s.wakes {
		select {
		case w <- struct{}{}:
		default:
		}
	}
	return seq
}

func (s *fakeStore) trim(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.floor = s.events[n:], s.floor+uint64(n)
}

func (f *fakeFeed) Next(_ context.Context, most int) ([]gateway.Event, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	head := f.s.floor + uint64(len(f.s.events))
	if f.after >= head {
		return nil, nil
	}
	if f.after < f.s.floor {
		return nil, gateway.ErrTrimmed
	}
	at := int(f.after - f.s.floor)
	out := f.s.events[at:min(at+most, len(f.s.events))]
	f.after = out[len(out)-1].Sequence
	return append([]gateway.Event(nil), out...), nil
}

func (f *fakeFeed) Wake() <-chan struct{} { return f.wake }
func (f *fakeFeed) Seek(n uint64)         { f.after = n }
func (f *fakeFeed) Head(context.Context) (uint64, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.s.floor + uint64(len(f.s.events)), nil
}

func (f *fakeFeed) Close() {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	delete(f.s.wakes, f.wake)
	f.s.open--
}

func of(a gateway.AccountID) gateway.Scope {
	return gateway.NewScope(gateway.LevelAccount, 1, a, gateway.ID{})
}

func newHub(t *testing.T, s *fakeStore) *Hub {
	t.Helper()
	h, err := New(Config{Store: s, Internal: func(d gateway.DomainID) gateway.Scope {
		return gateway.NewScope(gateway.LevelDomain, d, 0, gateway.ID{})
	}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// read waits for n events.
func read(t *testing.T, f gateway.Follower, n int) (seqs []uint64) {
	t.Helper()
	patience := time.After(10 * time.Second)
	for {
		events, err := f.Next(t.Context(), 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Account != 1 {
				t.Fatalf("an event of account %d", e.Account)
			}
			seqs = append(seqs, e.Sequence)
		}
		if len(seqs) >= n {
			return seqs
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-f.Wake():
		case <-patience:
			t.Fatalf("%d events, want %d", len(seqs), n)
		}
	}
}

func TestFollow(t *testing.T) {
	s := &fakeStore{}
	s.add(1)
	h := newHub(t, s)
	f, err := h.Follow(t.Context(), of(1), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.add(2)
	want := s.add(1)
	if got := read(t, f, 1); len(got) != 1 || got[0] != want {
		t.Errorf("got %v, want %d alone: nothing from before, nothing of others", got, want)
	}
	if f.At() != want {
		t.Errorf("at %d, want %d", f.At(), want)
	}
	f.Close()
	f.Close()
	if _, err := h.Follow(t.Context(), of(2), 1, 1); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("another's account: %v", err)
	}
}

// Wherever a follower resumes, it sees everything behind that place once, also
// while more is written.
func TestResume(t *testing.T) {
	s := &fakeStore{}
	h := newHub(t, s)
	keeper, err := h.Follow(t.Context(), of(9), 1, 9) // keeps the reader alive
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	const total = 3 * recentEvents
	var writing sync.WaitGroup
	writing.Go(func() {
		for range total {
			s.add(1)
		}
	})
	var reading sync.WaitGroup
	for _, after := range []uint64{0, 1, 100, recentEvents} {
		reading.Go(func() {
			var f gateway.Follower
			for f == nil {
				var err error
				if f, err = h.Resume(t.Context(), of(1), 1, 1, after); err != nil && !errors.Is(err, gateway.ErrTrimmed) {
					t.Error(err)
					return
				}
			}
			defer f.Close()
			for i, seq := range read(t, f, total-int(after)) {
				if seq != after+uint64(i)+1 {
					t.Errorf("after %d: event %d has sequence %d", after, i, seq)
					return
				}
			}
		})
	}
	writing.Wait()
	reading.Wait()
}

func TestTrimmed(t *testing.T) {
	s := &fakeStore{}
	for range 10 {
		s.add(1)
	}
	s.trim(5)
	h := newHub(t, s)
	for after, want := range map[uint64]error{0: gateway.ErrTrimmed, 4: gateway.ErrTrimmed, 5: nil, 10: nil, 11: gateway.ErrTrimmed} {
		f, err := h.Resume(t.Context(), of(1), 1, 1, after)
		if !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("after %d: %v, want %v", after, err, want)
		}
		if err == nil {
			f.Close()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.by) != 0 {
		t.Error("a reader is left without followers")
	}
}

func BenchmarkTake(b *testing.B) {
	r := &reader{subs: make(map[gateway.AccountID]map[*Follower]struct{})}
	for i := range 1000 {
		f := &Follower{account: gateway.AccountID(i), wake: make(chan struct{}, 1)}
		r.subs[f.account] = map[*Follower]struct{}{f: {}}
	}
	events := make([]gateway.Event, 16)
	for i := range events {
		events[i].Account = gateway.AccountID(i * 50)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.take(events)
	}
	if len(r.recent) == 0 {
		b.Fatal("nothing kept")
	}
}

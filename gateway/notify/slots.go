package notify

import (
	"context"
	"slices"
	"sync"

	"github.com/centerleap/postern/gateway"
)

// Slots are the calls that may run at once, of all that share them: one domain has half of
// them, whoever makes them for it, and those that may be kept for long have half of them
// together, whatever domain they are of. Who waits gets one before those whose domain has
// more calls under way, or as many and began one later.
type Slots struct {
	most, half int

	mu       sync.Mutex
	taken    int
	doubtful int // of those taken, that may be kept for long
	of       map[gateway.DomainID]int
	began    map[gateway.DomainID]uint64 // the number of its newest call
	calls    uint64
	waiting  []*waiter // in the order they came
}

// beganKnown is of how many domains it is known when they began their newest call; one
// more, and it is forgotten of all. Ours.
const beganKnown = 10_000

// waiter is a call that has no slot yet.
type waiter struct {
	domain   gateway.DomainID
	doubtful bool
	granted  chan struct{} // closed when it has one
}

// NewSlots makes n of them, at least one.
func NewSlots(n int) *Slots {
	return &Slots{most: max(1, n), half: max(1, n/2), of: make(map[gateway.DomainID]int), began: make(map[gateway.DomainID]uint64)}
}

// size is how many there are, share how many of them one domain may have.
func (s *Slots) size() int  { return s.most }
func (s *Slots) share() int { return s.half }

// take waits for one. It is false if ctx ended before.
func (s *Slots) take(ctx context.Context, d gateway.DomainID, doubtful bool) (give func(), ok bool) {
	w := &waiter{d, doubtful, make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.grant()
	s.mu.Unlock()
	select {
	case <-w.granted:
		return func() { s.give(w) }, true
	case <-ctx.Done():
	}
	s.mu.Lock()
	i := slices.Index(s.waiting, w)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	s.mu.Unlock()
	if i < 0 { // it had got one in the same moment
		s.give(w)
	}
	return nil, false
}

func (s *Slots) give(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(w, -1)
	s.grant()
}

func (s *Slots) count(w *waiter, by int) {
	s.taken += by
	if w.doubtful {
		s.doubtful += by
	}
	if s.of[w.domain] += by; s.of[w.domain] == 0 {
		delete(s.of, w.domain)
	}
}

// grant gives slots to those who wait, as far as there are any.
func (s *Slots) grant() {
	for s.taken < s.most {
		next := -1
		for i, w := range s.waiting {
			if s.of[w.domain] >= s.half || w.doubtful && s.doubtful >= s.half {
				continue
			}
			if next < 0 || s.before(w.domain, s.waiting[next].domain) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		w := s.waiting[next]
		s.waiting = slices.Delete(s.waiting, next, next+1)
		s.count(w, 1)
		if len(s.began) >= beganKnown {
			clear(s.began)
		}
		s.calls++
		s.began[w.domain] = s.calls
		close(w.granted)
	}
}

// before reports whether one domain comes before another.
func (s *Slots) before(d, o gateway.DomainID) bool {
	if s.of[d] != s.of[o] {
		return s.of[d] < s.of[o]
	}
	return s.began[d] < s.began[o]
}

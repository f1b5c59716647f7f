package gateway

import (
	"sync"
	"time"
)

// Slots are what large requests take while they are read or fetched: sends, uploads
// of modules, and replays. Of each kind there are few, over all doors, and of these one
// domain has a quarter, or a client who sends slowly would shut out all others.
type Slots struct {
	most int64
	full Error // the answer when there is none

	mu       sync.Mutex
	taken    int64
	byDomain map[DomainID]int64
}

// NewSlots makes so many. What they are for, in the plural, and when to try again, is in
// the Unavailable of who gets none.
func NewSlots(most int64, what string, retry time.Duration) *Slots {
	full := Error{Kind: Unavailable, Message: "too many " + what + " at once; try again", Retry: retry}
	return &Slots{most: most, full: full, byDomain: make(map[DomainID]int64)}
}

// Take takes a slot for a domain, 0 for the operator; release gives it back.
func (s *Slots) Take(d DomainID) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || d != 0 && s.byDomain[d] >= max(1, s.most/4) {
		full := s.full
		return nil, &full
	}
	s.taken++
	s.byDomain[d]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taken--
		if s.byDomain[d]--; s.byDomain[d] == 0 {
			delete(s.byDomain, d)
		}
	}, nil
}

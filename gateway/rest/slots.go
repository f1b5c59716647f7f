package rest

import (
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// slots are what large requests take while they are read or fetched: sends, uploads
// of modules, and replays. Of each kind there are few, and of these one domain has a quarter, or a
// client who sends slowly would shut out all others.
type slots struct {
	most int64
	full gateway.Error // the answer when there is none

	mu       sync.Mutex
	taken    int64
	byDomain map[gateway.DomainID]int64
}

func newSlots(most int64, what string, retry time.Duration) *slots {
	full := gateway.Error{Kind: gateway.Unavailable, Message: "too many " + what + " at once; try again", Retry: retry}
	return &slots{most: most, full: full, byDomain: make(map[gateway.DomainID]int64)}
}

// take takes a slot for a domain, 0 for the operator; release gives it back.
func (s *slots) take(d gateway.DomainID) (release func(), err error) {
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

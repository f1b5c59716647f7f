package rest

import (
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// slots are what large sends take while they are read or fetched: SendsAtOnce of them,
// and of these one domain a quarter, or a client who sends slowly would shut out all
// others.
type slots struct {
	most int64

	mu       sync.Mutex
	taken    int64
	byDomain map[gateway.DomainID]int64
}

func newSlots(most int64) *slots {
	return &slots{most: most, byDomain: make(map[gateway.DomainID]int64)}
}

// take takes a slot for a domain, 0 for the operator; release gives it back.
func (s *slots) take(d gateway.DomainID) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || d != 0 && s.byDomain[d] >= max(1, s.most/4) {
		return nil, &gateway.Error{Kind: gateway.Unavailable, Message: "too many large emails are being sent at once; try again", Retry: time.Second}
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

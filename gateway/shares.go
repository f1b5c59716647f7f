package gateway

import (
	"cmp"
	"context"
	"runtime"
	"sync"
)

// Shares divides work that takes a processor to itself: one domain has half as many
// pieces of it at once as there are processors, at least one, so that no tenant keeps
// all others waiting. The zero Shares is ready.
type Shares struct {
	Most  int // pieces of a domain at once, instead; 0: as above
	mu    sync.Mutex
	taken map[DomainID]*share
}

type share struct {
	slots chan struct{}
	users int // who hold or wait
}

// Share is one that was taken.
type Share struct {
	of     *Shares
	domain DomainID
	share  *share
}

// Give gives it back.
func (h Share) Give() {
	<-h.share.slots
	h.of.leave(h.domain, h.share)
}

// Take waits for a share of d; the caller gives it back.
func (s *Shares) Take(ctx context.Context, d DomainID) (Share, error) {
	s.mu.Lock()
	if s.taken == nil {
		s.taken = make(map[DomainID]*share)
	}
	one := s.taken[d]
	if one == nil {
		one = &share{slots: make(chan struct{}, cmp.Or(s.Most, max(1, runtime.GOMAXPROCS(0)/2)))}
		s.taken[d] = one
	}
	one.users++
	s.mu.Unlock()
	if err := one.take(ctx); err != nil {
		s.leave(d, one)
		return Share{}, err
	}
	return Share{of: s, domain: d, share: one}, nil
}

func (s *share) take(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}: // mostly: to look at one channel is quick
		return nil
	default:
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// restingShares is how many domains keep their slots although nobody uses them; ours:
// making them anew for each piece of work takes as long as handing them out.
const restingShares = 1024

// leave ends one use of a domain's slots.
func (s *Shares) leave(d DomainID, one *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.users--; one.users == 0 && len(s.taken) > restingShares {
		delete(s.taken, d)
	}
}

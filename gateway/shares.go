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

// Take waits for a share of d; the caller gives it back.
func (s *Shares) Take(ctx context.Context, d DomainID) (give func(), err error) {
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
		return nil, err
	}
	return func() { <-one.slots; s.leave(d, one) }, nil
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

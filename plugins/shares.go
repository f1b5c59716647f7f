package plugins

import (
	"context"
	"runtime"
	"sync"

	"github.com/centerleap/postern/gateway"
)

// shares bounds how many of the calls that may run at once are one domain's: half of
// them, at least one, so that no tenant's plugins keep those of others waiting.
type shares struct {
	mu    sync.Mutex
	taken map[gateway.DomainID]*share
}

type share struct {
	slots chan struct{}
	users int // who hold or wait
}

// take waits for a share of d; the caller gives it back.
func (s *shares) take(ctx context.Context, d gateway.DomainID) (give func(), err error) {
	s.mu.Lock()
	one := s.taken[d]
	if one == nil {
		one = &share{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
		s.taken[d] = one
	}
	one.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(s.taken, d)
		}
	}
	select {
	case one.slots <- struct{}{}:
		return func() { <-one.slots; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

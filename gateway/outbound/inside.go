package outbound

import (
	"context"
	"sync"

	"github.com/centerleap/postern/gateway"
)

// Mail to people here is tried by the process that accepted it, at once: it is leased in
// the commit that accepts it, if a place is free, and does not pass the due index. What
// finds no place waits there, and so does what a crash leaves behind.

// places are the attempts inside that may run at once.
type places struct {
	mu     sync.Mutex
	taken  int
	opened bool          // the queue runs: it waits for those who have a place
	empty  chan struct{} // closed when the last place is given back after the end
}

func (p *places) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened, p.empty = true, make(chan struct{})
}

// close lets nobody in any more, and waits for those who are.
func (p *places) close() {
	p.mu.Lock()
	p.opened = false
	if p.taken == 0 {
		close(p.empty)
	}
	empty := p.empty
	p.mu.Unlock()
	<-empty
}

// take takes at most n places, and says how many.
func (p *places) take(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.opened {
		return 0
	}
	n = min(n, attemptsAtOnce-p.taken)
	p.taken += n
	return n
}

// giveBack says whether somebody may have found no place before.
func (p *places) giveBack(n int) (full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	full = p.taken == attemptsAtOnce
	if p.taken -= n; n > 0 && p.taken == 0 && !p.opened {
		close(p.empty)
	}
	return full
}

// free reports whether a place is.
func (p *places) free() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken < attemptsAtOnce
}

// claim takes places for what can be tried at once, and has it leased.
func (p *places) claim(list []*gateway.Acceptance) (taken int) {
	for _, a := range list {
		for i := range a.Deliveries {
			d := &a.Deliveries[i]
			if d.State != gateway.DeliveryQueued || d.Site != "" {
				continue
			}
			if p.take(1) == 0 {
				return taken
			}
			d.State = gateway.DeliveryLeased
			taken++
		}
	}
	return taken
}

// tryNow begins attempts at what was leased with its acceptance.
func (s *Sender) tryNow(ctx context.Context, accepted []gateway.Accepted, places int) {
	for i := range accepted {
		for _, d := range accepted[i].Leased {
			places--
			go s.attemptInside(context.WithoutCancel(ctx), d)
		}
	}
	s.inside.giveBack(places) // of suppressed recipients
}

// attemptInside tries one delivery inside, and gives back its place.
func (s *Sender) attemptInside(ctx context.Context, d gateway.Delivery) {
	s.attempt(ctx, "", []gateway.Delivery{d})
	if s.inside.giveBack(1) {
		s.Wake()
	}
}

// waiting reports whether the queue has anything to do about what was accepted.
func waiting(list []*gateway.Acceptance) bool {
	for _, a := range list {
		for i := range a.Deliveries {
			if a.Deliveries[i].State != gateway.DeliveryLeased {
				return true
			}
		}
	}
	return false
}

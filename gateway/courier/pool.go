package courier

import (
	"context"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// key is what connections have in common that may stand in for each other. The name is
// looked up by us, so whoever publishes a domain can't get at the connections of another.
type key struct {
	host   string
	port   uint16
	strict bool
}

// pool bounds how many connections to a host there are, and keeps those that wait for
// their next message.
type pool struct {
	limits gateway.Limits
	mu     sync.Mutex
	hosts  map[key]*host
	idle   int64 // of all hosts
	closed bool
	wait   sync.WaitGroup // for goodbyes
}

// host is in the pool as long as somebody uses it.
type host struct {
	slots chan struct{} // one for each that works
	users int           // who work or wait for a slot
	idle  []*resting    // the one used last at the end
}

// resting is a session that waits.
type resting struct {
	s     *session
	timer *time.Timer
}

func newPool(l gateway.Limits) *pool { return &pool{limits: l, hosts: make(map[key]*host)} }

// enter waits until one more may work with a host; leave ends that. While a session
// rests nobody needs a slot for it: it is taken before a new one is made, so there are
// never more of both than slots.
func (p *pool) enter(ctx context.Context, k key) (leave func(), err error) {
	p.mu.Lock()
	h := p.hosts[k]
	if h == nil {
		h = &host{slots: make(chan struct{}, p.limits.CourierHost)}
		p.hosts[k] = h
	}
	h.users++
	p.mu.Unlock()
	out := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		h.users--
		p.forget(k, h)
	}
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots; out() }, nil
	case <-ctx.Done():
		out()
		return nil, ctx.Err()
	}
}

// forget is called under the lock.
func (p *pool) forget(k key, h *host) {
	if h.users == 0 && len(h.idle) == 0 && p.hosts[k] == h {
		delete(p.hosts, k)
	}
}

// take returns the session that was used last, or nil. Whoever calls it has entered.
func (p *pool) take(k key) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[k]
	for h != nil && len(h.idle) > 0 {
		r := h.idle[len(h.idle)-1]
		h.idle = h.idle[:len(h.idle)-1]
		p.idle--
		if r.timer.Stop() {
			p.wait.Done()
			return r.s
		} // else its time is over: expire closes it
	}
	return nil
}

// keep lets a session rest. Without room for it, it ends. Whoever calls it has entered.
func (p *pool) keep(k key, s *session) {
	p.mu.Lock()
	h := p.hosts[k]
	if p.closed || p.idle >= p.limits.CourierIdle || h == nil {
		p.mu.Unlock()
		s.quit()
		return
	}
	defer p.mu.Unlock()
	r := &resting{s: s}
	p.wait.Add(1)
	r.timer = time.AfterFunc(gateway.HopIdle, func() { p.expire(k, r) })
	h.idle = append(h.idle, r)
	p.idle++
}

// expire ends a session that nobody needed.
func (p *pool) expire(k key, r *resting) {
	defer p.wait.Done()
	p.mu.Lock()
	if h := p.hosts[k]; h != nil {
		for i, other := range h.idle {
			if other == r {
				h.idle = append(h.idle[:i], h.idle[i+1:]...)
				p.idle--
				p.forget(k, h)
				break
			}
		}
	}
	p.mu.Unlock()
	r.s.quit()
}

// close ends all that rest, at the same time, and waits for them.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for k, h := range p.hosts {
		for _, r := range h.idle {
			if r.timer.Stop() {
				go p.expire(k, r)
			}
		}
	}
	p.mu.Unlock()
	p.wait.Wait()
}

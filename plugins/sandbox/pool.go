package sandbox

import (
	"slices"
	"sync"
	"time"
)

// Owner is for whom a module is asked. An instance has one all its life: whatever a
// reset might miss stays with those whose it is.
type Owner [16]byte

// maxIdle is how many instances wait at most, however small they are; ours.
const maxIdle = 256

// pool are the instances that wait for another call: of all modules, since it is their
// memory together that is bounded. There is no queue here: the slots of the Engine bound
// what runs, and whoever finds no instance makes one.
type pool struct {
	wait time.Duration // how long they wait, before they are closed
	most int64         // bytes that are theirs alone

	mu    sync.Mutex
	idle  []*instance // the one used last is at the end
	bytes int64       // of all of them
	sweep *time.Timer // closes those that waited long enough; nil if none waits
}

// take returns an instance that waits, or nil.
func (p *pool) take(m *Module, owner Owner) *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, in := range slices.Backward(p.idle) {
		if in.of == m && in.owner == owner {
			p.idle = slices.Delete(p.idle, i, i+1)
			p.bytes -= in.bytes
			return in
		}
	}
	return nil
}

// put has an instance wait from now on. Those that waited longest make room for it.
func (p *pool) put(in *instance, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in.since, in.bytes = now, in.private()
	p.idle, p.bytes = append(p.idle, in), p.bytes+in.bytes
	excess := 0
	for rest := p.bytes; excess < len(p.idle) && (rest > p.most || len(p.idle)-excess > maxIdle); excess++ {
		rest -= p.idle[excess].bytes
	}
	p.closeFirst(excess)
	if p.sweep == nil && len(p.idle) > 0 {
		p.sweep = time.AfterFunc(p.wait, p.closeIdle)
	}
}

// closeFirst closes those that waited longest; p is locked.
func (p *pool) closeFirst(n int) {
	for _, in := range p.idle[:n] {
		p.bytes -= in.bytes
		in.close()
	}
	p.idle = slices.Delete(p.idle, 0, n)
}

// closeIdle closes those that waited long enough, and comes again for the others.
func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sweep == nil { // there is nothing left to do
		return
	}
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].since) >= p.wait {
		old++
	}
	p.closeFirst(old)
	if p.sweep = nil; len(p.idle) > 0 {
		p.sweep = time.AfterFunc(p.wait-time.Since(p.idle[0].since), p.closeIdle)
	}
}

// drop closes those of a module that start from an image, or from any.
func (p *pool) drop(m *Module, from *image) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(in *instance) bool {
		gone := in.of == m && (from == nil || in.image == from)
		if gone {
			p.bytes -= in.bytes
			in.close()
		}
		return gone
	})
	if p.sweep != nil && len(p.idle) == 0 {
		p.sweep.Stop()
		p.sweep = nil
	}
}

package sandbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/centerleap/postern/plugins/sandbox/snapshot"
)

// pool are the instances of one module that wait for a call, and the image they start
// from. There are never more than ever ran at once, which the slots of the Engine bound.
type pool struct {
	mu    sync.Mutex
	idle  []*instance // the one used last is at the end
	sweep *time.Timer // ends those that wait too long; nil if none waits
	image *image
	// What is known of the image: how many calls started from it, how many of them made
	// their memory larger, and how many images there were before it.
	calls, grown, images int
	renewing             bool // somebody takes another one
}

// Samples of the first image and of those after it, in bytes of text; ours. There are
// no more: a module that grows beyond the last one has its instances replaced.
var sampleSizes = [...]int{4 << 10, 64 << 10, 512 << 10}

// Enough calls that grew to take another image: so many, and one in so many; ours.
const (
	grownLeast = 8
	grownShare = 8
)

// take returns an instance for one call. Whoever finds none makes one, perhaps from a
// new image.
func (m *Module) take(ctx context.Context) (*instance, error) {
	p := &m.pool
	p.mu.Lock()
	p.calls++
	if n := len(p.idle); n > 0 {
		in := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return in, nil
	}
	renew := !p.renewing && m.grows() && p.grown >= grownLeast && p.grown*grownShare >= p.calls
	p.renewing = p.renewing || renew
	p.mu.Unlock()
	if renew {
		m.renew(ctx)
	}
	for {
		p.mu.Lock()
		from := p.image
		p.mu.Unlock()
		in, err := m.attached(ctx, from)
		if !errors.Is(err, snapshot.ErrFreed) { // the image was another's turn to be closed
			return in, err
		}
		if p.current(from) {
			return nil, err
		}
	}
}

func (p *pool) current(i *image) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.image == i
}

// grows reports whether another image could be larger: without warm rounds all are the
// same.
func (m *Module) grows() bool { return m.warms && m.pool.images < len(sampleSizes)-1 }

// renew takes an image of larger warm rounds, in place of the one there is. If that
// fails, it stays.
func (m *Module) renew(ctx context.Context) {
	p := &m.pool
	i, err := m.takeImage(context.WithoutCancel(ctx), sampleSizes[p.images+1])
	p.mu.Lock()
	p.renewing, p.images, p.calls, p.grown = false, p.images+1, 0, 0
	old, idle := p.image, p.idle
	if err != nil {
		p.mu.Unlock()
		return
	}
	p.image, p.idle = i, nil
	p.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
	_ = old.Close() // freed with the last instance that has it
}

// give takes an instance back after a call, unless that spoiled it.
func (m *Module) give(in *instance, spoiled error) {
	p := &m.pool
	p.mu.Lock()
	if errors.Is(spoiled, snapshot.ErrGrown) && in.image == p.image {
		p.grown++
	}
	if spoiled != nil || in.image != p.image {
		p.mu.Unlock()
		in.close()
		return
	}
	defer p.mu.Unlock()
	in.idle = time.Now()
	if p.idle = append(p.idle, in); p.sweep == nil {
		p.sweep = time.AfterFunc(m.engine.cfg.Idle, m.closeIdle)
	}
}

// closeIdle ends the instances that have waited long enough, and comes again for the
// others.
func (m *Module) closeIdle() {
	p, most := &m.pool, m.engine.cfg.Idle
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sweep == nil { // the module is closed
		return
	}
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].idle) >= most { // the one that waits longest is first
		p.idle[old].close()
		old++
	}
	p.idle = append([]*instance(nil), p.idle[old:]...)
	if p.sweep = nil; len(p.idle) > 0 {
		p.sweep = time.AfterFunc(most-time.Since(p.idle[0].idle), m.closeIdle)
	}
}

// empty closes all instances and the image. No call runs any more.
func (p *pool) empty() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sweep != nil {
		p.sweep.Stop()
		p.sweep = nil
	}
	for _, in := range p.idle {
		in.close()
	}
	p.idle = nil
	if p.image == nil {
		return nil
	}
	return p.image.Close()
}

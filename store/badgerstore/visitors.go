package badgerstore

import (
	"sync"

	"github.com/centerleap/postern/store/engine"
)

// visitors counts who uses the store, so that Close can wait for them. Unlike a lock
// for reading it may be entered again by whoever is inside, also while Close waits:
// he is then refused.
type visitors struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // closed when closed and nobody is inside
}

func newVisitors() *visitors { return &visitors{empty: make(chan struct{})} }

func (g *visitors) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return engine.ErrClosed
	}
	g.inside++
	return nil
}

func (g *visitors) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.closed {
		close(g.empty)
	}
}

// close refuses everybody from now on and waits for those inside.
func (g *visitors) close() {
	g.mu.Lock()
	g.closed = true
	if g.inside == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	<-g.empty
}

package sandbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/centerleap/postern/plugins/sandbox/snapshot"
)

// images are the image that a module's instances start from, and what is known of it.
type images struct {
	mu    sync.Mutex
	image *image
	// How many calls started from it, how many of them made their memory larger, and how
	// many images there were before it.
	calls, grown, before int
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

// instance returns one for a call. Whoever finds none that waits makes one, perhaps from
// a new image.
func (m *Module) instance(ctx context.Context, owner Owner) (*instance, error) {
	s := &m.images
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	if in := m.engine.pool.take(m, owner); in != nil {
		return in, nil
	}
	s.mu.Lock()
	// Without warm rounds all images are the same.
	renew := m.warms && !s.renewing && s.before < len(sampleSizes)-1 && s.grown >= grownLeast && s.grown*grownShare >= s.calls
	s.renewing = s.renewing || renew
	s.mu.Unlock()
	if renew {
		m.renew(ctx)
	}
	for {
		from := s.current()
		in, err := m.attached(ctx, owner, from)
		if !errors.Is(err, snapshot.ErrFreed) || s.current() == from {
			return in, err
		} // it was replaced meanwhile
	}
}

func (s *images) current() *image {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.image
}

// renew takes an image of larger warm rounds, in place of the one there is. If that
// fails, it stays.
func (m *Module) renew(ctx context.Context) {
	s := &m.images
	next, err := m.takeImage(context.WithoutCancel(ctx), sampleSizes[s.before+1])
	s.mu.Lock()
	s.renewing, s.before, s.calls, s.grown = false, s.before+1, 0, 0
	old := s.image
	if err == nil {
		s.image = next
	}
	s.mu.Unlock()
	if err == nil {
		m.engine.pool.drop(m, old)
		_ = old.Close() // freed with the last instance that has it
	}
}

// giveBack has an instance wait for its next call, unless this one spoiled it.
func (m *Module) giveBack(in *instance, spoiled error, now time.Time) {
	s := &m.images
	s.mu.Lock()
	current := in.image == s.image
	if current && errors.Is(spoiled, snapshot.ErrGrown) {
		s.grown++
	}
	s.mu.Unlock()
	if spoiled != nil || !current {
		in.close()
		return
	}
	m.engine.pool.put(in, now)
}

package plugins

import (
	"context"
	"sync"
	"time"
)

// until is a context that ends at a time, if the one around it does not end before. It does
// as context.WithDeadline does, but starts a timer only when somebody waits for the end,
// which is rare: to start and stop one costs as much as a plugin's question.
type until struct {
	context.Context
	at time.Time

	mu     sync.Mutex
	timed  context.Context // once somebody waited, or it has ended: what says so
	cancel context.CancelFunc
}

// ended is what a context is that was stopped before anybody waited.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// Deadline is that time, or an earlier one of the context around.
func (u *until) Deadline() (time.Time, bool) {
	if at, ok := u.Context.Deadline(); ok && at.Before(u.at) {
		return at, true
	}
	return u.at, true
}

// Done is closed when it ends.
func (u *until) Done() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.start().Done()
}

// Err is why it ended; nil while it has not.
func (u *until) Err() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.timed == nil && u.Context.Err() == nil && time.Until(u.at) > 0 {
		return nil
	}
	return u.start().Err() // of it alone: whoever was told of the end hears its reason
}

// start starts the timer; u is locked.
func (u *until) start() context.Context {
	if u.timed == nil {
		u.timed, u.cancel = context.WithDeadline(u.Context, u.at)
	}
	return u.timed
}

// stop ends it, and frees what it has.
func (u *until) stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.timed == nil {
		u.timed = ended
	} else if u.cancel != nil {
		u.cancel()
	}
}

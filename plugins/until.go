package plugins

import (
	"context"
	"sync"
	"time"
)

// until is a context that ends at a time, if not before. context.WithDeadline starts a timer,
// which costs as much as a plugin's question; this does when somebody waits, which is rare.
type until struct {
	context.Context
	at     time.Time
	once   sync.Once
	timed  context.Context // nil: nobody has waited
	cancel context.CancelFunc
}

// Deadline is that time, or an earlier one of the context around.
func (u *until) Deadline() (time.Time, bool) {
	if at, ok := u.Context.Deadline(); ok && at.Before(u.at) {
		return at, true
	}
	return u.at, true
}

// Done is closed when it ends.
func (u *until) Done() <-chan struct{} {
	u.once.Do(func() { u.timed, u.cancel = context.WithDeadline(u.Context, u.at) })
	return u.timed.Done()
}

// Err is why it ended; nil while it has not.
func (u *until) Err() error {
	if err := u.Context.Err(); err != nil {
		return err
	}
	if time.Now().Before(u.at) {
		return nil
	}
	return context.DeadlineExceeded
}

// stop ends the wait for that time; nobody asks any more.
func (u *until) stop() {
	if u.cancel != nil {
		u.cancel()
	}
}

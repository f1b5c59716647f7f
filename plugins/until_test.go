package plugins

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// It ends at its time, or with the context around, whoever waits and whoever asks.
func TestUntil(t *testing.T) {
	for _, tt := range []struct {
		name   string
		parent time.Duration // 0: it ends by itself
		want   time.Duration
		err    error
	}{
		{"at its time", 0, time.Second, context.DeadlineExceeded},
		{"when the other's time is over", 500 * time.Millisecond, 500 * time.Millisecond, context.DeadlineExceeded},
		{"before the other's time is over", time.Minute, time.Second, context.DeadlineExceeded},
		{"when the other is cancelled", -200 * time.Millisecond, 200 * time.Millisecond, context.Canceled},
	} {
		for _, waits := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.parent > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.parent)
					defer cancel()
				} else if tt.parent < 0 {
					time.AfterFunc(-tt.parent, cancel)
				}
				began := time.Now()
				u := &until{Context: ctx, at: began.Add(time.Second)}
				defer u.stop()
				if at, ok := u.Deadline(); !ok || errors.Is(tt.err, context.DeadlineExceeded) && at.Sub(began) != tt.want {
					t.Errorf("%s: the deadline is in %v", tt.name, at.Sub(began))
				}
				if waits {
					<-u.Done()
				} else {
					for u.Err() == nil {
						time.Sleep(time.Millisecond)
					}
				}
				if took := time.Since(began); took < tt.want || took > tt.want+time.Millisecond || !errors.Is(u.Err(), tt.err) {
					t.Errorf("%s, waiting %v: %v after %v, want %v after %v", tt.name, waits, u.Err(), took, tt.err, tt.want)
				}
				select {
				case <-u.Done():
				default:
					t.Errorf("%s, waiting %v: it has ended, and who waits is not told", tt.name, waits)
				}
			})
		}
	}
}

// Whoever waits is told when it is stopped, and why: also a context made of it, and one who
// comes afterwards.
func TestUntilStopped(t *testing.T) {
	for _, waits := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			u := &until{Context: t.Context(), at: time.Now().Add(time.Hour)}
			var child context.Context
			if waits {
				child = made(u, t)
			}
			u.stop()
			u.stop()
			<-u.Done()
			if !errors.Is(u.Err(), context.Canceled) {
				t.Errorf("waiting %v: it was stopped: %v", waits, u.Err())
			}
			if !waits {
				child = made(u, t)
			}
			<-child.Done()
			if !errors.Is(child.Err(), context.Canceled) || !errors.Is(context.Cause(child), context.Canceled) {
				t.Errorf("waiting %v: what was made of it: %v", waits, child.Err())
			}
		})
	}
}

// made is a context made of another.
func made(of context.Context, t *testing.T) context.Context {
	child, cancel := context.WithTimeout(of, time.Minute)
	t.Cleanup(cancel)
	return child
}

package keys

import (
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Class is a kind of request; each has a limit of its own.
type Class uint8

// The classes. Requests without a key are Uncounted.
const (
	Uncounted Class = iota
	Reads
	Sends
	Changes
	Uploads // whole files, either way
	Streams // openings, not events
	classes
)

// classOf gives each class its name in gateway.LimitTable, and its limit.
var classOf = [classes]struct {
	name  string
	limit func(*gateway.Limits) int64
}{
	Uncounted: {"", func(*gateway.Limits) int64 { return 0 }},
	Reads:     {"requests_read", func(l *gateway.Limits) int64 { return l.RequestsRead }},
	Sends:     {"requests_send", func(l *gateway.Limits) int64 { return l.RequestsSend }},
	Changes:   {"requests_change", func(l *gateway.Limits) int64 { return l.RequestsChange }},
	Uploads:   {"requests_upload", func(l *gateway.Limits) int64 { return l.RequestsUpload }},
	Streams:   {"requests_stream", func(l *gateway.Limits) int64 { return l.RequestsStream }},
}

// Classes lists every class that is counted, for tests.
func Classes() (all []Class) {
	for c := Uncounted + 1; c < classes; c++ {
		all = append(all, c)
	}
	return all
}

// String is the class's name in gateway.LimitTable.
func (c Class) String() string { return classOf[c].name }

// RequestWindow is how long requests of one class count, from the first. Ours:
// long enough for a burst, short enough to wait for.
const RequestWindow = time.Minute

// Allowance is what a key has left of one class: Left of Most, until Reset has
// passed. Most 0 is no limit.
type Allowance struct {
	Most, Left int64
	Reset      time.Duration
}

// requests counts what keys ask for. It lives in memory: a restart costs a client
// nothing, and a count on disk would cost every read a write.
type requests struct {
	mu      sync.Mutex
	windows map[counted]*window
	swept   time.Time
}

type counted struct {
	key   gateway.ID
	class Class
}

type window struct {
	opened time.Time
	n      int64
}

// over reports whether the window has passed; so has one that a clock which was
// put back left in the future.
func (w *window) over(now time.Time) bool {
	age := now.Sub(w.opened)
	return age < 0 || age >= RequestWindow
}

// Count counts one request of a key, and fails with RateLimited past the limit of
// its class. What is refused does not count.
func (k *Keys) Count(id gateway.ID, c Class) (Allowance, error) {
	most := classOf[c].limit(&k.cfg.Limits)
	if most == 0 {
		return Allowance{}, nil
	}
	now := k.cfg.Now()
	r := &k.requests
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.windows[counted{id, c}]
	if w == nil || w.over(now) {
		w = &window{opened: now}
		r.windows[counted{id, c}] = w
	}
	reset := w.opened.Add(RequestWindow).Sub(now)
	if w.n >= most {
		return Allowance{most, 0, reset}, &gateway.Error{
			Kind: gateway.RateLimited, Limit: "requests", Retry: reset, Reason: "over limit: " + c.String(),
			Message: gateway.Errorf(gateway.RateLimited, "over the limit of %d requests of this kind per minute; wait", most).Message,
		}
	}
	w.n++
	return Allowance{most, most - w.n, reset}, nil
}

// forget drops the windows of keys that went quiet, once in a while.
func (r *requests) forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now.Sub(r.swept); age >= 0 && age < RequestWindow {
		return
	}
	r.swept = now
	for at, w := range r.windows {
		if w.over(now) {
			delete(r.windows, at)
		}
	}
}

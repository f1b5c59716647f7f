package badgerstore

import (
	"context"
	"sync"
	"sync/atomic"

	badger "github.com/dgraph-io/badger/v4"
)

// views counts the open snapshots of the index, so that compaction keeps what they see,
// and makes those wait that must find more there than it has yet.
type views struct {
	applied atomic.Uint64
	mu      sync.Mutex
	open    map[uint64]int // how many, by the group they see
	shown   int
	waiting chan struct{} // closed when there is more to see; nil if nobody waits
	failed  error         // nothing will come any more
}

func (v *views) begin() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := v.applied.Load()
	v.open[at]++
	return at
}

func (v *views) end(at uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open[at]--; v.open[at] == 0 {
		delete(v.open, at)
	}
}

// wait returns when the index shows a group.
func (v *views) wait(ctx context.Context, group uint64) error {
	for v.applied.Load() < group {
		v.mu.Lock()
		if v.waiting == nil {
			v.waiting = make(chan struct{})
		}
		more, err, there := v.waiting, v.failed, v.applied.Load() >= group
		v.mu.Unlock()
		switch {
		case there:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// failure says why nothing will come any more.
func (v *views) failure() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.failed
}

// oldest is the group that the oldest open view sees; with none, the newest.
func (v *views) oldest() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	oldest := v.applied.Load()
	for at := range v.open {
		oldest = min(oldest, at)
	}
	return oldest
}

// show makes a group visible; now and then it lets compaction forget what no
// view can see any more.
func (v *views) show(sequence uint64, db *badger.DB) {
	v.mu.Lock()
	v.applied.Store(sequence)
	v.release()
	v.shown++
	due := v.shown%64 == 0
	v.mu.Unlock()
	if due {
		v.forget(db)
	}
}

// fail ends all waiting.
func (v *views) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failed = err
	v.release()
}

func (v *views) release() {
	if v.waiting != nil {
		close(v.waiting)
		v.waiting = nil
	}
}

// forget lets compaction drop what no view can see. A view that begins meanwhile
// sees the newest group, or a newer one.
func (v *views) forget(db *badger.DB) { db.SetDiscardTs(v.oldest()) }

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"github.com/centerleap/postern/store/engine"
)

// request is one Update on its way through the committer.
type request struct {
	op      engine.Op
	claimed atomic.Bool // by the committer, to be run; or by its caller, who gave it up
	tx      *tx
	err     error
	done    chan struct{}
}

// groupOps bounds a group; Badger's own limit on a transaction's size, which
// depends on the memtable, bounds it too. There is no timer: what gathers while
// the last group syncs is the next group.
const groupOps = 512

// Update runs op and returns when its effects are durable.
func (s *Store) Update(ctx context.Context, op engine.Op) (engine.Commit, error) {
	if h := s.failed.Load(); h != nil {
		return engine.Commit{}, fmt.Errorf("%w: %s", engine.ErrReadOnly, h.Reason)
	}
	r := &request{op: op, done: make(chan struct{})}
	select {
	case <-s.closing:
		return engine.Commit{}, engine.ErrClosed
	default:
	}
	select {
	case s.queue <- r:
	case <-ctx.Done():
		return engine.Commit{}, ctx.Err()
	case <-s.closing:
		return engine.Commit{}, engine.ErrClosed
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.claim() {
			return engine.Commit{}, ctx.Err() // the committer will pass it over
		}
		<-r.done
	case <-s.stopped: // it was queued behind the committer's last look
		if r.claim() {
			return engine.Commit{}, engine.ErrClosed
		}
		<-r.done
	}
	if r.err != nil {
		return engine.Commit{}, r.err
	}
	return engine.Commit{Sequence: r.tx.seq}, nil
}

// claim decides between the committer and a caller who gives up: one of them gets
// the request.
func (r *request) claim() bool { return r.claimed.CompareAndSwap(false, true) }

// run is the committer: the only goroutine that writes.
func (s *Store) run() {
	defer close(s.stopped)
	var held *request // did not fit into the last group
	for {
		first := held
		if first == nil {
			select {
			case first = <-s.queue:
				if !first.claim() {
					continue
				}
			case <-s.closing:
				s.drain()
				return
			}
		}
		held = s.group(first)
	}
}

// drain answers whoever queued while Close began.
func (s *Store) drain() {
	for {
		select {
		case r := <-s.queue:
			if r.claim() {
				r.finish(engine.ErrClosed)
			}
		default:
			return
		}
	}
}

func (r *request) finish(err error) {
	r.err = err
	close(r.done)
}

// group runs first, which is claimed, and whatever waits behind it, makes it durable
// together, and answers. It returns the request that has to wait for the next group, if any.
func (s *Store) group(first *request) (held *request) {
	txn := s.db.NewTransaction(false)
	base := reader{txn: txn, now: s.cfg.Now()}
	over := newOverlay()
	var ran []*request
	for r := first; r != nil; r = s.waiting(len(ran)) {
		before := over.copy()
		r.tx = &tx{store: s, base: base, over: over, domain: r.op.Domain}
		err := r.run()
		if err == nil && !s.fits(over) {
			if len(ran) > 0 {
				over, held = before, r
				break
			}
			err = fmt.Errorf("%w: %d bytes in %d keys", engine.ErrTooLarge, over.bytes, over.cells.Len())
		}
		if err != nil {
			over = before
			r.finish(err)
			continue
		}
		ran = append(ran, r)
	}
	txn.Discard()
	s.settle(ran, s.commit(over))
	return held
}

// waiting claims the next request that is here already.
func (s *Store) waiting(ran int) *request {
	if ran >= groupOps {
		return nil
	}
	for {
		select {
		case r := <-s.queue:
			if r.claim() {
				return r
			}
		default:
			return nil
		}
	}
}

// run calls the closure; a panic is its own failure and nobody else's.
func (r *request) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.tx.store.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "a transaction panicked",
				slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("transaction panicked: %v", p)
		}
	}()
	if err := r.op.Fn(r.tx); err != nil {
		return err
	}
	return r.tx.err
}

func (s *Store) fits(o *overlay) bool {
	return o.bytes < s.db.MaxBatchSize()*9/10 && int64(o.cells.Len()) < s.db.MaxBatchCount()*9/10
}

// commit writes a group as one synced transaction.
func (s *Store) commit(o *overlay) error {
	if h := s.failed.Load(); h != nil {
		return fmt.Errorf("%w: %s", engine.ErrReadOnly, h.Reason)
	}
	if o.cells.Len() == 0 {
		return nil
	}
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	var err error
	o.cells.Scan(func(k string, c cell) bool {
		if c.deleted {
			err = txn.Delete([]byte(k))
		} else {
			err = txn.SetEntry(s.entry([]byte(k), c))
		}
		return err == nil
	})
	if err == nil {
		err = s.cfg.commit(txn)
	}
	if err != nil {
		s.fail("a commit failed", err)
	}
	// Badger may only have logged that a sync failed: then this group is not
	// acknowledged either.
	if h := s.failed.Load(); h != nil {
		return fmt.Errorf("%w: %s: %w", engine.ErrReadOnly, h.Reason, errors.Join(err, h.Err))
	}
	return nil
}

// entry makes a Badger entry. Badger's own expiry only reclaims the space, an
// hour after ours, by the machine's clock.
func (s *Store) entry(k []byte, c cell) *badger.Entry {
	e := badger.NewEntry(k, wrap(c.value, c.exp))
	if c.exp != 0 {
		left := time.Duration(c.exp-s.cfg.Now().UnixMilli()) * time.Millisecond
		e.ExpiresAt = uint64(time.Now().Add(left + time.Hour).Unix())
	}
	return e
}

// settle answers a group and does what had to wait for the sync.
func (s *Store) settle(ran []*request, err error) {
	for _, r := range ran {
		for _, w := range r.tx.staged {
			w.linked.Store(true) // also after a failure: nobody knows if the commit reached the disk
		}
		if err != nil {
			continue
		}
		s.blobs.removeFiles(r.tx.orphan)
		if r.tx.seq > 0 {
			s.feeds.wake(r.op.Domain)
		}
	}
	for _, r := range ran {
		r.finish(err)
	}
}

func isMissing(err error) bool {
	return errors.Is(err, engine.ErrNotFound) || errors.Is(err, os.ErrNotExist)
}

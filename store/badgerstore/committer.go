package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

// request is one Update on its way through the committer.
type request struct {
	op      engine.Op
	claimed atomic.Bool // by the committer, to be run; or by its caller, who gave it up
	tx      *tx
	err     error
	done    chan struct{}
}

const (
	// groupOps and groupBodies bound a group, and so how long one waits for its
	// sync; Badger's limit on a transaction bounds it too. There is no timer: what
	// gathers while the last group syncs is the next group.
	groupOps    = 512
	groupBodies = 4 << 20
	// opBodies bounds the small bodies of one closure, in bytes.
	opBodies = 16 << 20
)

// Update runs op and returns when its effects are durable and visible.
func (s *Store) Update(ctx context.Context, op engine.Op) (engine.Commit, error) {
	if err := s.refused(op.Frees); err != nil {
		return engine.Commit{}, err
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

func (r *request) finish(err error) {
	r.err = err
	close(r.done)
}

// group is what becomes durable together.
type group struct {
	ran      []*request
	failed   []*request // their answers may rest on what others here wrote
	over     *overlay
	end      func()        // releases the snapshot that its closures read
	sequence uint64        // in the log; 0 if nothing was written
	applied  chan struct{} // closed once it is in the index and answered
}

// run is the committer: the only goroutine that writes to the log. While it
// gathers and syncs one group, the applier puts the one before it into the index.
func (s *Store) run() {
	defer close(s.stopped)
	coming := make(chan *group)
	applier := make(chan struct{})
	go func() {
		defer close(applier)
		for g := range coming {
			s.apply(g)
		}
	}()
	defer func() {
		close(coming)
		<-applier
		s.drain()
	}()
	last := &group{applied: closedChan}
	var held *request // did not fit into the last group
	for {
		first := held
		for first == nil {
			select {
			case r := <-s.queue:
				if r.claim() {
					first = r
				}
			case <-s.checkpoints.due:
				<-last.applied
				s.checkpoint()
			case o := <-s.orders:
				<-last.applied
				o.done <- o.do()
			case <-s.closing:
				return
			}
		}
		var g *group
		if g, held = s.gather(first, last); !s.durable(g) {
			continue
		}
		select {
		case <-last.applied:
			if held == nil && len(s.queue) == 0 { // nobody waits: spare the hand-over
				s.apply(g)
				last = g
				continue
			}
		default:
		}
		coming <- g
		last = g
	}
}

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

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

// gather runs first, which is claimed, and whatever waits behind it. It returns
// the request that has to wait for the next group, if any.
func (s *Store) gather(first *request, last *group) (g *group, held *request) {
	g = &group{over: new(overlay), applied: make(chan struct{})}
	var before *overlay
	select {
	case <-last.applied:
	default:
		before = last.over
	}
	var base *reader
	base, g.end = s.index.begin()
	bodies := int64(0)
	for r := first; r != nil; r = s.waiting(g, bodies) {
		r.tx = &tx{store: s, base: base, over: g.over, coming: before, domain: r.op.Domain}
		g.over.mark()
		err := r.run()
		size := r.tx.bodies()
		if err == nil && (!s.fits(g.over) || size > opBodies) || size > 0 && bodies > 0 && bodies+size > opBodies {
			if len(g.ran) > 0 {
				g.over.rollback()
				return g, r
			}
			err = fmt.Errorf("%w: %d bytes in %d keys, and %d of bodies", engine.ErrTooLarge, g.over.bytes, g.over.cells.Len(), size)
		}
		if err != nil {
			g.over.rollback()
			r.err = err
			g.failed = append(g.failed, r)
			continue
		}
		bodies += size
		g.ran = append(g.ran, r)
	}
	return g, nil
}

// waiting claims the next request that is here already, if the group has room.
func (s *Store) waiting(g *group, bodies int64) *request {
	if len(g.ran)+len(g.failed) >= groupOps || bodies >= groupBodies {
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

// bodies is how many bytes of small bodies the closure takes into the log.
func (t *tx) bodies() (n int64) {
	for _, w := range t.staged {
		if w.path == "" {
			n += w.ref.Size
		}
	}
	for _, m := range t.moved {
		n += m.ref.Size
	}
	return n
}

// slack is kept of a group's room for the cells that the committer adds.
const slack = 4096

func (s *Store) fits(o *overlay) bool {
	return o.bytes+slack < s.index.db.MaxBatchSize()*9/10 && int64(o.cells.Len())+64 < s.index.db.MaxBatchCount()*9/10
}

// durable puts a group into the log. If it can't, or nothing came of any closure,
// it answers the group and returns false.
func (s *Store) durable(g *group) bool {
	defer g.end()
	if len(g.ran) == 0 {
		g.answer(nil)
		return false
	}
	err := s.refused(true)
	if err == nil {
		err = s.space.check()
	}
	if err == nil && g.over.cells.Len() > 0 {
		err = s.write(g)
	}
	if err != nil {
		s.settle(g, err)
		return false
	}
	return true
}

// write puts a group into the log: its bodies, then what its closures wrote, with
// the bodies' places filled in.
func (s *Store) write(g *group) error {
	room := seglog.RecordSize(int(g.over.bytes) + slack)
	for _, r := range g.ran {
		room += r.tx.bodies() + int64(len(r.tx.staged)+len(r.tx.moved))*seglog.RecordSize(bodyHead)
	}
	out, err := s.log.Begin(room)
	if err == nil {
		err = s.place(g, out)
	}
	if err == nil {
		s.commit = s.commit[:0]
		g.over.cells.Scan(func(key string, c cell) bool {
			s.commit = appendCell(s.commit, key, c)
			return true
		})
		out.Add(recordCommit, s.commit)
		err = s.log.Append(out)
	}
	if cap(s.commit) > 1<<20 {
		s.commit = nil
	}
	switch {
	case err == nil:
		g.sequence = out.Sequence()
		s.checkpoints.wrote(room)
		return nil
	case errors.Is(err, seglog.ErrFull):
		s.space.spent()
		return fmt.Errorf("%w: %w", engine.ErrFull, err)
	}
	s.fail("the log can't be written", err)
	return fmt.Errorf("%w: %w", engine.ErrReadOnly, err)
}

// apply puts a durable group into the index and answers it.
func (s *Store) apply(g *group) {
	var err error
	if g.sequence > 0 {
		err = s.index.apply(g.sequence, func(yield func([]byte, cell) error) error {
			g.over.cells.Scan(func(key string, c cell) bool {
				err = yield([]byte(key), c)
				return err == nil
			})
			return err
		})
	}
	if err != nil {
		// It is durable, and the next start will show it. Nothing can be built on
		// top of it now.
		s.fail("the index can't be written", err)
		err = fmt.Errorf("%w: %w", engine.ErrReadOnly, err)
	}
	s.settle(g, err)
}

// settle does what had to wait for the group's end, and answers it.
func (s *Store) settle(g *group, err error) {
	for _, r := range g.ran {
		for _, w := range r.tx.staged {
			if err == nil || !errors.Is(err, engine.ErrFull) {
				w.linked.Store(true) // also after a failure: nobody knows what reached the disk
			}
		}
		if err != nil {
			continue
		}
		s.blobs.removeFiles(r.tx.freed)
		if r.tx.seq > 0 {
			s.feeds.wake(r.op.Domain)
		}
	}
	g.answer(err)
}

// answer tells those that ran how the group ended, and the others why they failed.
func (g *group) answer(err error) {
	for _, r := range g.ran {
		r.finish(err)
	}
	for _, r := range g.failed {
		r.finish(r.err)
	}
	close(g.applied)
}

func isMissing(err error) bool {
	return errors.Is(err, engine.ErrNotFound) || errors.Is(err, os.ErrNotExist)
}

package badgerstore

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

// request is one Update on its way.
type request struct {
	ctx     context.Context //nolint:containedctx // it lives as long as the call
	op      engine.Op
	claimed atomic.Bool // by a leader, to be run; or by its caller, who gave it up
	tx      tx
	err     error
	done    chan struct{}
}

// claim decides between a leader and a caller who gives up: one of them gets the
// request.
func (r *request) claim() bool { return r.claimed.CompareAndSwap(false, true) }

// wanted claims a request for a leader, unless its caller is about to give it up.
func (r *request) wanted() bool {
	if !r.claim() {
		return false
	}
	if err := r.ctx.Err(); err != nil {
		r.finish(err)
		return false
	}
	return true
}

func (r *request) finish(err error) {
	r.err = err
	close(r.done)
}

// committer is the line in which writing happens. It has no goroutine of its own but
// the last: a caller who finds the line free leads a group through it, others' work
// with its own.
//
//   - gathering: the leader runs closures, one after the other, and lays out their
//     bodies, while the log syncs the group before;
//   - writing: once the log is free, the group has its place, and the next leader may
//     gather; the group is written and synced, and its callers have their answer;
//   - applying: a goroutine puts it into the index while the next one syncs, together
//     with those that came meanwhile. Until then views read it from where it is.
//
// A group is closed when the log is ready for it, not earlier: so whoever comes
// during a sync shares the next one, and so does whoever only needs his turn on a
// processor to come. There is no timer. A view that begins after an
// answer sees what was answered, in the index or in the groups on their way there: so
// nobody waits for the index.
type committer struct {
	store     *Store
	queue     chan *request
	gathering chan struct{}      // has a token while nobody gathers
	writing   chan struct{}      // has one while nobody writes to the log
	drafts    chan *seglog.Group // of whoever gathers, and of whoever writes
	applying  chan *group
	closing   chan struct{}
	stopped   chan struct{} // closed when nothing is run any more
	applier   sync.WaitGroup
	alones    atomic.Int32 // how many wait to be alone

	// Of whoever gathers.
	recent []*group // that were let go and may not be in the index yet, newest first
	held   *request // did not fit into the newest

	// Of whoever writes.
	commit []byte // reused

	// Of whoever applies.
	sorted sorted // reused
}

// queueLength is how many closures may wait; more block in Update.
const queueLength = 1024

func newCommitter(s *Store) *committer {
	c := &committer{
		store: s, queue: make(chan *request, queueLength), gathering: make(chan struct{}, 1), writing: make(chan struct{}, 1),
		drafts: make(chan *seglog.Group, 2), applying: make(chan *group, 1), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	for range cap(c.drafts) {
		c.drafts <- new(seglog.Group)
	}
	c.gathering <- struct{}{}
	c.writing <- struct{}{}
	c.applier.Go(c.apply)
	return c
}

// Update runs op and returns when its effects are durable. Every View that begins
// after that sees them.
func (s *Store) Update(ctx context.Context, op engine.Op) (engine.Commit, error) {
	if err := errors.Join(ctx.Err(), s.refused(op.Frees)); err != nil {
		return engine.Commit{}, err
	}
	r := &request{ctx: ctx, op: op, done: make(chan struct{})}
	if err := s.committer.enter(ctx, r); err != nil {
		return engine.Commit{}, err
	}
	if err := s.committer.wait(ctx, r); err != nil {
		return engine.Commit{}, err
	}
	return engine.Commit{Sequence: r.tx.seq}, nil
}

func (c *committer) enter(ctx context.Context, r *request) error {
	select {
	case <-c.closing:
		return engine.ErrClosed
	default:
	}
	select {
	case c.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.closing:
		return engine.ErrClosed
	}
}

// wait returns how a request ended. Until somebody leads it, its caller may.
func (c *committer) wait(ctx context.Context, r *request) error {
	for {
		gathering := c.gathering
		if r.claimed.Load() {
			gathering = nil
		}
		select {
		case <-r.done:
			return r.err
		case <-gathering:
			c.lead()
			continue
		case <-ctx.Done():
			if r.claim() {
				return ctx.Err() // a leader will pass it over
			}
		case <-c.stopped: // it was queued behind the last look
			if r.claim() {
				return engine.ErrClosed
			}
		}
		<-r.done
		return r.err
	}
}

// lead takes a group through the line; the caller has the token for gathering.
func (c *committer) lead() {
	first := c.next()
	if first == nil {
		c.gathering <- struct{}{}
		return
	}
	g := c.gather(first) // and waits for the token for writing
	built := c.build(g)
	// What didn't fit has no other leader for certain; but whoever wants to be alone
	// gets his turn, and leads on after it.
	hurry := c.held != nil && c.alones.Load() == 0
	if !hurry {
		c.gathering <- struct{}{}
	}
	appended := built && c.append(g)
	g.draft.Reset()
	c.drafts <- g.draft
	if appended {
		c.applying <- g
	}
	c.writing <- struct{}{}
	if hurry { // in a goroutine of its own: this caller has its answer
		go c.lead()
	}
}

// apply puts groups into the index, those together that came meanwhile: sorting them
// into one costs less than two insertions.
func (c *committer) apply() {
	var first *group // of those to apply; the others are in the channel
	for whole := true; ; {
		if first == nil {
			if first = <-c.applying; first == nil {
				return
			}
		}
		var groups []*group
		groups, first = c.together(first)
		// After one that failed none may follow: the index would say that it has both.
		whole = whole && c.store.apply(groups)
		for _, g := range groups {
			close(g.ended)
		}
		c.store.pending.drop()
	}
}

// together adds to a group those behind it that fit into the same batch. next is one
// that does not.
func (c *committer) together(first *group) (groups []*group, next *group) {
	bytes, cells := first.over.bytes, first.over.cells.Len()
	for groups = append(groups, first); ; groups = append(groups, next) {
		select {
		case next = <-c.applying:
		default:
			next = nil
		}
		if next == nil {
			return groups, nil
		}
		bytes, cells = bytes+next.over.bytes, cells+next.over.cells.Len()
		if !c.store.index.fits(bytes, cells) {
			return groups, next
		}
	}
}

// next claims the request that is first in line; nil if nobody waits.
func (c *committer) next() (r *request) {
	if r, c.held = c.held, nil; r != nil {
		return r
	}
	for {
		select {
		case r := <-c.queue:
			if r.wanted() {
				return r
			}
		default:
			return nil
		}
	}
}

// alone runs fn while nobody gathers or writes, and everything is in the index.
func (c *committer) alone(ctx context.Context, fn func() error) error {
	c.alones.Add(1)
	defer func() {
		c.alones.Add(-1)
		c.leadOn()
	}()
	select {
	case <-c.gathering:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stopped:
		return engine.ErrClosed
	}
	<-c.writing
	for _, g := range c.recent {
		<-g.ended
	}
	err := fn()
	c.writing <- struct{}{}
	c.gathering <- struct{}{}
	return err
}

// leadOn leads what was left to whoever is alone, unless somebody else does.
func (c *committer) leadOn() {
	select {
	case <-c.gathering:
		c.lead()
	default:
	}
}

// stop lets the groups that are under way end, and answers whoever waits.
func (c *committer) stop() {
	close(c.closing)
	<-c.gathering // and keeps it
	<-c.writing
	if r := c.held; r != nil { // it is claimed, so nobody else answers it
		c.held = nil
		r.finish(engine.ErrClosed)
	}
	close(c.stopped)
	close(c.applying)
	c.applier.Wait()
}

func isMissing(err error) bool {
	return errors.Is(err, engine.ErrNotFound) || errors.Is(err, os.ErrNotExist)
}

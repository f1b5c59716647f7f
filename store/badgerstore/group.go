package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

const (
	// groupOps and groupBodies bound a group, and so how long one waits for its
	// sync; Badger's limit on a transaction bounds it too. Were all of 256 callers in
	// one group, nobody would gather while it is written: 192 were a little quicker than
	// 128 and 256, and those than 32, 64 and 512.
	groupOps    = 192
	groupBodies = 4 << 20
	// gatherYields is how often the others that are ready to run have a turn before a
	// group without a newcomer is closed: who comes to his commit meanwhile shares its
	// sync. Where nobody is ready it takes no time. With 16 SMTP sessions a mail took 0.2
	// syncs instead of 0.3, with 64 0.06 instead of 0.12; 8 callers made a sixth more
	// commits. More turns than two brought nothing.
	gatherYields = 2
	// A group of fewer than gatherFew closures waits for bodies that are on their way to a
	// commit, at most gatherWait. Without it a mail of 16 SMTP sessions took 0.19 syncs, with
	// it 0.155, and the rate grew by a fifth, at 64 sessions too; one session alone has
	// nobody to wait for. 6 and 8 closures, 100 and 200 us did a little less; where groups of
	// all sizes wait, 64 callers and more lose. Who sends a body slowly costs others no more
	// than that wait.
	gatherFew  = 10
	gatherWait = 150 * time.Microsecond
	// opBodies bounds the small bodies of one closure, in bytes.
	opBodies = 16 << 20
)

// group is what becomes durable together.
type group struct {
	ran      []*request
	failed   []*request // their answers may rest on what others here wrote
	bodies   int64      // bytes that go into the log
	draft    *seglog.Group
	laid     []laidBody // out in draft
	news     news       // changes that are not in over yet
	over     *overlay
	coming   []*group // what it saw besides the index, newest first
	base     *reader
	end      func()        // releases base
	sequence uint64        // 0 if nothing was written
	err      error         // why it is not durable; set before ended is closed
	ended    chan struct{} // closed once it is in the index, or failed
}

// laidBody is a body in the draft of a group.
type laidBody struct {
	ref engine.BlobRef
	at  int // where in the draft it begins
}

func (g *group) isEnded() bool {
	select {
	case <-g.ended:
		return true
	default:
		return false
	}
}

// lost says why a group whose writes g saw did not become durable. It is known when
// the log is free for g.
func (g *group) lost() error {
	for _, before := range g.coming {
		if before.isEnded() && before.err != nil {
			return before.err
		}
	}
	return nil
}

// coming lists the groups that are not in the index yet, newest first.
func (c *committer) coming() []*group {
	keep := c.recent[:0]
	for _, g := range c.recent {
		if g.isEnded() {
			g.coming = nil // or each would hold all before it for ever
		} else {
			keep = append(keep, g)
		}
	}
	clear(c.recent[len(keep):])
	c.recent = keep
	return slices.Clone(keep)
}

// gather runs first, which is claimed, and whoever comes until the log is free,
// whose token it then has.
func (c *committer) gather(first *request) *group {
	g := &group{over: new(overlay), draft: <-c.drafts, ended: make(chan struct{}), coming: c.coming()}
	g.base, g.end = c.store.index.begin()
	c.recent = slices.Insert(c.recent, 0, g)
	c.take(g, first)
	free, yields := false, 0
	var until time.Time
	for len(g.ran)+len(g.failed) < groupOps && g.bodies < groupBodies {
		var r *request
		if !free {
			select {
			case r = <-c.queue:
			case <-c.writing:
				free = true
			}
		} else { // take who is here or about to be
			select {
			case r = <-c.queue:
				yields = 0
			default:
				if yields++; yields <= gatherYields {
					runtime.Gosched()
					continue
				}
				if r = c.linger(g, &until); r == nil {
					return g
				}
				yields = 0
			}
		}
		if r != nil && r.wanted() && !c.take(g, r) {
			break
		}
	}
	if !free {
		<-c.writing
	}
	return g
}

// linger waits until a time, which the first call sets, for one more request, if the group
// is small and a body is on its way to one; nil if none came.
func (c *committer) linger(g *group, until *time.Time) *request {
	if len(g.ran)+len(g.failed) >= gatherFew || c.store.blobs.coming.Load() == 0 {
		return nil
	}
	if until.IsZero() {
		*until = time.Now().Add(gatherWait)
	}
	left := time.Until(*until)
	if left <= 0 {
		return nil
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case r := <-c.queue:
		return r
	case <-timer.C:
		return nil
	}
}

// take runs a request in a group. It returns false if there is no room for it: then
// it is the first of the next one.
func (c *committer) take(g *group, r *request) bool {
	s := c.store
	r.tx = tx{store: s, group: g, base: g.base, over: g.over, domain: r.op.Domain}
	g.over.mark()
	err := r.run()
	size := r.tx.bodies()
	bytes, cells := g.over.bytes+g.news.bytes+r.tx.news(), g.over.cells.Len()+g.news.cells()+len(r.tx.changes)
	if err == nil && (!s.index.fits(bytes, cells) || g.bodies+size > opBodies) {
		if len(g.ran) > 0 {
			g.over.rollback()
			c.held = r
			return false
		}
		err = fmt.Errorf("%w: %d bytes in %d keys, and %d of bodies", engine.ErrTooLarge, bytes, cells, size)
	}
	if err != nil {
		g.over.rollback()
		r.err = err
		g.failed = append(g.failed, r)
		return true
	}
	g.bodies += size
	g.ran = append(g.ran, r)
	g.lay(&r.tx)
	g.news.add(&r.tx)
	return true
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
	if err := r.op.Fn(&r.tx); err != nil {
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

// build gives a group its place in the log, and adds to its bodies what its closures
// wrote, with the bodies' places filled in. If it can't, or nobody is left in the
// group, it ends.
func (c *committer) build(g *group) bool {
	s := c.store
	defer g.end()
	if len(g.ran) == 0 {
		s.settle(g, g.lost())
		return false
	}
	if g.over.cells.Len() == 0 {
		return true
	}
	g.news.write(g.over, g.base.now+s.cfg.FeedRetention.Milliseconds())
	err := s.log.Place(g.draft, seglog.RecordSize(int(g.over.bytes)+slack))
	if err == nil {
		err = s.place(g)
	}
	if err != nil {
		s.settle(g, s.logError(err))
		return false
	}
	c.commit = c.commit[:0]
	g.over.cells.Scan(func(key string, v cell) bool {
		c.commit = appendCell(c.commit, key, v)
		return true
	})
	g.draft.Add(recordCommit, c.commit)
	if cap(c.commit) > 1<<20 {
		c.commit = nil
	}
	g.sequence = g.draft.Sequence()
	s.checkpoints.wrote(g.bodies + g.over.bytes)
	return true
}

// append makes a group durable. If it can't, or a group before it failed whose
// writes it saw, it ends.
func (c *committer) append(g *group) bool {
	s := c.store
	err := s.refused(true)
	if err == nil {
		err = s.space.check()
	}
	if err == nil {
		err = g.lost()
	}
	if err == nil && g.sequence > 0 {
		err = s.logError(s.log.Append(g.draft))
	}
	if err != nil {
		s.settle(g, err)
		return false
	}
	if g.sequence > 0 {
		s.pending.add(g)
		s.durable.Store(g.sequence)
	}
	g.answer(nil)
	for _, r := range g.ran {
		if r.tx.seq > 0 {
			s.feeds.wake(r.op.Domain)
		}
	}
	return true
}

// pending are the groups that are durable and may not be in the index yet.
type pending struct {
	mu     sync.Mutex
	groups atomic.Pointer[[]*group] // newest first; what it points to is never changed
}

func (p *pending) list() []*group {
	if l := p.groups.Load(); l != nil {
		return *l
	}
	return nil
}

// add puts a group on top.
func (p *pending) add(g *group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := append(append(make([]*group, 0, 4), g), p.list()...)
	p.groups.Store(&l)
}

// drop removes those that are in the index.
func (p *pending) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := slices.DeleteFunc(slices.Clone(p.list()), (*group).isEnded)
	p.groups.Store(&l)
}

// logError tells a full disk, which ends, from a failure that ends all writing.
func (s *Store) logError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, seglog.ErrLarge):
		return fmt.Errorf("%w: %w", engine.ErrTooLarge, err)
	case errors.Is(err, seglog.ErrFull):
		s.space.spent()
		return fmt.Errorf("%w: %w", engine.ErrFull, err)
	}
	s.fail("the log can't be written", err)
	return fmt.Errorf("%w: %w", engine.ErrReadOnly, err)
}

// apply puts durable groups that follow each other into the index. It returns false if
// it could not.
func (s *Store) apply(groups []*group) bool {
	var cells []keyed
	var newest *group
	for _, g := range groups {
		switch {
		case g.sequence == 0:
			continue
		case newest == nil:
			s.committer.sorted = s.committer.sorted.take(g.over)
			cells = s.committer.sorted.cells
		default:
			cells = merged(cells, sorted{}.take(g.over).cells)
		}
		newest = g
	}
	if newest != nil {
		if err := s.index.apply(newest.sequence, newest.base.now, cells); err != nil {
			// The next start will show it. Until then nobody must take its absence for
			// the truth, and nothing can be built on top of it.
			s.fail("the index can't be written", err)
			s.index.views.fail(fmt.Errorf("the index can't be written: %w", err))
			return false
		}
	}
	for _, g := range groups {
		for _, r := range g.ran {
			s.blobs.removeFiles(r.tx.freed)
		}
	}
	return true
}

// settle ends a group that did not become durable, or that was empty.
func (s *Store) settle(g *group, err error) {
	g.err = err
	g.answer(err)
	close(g.ended)
}

// answer tells those that ran how the group ended, and the others why they failed.
func (g *group) answer(err error) {
	for _, r := range g.ran {
		for _, w := range r.tx.staged {
			if err == nil || !errors.Is(err, engine.ErrFull) {
				w.linked.Store(true) // also after a failure: nobody knows what reached the disk
			}
		}
		r.finish(err)
	}
	for _, r := range g.failed {
		if err != nil { // it may have failed for what is lost now
			r.err = err
		}
		r.finish(r.err)
	}
}

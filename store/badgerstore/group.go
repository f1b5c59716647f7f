package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

const (
	// groupOps and groupBodies bound a group, and so how long one waits for its
	// sync; Badger's limit on a transaction bounds it too.
	groupOps    = 512
	groupBodies = 4 << 20
	// opBodies bounds the small bodies of one closure, in bytes.
	opBodies = 16 << 20
)

// group is what becomes durable together.
type group struct {
	ran      []*request
	failed   []*request // their answers may rest on what others here wrote
	bodies   int64      // bytes that go into the log
	over     *overlay
	coming   []*group // what it saw besides the index, newest first
	base     *reader
	end      func()        // releases base
	out      *seglog.Group // valid until the log has it; nil if nothing was written
	sequence uint64        // of out
	err      error         // why it is not durable; set before ended is closed
	ended    chan struct{} // closed once it is in the index, or failed
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
	g := &group{over: new(overlay), ended: make(chan struct{}), coming: c.coming()}
	g.base, g.end = c.store.index.begin()
	c.recent = slices.Insert(c.recent, 0, g)
	c.take(g, first)
	free := false
	for len(g.ran)+len(g.failed) < groupOps && g.bodies < groupBodies {
		var r *request
		if !free {
			select {
			case r = <-c.queue:
			case <-c.writing:
				free = true
			}
		} else { // take who is here, wait for nobody
			select {
			case r = <-c.queue:
			default:
				return g
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

// take runs a request in a group. It returns false if there is no room for it: then
// it is the first of the next one.
func (c *committer) take(g *group, r *request) bool {
	s := c.store
	r.tx = &tx{store: s, group: g, base: g.base, over: g.over, domain: r.op.Domain}
	g.over.mark()
	err := r.run()
	size := r.tx.bodies()
	if err == nil && (!s.fits(g.over) || g.bodies+size > opBodies) {
		if len(g.ran) > 0 {
			g.over.rollback()
			c.held = r
			return false
		}
		err = fmt.Errorf("%w: %d bytes in %d keys, and %d of bodies", engine.ErrTooLarge, g.over.bytes, g.over.cells.Len(), size)
	}
	if err != nil {
		g.over.rollback()
		r.err = err
		g.failed = append(g.failed, r)
		return true
	}
	g.bodies += size
	g.ran = append(g.ran, r)
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

// build lays a group out for the log: its bodies, then what its closures wrote,
// with the bodies' places filled in. If it can't be, or nobody is left in it, it
// ends.
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
	room := seglog.RecordSize(int(g.over.bytes)+slack) + g.bodies
	for _, r := range g.ran {
		room += int64(len(r.tx.staged)+len(r.tx.moved)) * seglog.RecordSize(bodyHead)
	}
	out, err := s.log.Begin(room)
	if err == nil {
		err = s.place(g, out)
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
	out.Add(recordCommit, c.commit)
	if cap(c.commit) > 1<<20 {
		c.commit = nil
	}
	g.out, g.sequence = out, out.Sequence()
	s.checkpoints.wrote(room)
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
	if err == nil && g.out != nil {
		err = s.logError(s.log.Append(g.out))
	}
	if err != nil {
		s.settle(g, err)
		return false
	}
	if g.sequence > 0 {
		s.durable.Store(g.sequence)
	}
	g.answer(nil)
	return true
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

// apply puts a durable group into the index. It returns false if it could not.
func (s *Store) apply(g *group) bool {
	if g.sequence > 0 {
		cells := make([]keyed, 0, g.over.cells.Len()+1)
		g.over.cells.Scan(func(key string, c cell) bool {
			cells = append(cells, keyed{[]byte(key), c})
			return true
		})
		if err := s.index.apply(g.sequence, g.base.now, cells); err != nil {
			// The next start will show it. Until then nobody must take its absence for
			// the truth, and nothing can be built on top of it.
			s.fail("the index can't be written", err)
			s.index.views.fail(fmt.Errorf("the index can't be written: %w", err))
			return false
		}
	}
	for _, r := range g.ran {
		s.blobs.removeFiles(r.tx.freed)
		if r.tx.seq > 0 {
			s.feeds.wake(r.op.Domain)
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

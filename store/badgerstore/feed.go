package badgerstore

import (
	"bytes"
	"context"
	"sync"

	"github.com/centerleap/postern/store/engine"
)

// feeds knows who wants to be woken, by domain.
type feeds struct {
	mu       sync.Mutex
	byDomain map[uint32]map[*feed]struct{}
}

func (f *feeds) add(n *feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byDomain == nil {
		f.byDomain = make(map[uint32]map[*feed]struct{})
	}
	if f.byDomain[n.domain] == nil {
		f.byDomain[n.domain] = make(map[*feed]struct{})
	}
	f.byDomain[n.domain][n] = struct{}{}
}

func (f *feeds) remove(n *feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byDomain[n.domain], n)
	if len(f.byDomain[n.domain]) == 0 {
		delete(f.byDomain, n.domain)
	}
}

// wake fills the one slot of each reader of a domain; it waits for nobody.
func (f *feeds) wake(domain uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := range f.byDomain[domain] {
		select {
		case n.woken <- struct{}{}:
		default:
		}
	}
}

// feed reads the changes of one domain from the store itself.
type feed struct {
	store  *Store
	domain uint32
	after  uint64
	woken  chan struct{}

	current bool   // it had all that there was
	asOf    uint64 // after this group
}

// Feed returns the changes of a domain after a sequence.
func (s *Store) Feed(domain uint32, from uint64) engine.Feed {
	f := &feed{store: s, domain: domain, after: from, woken: make(chan struct{}, 1)}
	s.feeds.add(f)
	return f
}

// Next returns up to most changes. Sequences have no gaps, so a first change
// that is not the next one means that others before it have expired.
func (f *feed) Next(ctx context.Context, most int) ([]engine.Change, error) {
	durable := f.store.durable.Load()
	if most <= 0 || f.current && f.asOf == durable && f.store.running.Err() == nil {
		return nil, ctx.Err() // who looks after each command mostly finds nothing
	}
	p := pull{feed: f, most: most}
	err := f.store.visit(ctx, p.fromMemory)
	if err == nil && !p.found() {
		p = pull{feed: f, most: most}
		err = f.store.View(ctx, p.fromIndex)
	}
	if err != nil {
		return nil, err
	}
	if n := len(p.out); n > 0 {
		f.after = p.out[n-1].Sequence
	}
	f.current, f.asOf = p.all && len(p.out) < most, durable
	return p.out, nil
}

// pull is one look at the changes after those that a feed has returned.
type pull struct {
	*feed
	most int
	out  []engine.Change
	all  bool // that there were
}

// found reports whether the next change is there.
func (p *pull) found() bool { return len(p.out) > 0 && p.out[0].Sequence == p.after+1 }

// fromMemory looks into the groups that may not be in the index yet: who is woken by a
// commit finds it there, and need not search the index. They follow each other, so with
// the next change all later ones are there, too.
func (p *pull) fromMemory() error {
	var sources []source
	now := p.store.index.now().UnixMilli()
	for _, g := range p.store.pending.list() {
		sources = append(sources, newWritten(&g.over.cells, p.rng(), now))
	}
	return p.collect(func(rng engine.Range, fn func(k, v []byte) error) error { return scan(rng, fn, sources...) })
}

func (p *pull) fromIndex(r engine.Reader) error {
	if err := p.collect(r.Scan); err != nil || p.found() {
		return err
	}
	head, err := p.head(r)
	if err == nil && head > p.after {
		err = engine.ErrTrimmed
	}
	return err
}

func (p *pull) rng() engine.Range {
	rng := engine.Prefix(ownKey(engine.SubFeed, p.domain))
	rng.From, rng.Limit = feedKey(p.domain, p.after+1), p.most
	return rng
}

// collect takes changes that follow each other.
func (p *pull) collect(scan func(engine.Range, func(k, v []byte) error) error) error {
	p.all = true
	return scan(p.rng(), func(k, v []byte) error {
		done := false
		err := eachChange(k, v, func(c engine.Change) (more bool) {
			switch n := len(p.out); {
			case c.Sequence <= p.after: // the beginning of a run that was read before
				return true
			case n == p.most, n > 0 && c.Sequence != p.out[n-1].Sequence+1:
				done = true // or one has expired before its neighbours: the next call says so
				return false
			}
			p.out = append(p.out, engine.Change{Sequence: c.Sequence, Payload: bytes.Clone(c.Payload)})
			return true
		})
		if done && err == nil {
			p.all, err = false, engine.ErrStop
		}
		return err
	})
}

func (f *feed) head(r engine.Reader) (uint64, error) { return readU64(r, sequenceKey(f.domain)) }

func (f *feed) Head(ctx context.Context) (head uint64, err error) {
	err = f.store.View(ctx, func(r engine.Reader) error {
		head, err = f.head(r)
		return err
	})
	return head, err
}

func (f *feed) Wake() <-chan struct{} { return f.woken }
func (f *feed) Seek(sequence uint64)  { f.after, f.current = sequence, false }
func (f *feed) Close()                { f.store.feeds.remove(f) }

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
func (f *feed) Next(ctx context.Context, most int) (out []engine.Change, err error) {
	durable := f.store.durable.Load()
	if most <= 0 || f.current && f.asOf == durable && f.store.running.Err() == nil {
		return nil, ctx.Err() // who looks after each command mostly finds nothing
	}
	all := false
	err = f.store.View(ctx, func(r engine.Reader) error {
		all = true
		rng := engine.Prefix(ownKey(engine.SubFeed, f.domain))
		rng.From, rng.Limit = feedKey(f.domain, f.after+1), most
		if err := r.Scan(rng, func(k, v []byte) error {
			done := false
			err := eachChange(k, v, func(c engine.Change) (more bool) {
				switch n := len(out); {
				case c.Sequence <= f.after: // the beginning of a run that was read before
					return true
				case n == most, n > 0 && c.Sequence != out[n-1].Sequence+1:
					done = true // or one has expired before its neighbours: the next call says so
					return false
				}
				out = append(out, engine.Change{Sequence: c.Sequence, Payload: bytes.Clone(c.Payload)})
				return true
			})
			if done && err == nil {
				all, err = false, engine.ErrStop
			}
			return err
		}); err != nil {
			return err
		}
		if len(out) > 0 && out[0].Sequence == f.after+1 {
			return nil
		}
		head, err := f.head(r)
		if err == nil && head > f.after {
			err = engine.ErrTrimmed
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if n := len(out); n > 0 {
		f.after = out[n-1].Sequence
	}
	f.current, f.asOf = all && len(out) < most, durable
	return out, nil
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

package badgerstore

import (
	"bytes"
	"slices"

	"github.com/tidwall/btree"

	"github.com/centerleap/postern/store/engine"
)

// cell is one written key.
type cell struct {
	value   []byte
	exp     int64 // unix ms; 0 stays
	deleted bool
}

func (c cell) live(nowMilli int64) bool { return !c.deleted && (c.exp == 0 || nowMilli < c.exp) }

// overlay holds what a group has written so far, above the snapshot it reads.
// What the running closure wrote can be taken back.
type overlay struct {
	cells btree.Map[string, cell]
	bytes int64 // as Badger counts a transaction; more than the log needs
	keys  int64 // bytes of the keys
	undo  []undo
}

type undo struct {
	key     string
	old     cell
	existed bool
}

// entryCost is what Badger adds to a key and value when it measures a batch. A
// cell in the log takes less.
const entryCost = 32

func (o *overlay) put(k []byte, c cell) {
	key := string(k)
	old, replaced := o.cells.Set(key, c)
	o.undo = append(o.undo, undo{key, old, replaced})
	o.bytes += int64(len(c.value))
	if replaced {
		o.bytes -= int64(len(old.value))
	} else {
		o.bytes += int64(len(k)) + entryCost
		o.keys += int64(len(k))
	}
}

// mark begins a closure; rollback takes back all since then.
func (o *overlay) mark() { o.undo = o.undo[:0] }

func (o *overlay) rollback() {
	for _, u := range slices.Backward(o.undo) {
		if u.existed {
			now, _ := o.cells.Set(u.key, u.old)
			o.bytes += int64(len(u.old.value) - len(now.value))
		} else {
			now, _ := o.cells.Delete(u.key)
			o.bytes -= int64(len(u.key)) + entryCost + int64(len(now.value))
			o.keys -= int64(len(u.key))
		}
	}
	o.undo = o.undo[:0]
}

// sorted is the cells of an overlay by their keys, in memory that is used again.
type sorted struct {
	cells []keyed
	keys  []byte // of all of them
}

// keptKeys bounds the memory that is kept from one list for the next, in bytes.
const keptKeys = 1 << 20

func (b sorted) take(o *overlay) sorted {
	if n := int(o.keys); n > cap(b.keys) || cap(b.keys) > keptKeys {
		b.keys = make([]byte, 0, n) // never grown: what is in it is referred to
	}
	if n := o.cells.Len() + 1; n > cap(b.cells) || cap(b.cells) > keptKeys/16 { // one more comes in index.apply
		b.cells = make([]keyed, 0, n)
	}
	b.keys, b.cells = b.keys[:0], b.cells[:0]
	o.cells.Scan(func(key string, c cell) bool {
		b.keys = append(b.keys, key...)
		b.cells = append(b.cells, keyed{b.keys[len(b.keys)-len(key) : len(b.keys) : len(b.keys)], c})
		return true
	})
	return b
}

// merged is two sorted lists as one. Where both have a key, b is the newer.
func merged(a, b []keyed) []keyed {
	if len(a) == 0 {
		return b
	}
	all := make([]keyed, 0, len(a)+len(b)+1)
	for len(a) > 0 && len(b) > 0 {
		switch c := bytes.Compare(a[0].key, b[0].key); {
		case c < 0:
			all, a = append(all, a[0]), a[1:]
		case c > 0:
			all, b = append(all, b[0]), b[1:]
		default:
			a = a[1:]
		}
	}
	return append(append(all, a...), b...)
}

// source walks a range of keys in one direction.
type source interface {
	valid() bool
	key() []byte
	// value is valid until next.
	value() (v []byte, live bool, err error)
	next()
	close()
}

// scan calls fn for the live keys of several sources merged: where two have the
// same key, the earlier source hides the later one.
func scan(rng engine.Range, fn func(k, v []byte) error, sources ...source) error {
	defer func() {
		for _, s := range sources {
			s.close()
		}
	}()
	for n := 0; rng.Limit == 0 || n < rng.Limit; {
		first := foremost(sources, rng.Reverse)
		if first == nil {
			return nil
		}
		v, live, err := first.value()
		if err != nil {
			return err
		}
		k := first.key() // until first moves on, which is the last to do so
		if live {
			if err := fn(k, v); err != nil {
				return stopped(err)
			}
			n++
		}
		for _, s := range sources {
			if s != first && s.valid() && bytes.Equal(s.key(), k) {
				s.next()
			}
		}
		first.next()
	}
	return nil
}

// foremost is the first source among those whose key comes next.
func foremost(sources []source, reverse bool) (best source) {
	for _, s := range sources {
		if !s.valid() {
			continue
		}
		if best == nil {
			best = s
		} else if c := bytes.Compare(s.key(), best.key()); c != 0 && (c < 0) != reverse {
			best = s
		}
	}
	return best
}

// written walks a range of an overlay that nobody changes meanwhile.
type written struct {
	it  btree.MapIter[string, cell]
	rng engine.Range
	now int64
	k   []byte
	c   cell
	ok  bool
}

func newWritten(cells *btree.Map[string, cell], rng engine.Range, nowMilli int64) *written {
	w := &written{it: cells.Iter(), rng: rng, now: nowMilli}
	switch {
	case !rng.Reverse:
		w.ok = w.it.Seek(string(rng.From))
	case rng.To == nil:
		w.ok = w.it.Last()
	case w.it.Seek(string(rng.To)): // the first key past the range: step back into it
		w.ok = w.it.Prev()
	default:
		w.ok = w.it.Last()
	}
	w.read()
	return w
}

func (w *written) next() {
	if w.rng.Reverse {
		w.ok = w.it.Prev()
	} else {
		w.ok = w.it.Next()
	}
	w.read()
}

func (w *written) read() {
	if !w.ok {
		return
	}
	w.k, w.c = []byte(w.it.Key()), w.it.Value()
	w.ok = bytes.Compare(w.k, w.rng.From) >= 0 && (w.rng.To == nil || bytes.Compare(w.k, w.rng.To) < 0)
}

func (w *written) valid() bool                  { return w.ok }
func (w *written) key() []byte                  { return w.k }
func (w *written) value() ([]byte, bool, error) { return w.c.value, w.c.live(w.now), nil }
func (w *written) close()                       {}

// taken walks what a range of an overlay held when it was made; the overlay may change
// meanwhile. A closure's ranges mostly hold nothing of its group.
type taken struct {
	cells []keyed // what is left
	now   int64
}

func newTaken(cells *btree.Map[string, cell], rng engine.Range, nowMilli int64) *taken {
	t := &taken{now: nowMilli}
	for w := newWritten(cells, rng, nowMilli); w.valid(); w.next() {
		t.cells = append(t.cells, keyed{w.k, w.c})
	}
	return t
}

func (t *taken) valid() bool                  { return len(t.cells) > 0 }
func (t *taken) key() []byte                  { return t.cells[0].key }
func (t *taken) value() ([]byte, bool, error) { return t.cells[0].value, t.cells[0].live(t.now), nil }
func (t *taken) next()                        { t.cells = t.cells[1:] }
func (t *taken) close()                       {}

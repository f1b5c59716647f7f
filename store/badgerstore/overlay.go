package badgerstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tidwall/btree"

	"github.com/centerleap/postern/store/engine"
)

// overlay holds what a group has written so far, above the snapshot it reads.
// Copying it costs next to nothing (the tree is copied on write), which is how
// a failing closure is undone.
type overlay struct {
	cells *btree.Map[string, cell]
	bytes int64 // as Badger counts a transaction
}

// cell is one written key.
type cell struct {
	value   []byte
	exp     int64 // unix ms; 0 stays
	deleted bool
}

// entryCost is what Badger adds to a key and value when it measures a batch.
const entryCost = 32

func newOverlay() *overlay { return &overlay{cells: new(btree.Map[string, cell])} }

func (o *overlay) copy() *overlay { return &overlay{cells: o.cells.Copy(), bytes: o.bytes} }

func (o *overlay) put(k []byte, c cell) {
	old, replaced := o.cells.Set(string(k), c)
	o.bytes += int64(len(c.value))
	if replaced {
		o.bytes -= int64(len(old.value))
	} else {
		o.bytes += int64(len(k)) + entryCost
	}
}

// tx is what one closure sees: the overlay above the snapshot.
type tx struct {
	store  *Store
	base   reader
	over   *overlay
	domain uint32
	staged []*blobWriter // bodies that this closure linked first
	orphan []string      // files of bodies that it unlinked last
	seq    uint64        // newest sequence emitted; 0 if none
	err    error         // what a method without an error result met
}

func (t *tx) live(c cell) bool {
	return !c.deleted && (c.exp == 0 || t.base.now.UnixMilli() < c.exp)
}

func (t *tx) Get(key []byte) ([]byte, error) {
	if c, ok := t.over.cells.Get(string(key)); ok {
		if !t.live(c) {
			return nil, engine.ErrNotFound
		}
		return append(make([]byte, 0, len(c.value)), c.value...), nil
	}
	return t.base.Get(key)
}

func (t *tx) Set(key, value []byte) { t.write(key, cell{value: value}) }

func (t *tx) SetUntil(key, value []byte, exp time.Time) {
	t.write(key, cell{value: value, exp: max(exp.UnixMilli(), 1)})
}

func (t *tx) Delete(key []byte) { t.write(key, cell{deleted: true}) }

func (t *tx) write(key []byte, c cell) {
	if engine.Reserved(key) {
		t.err = fmt.Errorf("%w: %x", engine.ErrReserved, key)
		return
	}
	t.over.put(key, c)
}

func (t *tx) DeleteRange(from, to []byte, most int) (int, error) {
	var keys [][]byte
	err := t.Scan(engine.Range{From: from, To: to, KeysOnly: true, Limit: most}, func(k, _ []byte) error {
		keys = append(keys, bytes.Clone(k))
		return nil
	})
	for _, k := range keys {
		t.Delete(k)
	}
	return len(keys), err
}

func (t *tx) Emit(change []byte) uint64 {
	k := sequenceKey(t.domain)
	b, err := t.Get(k)
	switch {
	case err == nil && len(b) == 8:
		t.seq = binary.BigEndian.Uint64(b)
	case err == nil:
		t.err = fmt.Errorf("the sequence of domain %d is damaged", t.domain)
	case !isMissing(err):
		t.err = err
	default:
		t.seq = 0
	}
	t.seq++
	t.over.put(k, cell{value: binary.BigEndian.AppendUint64(nil, t.seq)})
	t.over.put(feedKey(t.domain, t.seq), cell{value: change, exp: t.base.now.Add(engine.FeedRetention).UnixMilli()})
	return t.seq
}

// Scan merges the overlay, as it is now, with the snapshot.
func (t *tx) Scan(rng engine.Range, fn func(k, v []byte) error) error {
	c := newCursor(&t.base, rng)
	defer c.close()
	o := newWritten(t.over.cells.Copy(), rng)
	for n := 0; rng.Limit == 0 || n < rng.Limit; {
		k, v, live, err := t.step(c, o, rng.Reverse)
		if err != nil || k == nil {
			return err
		}
		if !live {
			continue
		}
		if err := fn(k, v); err != nil {
			return stopped(err)
		}
		n++
	}
	return nil
}

// step takes the next key of either side; a written key hides the stored one.
// The returned slices are copies or of the overlay, so the cursor may move on.
func (t *tx) step(c *cursor, o *written, reverse bool) (k, v []byte, live bool, err error) {
	if c.valid() && o.ok {
		switch order := bytes.Compare(c.key(), []byte(o.key)); {
		case order == 0:
			c.next()
		case (order < 0) != reverse:
			return t.stored(c)
		}
	} else if c.valid() {
		return t.stored(c)
	}
	if !o.ok {
		return nil, nil, false, nil
	}
	k, v, live = []byte(o.key), o.cell.value, t.live(o.cell)
	o.next()
	return k, v, live, nil
}

func (t *tx) stored(c *cursor) (k, v []byte, live bool, err error) {
	if v, live, err = c.value(); err != nil {
		return nil, nil, false, err
	}
	k, v = bytes.Clone(c.key()), bytes.Clone(v)
	c.next()
	return k, v, live, nil
}

// written walks a range of an overlay.
type written struct {
	it   btree.MapIter[string, cell]
	rng  engine.Range
	key  string
	cell cell
	ok   bool
}

func newWritten(cells *btree.Map[string, cell], rng engine.Range) *written {
	w := &written{it: cells.Iter(), rng: rng}
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
	w.key, w.cell = w.it.Key(), w.it.Value()
	w.ok = w.key >= string(w.rng.From) && (w.rng.To == nil || w.key < string(w.rng.To))
}

package badgerstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/centerleap/postern/store/engine"
)

// tx is what one closure sees: what its group has written, above the groups that
// are on their way into the index, above a snapshot of the index.
type tx struct {
	store  *Store
	group  *group
	base   *reader
	over   *overlay // of the group
	domain uint32

	staged  []*blobWriter // bodies that this closure linked first
	freed   []*blobRecord // bodies that it unlinked last
	moved   []movedBody   // bodies that it copies to the end of the log
	seq     uint64        // newest sequence emitted; 0 if none
	changes [][]byte      // that it emitted, the last one under seq
	erased  uint32        // the domain whose feed it erased
	err     error         // what a method without an error result met
}

func (t *tx) Get(key []byte) ([]byte, error) {
	c, ok := t.written(key)
	if !ok {
		return t.base.Get(key)
	}
	if !c.live(t.base.now) {
		return nil, engine.ErrNotFound
	}
	return append(make([]byte, 0, len(c.value)), c.value...), nil
}

// written finds what this group, or one that is not in the index yet, wrote.
func (t *tx) written(key []byte) (cell, bool) {
	c, ok := t.over.cells.Get(string(key))
	for i := 0; !ok && i < len(t.group.coming); i++ {
		c, ok = t.group.coming[i].over.cells.Get(string(key))
	}
	return c, ok
}

// Scan sees what was written before it began.
func (t *tx) Scan(rng engine.Range, fn func(k, v []byte) error) error {
	sources := append(make([]source, 0, 4), newTaken(&t.over.cells, rng, t.base.now)) // fn may write
	for _, g := range t.group.coming {
		sources = append(sources, newWritten(&g.over.cells, rng, t.base.now))
	}
	return scan(rng, fn, append(sources, newCursor(t.base, rng))...)
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
	t.put(key, c)
}

// put writes any key. What Badger would refuse must not get into the log.
func (t *tx) put(key []byte, c cell) {
	if len(key) > maxKey || len(c.value) > maxValue {
		t.err = fmt.Errorf("%w: a key of %d bytes with %d", engine.ErrTooLarge, len(key), len(c.value))
		return
	}
	t.over.put(key, c)
}

func (t *tx) DeleteRange(from, to []byte, most int) (int, error) {
	if most <= 0 {
		return 0, nil
	}
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
	last, err := readU64(t, k)
	if err != nil {
		t.err = err
	}
	if len(change) > maxChange {
		t.err = fmt.Errorf("%w: a change of %d bytes", engine.ErrTooLarge, len(change))
	}
	t.seq = last + 1
	t.over.put(k, cell{value: u64(t.seq)})
	t.changes = append(t.changes, change)
	return t.seq
}

// readU64 reads a number; what is not there is 0.
func readU64(r engine.Reader, key []byte) (uint64, error) {
	b, err := r.Get(key)
	switch {
	case isMissing(err):
		return 0, nil
	case err != nil:
		return 0, err
	case len(b) != 8:
		return 0, fmt.Errorf("the number under %x is damaged", key)
	}
	return binary.BigEndian.Uint64(b), nil
}

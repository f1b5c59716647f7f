package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"

	badger "github.com/dgraph-io/badger/v4"

	"github.com/centerleap/postern/store/engine"
)

// A value in the index is wrapped: 0, then the value; or 1, the expiry in
// milliseconds, then the value. The expiry is ours, because Badger's has whole
// seconds and the machine's clock.
const (
	plain    = 0
	expiring = 1
)

var errWrap = errors.New("a stored value is damaged")

// appendWrapped appends an enveloped value.
func appendWrapped(b []byte, c cell) []byte {
	if c.exp == 0 {
		return append(append(b, plain), c.value...)
	}
	b = binary.BigEndian.AppendUint64(append(b, expiring), uint64(c.exp))
	return append(b, c.value...)
}

// unwrap returns the cell inside b.
func unwrap(b []byte) (cell, error) {
	switch {
	case len(b) >= 1 && b[0] == plain:
		return cell{value: b[1:]}, nil
	case len(b) >= 9 && b[0] == expiring:
		return cell{exp: int64(binary.BigEndian.Uint64(b[1:])), value: b[9:]}, nil
	}
	return cell{}, errWrap
}

// reader reads the index as it was after one group, and groups above it.
type reader struct {
	txn    *badger.Txn
	at     uint64   // the group
	now    int64    // unix ms: decides what has expired
	coming []*group // newest first
}

// above puts groups on top, newest first, as far as the index does not have them.
func (r *reader) above(groups []*group) {
	for i, g := range groups {
		if g.sequence <= r.at {
			groups = groups[:i]
			break
		}
	}
	r.coming = groups
}

func (r *reader) Get(key []byte) (v []byte, err error) {
	for _, g := range r.coming {
		c, ok := g.over.cells.Get(string(key))
		if ok && !c.live(r.now) {
			return nil, engine.ErrNotFound
		} else if ok {
			return append(make([]byte, 0, len(c.value)), c.value...), nil
		}
	}
	item, err := r.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) || errors.Is(err, badger.ErrEmptyKey) {
		return nil, engine.ErrNotFound
	} else if err != nil {
		return nil, err
	}
	err = item.Value(func(b []byte) error {
		c, err := unwrap(b)
		if err != nil {
			return err
		}
		if !c.live(r.now) {
			return engine.ErrNotFound
		}
		v = append(make([]byte, 0, len(c.value)), c.value...)
		return nil
	})
	return v, err
}

func (r *reader) Scan(rng engine.Range, fn func(k, v []byte) error) error {
	sources := make([]source, 0, 4)
	for _, g := range r.coming {
		sources = append(sources, newWritten(&g.over.cells, rng, r.now))
	}
	return scan(rng, fn, append(sources, newCursor(r, rng))...)
}

func stopped(err error) error {
	if errors.Is(err, engine.ErrStop) {
		return nil
	}
	return err
}

// cursor walks a range of the index, expired keys included.
type cursor struct {
	it  *badger.Iterator
	rng engine.Range
	now int64
	buf []byte // of the value last read
}

func newCursor(r *reader, rng engine.Range) *cursor {
	opt := badger.DefaultIteratorOptions
	opt.Reverse = rng.Reverse
	opt.PrefetchValues = false
	opt.Prefix = commonPrefix(rng.From, rng.To) // spares tables that can't hold the range
	c := &cursor{it: r.txn.NewIterator(opt), rng: rng, now: r.now}
	switch {
	case !rng.Reverse:
		c.it.Seek(rng.From)
	case rng.To == nil:
		c.it.Rewind()
	default:
		c.it.Seek(rng.To)
		if c.it.Valid() && bytes.Compare(c.it.Item().Key(), rng.To) >= 0 {
			c.it.Next()
		}
	}
	return c
}

// commonPrefix is what all keys of [from, to) start with.
func commonPrefix(from, to []byte) []byte {
	if to == nil {
		return nil
	}
	i := 0
	for i < len(from) && i < len(to) && from[i] == to[i] {
		i++
	}
	return from[:i]
}

func (c *cursor) valid() bool {
	if !c.it.Valid() {
		return false
	}
	k := c.it.Item().Key()
	return bytes.Compare(k, c.rng.From) >= 0 && (c.rng.To == nil || bytes.Compare(k, c.rng.To) < 0)
}

func (c *cursor) next()       { c.it.Next() }
func (c *cursor) key() []byte { return c.it.Item().Key() }
func (c *cursor) close()      { c.it.Close() }

// value reads the value even when only keys are wanted: it holds the expiry.
func (c *cursor) value() (v []byte, live bool, err error) {
	if c.buf, err = c.it.Item().ValueCopy(c.buf); err != nil {
		return nil, false, err
	}
	inner, err := unwrap(c.buf)
	return inner.value, inner.live(c.now), err
}

package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"github.com/centerleap/postern/store/engine"
)

// A stored value is wrapped: 0, then the value; or 1, the expiry in
// milliseconds, then the value. The expiry is ours, because Badger's has whole
// seconds and the machine's clock.
const (
	plain    = 0
	expiring = 1
)

var errWrap = errors.New("a stored value is damaged")

// wrap envelops a value; exp 0 means it stays.
func wrap(v []byte, exp int64) []byte {
	if exp == 0 {
		return append(append(make([]byte, 0, len(v)+1), plain), v...)
	}
	b := append(make([]byte, 0, len(v)+9), expiring)
	return append(binary.BigEndian.AppendUint64(b, uint64(exp)), v...)
}

// unwrap returns the value inside b; live is false once it has expired.
func unwrap(b []byte, now time.Time) (v []byte, live bool, err error) {
	switch {
	case len(b) >= 1 && b[0] == plain:
		return b[1:], true, nil
	case len(b) >= 9 && b[0] == expiring:
		return b[9:], now.UnixMilli() < int64(binary.BigEndian.Uint64(b[1:])), nil
	}
	return nil, false, errWrap
}

// reader reads one Badger snapshot.
type reader struct {
	txn *badger.Txn
	now time.Time
}

func (r *reader) Get(key []byte) (v []byte, err error) {
	item, err := r.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, engine.ErrNotFound
	} else if err != nil {
		return nil, err
	}
	err = item.Value(func(b []byte) error {
		inner, live, err := unwrap(b, r.now)
		if err != nil {
			return err
		}
		if !live {
			return engine.ErrNotFound
		}
		v = append(make([]byte, 0, len(inner)), inner...)
		return nil
	})
	return v, err
}

func (r *reader) Scan(rng engine.Range, fn func(k, v []byte) error) error {
	n := 0
	c := newCursor(r, rng)
	defer c.close()
	for ; c.valid(); c.next() {
		v, live, err := c.value()
		if err != nil {
			return err
		}
		if !live {
			continue
		}
		if err := fn(c.key(), v); err != nil {
			return stopped(err)
		}
		if n++; n == rng.Limit {
			break
		}
	}
	return nil
}

func stopped(err error) error {
	if errors.Is(err, engine.ErrStop) {
		return nil
	}
	return err
}

// cursor walks a range of a snapshot, expired keys included.
type cursor struct {
	it  *badger.Iterator
	rng engine.Range
	now time.Time
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
	err = c.it.Item().Value(func(b []byte) error {
		v, live, err = unwrap(b, c.now)
		return err
	})
	return v, live, err
}

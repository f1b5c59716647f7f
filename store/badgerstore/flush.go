package badgerstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"github.com/centerleap/postern/store/engine"
)

// flushed is the newest group that is in the tables on disk, which Badger syncs
// before it forgets a memtable.
func (x *index) flushed() (sequence uint64) {
	for _, t := range x.db.Tables() {
		sequence = max(sequence, t.MaxVersion)
	}
	return sequence
}

// flush makes Badger flush all that was written to tables: it flushes a memtable when
// it is full, so it is filled. No group is applied meanwhile. Memtables are flushed in
// order, so all is there once the mark is that was written last.
func (x *index) flush(ctx context.Context) error {
	mark := x.newMark()
	if err := x.again(func(txn *badger.Txn) error { return txn.Set(mark, []byte{plain}) }); err != nil {
		return err
	}
	filler := make([]byte, maxValue/2)
	for filled := int64(0); filled <= x.shape.memTable; filled += int64(len(filler)) {
		if err := x.again(func(txn *badger.Txn) error { return txn.Set(fillerKey, filler) }); err != nil {
			return err
		}
	}
	for !x.begins(mark) {
		if err := rest(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return x.again(func(txn *badger.Txn) error { return txn.Delete(mark) })
}

// newMark is a key before all others, those of earlier marks too, deleted or not: a
// table that holds one of them begins with it. A clock would not do, since it goes back.
func (x *index) newMark() []byte {
	txn := x.db.NewTransactionAt(x.applied(), false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: markPrefix, AllVersions: true})
	defer it.Close()
	n := ^uint64(0)
	if it.Rewind(); it.Valid() {
		n = binary.BigEndian.Uint64(it.Item().Key()[len(markPrefix):]) - 1
	}
	return binary.BigEndian.AppendUint64(bytes.Clone(markPrefix), n)
}

// begins reports whether a table begins with a key.
func (x *index) begins(key []byte) bool {
	return slices.ContainsFunc(x.db.Tables(), func(t badger.TableInfo) bool { return bytes.Equal(withoutVersion(t.Left), key) })
}

// again writes as the newest group, what changes nothing that a view sees.
func (x *index) again(write func(*badger.Txn) error) error {
	head := x.applied()
	txn := x.db.NewTransactionAt(head, true)
	defer txn.Discard()
	if err := write(txn); err != nil {
		return err
	}
	return txn.CommitAt(head, nil)
}

// flushDeleted is flush so that compact finds what is deleted: Badger merges the
// newest level into another when there is another, or when it has enough tables.
func (x *index) flushDeleted(ctx context.Context, p *space) error {
	x.views.forget(x.db)
	for n := 0; n == 0 || n <= x.shape.levelZero && x.newestOnly(); n++ {
		if !p.holds(x.shape.flushRoom()) {
			return fmt.Errorf("%w: there is no room to flush the index", engine.ErrFull)
		}
		if err := x.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// touch writes a key of each merged table again, as it is, so that the next merge takes
// them all: one that was merged while a view was open may hold what is deleted.
func (x *index) touch() error {
	for _, t := range x.db.Tables() {
		if t.Level > 0 {
			if err := x.rewrite(withoutVersion(t.Left)); err != nil {
				return err
			}
		}
	}
	return nil
}

// rewrite writes what is under a key again, or that there is nothing.
func (x *index) rewrite(key []byte) error {
	key = bytes.Clone(key)
	return x.again(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return txn.Delete(key)
		} else if err != nil {
			return err
		}
		v, err := item.ValueCopy(nil)
		if err != nil {
			return err
		}
		return txn.SetEntry(&badger.Entry{Key: key, Value: v, ExpiresAt: item.ExpiresAt()})
	})
}

// newestOnly reports whether all tables are in the newest level, and not too many.
func (x *index) newestOnly() bool {
	all := x.db.Tables()
	return len(all) <= x.shape.levelZero && !slices.ContainsFunc(all, func(t badger.TableInfo) bool { return t.Level > 0 })
}

// compact drops what is deleted or overwritten, as far as no view sees it.
func (x *index) compact() error {
	x.views.forget(x.db)
	return x.db.Flatten(1)
}

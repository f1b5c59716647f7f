package badgerstore

import (
	"bytes"
	"context"
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

// flushRoom is what a flush may need: the memtable that is filled, the next one, and
// the table.
const flushRoom = 3 * memTable

// flush makes Badger flush all groups to tables: it flushes a memtable when it is
// full, so it is filled. No group is applied meanwhile.
func (x *index) flush(ctx context.Context) error {
	head := x.applied()
	filler := make([]byte, maxValue/2)
	for filled := 0; filled <= memTable; filled += len(filler) {
		txn := x.db.NewTransactionAt(head, true)
		err := txn.SetEntry(badger.NewEntry(fillerKey, filler))
		if err == nil {
			err = txn.CommitAt(head, nil)
		}
		txn.Discard()
		if err != nil {
			return err
		}
	}
	for x.flushed() < head {
		if err := rest(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// flushDeleted is flush so that compact finds what is deleted: Badger merges the
// newest level into another when there is another, or when it has enough tables.
func (x *index) flushDeleted(ctx context.Context, p *space) error {
	x.views.forget(x.db)
	for n := 0; n == 0 || n <= levelZero && x.newestOnly(); n++ {
		if !p.holds(flushRoom) {
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
	head := x.applied()
	txn := x.db.NewTransactionAt(head, true)
	defer txn.Discard()
	key = bytes.Clone(key)
	item, err := txn.Get(key)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		err = txn.Delete(key)
	case err == nil:
		var v []byte
		if v, err = item.ValueCopy(nil); err == nil {
			err = txn.SetEntry(&badger.Entry{Key: key, Value: v, ExpiresAt: item.ExpiresAt()})
		}
	}
	if err == nil {
		err = txn.CommitAt(head, nil)
	}
	return err
}

// newestOnly reports whether all tables are in the newest level, and not too many.
func (x *index) newestOnly() bool {
	all := x.db.Tables()
	return len(all) <= levelZero && !slices.ContainsFunc(all, func(t badger.TableInfo) bool { return t.Level > 0 })
}

// compact drops what is deleted or overwritten, as far as no view sees it.
func (x *index) compact() error {
	x.views.forget(x.db)
	return x.db.Flatten(1)
}

package badgerstore

import (
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/pb"
)

// slack is kept of a batch's room for the cells that the committer adds.
const slack = 4096

// fits reports whether Badger takes cells at once.
func (x *index) fits(bytes int64, cells int) bool {
	return bytes+slack < x.db.MaxBatchSize()*9/10 && int64(cells)+64 < x.db.MaxBatchCount()*9/10
}

// sortedFrom is how many cells make Badger's loader worth its buffers: it keeps
// them in the order of their keys, which a transaction does not, and that makes
// inserting them a third cheaper.
const sortedFrom = 512

// keptValues bounds the memory that is kept from one batch for the next, in bytes.
const keptValues = 4 << 20

// batch writes cells with one version to Badger, all in one memtable: the group is
// smaller than what Badger takes at once.
type batch struct {
	sequence uint64
	offset   int64 // from our clock to the machine's, ms
	values   []byte
	entries  []badger.Entry
	txn      *badger.Txn      // or
	loader   *badger.KVLoader // and
	kv       pb.KV
}

func (x *index) writer(sequence uint64, nowMilli int64, cells []keyed) *batch {
	w := &batch{sequence: sequence, offset: time.Now().UnixMilli() - nowMilli}
	size := 0
	for _, k := range cells {
		size += len(k.value) + 9
	}
	if size > cap(x.values) || cap(x.values) > keptValues {
		x.values = make([]byte, 0, size) // never grown: what is in it is referred to
	}
	w.values = x.values[:0]
	if len(cells) >= sortedFrom {
		w.loader = x.db.NewKVLoader(1)
	} else {
		w.txn, w.entries = x.db.NewTransactionAt(sequence, true), make([]badger.Entry, 0, len(cells))
	}
	return w
}

func (w *batch) put(k keyed) error {
	switch {
	case w.loader != nil && k.deleted:
		w.kv.Key, w.kv.Version, w.kv.Value, w.kv.ExpiresAt, w.kv.Meta = k.key, w.sequence, nil, 0, deleted
		return w.loader.Set(&w.kv)
	case w.loader != nil:
		w.kv.Key, w.kv.Version, w.kv.Value, w.kv.ExpiresAt, w.kv.Meta = k.key, w.sequence, w.wrap(k.cell), w.expiry(k.cell), nil
		return w.loader.Set(&w.kv)
	case k.deleted:
		return w.txn.Delete(k.key)
	}
	w.entries = append(w.entries, badger.Entry{Key: k.key, Value: w.wrap(k.cell), ExpiresAt: w.expiry(k.cell)})
	return w.txn.SetEntry(&w.entries[len(w.entries)-1])
}

// deleted is how a loader is told: Badger's bit for it, which is part of its backup
// format.
var deleted = []byte{1}

func (w *batch) wrap(c cell) []byte {
	start := len(w.values)
	w.values = appendWrapped(w.values, c)
	return w.values[start:len(w.values):len(w.values)]
}

// expiry is Badger's own: it only reclaims the space, an hour after ours, by the
// machine's clock.
func (w *batch) expiry(c cell) uint64 {
	if c.exp == 0 {
		return 0
	}
	return uint64(max(1, (c.exp+w.offset)/1000+3600))
}

func (w *batch) close(commit bool) error {
	if w.loader != nil {
		return w.loader.Finish()
	}
	defer w.txn.Discard()
	if !commit {
		return nil
	}
	return w.txn.CommitAt(w.sequence, nil)
}

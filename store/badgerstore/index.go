package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"

	"github.com/centerleap/postern/store/engine"
)

// index is Badger, which can be rebuilt from the log at any time.
//
// Every group is one Badger transaction whose version is the group's sequence.
// Badger flushes memtables in order, so the tables on disk hold all groups up to
// some sequence and none after it, and the applied key, which each group writes,
// says which. What was in memtables is replayed from our log, whose checksums
// and syncs are our own: Badger's write-ahead log is never read, because it ends
// in silence at the first bad byte, and the value log stays empty.
type index struct {
	db    *badger.DB
	now   func() time.Time // decides what has expired
	views views

	values []byte // of the last batch, used again
}

const (
	memTable = 16 << 20 // bytes; also bounds a group to 15 % of it
	// memTables is how many may wait to be flushed besides the one that is written.
	memTables = 2
	// levelZero is how many flushed memtables make Badger merge them into the tables
	// below. Few merges of many cost far less than many of few, and what a burst
	// brings is merged after it; but each read asks each of them.
	levelZero  = 8
	blockCache = 16 << 20
	indexCache = 16 << 20
	maxKey     = 4096
	maxValue   = 1<<20 - 64 // anything larger would go to Badger's value log
)

// openIndex opens the tables in dir, or makes an empty index.
func openIndex(dir string, log *slog.Logger, now func() time.Time) (*index, error) {
	if err := removeLogs(dir); err != nil {
		return nil, err
	}
	opt := badger.DefaultOptions(dir).
		WithSyncWrites(false).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithMemTableSize(memTable).
		WithNumMemtables(memTables).
		WithNumLevelZeroTables(levelZero).
		WithNumLevelZeroTablesStall(2 * levelZero).
		WithBaseTableSize(2 << 20).
		WithNumCompactors(2).
		WithBlockCacheSize(blockCache).
		WithIndexCacheSize(indexCache).
		WithValueThreshold(1 << 20).
		WithValueLogFileSize(1 << 20).
		WithChecksumVerificationMode(options.OnBlockRead). // checkTables has read them whole
		WithMetricsEnabled(false).
		WithLogger(badgerLog{log})
	db, err := openBadger(opt)
	if err != nil {
		return nil, err
	}
	x := &index{db: db, now: now}
	x.views.open = make(map[uint64]int)
	applied, err := x.readApplied()
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	x.views.applied.Store(applied)
	return x, nil
}

// removeLogs deletes Badger's write-ahead and value logs: see index. Besides, it
// refuses for good to open beside one that a kill left empty.
func removeLogs(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext != ".mem" && ext != ".vlog" && e.Name() != "DISCARD" {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// readApplied finds the newest group that the tables hold.
func (x *index) readApplied() (uint64, error) {
	txn := x.db.NewTransactionAt(^uint64(0), false)
	defer txn.Discard()
	item, err := txn.Get(appliedKey)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	n, err := readU64(&reader{txn: txn}, appliedKey)
	if err == nil && n != item.Version() {
		err = fmt.Errorf("the applied group %d has version %d", n, item.Version())
	}
	return n, err
}

// apply puts the cells of a group, or of several in a row that end with it, into
// the index and shows them to views that begin from now on. nowMilli is what our
// clock says. Two calls don't overlap.
func (x *index) apply(sequence uint64, nowMilli int64, cells []keyed) error {
	cells = append(cells, keyed{appliedKey, cell{value: u64(sequence)}})
	w := x.writer(sequence, nowMilli, cells)
	for _, k := range cells {
		if err := w.put(k); err != nil {
			return errors.Join(err, w.close(false))
		}
	}
	if err := w.close(true); err != nil {
		return err
	}
	x.views.show(sequence, x.db)
	return nil
}

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

// begin opens a snapshot of the newest state; end must be called.
func (x *index) begin() (r *reader, end func()) {
	at := x.views.begin()
	txn := x.db.NewTransactionAt(at, false)
	return &reader{txn: txn, at: at, now: x.now().UnixMilli()}, func() {
		txn.Discard()
		x.views.end(at)
	}
}

func (x *index) applied() uint64 { return x.views.applied.Load() }

// close gives up after a while: Badger tries to flush for ever, and what it can't
// flush is in the log.
func (x *index) close() error {
	if x == nil {
		return nil
	}
	closed := make(chan error, 1)
	go func() { closed <- x.db.Close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(closeWait):
		return errors.New("the index could not be closed; the next start will bring it up to date")
	}
}

const closeWait = 15 * time.Second

// views counts the open snapshots, so that compaction keeps what they see, and
// makes those wait that must see more than the index has yet.
type views struct {
	applied atomic.Uint64
	mu      sync.Mutex
	open    map[uint64]int // how many, by the group they see
	shown   int
	waiting chan struct{} // closed when there is more to see; nil if nobody waits
	failed  error         // nothing will come any more
}

func (v *views) begin() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := v.applied.Load()
	v.open[at]++
	return at
}

func (v *views) end(at uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open[at]--; v.open[at] == 0 {
		delete(v.open, at)
	}
}

// wait returns when the index shows a group.
func (v *views) wait(ctx context.Context, group uint64) error {
	for v.applied.Load() < group {
		v.mu.Lock()
		if v.waiting == nil {
			v.waiting = make(chan struct{})
		}
		more, err, there := v.waiting, v.failed, v.applied.Load() >= group
		v.mu.Unlock()
		switch {
		case there:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// oldest is the group that the oldest open view sees; with none, the newest.
func (v *views) oldest() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	oldest := v.applied.Load()
	for at := range v.open {
		oldest = min(oldest, at)
	}
	return oldest
}

// show makes a group visible; now and then it lets compaction forget what no
// view can see any more.
func (v *views) show(sequence uint64, db *badger.DB) {
	v.mu.Lock()
	v.applied.Store(sequence)
	v.release()
	v.shown++
	due := v.shown%64 == 0
	v.mu.Unlock()
	if due {
		v.forget(db)
	}
}

// fail ends all waiting.
func (v *views) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failed = err
	v.release()
}

func (v *views) release() {
	if v.waiting != nil {
		close(v.waiting)
		v.waiting = nil
	}
}

// forget lets compaction drop what no view can see. A view that begins meanwhile
// sees the newest group, or a newer one.
func (v *views) forget(db *badger.DB) { db.SetDiscardTs(v.oldest()) }

// badgerLog passes Badger's words on.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) say(level slog.Level, format string, args ...any) {
	l.log.LogAttrs(context.Background(), level, "badger", slog.String("text", strings.TrimSpace(fmt.Sprintf(format, args...))))
}

func (l badgerLog) Errorf(format string, args ...any)   { l.say(slog.LevelError, format, args...) }
func (l badgerLog) Warningf(format string, args ...any) { l.say(slog.LevelWarn, format, args...) }
func (l badgerLog) Infof(format string, args ...any)    { l.say(slog.LevelDebug, format, args...) }
func (l badgerLog) Debugf(string, ...any)               {}

package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
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
	shape shape
	now   func() time.Time // decides what has expired
	views views

	values []byte // of the last batch, used again
}

// shape is how much an index works on at once, and so how much room it needs for it.
type shape struct {
	memTable int64 // bytes; also bounds a group to 15 % of it
	// levelZero is how many flushed memtables make Badger merge them into the tables
	// below. Few merges of many cost far less than many of few, and what a burst
	// brings is merged after it; but each read asks each of them.
	levelZero int
}

var (
	large = shape{16 << 20, 8}
	small = shape{8 << 20, 4} // on a disk below smallDisk
)

// smallDisk is where a disk is so small that the room for the large shape is missed.
const smallDisk = 2 << 30

// shape of an index on this disk.
func (c *Config) shape() shape {
	if _, total, err := c.room(); err == nil && total < smallDisk {
		return small
	}
	return large
}

// flushRoom is what a flush may need: the memtables that wait, the one that is
// filled, and their tables.
func (s shape) flushRoom() int64 { return (memTables + 1) * s.memTable }

// newest is how much the newest level holds when it is merged, and the one below it
// before that is merged on: were the lower one smaller, as Badger's default is, each
// merge would bring the next at once. Of 600,000 mails one after the other, 41,000 a
// second were accepted instead of 29,000.
func (s shape) newest() int64 { return int64(s.levelZero) * s.memTable }

// mergeRoom is what a merge may need besides: the newest level, and as much of the
// next, as far as there are so many tables.
func (s shape) mergeRoom(tables int64) int64 { return s.newest() + min(tables, s.newest()) }

const (
	// memTables is how many may wait to be flushed besides the one that is written.
	memTables  = 2
	blockCache = 16 << 20
	indexCache = 16 << 20
	maxKey     = 4096
	maxValue   = 1<<20 - 64 // anything larger would go to Badger's value log
)

// openIndex opens the tables in dir, or makes an empty index.
func openIndex(dir string, cfg *Config) (*index, error) {
	shape := cfg.shape()
	if err := removeLogs(dir); err != nil {
		return nil, err
	}
	opt := badger.DefaultOptions(dir).
		WithSyncWrites(false).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithMemTableSize(shape.memTable).
		WithNumMemtables(memTables).
		WithNumLevelZeroTables(shape.levelZero).
		WithNumLevelZeroTablesStall(2 * shape.levelZero).
		WithBaseLevelSize(shape.newest()).
		WithBaseTableSize(2 << 20).
		WithNumCompactors(2).
		WithBlockCacheSize(blockCache).
		WithIndexCacheSize(indexCache).
		WithValueThreshold(1 << 20).
		WithValueLogFileSize(1 << 20).
		WithChecksumVerificationMode(options.OnBlockRead). // checkTables has read them whole
		WithMetricsEnabled(false).
		WithLogger(badgerLog{cfg.Log})
	db, err := openBadger(opt)
	if err != nil {
		return nil, err
	}
	x := &index{db: db, shape: shape, now: cfg.Now}
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

// badgerLog passes Badger's words on.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) say(level slog.Level, format string, args ...any) {
	l.log.LogAttrs(context.Background(), level, "badger", slog.String("text", strings.TrimSpace(fmt.Sprintf(format, args...))))
}

func (l badgerLog) Errorf(format string, args ...any)   { l.say(slog.LevelError, format, args...) }
func (l badgerLog) Warningf(format string, args ...any) { l.say(slog.LevelWarn, format, args...) }
func (l badgerLog) Infof(format string, args ...any)    { l.say(slog.LevelDebug, format, args...) }
func (l badgerLog) Debugf(string, ...any)               {}

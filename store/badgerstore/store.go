// Package badgerstore is the embedded engine: Badger behind one group
// committer, with large bodies in files of their own.
//
// No request calls Badger to write. Closures queue up; the committer runs what
// has gathered while the last sync ran, one after the other on an overlay above
// a snapshot, commits the lot as one synced Badger transaction, and only then
// answers. So one sync serves many callers, there are no conflicts, and nothing
// is retried. Read committer.go first.
//
// What makes a group durable stands alone in durable.go: it is where another
// log may take Badger's place as the truth.
package badgerstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/centerleap/postern/store/engine"
)

// Config of a Store.
type Config struct {
	Dir string           // required; made with mode 0700
	Log *slog.Logger     // default: slog.Default()
	Now func() time.Time // default: time.Now; decides what has expired

	// commit replaces what makes a group durable, for tests of its failure.
	commit func(*badger.Txn) error
}

// Store is an open engine.
type Store struct {
	cfg  Config
	db   *badger.DB
	lock *dirLock
	boot uint64

	queue     chan *request
	closing   chan struct{}
	closeOnce sync.Once
	stopped   chan struct{} // closed when the committer has ended
	committer sync.WaitGroup
	life      sync.RWMutex // held for reading by every View; Close takes it
	closed    bool         // guarded by life
	failed    atomic.Pointer[engine.Health]

	blobs *blobs
	feeds feeds
}

const (
	memTable   = 16 << 20 // bytes; also bounds a commit to 15 % of it
	blockCache = 16 << 20
	indexCache = 16 << 20
	// queueLength is how many closures may wait; more block in Update.
	queueLength = 1024
)

// Open opens the store in cfg.Dir, or makes an empty one. One process at a time
// has it.
func Open(cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("badgerstore: Dir is required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir, cfg.Now())
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, lock: lock, queue: make(chan *request, queueLength), closing: make(chan struct{}), stopped: make(chan struct{})}
	if err := s.open(); err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		return nil, errors.Join(fmt.Errorf("open store %s: %w", cfg.Dir, err), lock.release())
	}
	s.committer.Go(s.run)
	return s, nil
}

func (s *Store) open() (err error) {
	index := filepath.Join(s.cfg.Dir, "index")
	if err := removeEmptyLogs(index, s.cfg.Log); err != nil {
		return err
	}
	opt := badger.DefaultOptions(index).
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithMemTableSize(memTable).
		WithNumMemtables(3).
		WithBaseTableSize(2 << 20).
		WithNumCompactors(2).
		WithBlockCacheSize(blockCache).
		WithIndexCacheSize(indexCache).
		WithValueThreshold(1 << 20). // nothing of ours is larger: the value log stays empty
		WithValueLogFileSize(16 << 20).
		WithChecksumVerificationMode(options.OnTableAndBlockRead).
		WithMetricsEnabled(false).
		WithLogger(&badgerLog{store: s})
	if s.db, err = badger.Open(opt); err != nil {
		return err
	}
	if s.cfg.commit == nil {
		s.cfg.commit = durable
	}
	if err := s.startBoot(); err != nil {
		return err
	}
	s.blobs, err = openBlobs(s)
	return err
}

// schema is the version of what the engine itself writes.
const schema = 1

// startBoot counts this opening and refuses a store of a newer version.
func (s *Store) startBoot() error {
	return s.db.Update(func(txn *badger.Txn) error {
		r := reader{txn: txn, now: s.cfg.Now()}
		b, err := r.Get(bootKey)
		switch {
		case errors.Is(err, engine.ErrNotFound):
			s.boot = 1
		case err != nil:
			return err
		case len(b) != 12:
			return fmt.Errorf("the boot record has %d bytes", len(b))
		default:
			if v := binary.BigEndian.Uint32(b[8:]); v > schema {
				return fmt.Errorf("the store has version %d, this build knows %d: use a newer one", v, schema)
			}
			s.boot = binary.BigEndian.Uint64(b) + 1
		}
		v := binary.BigEndian.AppendUint64(nil, s.boot)
		return txn.Set(bootKey, wrap(binary.BigEndian.AppendUint32(v, schema), 0))
	})
}

// Boot counts the openings of this store.
func (s *Store) Boot() uint64 { return s.boot }

// View runs fn on a snapshot.
func (s *Store) View(ctx context.Context, fn func(engine.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed {
		return engine.ErrClosed
	}
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	return fn(&reader{txn: txn, now: s.cfg.Now()})
}

// Health says whether writes are accepted.
func (s *Store) Health() engine.Health {
	if h := s.failed.Load(); h != nil {
		return *h
	}
	return engine.Health{Writable: true}
}

// fail stops all writing for good: after a failed sync nobody knows what the
// disk holds, and asking it again may get a false yes.
func (s *Store) fail(reason string, err error) {
	h := &engine.Health{Reason: reason, Err: err}
	if s.failed.CompareAndSwap(nil, h) {
		s.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "store is read-only from now on",
			slog.String("reason", reason), slog.Any("err", err))
	}
}

// Close waits for running commits and views, then closes everything.
func (s *Store) Close() error {
	err := engine.ErrClosed
	s.closeOnce.Do(func() {
		close(s.closing)
		s.committer.Wait()
		s.life.Lock()
		s.closed = true
		s.life.Unlock()
		err = errors.Join(s.blobs.close(), s.db.Close(), s.lock.release())
	})
	if errors.Is(err, engine.ErrClosed) {
		return nil
	}
	return err
}

// Package badgerstore is the embedded engine: a segment log that is the truth,
// and Badger as an index over it that can be rebuilt at any time.
//
// No request writes by itself. Closures queue up; what has gathered while the last
// sync ran is run one after the other on an overlay above a snapshot, and put into
// the log as one group with one sync; then it is answered, and goes into Badger
// while the next group syncs already. So one sync serves many callers, there are no
// conflicts, and nothing is retried.
//
// Read committer.go and group.go first, then recover.go for what a start believes. What is
// where in the folder:
//
//	LOCK             who has the store open
//	VERSION          of all that follows
//	log/             segments (package seglog) and snapshots of the index
//	index/           Badger
//	bodies/          bodies over 256 KiB, a file each
package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

// Config of a Store.
type Config struct {
	Dir string           // required; made with mode 0700
	Log *slog.Logger     // default: slog.Default()
	Now func() time.Time // default: time.Now; decides what has expired

	// Reserve is kept free on the disk, in bytes; default: a tenth of the file
	// system, at most 1 GiB, and at least what flushing and merging may take and a
	// third: 405 MiB, or 117 MiB if it has less than 2 GiB. Below it changes fail with
	// engine.ErrFull.
	Reserve int64
	// FeedRetention is how long a change stays in the feed; default
	// engine.FeedRetention.
	FeedRetention time.Duration

	// FillAhead is how much of the log's space is made ready at least, in bytes: a
	// burst of so much syncs twice as quickly. Default 1 MiB; a store in use has as
	// much ready as its log holds, up to two segments of 256 MiB.
	FillAhead int64

	fs      seglog.FS                             // tests
	space   func() (free, total int64, err error) // tests
	segment int64                                 // tests: size of a segment
}

// Store is an open engine.
type Store struct {
	cfg   Config
	lock  *dirLock
	log   *seglog.Log
	index *index
	boot  uint64

	committer   *committer
	closeOnce   sync.Once
	running     context.Context //nolint:containedctx // ends when Close begins
	stop        context.CancelFunc
	work        sync.WaitGroup
	durable     atomic.Uint64 // newest group that was answered
	pending     pending
	checkpoints checkpoints

	life   *visitors // every View, copy and Compact is inside
	failed atomic.Pointer[engine.Health]

	collecting sync.Mutex
	compacting sync.Mutex
	files      sync.RWMutex // held for reading by what copies the store; collecting takes it to remove a file

	space *space
	blobs *blobs
	feeds feeds
}

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
	if cfg.FeedRetention == 0 {
		cfg.FeedRetention = engine.FeedRetention
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir, cfg.Now())
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, lock: lock, life: newVisitors()}
	s.checkpoints.due = make(chan struct{}, 1)
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", cfg.Dir, err), s.release())
	}
	return s, nil
}

func (s *Store) open() (err error) {
	if err := upgrade(s.cfg); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(s.cfg.Dir, verifyFolder)); err != nil { // of one that was killed
		return err
	}
	if s.space, err = newSpace(s); err != nil {
		return err
	}
	if s.log, err = openLog(s.cfg, s.space); err != nil {
		return explain(err)
	}
	if err := s.recover(); err != nil {
		return err
	}
	if err := upgraded(s.cfg.Dir); err != nil {
		return err
	}
	if s.blobs, err = openBlobs(s); err != nil {
		return err
	}
	if err := s.startBoot(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	s.running, s.stop = ctx, stop
	s.committer = newCommitter(s)
	s.work.Go(func() { s.tend(ctx) })
	s.work.Go(func() { s.collectLoop(ctx) })
	return nil
}

// openLog opens the segments. On a small disk they are smaller.
func openLog(cfg Config, p *space) (*seglog.Log, error) {
	dir := filepath.Join(cfg.Dir, logFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// Whoever made these may have died before they were durable.
	if err := errors.Join(syncDir(cfg.Dir), syncDir(filepath.Dir(filepath.Clean(cfg.Dir)))); err != nil {
		return nil, err
	}
	c := seglog.Config{FS: cfg.fs, Log: cfg.Log, SegmentSize: cfg.segment, FillAhead: cfg.FillAhead}
	if c.FS == nil {
		c.FS = seglog.Dir(dir)
	}
	if c.SegmentSize == 0 {
		if _, total, err := p.free(); err == nil {
			c.SegmentSize = min(max(total/8>>20<<20, 32<<20), 256<<20)
		}
	}
	c.MayFill = func() bool { return p.level.Load() == roomy }
	return seglog.Open(c)
}

// startBoot counts this opening, also when the disk is nearly full.
func (s *Store) startBoot() error {
	r, end := s.index.begin()
	n, err := readU64(r, bootKey)
	end()
	if err != nil {
		return err
	}
	s.boot = n + 1
	return s.writeOwn(bootKey, cell{value: u64(s.boot)})
}

// writeOwn makes a group of one cell of the engine's own, and perhaps a record.
// Only the committer does that, or nobody else yet.
func (s *Store) writeOwn(key []byte, c cell, records ...ownRecord) error {
	room := seglog.RecordSize(len(key) + len(c.value) + entryCost)
	for _, r := range records {
		room += seglog.RecordSize(len(r.payload))
	}
	out, err := s.log.Begin(room)
	if err != nil {
		return err
	}
	for _, r := range records {
		out.Add(r.typ, r.payload)
	}
	out.Add(recordCommit, appendCell(nil, string(key), c))
	if err := s.log.Append(out); err != nil {
		return err
	}
	return s.index.apply(out.Sequence(), s.cfg.Now().UnixMilli(), []keyed{{key, c}})
}

type ownRecord struct {
	typ     seglog.Type
	payload []byte
}

// tend looks after the store while it is open.
func (s *Store) tend(ctx context.Context) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-s.checkpoints.due:
			s.checkpointAlone(ctx)
		case <-second.C:
			s.space.look()
			if n%10 == 0 {
				s.space.measure()
			}
			if n%int(checkpointPause/time.Second) == 0 {
				s.checkpointAlone(ctx)
			}
		}
	}
}

func (s *Store) checkpointAlone(ctx context.Context) {
	_ = s.committer.alone(ctx, func() error { s.checkpoint(); return nil }) // the store is closing, at worst
}

// Boot counts the openings of this store.
func (s *Store) Boot() uint64 { return s.boot }

// View runs fn on a snapshot. It waits for nothing: what is not in the index yet is read
// from the groups that will be.
func (s *Store) View(ctx context.Context, fn func(engine.Reader) error) error {
	return s.visit(ctx, func() error {
		newest, pending := s.durable.Load(), s.pending.list()
		r, end := s.index.begin() // after pending was taken: what it lacks by now is here
		defer end()
		if err := s.index.views.failure(); err != nil && r.at < newest {
			return err
		}
		r.above(pending)
		return fn(r)
	})
}

// viewIndex is View for those who read the index itself, and wait for it.
func (s *Store) viewIndex(ctx context.Context, fn func(*reader) error) error {
	return s.visit(ctx, func() error {
		if err := s.index.views.wait(ctx, s.durable.Load()); err != nil {
			return err
		}
		r, end := s.index.begin()
		defer end()
		return fn(r)
	})
}

// visit keeps the store open while fn runs.
func (s *Store) visit(ctx context.Context, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.life.enter(); err != nil {
		return err
	}
	defer s.life.leave()
	return fn()
}

// Health says whether writes are accepted.
func (s *Store) Health() engine.Health {
	if h := s.failed.Load(); h != nil {
		return *h
	}
	if err := s.space.allows(false); err != nil {
		return engine.Health{Reason: "the disk is nearly full", Err: err}
	}
	return engine.Health{Writable: true}
}

// refused says why a change is not accepted.
func (s *Store) refused(frees bool) error {
	if h := s.failed.Load(); h != nil {
		return fmt.Errorf("%w: %s", engine.ErrReadOnly, h.Reason)
	}
	return s.space.allows(frees)
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

func (s *Store) tellSpace(level int32, free int64) {
	s.cfg.Log.LogAttrs(context.Background(), slog.LevelWarn, "the room on the disk has changed",
		slog.String("accepted", [...]string{roomy: "everything", low: "only what frees space", full: "nothing"}[level]),
		slog.Int64("free", free), slog.Int64("reserve", s.space.reserve))
}

// Close waits for running commits and views, then closes everything.
func (s *Store) Close() error {
	var err error
	s.closeOnce.Do(func() {
		s.stop()
		s.work.Wait()
		s.committer.stop()
		s.life.close()
		s.checkpoint()
		err = s.release()
	})
	return err
}

// release closes what is open.
func (s *Store) release() (err error) {
	if s.blobs != nil {
		err = errors.Join(err, s.blobs.close())
	}
	err = errors.Join(err, s.index.close())
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
	}
	return errors.Join(err, s.lock.release())
}

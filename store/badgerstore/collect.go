package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

// Collecting gives back what dead bodies and old commits take of the log. A sealed
// segment may go when nobody needs it for any of its three uses:
//
//   - its commits for catching up: the index's tables on disk reach behind it;
//   - its commits for rebuilding the index: a snapshot shows them;
//   - its bodies: those that live are copied to the end of the log, each in a
//     commit that changes its record if that still points to the old place.

const (
	collectPause    = time.Minute
	collectPauseLow = 5 * time.Second
	// collectBatch is how many bytes of bodies are copied in one commit.
	collectBatch = 1 << 20
	// collectBodies is how many.
	collectBodies = 4096
	// collectRest is how many times as long as it worked the collector rests: it
	// takes a fifth of the disk at most.
	collectRest = 4
)

// movedBody is a body that is copied to the end of the log.
type movedBody struct {
	ref   engine.BlobRef
	bytes []byte
}

// collectLoop collects segments of which less than half lives; more eagerly when
// the disk is nearly full.
func (s *Store) collectLoop(ctx context.Context) {
	for {
		pause := collectPause
		if s.space.level.Load() == low {
			pause = collectPauseLow
		}
		if rest(ctx, pause) != nil {
			return
		}
		if err := s.collect(ctx, 0); err != nil && ctx.Err() == nil {
			s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "collecting the log", slog.Any("err", err))
		}
	}
}

// Compact gives back all that can be. When it returns nil, what was deleted before
// it was called can't be read from the store's files any more. It waits for views
// and copies that began earlier.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.life.enter(); err != nil {
		return err
	}
	defer s.life.leave()
	s.compacting.Lock()
	defer s.compacting.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.running, cancel)()
	upTo, seen := uint32(0), uint64(0)
	err := s.committer.alone(ctx, func() error {
		if err := s.log.Roll(); err != nil {
			return s.space.full(err)
		}
		for _, seg := range s.log.Segments() {
			if seg.Sealed {
				upTo = seg.Number
			}
		}
		seen = s.index.applied()
		return s.index.flushDeleted(ctx, s.space)
	})
	for err == nil && s.index.views.oldest() < seen {
		err = rest(ctx, 20*time.Millisecond)
	}
	if err == nil { // what was merged while a view saw it is in tables that nothing reaches
		err = s.committer.alone(ctx, func() error {
			if !s.space.holds(s.index.shape.flushRoom()) {
				return fmt.Errorf("%w: there is no room to flush the index", engine.ErrFull)
			}
			s.index.views.forget(s.index.db)
			if err := s.index.touch(); err != nil {
				return err
			}
			return s.index.flush(ctx)
		})
	}
	if err == nil {
		err = s.collect(ctx, upTo)
	}
	if err == nil {
		err = s.index.compact()
	}
	if err == nil { // an index that was replaced holds the same again
		err = os.RemoveAll(filepath.Join(s.cfg.Dir, asideFolder))
	}
	return err
}

// collect takes the sealed segments of which less than half lives; or, if upTo is
// not 0, all of them up to that number.
func (s *Store) collect(ctx context.Context, upTo uint32) error {
	s.collecting.Lock()
	defer s.collecting.Unlock()
	take, dead, err := s.candidates(ctx, upTo)
	if err != nil || len(take) == 0 {
		return err
	}
	// A snapshot costs about as much as the index is large: unless something has to
	// go, the gain must be worth it.
	worth := upTo > 0 || dead > 2*s.space.index.Load() || s.space.level.Load() == low
	ready, err := s.cover(ctx, lastChange(take[len(take)-1]), worth)
	switch {
	case err != nil:
		return err
	case !ready && upTo > 0:
		return fmt.Errorf("%w: there is no room for a snapshot of the index", engine.ErrFull)
	case !ready:
		return nil
	}
	for _, seg := range take {
		if err := s.collectSegment(ctx, seg); err != nil {
			return err
		}
	}
	return nil
}

// lastChange is the newest group of a sealed segment that changed anything: the
// seal, which ends it, does not.
func lastChange(i seglog.Info) uint64 { return i.Last - 1 }

// candidates lists segments to take, and how many bytes of them are dead.
func (s *Store) candidates(ctx context.Context, upTo uint32) (take []seglog.Info, dead int64, err error) {
	err = s.View(ctx, func(r engine.Reader) error {
		for _, seg := range s.log.Segments() {
			if !seg.Sealed || seg.Collected {
				continue
			}
			live, err := readU64(r, liveKey(seg.Number))
			if err != nil {
				return err
			}
			if seg.Number <= upTo || upTo == 0 && int64(live) < seg.Bytes/2 {
				take, dead = append(take, seg), dead+seg.Bytes-int64(live)
			}
		}
		return nil
	})
	return take, dead, err
}

// cover makes sure that the tables and a snapshot show all groups up to newest.
func (s *Store) cover(ctx context.Context, newest uint64, worth bool) (bool, error) {
	if s.index.flushed() < newest {
		if s.space.level.Load() != low {
			return false, nil // memtables are flushed as they fill
		}
		if !s.space.holds(s.index.shape.flushRoom()) {
			return false, nil
		}
		if err := s.committer.alone(ctx, func() error { return s.index.flush(ctx) }); err != nil {
			return false, err
		}
	}
	all, err := s.snapshots()
	if err != nil {
		return false, err
	}
	if len(all) > 0 && all[0] >= newest {
		return true, nil
	}
	if !worth || !s.space.holds(s.space.index.Load()) {
		return false, nil
	}
	_, err = s.saveSnapshot(ctx)
	return err == nil, err
}

// collectSegment copies what lives in a segment and gives it up.
func (s *Store) collectSegment(ctx context.Context, seg seglog.Info) error {
	m := mover{store: s, ctx: ctx}
	if err := s.log.ScanSegment(seg.Number, 0, m.group); err != nil {
		return err
	}
	if err := m.flush(); err != nil {
		return err
	}
	// A copy of the store that is being written may still read there.
	if err := s.lockFiles(ctx); err != nil {
		return err
	}
	err := s.log.Collect(seg.Number)
	s.files.Unlock()
	if err != nil {
		return err
	}
	s.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "collected a segment of the log", slog.Uint64("segment", uint64(seg.Number)), slog.Int64("bytes", seg.Bytes), slog.Int64("kept", m.kept))
	return s.own(ctx, func(t *tx) error {
		t.over.put(liveKey(seg.Number), cell{deleted: true})
		return nil
	})
}

// lockFiles waits until nobody copies the store.
func (s *Store) lockFiles(ctx context.Context) error {
	for !s.files.TryLock() {
		if err := rest(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// mover copies the living bodies of a segment.
type mover struct {
	store *Store
	ctx   context.Context //nolint:containedctx // it lives as long as one call
	batch []placed
	bytes int64
	kept  int64
	began time.Time
}

// placed is a body and where it was found.
type placed struct {
	movedBody
	at seglog.Pos
}

func (m *mover) group(g seglog.Scanned) error {
	for _, r := range g.Records {
		if m.began.IsZero() {
			m.began = time.Now()
		}
		if r.Type != recordBody {
			continue
		}
		domain, id, ok := blobKeyID(append([]byte{engine.SubBlob}, r.Payload[:min(len(r.Payload), bodyHead)]...))
		if !ok {
			return fmt.Errorf("group %d holds a body without a name", g.Sequence)
		}
		m.batch = append(m.batch, placed{
			movedBody: movedBody{ref: engine.BlobRef{Domain: domain, ID: id}, bytes: r.Payload[bodyHead:]},
			at:        seglog.Pos{Segment: r.Pos.Segment, Offset: r.Pos.Offset + bodyHead},
		})
		if m.bytes += int64(len(r.Payload)); m.bytes >= collectBatch || len(m.batch) >= collectBodies {
			if err := m.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush copies, in one commit, those of the batch whose records still say that
// they are where they were found.
func (m *mover) flush() error {
	if len(m.batch) == 0 {
		return nil
	}
	err := m.store.own(m.ctx, func(t *tx) error {
		for _, p := range m.batch {
			rec, err := readBlob(t, p.ref.Domain, p.ref.ID)
			switch {
			case isMissing(err) || err == nil && rec.place != p.at:
				continue
			case err != nil:
				return err
			case crc32.Checksum(p.bytes, castagnoli) != rec.ref.CRC32C:
				return fmt.Errorf("body %d of domain %d: %w", p.ref.ID, p.ref.Domain, engine.ErrDamaged)
			}
			t.putBlob(rec)
			t.moved = append(t.moved, movedBody{ref: rec.ref, bytes: bytes.Clone(p.bytes)})
			m.kept += rec.ref.Size
		}
		return nil
	})
	took := time.Since(m.began)
	m.batch, m.bytes, m.began = m.batch[:0], 0, time.Time{}
	return errors.Join(err, rest(m.ctx, collectRest*took))
}

// rest waits, unless ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

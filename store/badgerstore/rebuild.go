package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const snapshotPrefix = "snapshot-"

func snapshotName(sequence uint64) string { return fmt.Sprintf("%s%016x", snapshotPrefix, sequence) }

// snapshots lists the snapshots of the index beside the log, newest first.
func (s *Store) snapshots() (sequences []uint64, err error) {
	entries, err := os.ReadDir(filepath.Join(s.cfg.Dir, logFolder))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		var n uint64
		if _, err := fmt.Sscanf(e.Name(), snapshotPrefix+"%x", &n); err == nil && e.Name() == snapshotName(n) {
			sequences = append(sequences, n)
		} else if strings.HasPrefix(e.Name(), snapshotPrefix) {
			_ = os.Remove(filepath.Join(s.cfg.Dir, logFolder, e.Name())) // was being made when a process died
		}
	}
	slices.Sort(sequences)
	slices.Reverse(sequences)
	return sequences, nil
}

func (s *Store) snapshotPath(sequence uint64) string {
	return filepath.Join(s.cfg.Dir, logFolder, snapshotName(sequence))
}

// saveSnapshot writes a snapshot of the index beside the log, reads it back, and
// removes those before it. It returns the group that it shows.
func (s *Store) saveSnapshot(ctx context.Context) (sequence uint64, err error) {
	r, end := s.index.begin()
	defer end()
	path := s.snapshotPath(r.at)
	f, err := os.OpenFile(path+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path+".tmp"))
		}
	}()
	out := newSnapshotWriter(&paced{ctx: ctx, w: f}, r.at)
	err = eachStored(ctx, r, func(key []byte, c cell) error {
		if !indexOnly(key) {
			out.cell(key, c)
		}
		return out.err
	})
	err = errors.Join(err, out.end(), f.Sync(), f.Close())
	if err == nil {
		err = checkSnapshot(path + ".tmp")
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return 0, err
	}
	return r.at, s.dropSnapshots(r.at)
}

// paced writes at the collector's pace.
type paced struct {
	ctx   context.Context //nolint:containedctx // it lives as long as one call
	w     io.Writer
	began time.Time
	n     int
}

func (p *paced) Write(b []byte) (int, error) {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	n, err := p.w.Write(b)
	if p.n += n; p.n >= collectBatch && err == nil {
		err = rest(p.ctx, collectRest*time.Since(p.began))
		p.n, p.began = 0, time.Time{}
	}
	return n, err
}

// dropSnapshots removes the snapshots before one.
func (s *Store) dropSnapshots(before uint64) error {
	all, err := s.snapshots()
	for _, n := range all {
		if n < before {
			err = errors.Join(err, os.Remove(s.snapshotPath(n)))
		}
	}
	return err
}

// checkSnapshot reads a snapshot to its end.
func checkSnapshot(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in, err := newSnapshotReader(f)
	if err != nil {
		return err
	}
	return in.each(discard{})
}

type discard struct{}

func (discard) cell([]byte, cell) error { return nil }

func (discard) body(_ uint32, _ uint64, _ int64, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// loadSnapshot fills an empty index from the newest snapshot that can be read. It
// returns the group that the index then shows; 0 without a snapshot.
func (s *Store) loadSnapshot() (uint64, error) {
	all, err := s.snapshots()
	if err != nil {
		return 0, err
	}
	for _, n := range all {
		path := s.snapshotPath(n)
		if err := checkSnapshot(path); err != nil {
			s.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "a snapshot of the index can't be read", slog.String("file", path), slog.Any("err", err))
			continue
		}
		return n, s.load(path)
	}
	return 0, nil
}

func (s *Store) load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in, err := newSnapshotReader(f)
	if err != nil {
		return err
	}
	l := &loader{index: s.index, sequence: in.sequence}
	if err := in.each(l); err != nil {
		return err
	}
	if err := l.flush(); err != nil {
		return err
	}
	// Only now the index may say that it knows the group.
	return s.index.apply(in.sequence, s.cfg.Now().UnixMilli(), nil)
}

// loader puts the cells of a snapshot into the index, all with one version.
type loader struct {
	index    *index
	sequence uint64
	cells    []keyed
	bytes    int64
}

func (l *loader) cell(key []byte, c cell) error {
	size := int64(len(key)+len(c.value)) + entryCost
	if l.bytes+size > l.index.db.MaxBatchSize()*9/10 || int64(len(l.cells)) >= l.index.db.MaxBatchCount()*9/10 {
		if err := l.flush(); err != nil {
			return err
		}
	}
	l.cells = append(l.cells, keyed{key, c})
	l.bytes += size
	return nil
}

func (l *loader) body(uint32, uint64, int64, io.Reader) error {
	return errors.New("a snapshot of the index holds a body")
}

func (l *loader) flush() error {
	w := l.index.writer(l.sequence, l.index.now().UnixMilli(), l.cells)
	for _, k := range l.cells {
		if err := w.put(k); err != nil {
			return errors.Join(err, w.close(false))
		}
	}
	l.cells, l.bytes = l.cells[:0], 0
	return w.close(true)
}

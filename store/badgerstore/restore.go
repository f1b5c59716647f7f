package badgerstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/centerleap/postern/store/engine"
)

// Restore makes a store in dir, which must be empty or missing, from a snapshot
// with bodies. It works beside dir and moves the result there at the end: what a
// cut or damaged snapshot left behind is never taken for a store.
func Restore(r io.Reader, dir string, log *slog.Logger) (err error) {
	switch entries, err := os.ReadDir(dir); {
	case err == nil && len(entries) > 0:
		return fmt.Errorf("%s is not empty", dir)
	case err != nil && !os.IsNotExist(err):
		return err
	}
	work := filepath.Clean(dir) + ".restoring"
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := restoreInto(r, work, log); err != nil {
		return errors.Join(err, os.RemoveAll(work))
	}
	if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.Rename(work, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(dir)))
}

func restoreInto(r io.Reader, dir string, log *slog.Logger) (err error) {
	in, err := newSnapshotReader(r)
	if err != nil {
		return err
	}
	s, err := Open(Config{Dir: dir, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	to := &restorer{store: s, leap: true}
	if err := in.each(to); err != nil {
		return err
	}
	return to.flush()
}

// restorer writes what it gets through the committer, in groups of its own.
type restorer struct {
	store  *Store
	leap   bool // what was made after what it gets is lost: sequences go on elsewhere
	cells  []keyed
	bodies []*blobWriter
	bytes  int64
	rec    *blobRecord // whose body comes next
}

const restoreBatch = 1 << 20

func (r *restorer) cell(key []byte, c cell) error {
	if r.rec != nil {
		return fmt.Errorf("body %d is missing", r.rec.ref.ID)
	}
	if r.leap && isSequence(key) && len(c.value) == 8 {
		c.value = u64(r.sequence(binary.BigEndian.Uint64(c.value)))
	}
	if domain, id, ok := blobKeyID(key); ok {
		rec, err := decodeBlob(domain, id, c.value)
		if err != nil {
			return err
		}
		r.rec = rec
		return nil
	}
	r.add(key, c)
	if r.bytes >= restoreBatch {
		return r.flush()
	}
	return nil
}

// restoreStep is by how much at least a domain's sequence is raised, whatever the clock
// says; ours.
const restoreStep = 1 << 24

// sequence is where a domain goes on that had come to at. After at the lost store gave
// out others, which somebody may have seen, and so did one that was restored from the
// same snapshot before. None is given again: this one is beyond all of a store that made
// fewer than 256 changes a millisecond, whatever it was made of. It stays below 2^53,
// RFC 8259 section 6, until the year 3084.
func (r *restorer) sequence(at uint64) uint64 {
	now := uint64(max(r.store.cfg.Now().UnixMilli(), 0))
	return max(at+restoreStep, now<<8)
}

func (r *restorer) add(key []byte, c cell) {
	r.cells = append(r.cells, keyed{key, c})
	r.bytes += int64(len(key)+len(c.value)) + entryCost
}

// body takes a body in as a writer would, under the number it had.
func (r *restorer) body(domain uint32, id uint64, size int64, from io.Reader) error {
	rec := r.rec
	if rec == nil || rec.ref.Domain != domain || rec.ref.ID != id || rec.ref.Size != size {
		return errors.New("a body without a record")
	}
	r.rec = nil
	if rec.inFile {
		rec.place.Segment = 0
		if err := r.file(rec, from); err != nil {
			return err
		}
		r.add(blobKey(domain, id), cell{value: rec.encode()})
		if r.bytes >= restoreBatch {
			return r.flush()
		}
		return nil
	}
	w := r.store.blobs.writer(domain, id)
	r.bodies = append(r.bodies, w)
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), from); err != nil {
		return err
	}
	if _, err := w.Seal(); err != nil {
		return err
	}
	w.ref.SHA256 = rec.ref.SHA256 // older releases noted one of each body
	if w.ref != rec.ref || !digests(rec.ref, sum) {
		return fmt.Errorf("body %d of domain %d: %w", id, domain, engine.ErrDamaged)
	}
	rec.place.Segment = 0
	r.add(blobKey(domain, id), cell{value: rec.encode()})
	if r.bytes += size; r.bytes >= restoreBatch {
		return r.flush()
	}
	return nil
}

// file writes a large body to its file.
func (r *restorer) file(rec *blobRecord, from io.Reader) error {
	path := r.store.blobs.file(rec.ref.Domain, rec.ref.ID)
	if err := r.store.blobs.folder(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), from)
	if err == nil && (n != rec.ref.Size || !digests(rec.ref, sum)) {
		err = fmt.Errorf("body %d of domain %d: %w", rec.ref.ID, rec.ref.Domain, engine.ErrDamaged)
	}
	return errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
}

func (r *restorer) flush() error {
	if r.rec != nil {
		return fmt.Errorf("body %d is missing", r.rec.ref.ID)
	}
	err := r.store.own(context.Background(), func(t *tx) error {
		for _, k := range r.cells {
			t.over.put(k.key, k.cell)
		}
		t.staged = append(t.staged, r.bodies...)
		return nil
	})
	for _, w := range r.bodies {
		err = errors.Join(err, w.Close())
	}
	r.cells, r.bodies, r.bytes = nil, nil, 0
	return err
}

var _ engine.Engine = (*Store)(nil)

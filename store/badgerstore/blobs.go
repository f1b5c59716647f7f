package badgerstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/centerleap/postern/store/engine"
)

const (
	// inlineMax is the largest body that travels with the commit that links it.
	// A larger one is synced in a file of its own first.
	inlineMax = 256 << 10
	// stagedMax is how many bytes of small bodies may wait in memory for their
	// commits, all writers together; beyond it, they go to files.
	stagedMax = 64 << 20
)

// blobs keeps bodies: small ones in records, large ones in files.
//
//	bodies/tmp/<id>             being written
//	bodies/<domain>/<id>        sealed; without a record it is swept at the next start
type blobs struct {
	store *Store
	dir   string
	last  atomic.Uint32 // numbers given out since this boot
	held  atomic.Int64  // bytes waiting in memory

	mu     sync.Mutex
	staged map[uint64]*blobWriter // sealed or being written, not closed
	pinned int                    // snapshots being taken
	doomed []string               // files to remove when none is
}

func openBlobs(s *Store) (*blobs, error) {
	b := &blobs{store: s, dir: filepath.Join(s.cfg.Dir, "bodies"), staged: make(map[uint64]*blobWriter)}
	if err := os.RemoveAll(filepath.Join(b.dir, "tmp")); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(b.dir, "tmp"), 0o700); err != nil {
		return nil, err
	}
	return b, b.sweep()
}

// sweep removes files that no record names: their commit never came.
func (b *blobs) sweep() error {
	txn := b.store.db.NewTransaction(false)
	defer txn.Discard()
	r := &reader{txn: txn, now: b.store.cfg.Now()}
	return filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var domain uint32
		var id uint64
		rel, err := filepath.Rel(b.dir, path)
		if err != nil {
			return err
		}
		if n, _ := fmt.Sscanf(filepath.ToSlash(rel), "%d/%x", &domain, &id); n != 2 {
			return nil // not ours; leave it
		}
		if _, err = r.Get(blobKey(domain, id)); isMissing(err) {
			return os.Remove(path)
		}
		return err
	})
}

func (b *blobs) file(domain uint32, id uint64) string {
	return filepath.Join(b.dir, fmt.Sprint(domain), fmt.Sprintf("%016x", id))
}

// blobRecord is what the store knows of a body: references u32, in a file u8,
// size u64, crc u32, sha-256.
type blobRecord struct {
	refs   uint32
	inFile bool
	ref    engine.BlobRef
}

func (r *blobRecord) encode() []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 49), r.refs)
	b = append(b, 0)
	if r.inFile {
		b[4] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.ref.Size))
	b = binary.BigEndian.AppendUint32(b, r.ref.CRC32C)
	return append(b, r.ref.SHA256[:]...)
}

func decodeBlob(domain uint32, id uint64, b []byte) (*blobRecord, error) {
	if len(b) != 49 {
		return nil, fmt.Errorf("the record of body %d is damaged", id)
	}
	r := &blobRecord{refs: binary.BigEndian.Uint32(b), inFile: b[4] == 1}
	r.ref = engine.BlobRef{
		Domain: domain, ID: id, Size: int64(binary.BigEndian.Uint64(b[5:])),
		CRC32C: binary.BigEndian.Uint32(b[13:]), SHA256: [32]byte(b[17:]),
	}
	return r, nil
}

func readBlob(r engine.Reader, domain uint32, id uint64) (*blobRecord, error) {
	b, err := r.Get(blobKey(domain, id))
	if err != nil {
		return nil, err
	}
	return decodeBlob(domain, id, b)
}

// Link adds a reference to a body.
func (t *tx) Link(ref engine.BlobRef) error {
	if ref.Domain != t.domain {
		return engine.ErrNotFound
	}
	rec, err := readBlob(t, ref.Domain, ref.ID)
	if isMissing(err) {
		return t.linkFirst(ref)
	} else if err != nil {
		return err
	}
	rec.refs++
	t.over.put(blobKey(ref.Domain, ref.ID), cell{value: rec.encode()})
	return nil
}

// linkFirst takes a sealed body into the store.
func (t *tx) linkFirst(ref engine.BlobRef) error {
	w := t.store.blobs.find(ref)
	if w == nil || w.linked.Load() {
		return fmt.Errorf("body %d: %w", ref.ID, engine.ErrNotFound)
	}
	rec := blobRecord{refs: 1, inFile: w.path != "", ref: ref}
	t.over.put(blobKey(ref.Domain, ref.ID), cell{value: rec.encode()})
	if !rec.inFile {
		t.over.put(bodyKey(ref.Domain, ref.ID), cell{value: w.small.Bytes()})
	}
	t.staged = append(t.staged, w)
	return nil
}

// Unlink drops a reference; the body goes with its last one.
func (t *tx) Unlink(ref engine.BlobRef) error {
	rec, err := readBlob(t, t.domain, ref.ID)
	if err != nil {
		return fmt.Errorf("body %d: %w", ref.ID, err)
	}
	if rec.refs--; rec.refs > 0 {
		t.over.put(blobKey(t.domain, ref.ID), cell{value: rec.encode()})
		return nil
	}
	t.over.put(blobKey(t.domain, ref.ID), cell{deleted: true})
	if rec.inFile {
		t.orphan = append(t.orphan, t.store.blobs.file(t.domain, ref.ID))
	} else {
		t.over.put(bodyKey(t.domain, ref.ID), cell{deleted: true})
	}
	return nil
}

// removeFiles deletes the files of bodies that are gone. What can't be deleted
// now is swept at the next start.
func (b *blobs) removeFiles(paths []string) {
	if len(paths) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doomed = append(b.doomed, paths...)
	b.removeDoomed()
}

func (b *blobs) removeDoomed() {
	if b.pinned > 0 {
		return
	}
	for _, p := range b.doomed {
		_ = os.Remove(p)
	}
	b.doomed = nil
}

// pin keeps the files of deleted bodies until unpin.
func (b *blobs) pin() {
	b.mu.Lock()
	b.pinned++
	b.mu.Unlock()
}

func (b *blobs) unpin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pinned--
	b.removeDoomed()
}

// find returns the writer of a body that is sealed and not closed.
func (b *blobs) find(ref engine.BlobRef) *blobWriter {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.staged[ref.ID]; w != nil && w.sealed && w.ref == ref {
		return w
	}
	return nil
}

// Blobs is where bodies live.
func (s *Store) Blobs() engine.Blobs { return s.blobs }

func (b *blobs) close() error {
	return os.RemoveAll(filepath.Join(b.dir, "tmp"))
}

// Create starts a body.
func (b *blobs) Create(ctx context.Context, domain uint32, sizeHint int64) (engine.BlobWriter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if h := b.store.failed.Load(); h != nil {
		return nil, fmt.Errorf("%w: %s", engine.ErrReadOnly, h.Reason)
	}
	w := &blobWriter{blobs: b, sum: sha256.New(), crc: crc32.New(castagnoli)}
	w.ref = engine.BlobRef{Domain: domain, ID: b.store.boot<<32 | uint64(b.last.Add(1))}
	b.mu.Lock()
	b.staged[w.ref.ID] = w
	b.mu.Unlock()
	if sizeHint > inlineMax || b.held.Load() > stagedMax {
		if err := w.spill(); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	return w, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blobWriter collects one body: in memory while it is small, else in a file.
type blobWriter struct {
	blobs  *blobs
	ref    engine.BlobRef
	sum    hash.Hash
	crc    hash.Hash32
	small  bytes.Buffer
	file   *os.File // being written
	path   string   // of the sealed file
	sealed bool     // guarded by blobs.mu
	linked atomic.Bool
	closed bool
}

func (w *blobWriter) Write(p []byte) (int, error) {
	if w.sealed || w.closed {
		return 0, os.ErrClosed
	}
	if w.file == nil && w.small.Len()+len(p) > inlineMax {
		if err := w.spill(); err != nil {
			return 0, err
		}
	}
	w.sum.Write(p)
	w.crc.Write(p)
	w.ref.Size += int64(len(p))
	if w.file != nil {
		return w.file.Write(p)
	}
	w.blobs.held.Add(int64(len(p)))
	return w.small.Write(p)
}

// spill moves what was collected into a file.
func (w *blobWriter) spill() (err error) {
	name := filepath.Join(w.blobs.dir, "tmp", fmt.Sprintf("%016x", w.ref.ID))
	if w.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	_, err = w.file.Write(w.small.Bytes())
	w.blobs.held.Add(-int64(w.small.Len()))
	w.small = bytes.Buffer{}
	return err
}

// Seal ends the body; a file is synced, named and its folder synced.
func (w *blobWriter) Seal() (engine.BlobRef, error) {
	if w.sealed || w.closed {
		return engine.BlobRef{}, os.ErrClosed
	}
	w.ref.SHA256 = [32]byte(w.sum.Sum(nil))
	w.ref.CRC32C = w.crc.Sum32()
	if w.file != nil {
		if err := w.keep(); err != nil {
			return engine.BlobRef{}, err
		}
	}
	w.blobs.mu.Lock()
	w.sealed = true
	w.blobs.mu.Unlock()
	return w.ref, nil
}

func (w *blobWriter) keep() error {
	path := w.blobs.file(w.ref.Domain, w.ref.ID)
	dir := filepath.Dir(path)
	if err := makeSynced(dir); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		w.blobs.store.fail("the sync of a body failed", err)
		return err
	}
	if err := os.Rename(w.file.Name(), path); err != nil {
		return err
	}
	w.path = path
	if err := w.file.Close(); err != nil {
		return err
	}
	return syncDir(dir)
}

// makeSynced makes a folder and its entry in the one above durable.
func makeSynced(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Close drops the body unless a commit linked it.
func (w *blobWriter) Close() error {
	b := w.blobs
	b.mu.Lock()
	delete(b.staged, w.ref.ID)
	b.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	if w.file == nil {
		b.held.Add(-int64(w.small.Len()))
		return nil
	}
	if w.path == "" {
		return errors.Join(w.file.Close(), os.Remove(w.file.Name()))
	}
	if !w.linked.Load() {
		return os.Remove(w.path)
	}
	return nil
}

// Open reads a range of a body.
func (b *blobs) Open(ctx context.Context, ref engine.BlobRef, off, n int64) (io.ReadCloser, error) {
	if off < 0 || off > ref.Size {
		return nil, fmt.Errorf("body %d: offset %d is outside its %d bytes", ref.ID, off, ref.Size)
	}
	if n < 0 || n > ref.Size-off {
		n = ref.Size - off
	}
	if w := b.find(ref); w != nil && w.path == "" {
		return io.NopCloser(io.NewSectionReader(bytes.NewReader(w.small.Bytes()), off, n)), nil
	} else if w != nil {
		return openFile(w.path, off, n)
	}
	var rec *blobRecord
	var body []byte
	err := b.store.View(ctx, func(r engine.Reader) (err error) {
		if rec, err = readBlob(r, ref.Domain, ref.ID); err != nil {
			return err
		}
		if rec.ref != ref {
			return engine.ErrNotFound
		}
		if !rec.inFile {
			body, err = r.Get(bodyKey(ref.Domain, ref.ID))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("body %d: %w", ref.ID, err)
	}
	if rec.inFile {
		return openFile(b.file(ref.Domain, ref.ID), off, n)
	}
	return io.NopCloser(io.NewSectionReader(bytes.NewReader(body), off, n)), nil
}

func openFile(path string, off, n int64) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if isMissing(err) {
		return nil, fmt.Errorf("%w: %w", engine.ErrNotFound, err)
	} else if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, off, n), f}, nil
}

// Check reads a whole body and compares it with its digest.
func (b *blobs) Check(ctx context.Context, ref engine.BlobRef) error {
	r, err := b.Open(ctx, ref, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err != nil {
		return err
	}
	if n != ref.Size || [32]byte(sum.Sum(nil)) != ref.SHA256 {
		return fmt.Errorf("body %d of domain %d is damaged", ref.ID, ref.Domain)
	}
	return nil
}

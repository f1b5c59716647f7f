package badgerstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

// Create starts a body.
func (b *blobs) Create(ctx context.Context, domain uint32, sizeHint int64) (engine.BlobWriter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := b.store.refused(false); err != nil {
		return nil, err
	}
	if b.store.running.Err() != nil {
		return nil, engine.ErrClosed
	}
	w := b.writer(domain, b.store.boot<<32|uint64(b.last.Add(1)))
	if sizeHint > 0 && sizeHint <= inlineMax {
		w.hint = int(sizeHint)
	}
	if sizeHint > inlineMax || b.held.Load() > stagedMax {
		if err := w.spill(); err != nil {
			return nil, errors.Join(b.store.space.full(err), w.Close())
		}
	}
	return w, nil
}

func (b *blobs) writer(domain uint32, id uint64) *blobWriter {
	w := &blobWriter{blobs: b, ref: engine.BlobRef{Domain: domain, ID: id}}
	b.coming.Add(1)
	b.mu.Lock()
	b.staged[id] = w
	b.mu.Unlock()
	return w
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blobWriter collects one body: in memory while it is small, else in a file.
type blobWriter struct {
	blobs  *blobs
	ref    engine.BlobRef
	small  []byte
	hint   int       // of its size; 0: unknown
	file   *os.File  // being written
	sum    hash.Hash // of what is in file
	crc    uint32
	path   string // of the sealed file
	sealed bool   // guarded by blobs.mu
	linked atomic.Bool
	came   atomic.Bool // to its commit, or nobody waits for it to
	closed bool
	err    error // a write failed: what was collected is not the body
}

func (w *blobWriter) Write(p []byte) (int, error) {
	if w.sealed || w.closed {
		return 0, os.ErrClosed
	}
	if w.err != nil {
		return 0, w.err
	}
	if w.file == nil && len(w.small)+len(p) > inlineMax {
		if err := w.spill(); err != nil {
			w.err = w.blobs.store.space.full(err)
			return 0, w.err
		}
	}
	w.ref.Size += int64(len(p))
	if w.file != nil {
		n, err := w.toFile(p)
		w.err = w.blobs.store.space.full(err)
		return n, w.err
	}
	w.blobs.held.Add(int64(len(p)))
	if w.small == nil && len(p) < w.hint { // a body that comes whole needs no zeros first
		w.small = make([]byte, 0, w.hint)
	}
	w.small = append(w.small, p...)
	return len(p), nil
}

// spill moves what was collected into a file.
func (w *blobWriter) spill() (err error) {
	w.arrive() // it is long until its commit
	name := filepath.Join(w.blobs.dir, "tmp", fmt.Sprintf("%016x", w.ref.ID))
	if w.file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	w.sum = sha256.New()
	_, err = w.toFile(w.small)
	w.blobs.held.Add(-int64(len(w.small)))
	w.small = nil
	return err
}

func (w *blobWriter) toFile(p []byte) (int, error) {
	w.sum.Write(p)
	w.crc = crc32.Update(w.crc, castagnoli, p)
	return w.file.Write(p)
}

// Seal ends the body; a file is synced, named and its folder synced.
func (w *blobWriter) Seal() (engine.BlobRef, error) {
	if w.sealed || w.closed {
		return engine.BlobRef{}, os.ErrClosed
	}
	if w.err != nil {
		return engine.BlobRef{}, w.err
	}
	if w.file == nil {
		w.ref.CRC32C = crc32.Checksum(w.small, castagnoli)
	} else {
		w.ref.SHA256, w.ref.CRC32C = [32]byte(w.sum.Sum(nil)), w.crc
		if err := w.keep(); err != nil {
			w.err = w.blobs.store.space.full(err) // a second sync may give a false yes
			return engine.BlobRef{}, w.err
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
	if err := w.blobs.folder(dir); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
			w.blobs.store.fail("the sync of a body failed", err)
		}
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

// folder makes a folder of bodies, durably. That one is there says nothing: whoever
// made it may not have synced it.
func (b *blobs) folder(dir string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.folders[dir] {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := errors.Join(syncDir(filepath.Dir(dir)), syncDir(filepath.Dir(filepath.Dir(dir)))); err != nil {
		return err
	}
	b.folders[dir] = true
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// arrive takes a body out of those that are on their way to a commit.
func (w *blobWriter) arrive() {
	if w.came.CompareAndSwap(false, true) {
		w.blobs.coming.Add(-1)
	}
}

// Close drops the body unless a commit linked it.
func (w *blobWriter) Close() error {
	b := w.blobs
	w.arrive()
	b.mu.Lock()
	delete(b.staged, w.ref.ID)
	b.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	if w.file == nil {
		b.held.Add(-int64(len(w.small)))
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
		return io.NopCloser(io.NewSectionReader(bytes.NewReader(w.small), off, n)), nil
	} else if w != nil {
		return openFile(w.path, off, n)
	}
	rec, body, err := b.read(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("body %d: %w", ref.ID, err)
	}
	if rec.inFile && n == ref.Size {
		f, err := openFile(b.file(ref.Domain, ref.ID), 0, n)
		if err != nil {
			return nil, err
		}
		return verified(f, ref), nil
	}
	if rec.inFile {
		return openFile(b.file(ref.Domain, ref.ID), off, n)
	}
	return io.NopCloser(io.NewSectionReader(bytes.NewReader(body), off, n)), nil
}

// read finds a body's record and, if the body is small, reads it whole: so what is
// damaged is an error, never other bytes.
func (b *blobs) read(ctx context.Context, ref engine.BlobRef) (*blobRecord, []byte, error) {
	var tried seglog.Pos
	for {
		var rec *blobRecord
		err := b.store.View(ctx, func(r engine.Reader) (err error) {
			rec, err = readBlob(r, ref.Domain, ref.ID)
			return err
		})
		switch {
		case err != nil:
			return nil, nil, err
		case rec.ref != ref:
			return nil, nil, engine.ErrNotFound
		case rec.inFile:
			return rec, nil, nil
		}
		body, err := b.readPlace(rec)
		if errors.Is(err, seglog.ErrCollected) && rec.place != tried {
			tried = rec.place
			continue // it was moved since; its record says where to
		}
		return rec, body, err
	}
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

// Each lists the linked bodies of a domain.
func (b *blobs) Each(ctx context.Context, domain uint32, fn func(ref engine.BlobRef, references uint32) error) error {
	return b.store.View(ctx, func(r engine.Reader) error {
		return r.Scan(engine.Prefix(ownKey(engine.SubBlob, domain)), func(key, v []byte) error {
			_, id, ok := blobKeyID(key)
			if !ok {
				return fmt.Errorf("a key of a body of %d bytes", len(key))
			}
			rec, err := decodeBlob(domain, id, v)
			if err == nil {
				err = fn(rec.ref, rec.refs)
			}
			return err
		})
	})
}

// Check reads a whole body and compares it with its digest.
func (b *blobs) Check(ctx context.Context, ref engine.BlobRef) error {
	r, err := b.Open(ctx, ref, 0, -1)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err == nil && (n != ref.Size || !digests(ref, sum)) {
		err = fmt.Errorf("body %d: %w", ref.ID, engine.ErrDamaged)
	}
	return errors.Join(err, r.Close())
}

// digests reports whether sum, of a whole body, is the one that was noted; that of a body
// in the log is not, see engine.BlobRef.
func digests(ref engine.BlobRef, sum hash.Hash) bool {
	return ref.SHA256 == [32]byte{} || ref.SHA256 == [32]byte(sum.Sum(nil))
}

// verified reads a whole body; its end is an error if it is not the one that was
// stored.
func verified(r io.ReadCloser, ref engine.BlobRef) io.ReadCloser {
	return &verifier{ReadCloser: r, ref: ref, crc: crc32.New(castagnoli)}
}

type verifier struct {
	io.ReadCloser
	ref  engine.BlobRef
	crc  hash.Hash32
	size int64
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.crc.Write(p[:n])
	v.size += int64(n)
	if errors.Is(err, io.EOF) && (v.size != v.ref.Size || v.crc.Sum32() != v.ref.CRC32C) {
		return n, fmt.Errorf("body %d: %w", v.ref.ID, engine.ErrDamaged)
	}
	return n, err
}

package badgerstore

import (
	"encoding/binary"
	"fmt"
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

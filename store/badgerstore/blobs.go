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
	"github.com/centerleap/postern/store/seglog"
)

const (
	// inlineMax is the largest body that goes into the log with the commit that links it.
	// A larger one is synced in a file of its own first.
	inlineMax = 256 << 10
	// stagedMax is how many bytes of small bodies may wait in memory for their
	// commits, all writers together; beyond it, they go to files.
	stagedMax = 64 << 20
)

// blobs keeps bodies: small ones in the log, large ones in files.
//
//	bodies/tmp/<id>             being written
//	bodies/<domain>/<id>        sealed; without a record it is swept at the next start
type blobs struct {
	store *Store
	dir   string
	last  atomic.Uint32 // numbers given out since this boot
	held  atomic.Int64  // bytes waiting in memory

	mu      sync.Mutex
	staged  map[uint64]*blobWriter // sealed or being written, not closed
	coming  atomic.Int64           // small ones that are on their way to a commit
	pinned  int                    // snapshots being taken
	folders map[string]bool        // of bodies, that are durable
	doomed  []string               // files to remove when none is
}

func openBlobs(s *Store) (*blobs, error) {
	b := &blobs{store: s, dir: filepath.Join(s.cfg.Dir, bodyFolder), staged: make(map[uint64]*blobWriter), folders: make(map[string]bool)}
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
	r, end := b.store.index.begin()
	defer end()
	return b.files(func(path string, domain uint32, id uint64) error {
		rec, err := readBlob(r, domain, id)
		if err == nil && rec.inFile || err != nil && !isMissing(err) {
			return err
		}
		return os.Remove(path)
	})
}

// files calls fn for every file of a body.
func (b *blobs) files(fn func(path string, domain uint32, id uint64) error) error {
	return filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(b.dir, path)
		if err != nil {
			return err
		}
		var domain uint32
		var id uint64
		if n, _ := fmt.Sscanf(filepath.ToSlash(rel), "%d/%x", &domain, &id); n != 2 || b.file(domain, id) != path {
			return nil // not ours; leave it
		}
		return fn(path, domain, id)
	})
}

func (b *blobs) file(domain uint32, id uint64) string {
	return filepath.Join(b.dir, fmt.Sprint(domain), fmt.Sprintf("%016x", id))
}

// blobRecord is what the store knows of a body: references u32, in a file u8,
// size u64, crc u32, sha-256, place in the log segment u32 and offset u32.
type blobRecord struct {
	refs   uint32
	inFile bool
	place  seglog.Pos // of a small one; segment 0 until its group is written
	ref    engine.BlobRef
}

const blobSize = 57

func (r *blobRecord) encode() []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, blobSize), r.refs)
	b = append(b, 0)
	if r.inFile {
		b[4] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.ref.Size))
	b = binary.BigEndian.AppendUint32(b, r.ref.CRC32C)
	b = append(append(b, r.ref.SHA256[:]...), make([]byte, blobSize-placeAt)...)
	putPlace(b, r.place)
	return b
}

// placeAt is where in a body's record its place is.
const placeAt = 49

func putPlace(record []byte, at seglog.Pos) {
	binary.BigEndian.PutUint32(record[placeAt:], at.Segment)
	binary.BigEndian.PutUint32(record[placeAt+4:], at.Offset)
}

func decodeBlob(domain uint32, id uint64, b []byte) (*blobRecord, error) {
	if len(b) != blobSize {
		return nil, fmt.Errorf("the record of body %d is damaged", id)
	}
	r := &blobRecord{refs: binary.BigEndian.Uint32(b), inFile: b[4] == 1}
	r.ref = engine.BlobRef{
		Domain: domain, ID: id, Size: int64(binary.BigEndian.Uint64(b[5:])),
		CRC32C: binary.BigEndian.Uint32(b[13:]), SHA256: [32]byte(b[17:]),
	}
	r.place = seglog.Pos{Segment: binary.BigEndian.Uint32(b[placeAt:]), Offset: binary.BigEndian.Uint32(b[placeAt+4:])}
	return r, nil
}

// blobKeyID is the domain and number in the key of a body's record.
func blobKeyID(key []byte) (domain uint32, id uint64, ok bool) {
	if len(key) != 13 || key[0] != engine.SubBlob {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(key[1:]), binary.BigEndian.Uint64(key[5:]), true
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
	// Most bodies are new: then there is no need to ask the index.
	if _, known := t.written(blobKey(ref.Domain, ref.ID)); !known {
		if w := t.store.blobs.find(ref); w != nil && !w.linked.Load() {
			return t.linkFirst(w)
		}
	}
	rec, err := readBlob(t, ref.Domain, ref.ID)
	if err != nil {
		return fmt.Errorf("body %d: %w", ref.ID, err)
	}
	rec.refs++
	t.putBlob(rec)
	return nil
}

func (t *tx) putBlob(r *blobRecord) {
	t.over.put(blobKey(r.ref.Domain, r.ref.ID), cell{value: r.encode()})
}

// linkFirst takes a sealed body into the store.
func (t *tx) linkFirst(w *blobWriter) error {
	t.putBlob(&blobRecord{refs: 1, inFile: w.path != "", ref: w.ref})
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
		t.putBlob(rec)
		return nil
	}
	t.over.put(blobKey(t.domain, ref.ID), cell{deleted: true})
	t.freed = append(t.freed, rec)
	return nil
}

// lay puts the small bodies of a closure into the draft of its group.
func (g *group) lay(t *tx) {
	for _, w := range t.staged {
		w.arrive()
		if w.path == "" {
			g.layBody(w.ref, w.small)
		}
	}
	for _, m := range t.moved {
		g.layBody(m.ref, m.bytes)
	}
}

func (g *group) layBody(ref engine.BlobRef, body []byte) {
	at := g.draft.Add(recordBody, blobKey(ref.Domain, ref.ID)[1:], body)
	g.laid = append(g.laid, laidBody{ref, at + bodyHead})
}

// place writes down where the bodies of a group are, now that it has its place, and
// keeps count of what lives in each segment. A body that a later closure of the
// group has unlinked must not be found in the log.
func (s *Store) place(g *group) error {
	lives := make(map[uint32]int64)
	for _, b := range g.laid {
		c, _ := g.over.cells.Get(string(blobKey(b.ref.Domain, b.ref.ID)))
		if c.deleted {
			g.draft.Blank(b.at, int(b.ref.Size))
			continue
		}
		rec, err := decodeBlob(b.ref.Domain, b.ref.ID, c.value)
		if err != nil {
			return err
		}
		if rec.place.Segment != 0 {
			lives[rec.place.Segment] -= b.ref.Size
		}
		rec.place = g.draft.Pos(b.at)
		lives[rec.place.Segment] += b.ref.Size
		putPlace(c.value, rec.place)
	}
	for _, r := range g.ran {
		for _, rec := range r.tx.freed {
			if !rec.inFile && rec.place.Segment != 0 {
				lives[rec.place.Segment] -= rec.ref.Size
			}
		}
	}
	return g.ran[0].tx.countLives(lives)
}

// countLives changes the counters of live bytes. They only say where collecting
// is worth it, so one that is wrong does no harm.
func (t *tx) countLives(lives map[uint32]int64) error {
	for segment, delta := range lives {
		n, err := readU64(t, liveKey(segment))
		if err != nil {
			return err
		}
		t.over.put(liveKey(segment), cell{value: u64(uint64(max(0, int64(n)+delta)))})
	}
	return nil
}

// removeFiles deletes the files of bodies that are gone. What can't be deleted
// now is swept at the next start.
func (b *blobs) removeFiles(gone []*blobRecord) {
	if len(gone) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range gone {
		if r.inFile {
			b.doomed = append(b.doomed, b.file(r.ref.Domain, r.ref.ID))
		}
	}
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

package badgerstore

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	badger "github.com/dgraph-io/badger/v4"

	"github.com/centerleap/postern/store/engine"
)

// A snapshot is a magic line, then items, then an end item with the SHA-256 of
// all before it. An item is a type byte and its fields, each behind its length:
//
//	'r' key, stored value        'b' file name, size u64, bytes        'e' digest
const snapshotMagic = "postern badgerstore snapshot 1\n"

// snapshotField bounds what Restore allocates for one key or value: more than
// one commit can hold.
const snapshotField = 16 << 20

// Snapshot writes all records and bodies as one moment saw them.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) error {
	s.blobs.pin()
	defer s.blobs.unpin()
	sum := sha256.New()
	out := &snapshotWriter{w: bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<16)}
	out.raw([]byte(snapshotMagic))
	err := s.View(ctx, func(r engine.Reader) error {
		txn := r.(*reader).txn
		opt := badger.DefaultIteratorOptions
		it := txn.NewIterator(opt)
		defer it.Close()
		for it.Rewind(); it.Valid() && out.err == nil && ctx.Err() == nil; it.Next() {
			k := it.Item().Key()
			if err := it.Item().Value(func(v []byte) error {
				out.raw([]byte{'r'})
				out.field(k)
				out.field(v)
				return s.snapshotBody(out, k, v)
			}); err != nil {
				return err
			}
		}
		return errors.Join(out.err, ctx.Err())
	})
	if err != nil {
		return err
	}
	if err := out.w.Flush(); err != nil {
		return err
	}
	_, err = w.Write(append([]byte{'e'}, sum.Sum(nil)...))
	return err
}

// snapshotBody adds the file of a body whose record was just written.
func (s *Store) snapshotBody(out *snapshotWriter, k, v []byte) error {
	if k[0] != engine.SubBlob || len(k) != 13 {
		return nil
	}
	domain, id := binary.BigEndian.Uint32(k[1:]), binary.BigEndian.Uint64(k[5:])
	rec, err := decodeBlob(domain, id, v[1:])
	if err != nil || !rec.inFile {
		return err
	}
	f, err := os.Open(s.blobs.file(domain, id))
	if err != nil {
		return err
	}
	defer f.Close()
	out.raw([]byte{'b'})
	out.field(k[1:])
	out.raw(binary.BigEndian.AppendUint64(nil, uint64(rec.ref.Size)))
	if out.err == nil {
		_, out.err = io.CopyN(out.w, f, rec.ref.Size)
	}
	return out.err
}

type snapshotWriter struct {
	w   *bufio.Writer
	err error
}

func (o *snapshotWriter) raw(b []byte) {
	if o.err == nil {
		_, o.err = o.w.Write(b)
	}
}

func (o *snapshotWriter) field(b []byte) {
	o.raw(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
	o.raw(b)
}

// Restore makes a store in dir, which must be empty or missing, from a
// snapshot. One that is cut short or damaged is an error, and dir then holds
// what was read before it: remove the folder.
func Restore(r io.Reader, dir string, log *slog.Logger) (err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty", dir)
	}
	s, err := Open(Config{Dir: dir, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	in := &snapshotReader{r: bufio.NewReaderSize(r, 1<<16), sum: sha256.New()}
	if magic := in.bytes(len(snapshotMagic)); in.err != nil || string(magic) != snapshotMagic {
		return errors.New("this is no snapshot of a badgerstore")
	}
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for {
		ended, err := in.item(s, batch)
		if err != nil {
			return fmt.Errorf("the snapshot is damaged or cut short: %w", err)
		}
		if ended {
			break
		}
	}
	if err := batch.Flush(); err != nil {
		return err
	}
	return s.db.Sync()
}

type snapshotReader struct {
	r   *bufio.Reader
	sum hash.Hash
	err error
}

func (in *snapshotReader) bytes(n int) []byte {
	b := make([]byte, n)
	if in.err == nil {
		_, in.err = io.ReadFull(in.r, b)
	}
	in.sum.Write(b)
	return b
}

func (in *snapshotReader) field() []byte {
	n := binary.BigEndian.Uint32(in.bytes(4))
	if in.err == nil && n > snapshotField {
		in.err = fmt.Errorf("a field of %d bytes", n)
	}
	if in.err != nil {
		return nil
	}
	return in.bytes(int(n))
}

// item reads one item and puts it where it belongs.
func (in *snapshotReader) item(s *Store, batch *badger.WriteBatch) (ended bool, err error) {
	want := in.sum.Sum(nil)
	switch typ := in.bytes(1); {
	case in.err != nil:
		return false, in.err
	case typ[0] == 'r':
		k, v := in.field(), in.field()
		if in.err != nil {
			return false, in.err
		}
		return false, batch.Set(k, v)
	case typ[0] == 'b':
		return false, in.body(s)
	case typ[0] == 'e':
		if got := in.bytes(sha256.Size); in.err != nil || !bytes.Equal(got, want) {
			return false, errors.Join(in.err, errors.New("the digest differs"))
		}
		return true, nil
	}
	return false, errors.New("an item of unknown type")
}

func (in *snapshotReader) body(s *Store) error {
	name := in.field()
	size := int64(binary.BigEndian.Uint64(in.bytes(8)))
	if in.err != nil || len(name) != 12 || size < 0 {
		return errors.Join(in.err, errors.New("a body without a name"))
	}
	path := s.blobs.file(binary.BigEndian.Uint32(name), binary.BigEndian.Uint64(name[4:]))
	if err := makeSynced(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(io.MultiWriter(f, in.sum), in.r, size)
	return errors.Join(err, f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
}

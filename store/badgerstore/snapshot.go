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
	"hash/crc32"
	"io"
	"os"

	"github.com/centerleap/postern/store/engine"
)

// A snapshot is a magic line and the sequence of the group it shows, then items,
// then an end item with the SHA-256 of all before it. An item is a type byte and
// its fields:
//
//	'c' length u32, cell as in a commit
//	'b' domain u32, blob u64, size u64, bytes      behind the cell of its record
//	'e' digest
//
// With the bodies it is a backup. Without them it is what the index is rebuilt
// from where the log was collected.
//
// Version 2, which knew no runs of changes, is read as well. An older build refuses
// version 3: it would take a run for one change.
const (
	snapshotMagic  = "postern badgerstore snapshot 3\n"
	snapshotMagic2 = "postern badgerstore snapshot 2\n"
)

const (
	itemCell = 'c'
	itemBody = 'b'
	itemEnd  = 'e'
)

// Snapshot writes all records and bodies as one moment saw them.
func (s *Store) Snapshot(ctx context.Context, w io.Writer) error {
	s.files.RLock()
	defer s.files.RUnlock()
	s.blobs.pin()
	defer s.blobs.unpin()
	return s.viewIndex(ctx, func(r *reader) error {
		out := newSnapshotWriter(w, r.at)
		err := eachStored(ctx, r, func(key []byte, c cell) error {
			if local(key) {
				return nil
			}
			out.cell(key, c)
			return s.snapshotBody(out, key, c)
		})
		return errors.Join(err, out.end())
	})
}

// eachStored calls fn for every cell of a snapshot that has not expired.
func eachStored(ctx context.Context, r *reader, fn func(key []byte, c cell) error) error {
	at := newCursor(r, engine.Range{})
	defer at.close()
	for ; at.valid(); at.next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, live, err := at.value()
		if err != nil {
			return err
		}
		if !live {
			continue
		}
		c, err := unwrap(at.buf)
		if err == nil {
			err = fn(at.key(), c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// snapshotBody adds the body whose record was just written.
func (s *Store) snapshotBody(out *snapshotWriter, key []byte, c cell) error {
	domain, id, ok := blobKeyID(key)
	if !ok {
		return nil
	}
	rec, err := decodeBlob(domain, id, c.value)
	if err != nil {
		return err
	}
	if !rec.inFile {
		body, err := s.blobs.readPlace(rec)
		if err != nil {
			return fmt.Errorf("body %d of domain %d: %w", id, domain, err)
		}
		out.body(rec, bytes.NewReader(body))
		return out.err
	}
	f, err := os.Open(s.blobs.file(domain, id))
	if err != nil {
		return err
	}
	defer f.Close()
	// One that is damaged goes as it is: the rest is worth having, and whoever checks
	// the copy is told.
	out.body(rec, f)
	if out.err != nil {
		return fmt.Errorf("body %d of domain %d: %w", id, domain, out.err)
	}
	return nil
}

type snapshotWriter struct {
	w   *bufio.Writer
	to  io.Writer
	sum hash.Hash
	buf []byte
	err error
}

func newSnapshotWriter(w io.Writer, sequence uint64) *snapshotWriter {
	o := &snapshotWriter{to: w, sum: sha256.New()}
	o.w = bufio.NewWriterSize(io.MultiWriter(w, o.sum), 1<<16)
	o.raw([]byte(snapshotMagic))
	o.raw(u64(sequence))
	return o
}

func (o *snapshotWriter) raw(b []byte) {
	if o.err == nil {
		_, o.err = o.w.Write(b)
	}
}

func (o *snapshotWriter) cell(key []byte, c cell) {
	o.buf = appendCell(append(o.buf[:0], itemCell, 0, 0, 0, 0), string(key), c)
	binary.BigEndian.PutUint32(o.buf[1:], uint32(len(o.buf)-5))
	o.raw(o.buf)
}

func (o *snapshotWriter) body(r *blobRecord, from io.Reader) {
	head := binary.BigEndian.AppendUint32([]byte{itemBody}, r.ref.Domain)
	head = binary.BigEndian.AppendUint64(head, r.ref.ID)
	o.raw(binary.BigEndian.AppendUint64(head, uint64(r.ref.Size)))
	if o.err != nil {
		return
	}
	if _, o.err = io.CopyN(o.w, from, r.ref.Size); errors.Is(o.err, io.EOF) {
		o.err = io.ErrUnexpectedEOF // the end of a file is not the end of the copy
	}
}

func (o *snapshotWriter) end() error {
	if o.err == nil {
		o.err = o.w.Flush()
	}
	if o.err == nil {
		_, o.err = o.to.Write(append([]byte{itemEnd}, o.sum.Sum(nil)...))
	}
	return o.err
}

// snapshotReader hands out what is in a snapshot. What it hands out before the
// digest was compared may be damaged.
type snapshotReader struct {
	r        *bufio.Reader
	sum      hash.Hash
	sequence uint64
}

func newSnapshotReader(r io.Reader) (*snapshotReader, error) {
	in := &snapshotReader{r: bufio.NewReaderSize(r, 1<<16), sum: sha256.New()}
	head, err := in.bytes(len(snapshotMagic) + 8)
	if err != nil || string(head[:len(snapshotMagic)]) != snapshotMagic && string(head[:len(snapshotMagic)]) != snapshotMagic2 {
		return nil, errors.New("this is no snapshot of a badgerstore, or of another version")
	}
	in.sequence = binary.BigEndian.Uint64(head[len(snapshotMagic):])
	return in, nil
}

func (in *snapshotReader) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(in.r, b)
	in.sum.Write(b)
	return b, err
}

// snapshotSink takes what is in a snapshot.
type snapshotSink interface {
	cell(key []byte, c cell) error
	// body gets the body of the record that the last cell was; it reads it whole.
	body(domain uint32, id uint64, size int64, r io.Reader) error
}

// each reads to the end and compares the digest.
func (in *snapshotReader) each(sink snapshotSink) error {
	for {
		want := in.sum.Sum(nil)
		typ, err := in.bytes(1)
		if err == nil {
			switch typ[0] {
			case itemCell:
				err = in.cell(sink)
			case itemBody:
				err = in.body(sink)
			case itemEnd:
				got, err := in.bytes(sha256.Size)
				if err == nil && !bytes.Equal(got, want) {
					err = errors.New("its digest differs")
				}
				return damagedSnapshot(err)
			default:
				err = errors.New("an item of unknown type")
			}
		}
		if err != nil {
			return damagedSnapshot(err)
		}
	}
}

func damagedSnapshot(err error) error {
	if err != nil {
		return fmt.Errorf("the snapshot is damaged or cut short: %w", err)
	}
	return nil
}

func (in *snapshotReader) cell(sink snapshotSink) error {
	b, err := in.bytes(4)
	if err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(b)
	if n > maxKey+maxValue+entryCost {
		return fmt.Errorf("a record of %d bytes", n)
	}
	if b, err = in.bytes(int(n)); err != nil {
		return err
	}
	return eachCell(b, sink.cell)
}

func (in *snapshotReader) body(sink snapshotSink) error {
	b, err := in.bytes(20)
	if err != nil {
		return err
	}
	size := int64(binary.BigEndian.Uint64(b[12:]))
	if size < 0 {
		return errors.New("a body of a negative size")
	}
	r := io.TeeReader(io.LimitReader(in.r, size), in.sum)
	return sink.body(binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:]), size, r)
}

// readPlace reads a small body where its record says it is.
func (b *blobs) readPlace(rec *blobRecord) ([]byte, error) {
	body := make([]byte, rec.ref.Size)
	err := b.store.log.ReadAt(body, rec.place)
	if err == nil && crc32.Checksum(body, castagnoli) != rec.ref.CRC32C {
		err = engine.ErrDamaged
	}
	return body, err
}

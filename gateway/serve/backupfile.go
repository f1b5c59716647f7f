package serve

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"time"
)

// A backup is a magic line, then items: a type byte, the length of what follows
// as a big-endian u32, and that.
//
//	'i' what the backup is, a JSON object (BackupInfo); once, first
//	'f' a small file of the data folder: mode u16, length of name u16, name, bytes
//	's' a piece of the store's snapshot, see store/badgerstore
//	'e' the SHA-256 of all bytes before this item; nothing follows
//
// So it is written and read in one pass, and a cut one has no end.
const backupMagic = "postern backup 1\n"

const (
	itemInfo  = 'i'
	itemFile  = 'f'
	itemPiece = 's'
	itemEnd   = 'e'

	itemHead = 5 // bytes
	// maxPiece bounds the items of a snapshot, and maxInfo the first one.
	maxPiece = 1 << 20
	maxInfo  = 1 << 16
)

// BackupInfo is what a backup says of itself.
type BackupInfo struct {
	CreatedAt time.Time `json:"created_at"`
}

// keptFile is a file that is in a backup as it is.
type keptFile struct {
	name string // in the data folder, with /
	mode fs.FileMode
	data []byte
}

// backupWriter writes the items of a backup. As an io.Writer it takes the
// snapshot.
type backupWriter struct {
	w   *bufio.Writer
	to  io.Writer
	sum hash.Hash
}

func newBackupWriter(w io.Writer) (*backupWriter, error) {
	o := &backupWriter{to: w, sum: sha256.New()}
	o.w = bufio.NewWriterSize(io.MultiWriter(w, o.sum), 1<<16)
	_, err := o.w.WriteString(backupMagic)
	return o, err
}

func (o *backupWriter) item(typ byte, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	_, err := o.w.Write(binary.BigEndian.AppendUint32([]byte{typ}, uint32(n)))
	for _, p := range parts {
		if err == nil {
			_, err = o.w.Write(p)
		}
	}
	return err
}

func (o *backupWriter) info(i BackupInfo) error {
	b, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return o.item(itemInfo, b)
}

func (o *backupWriter) file(f keptFile) error {
	head := binary.BigEndian.AppendUint16(nil, uint16(f.mode.Perm()))
	head = binary.BigEndian.AppendUint16(head, uint16(len(f.name)))
	return o.item(itemFile, head, []byte(f.name), f.data)
}

// Write takes the next bytes of the snapshot.
func (o *backupWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		piece := p[:min(len(p), maxPiece)]
		if err = o.item(itemPiece, piece); err == nil {
			n, p = n+len(piece), p[len(piece):]
		}
	}
	return n, err
}

func (o *backupWriter) end() error {
	if err := o.w.Flush(); err != nil {
		return err
	}
	_, err := o.to.Write(o.sum.Sum([]byte{itemEnd, 0, 0, 0, sha256.Size}))
	return err
}

// backupReader reads a backup. As an io.Reader it gives the snapshot; its end is
// io.EOF only when the digest was right and nothing followed it. What it gave
// before may be damaged.
type backupReader struct {
	r    *bufio.Reader
	sum  hash.Hash
	info BackupInfo
	n    int64 // bytes read
	left int   // of the current piece
	err  error
}

// openBackup reads up to the snapshot; file gets the small files.
func openBackup(r io.Reader, file func(keptFile) error) (*backupReader, error) {
	b := &backupReader{r: bufio.NewReaderSize(r, 1<<16), sum: sha256.New()}
	magic, err := b.bytes(len(backupMagic))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if string(magic) != backupMagic {
		return nil, errors.New("this is no backup of Postern, or one of another version")
	}
	typ, err := b.next()
	if err == nil {
		err = b.first(typ)
	}
	for err == nil {
		if typ, err = b.next(); err != nil || typ != itemFile {
			break
		}
		var f keptFile
		if f, err = b.file(); err == nil {
			err = file(f)
		}
	}
	if err == nil && typ != itemPiece {
		err = errors.New("there is no store in it")
	}
	if err != nil {
		return nil, damagedBackup(err)
	}
	return b, nil
}

func damagedBackup(err error) error {
	return fmt.Errorf("the backup is damaged or cut short: %w", err)
}

// bytes reads n bytes; an end before them is unexpected.
func (b *backupReader) bytes(n int) ([]byte, error) {
	out := make([]byte, n)
	got, err := io.ReadFull(b.r, out)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	b.sum.Write(out[:got])
	b.n += int64(got)
	return out[:got], err
}

// next reads the head of an item, and the end whole.
func (b *backupReader) next() (typ byte, err error) {
	want := b.sum.Sum(nil)
	head, err := b.bytes(itemHead)
	if err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	most := uint32(maxPiece)
	switch typ = head[0]; typ {
	case itemInfo:
		most = maxInfo
	case itemFile:
		most += maxInfo
	case itemPiece:
	case itemEnd:
		if n != sha256.Size {
			return 0, errors.New("its end has another length")
		}
		return typ, b.end(want)
	default:
		return 0, errors.New("an item of unknown type")
	}
	if n > most {
		return 0, fmt.Errorf("an item of %d bytes", n)
	}
	b.left = int(n)
	return typ, nil
}

// end compares the digest and looks for the end of the file.
func (b *backupReader) end(want []byte) error {
	got, err := b.bytes(sha256.Size)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(got, want):
		return errors.New("its digest differs")
	}
	switch _, err := b.r.ReadByte(); {
	case err == nil:
		return errors.New("something follows its end")
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

func (b *backupReader) first(typ byte) error {
	if typ != itemInfo {
		return errors.New("its first item is missing")
	}
	raw, err := b.whole()
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, &b.info)
}

// whole reads the rest of a small item.
func (b *backupReader) whole() ([]byte, error) {
	raw, err := b.bytes(b.left)
	b.left = 0
	return raw, err
}

func (b *backupReader) file() (f keptFile, err error) {
	raw, err := b.whole()
	if err != nil {
		return f, err
	}
	if len(raw) < 4 || len(raw) < 4+int(binary.BigEndian.Uint16(raw[2:])) {
		return f, errors.New("a file without a name")
	}
	f.mode = fs.FileMode(binary.BigEndian.Uint16(raw)).Perm()
	n := 4 + int(binary.BigEndian.Uint16(raw[2:]))
	f.name, f.data = string(raw[4:n]), raw[n:]
	return f, nil
}

// Read gives the snapshot.
func (b *backupReader) Read(p []byte) (int, error) {
	for b.err == nil && b.left == 0 {
		switch typ, err := b.next(); {
		case err != nil:
			b.err = damagedBackup(err)
		case typ == itemEnd:
			b.err = io.EOF
		case typ != itemPiece:
			b.err = damagedBackup(errors.New("an item in the wrong place"))
		}
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.sum.Write(p[:n])
	b.left -= n
	b.n += int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		b.err = damagedBackup(err)
	}
	return n, b.err
}

// ReadBackup reads a backup to its end and holds it to its digest, which shows
// that it is whole; not that what is in it was sound. It returns its size, in
// bytes.
func ReadBackup(r io.Reader) (info BackupInfo, size int64, err error) {
	b, err := openBackup(r, func(f keptFile) error { return f.check() })
	if err != nil {
		return info, 0, err
	}
	_, err = io.Copy(io.Discard, b)
	return b.info, b.n, err
}

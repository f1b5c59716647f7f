package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Record is one record as it was added.
type Record struct {
	Type    Type
	Payload []byte
	Pos     Pos
}

// Scanned is one group as Scan and Check find it. The payloads are valid during
// the call only.
type Scanned struct {
	Sequence uint64
	Records  []Record
	Damaged  bool // Check: some of its records can't be read
}

// Scan calls fn for every group after the given sequence, oldest first, the
// log's own seals included. Segments that were collected are passed over. What
// can't be what was written ends it with a *DamageError.
func (l *Log) Scan(after uint64, fn func(Scanned) error) error {
	for _, i := range l.Segments() {
		if i.Collected || i.First == 0 || i.Last <= after {
			continue
		}
		if err := l.ScanSegment(i.Number, after, fn); err != nil {
			return err
		}
	}
	return nil
}

// ScanSegment is Scan over one segment, as far as it is written when it begins.
func (l *Log) ScanSegment(number uint32, after uint64, fn func(Scanned) error) error {
	l.mu.RLock()
	s := l.find(number)
	if s == nil || s.file == nil {
		l.mu.RUnlock()
		return fmt.Errorf("segment %d: %w", number, ErrCollected)
	}
	want, last := s.first, s.last
	if last == 0 {
		last = l.head.Load()
	}
	l.mu.RUnlock()
	if want == 0 {
		return nil
	}
	b := make([]byte, groupHeader)
	for off := int64(sector); want <= last; want++ {
		if err := l.readSegment(s, b, off); err != nil {
			return err
		}
		h, ok := decodeGroupHead(b, l.id, number)
		if !ok || h.sequence != want {
			return &DamageError{Segment: number, Offset: off, Sequence: want, What: fmt.Sprintf("the header of group %d can't be read", want)}
		}
		if want > after {
			records, err := l.read(s, off, h)
			if err != nil {
				return err
			}
			if err := fn(Scanned{Sequence: want, Records: records}); err != nil {
				return err
			}
		}
		off += h.span()
	}
	return nil
}

// readSegment reads while nobody may take the file away.
func (l *Log) readSegment(s *segment, b []byte, off int64) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if s.file == nil {
		return fmt.Errorf("segment %d: %w", s.number, ErrCollected)
	}
	return readZeros(s.file, b, off)
}

// read reads a whole group and checks it.
func (l *Log) read(s *segment, off int64, h groupHead) ([]Record, error) {
	if h.span() > max(l.cfg.MaxGroup, s.size.Load()-off) { // no more memory than that for one
		return nil, &DamageError{Segment: h.segment, Offset: off, Sequence: h.sequence, What: fmt.Sprintf("group %d is larger than a group may be", h.sequence)}
	}
	b := make([]byte, h.length)
	if err := l.readSegment(s, b, off+groupHeader); err != nil {
		return nil, err
	}
	records, bad := splitRecords(b, l.id, h, off)
	if bad != nil {
		return nil, bad
	}
	return records, nil
}

// splitRecords takes the records of a group apart. It returns the first damage;
// the records are then those before it.
func splitRecords(b []byte, id logID, h groupHead, at int64) (records []Record, bad *DamageError) {
	rest, off := b, at+groupHeader
	for range h.records {
		r, size, err := splitRecord(rest, id, h.sequence)
		if err != nil {
			return records, &DamageError{Segment: h.segment, Offset: off, Bytes: size, Sequence: h.sequence, What: fmt.Sprintf("a record of group %d: %v", h.sequence, err)}
		}
		r.Pos = Pos{Segment: h.segment, Offset: uint32(off + recordHeader)}
		records = append(records, r)
		rest, off = rest[size:], off+size
	}
	if len(rest) > 0 {
		return records, &DamageError{Segment: h.segment, Offset: off, Bytes: int64(len(rest)), Sequence: h.sequence, What: fmt.Sprintf("group %d is longer than its records", h.sequence)}
	}
	return records, nil
}

var (
	errShort = errors.New("it reaches over the end of its group")
	errSum   = errors.New("its checksum differs")
)

func splitRecord(b []byte, id logID, sequence uint64) (r Record, size int64, err error) {
	if len(b) < recordHeader {
		return r, int64(len(b)), errShort
	}
	n := int64(binary.BigEndian.Uint32(b))
	if n > int64(len(b))-recordHeader {
		return r, int64(len(b)), errShort
	}
	size = recordHeader + n
	r = Record{Type: Type(b[4]), Payload: b[recordHeader:size:size]}
	if binary.BigEndian.Uint32(b[8:]) != id.recordSum(sequence, b[:8], r.Payload) {
		return r, size, errSum
	}
	return r, size, nil
}

// readZeros fills b from off on; what is behind the end of the file is zeros.
func readZeros(f File, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	clear(b[n:])
	return nil
}

func allZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

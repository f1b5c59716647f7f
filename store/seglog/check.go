package seglog

import (
	"errors"
	"fmt"
	"slices"
)

// Check reads a log that nobody has open, from end to end, and changes nothing.
// It calls group for each group of which anything can be read, with the records
// that can be, and hit for each damage; what follows a damage is read as well. A
// torn last group, which Open would take away, is no damage. Either function may
// be nil. The error is about reading as such.
func Check(cfg Config, group func(Scanned) error, hit func(*DamageError)) error {
	if err := cfg.defaults(); err != nil {
		return err
	}
	c := &checker{log: &Log{cfg: cfg}, group: group, hit: hit}
	if c.group == nil {
		c.group = func(Scanned) error { return nil }
	}
	if c.hit == nil {
		c.hit = func(*DamageError) {}
	}
	defer c.log.closeFiles()
	return c.run()
}

type checker struct {
	log    *Log
	group  func(Scanned) error
	hit    func(*DamageError)
	want   uint64 // sequence of the next group; 0: any
	sealed bool   // the segment before ended with a seal
	empty  bool   // no group was found in it
}

func (c *checker) run() error {
	numbers, err := c.log.numbers()
	if err != nil {
		return err
	}
	if err := c.identify(numbers); err != nil {
		return err
	}
	if len(numbers) > 0 && numbers[0] == 1 {
		c.want = 1
	}
	for i, n := range numbers {
		if i > 0 && n != numbers[i-1]+1 {
			c.hit(&DamageError{Segment: numbers[i-1] + 1, What: "the segment is missing"})
		}
		var bad *DamageError
		err := c.log.load(n)
		switch {
		case errors.As(err, &bad):
			if bad.Segment == n || i == 0 { // other gaps in the numbers were reported above
				c.hit(bad)
			}
		case err != nil:
			return err
		}
		s := c.log.segments[i]
		if s.state == 0 { // its header can't be read, its groups may be
			s.header = header{id: c.log.id, number: n, state: stateLive}
		}
		if s.number != n {
			c.want = 0
		}
		newest := i == len(numbers)-1
		if err := c.segment(s, newest); err != nil {
			return err
		}
		if c.empty && !newest && bad == nil && !c.later(s) {
			c.hit(&DamageError{Segment: n, Offset: sector, Sequence: c.want, What: "its groups are missing"})
		}
		if s.number != n {
			c.want, s.number = 0, n
		}
	}
	if c.sealed {
		c.hit(&DamageError{Segment: numbers[len(numbers)-1] + 1, What: "the segment is missing"})
	}
	return nil
}

// identify finds the log's id: the one that most segments have.
func (c *checker) identify(numbers []uint32) error {
	count := map[logID]int{}
	for _, n := range numbers {
		f, err := c.log.cfg.FS.Open(segmentName(n))
		if err != nil {
			return err
		}
		b := make([]byte, sector)
		err = readZeros(f, b, 0)
		f.Close()
		if err != nil {
			return err
		}
		h, err := decodeHeader(b)
		if err != nil {
			h.id = logID(b[32:]) // better than none
		} else {
			count[h.id] += len(numbers)
		}
		if count[h.id]++; count[h.id] > count[c.log.id] {
			c.log.id = h.id
		}
	}
	return nil
}

func (c *checker) segment(s *segment, newest bool) error {
	c.empty = s.state == stateLive
	if s.state == stateCollected {
		c.expect(s.number, 0, s.first)
		c.want, c.sealed = s.last+1, true
		return nil
	}
	c.sealed = false
	if c.log.id != s.id {
		return nil // its header was reported
	}
	size, err := s.file.Size()
	if err != nil {
		return err
	}
	b := make([]byte, sector)
	for off := int64(sector); off < size; {
		if err := readZeros(s.file, b, off); err != nil {
			return err
		}
		h, ok := decodeGroupHead(b, c.log.id, s.number)
		if !ok || h.sequence < c.want {
			next, err := c.skip(s, off, size, newest)
			if err != nil || next == 0 {
				return err
			}
			off = next
			continue
		}
		c.expect(s.number, off, h.sequence)
		c.want, c.sealed, c.empty = h.sequence+1, false, false
		if err := c.read(s, off, h, size); err != nil {
			return err
		}
		off += h.span()
	}
	return nil
}

// expect reports a gap in the sequence.
func (c *checker) expect(number uint32, off int64, sequence uint64) {
	if c.want != 0 && sequence != c.want {
		c.hit(&DamageError{Segment: number, Offset: off, Sequence: c.want, What: fmt.Sprintf("groups %d to %d are missing", c.want, sequence-1)})
	}
}

// skip looks for the next group behind a header that can't be read; 0: there is
// none, and off was the end of the segment.
func (c *checker) skip(s *segment, off, size int64, newest bool) (next int64, err error) {
	b := make([]byte, sector)
	headerZero, restZero := true, true
	for at := off; at < size; at += sector {
		if err := readZeros(s.file, b, at); err != nil {
			return 0, err
		}
		if h, ok := decodeGroupHead(b, c.log.id, s.number); ok && at > off && c.follows(h) {
			c.hit(&DamageError{Segment: s.number, Offset: off, Bytes: at - off, Sequence: c.want, What: fmt.Sprintf("what is before group %d can't be read", h.sequence)})
			c.want = h.sequence // said already
			return at, nil
		}
		zero := allZero(b)
		if at == off {
			headerZero = zero
		}
		restZero = restZero && zero
	}
	// Only a group whose first sector never reached the disk can be torn.
	if !restZero && !headerZero {
		c.hit(&DamageError{Segment: s.number, Offset: off, Sequence: c.want, What: "the header of a group can't be read"})
	}
	if !newest && !c.sealed && c.later(s) {
		c.hit(&DamageError{Segment: s.number, Offset: off, Sequence: c.want, What: "its end is missing"})
	}
	return 0, nil
}

// later reports whether the segment after s holds groups.
func (c *checker) later(s *segment) bool {
	f, err := c.log.cfg.FS.Open(segmentName(s.number + 1))
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, 2*sector)
	if readZeros(f, b, 0) != nil {
		return false
	}
	if h, err := decodeHeader(b); err == nil && h.state == stateCollected {
		return true
	}
	_, ok := decodeGroupHead(b[sector:], c.log.id, s.number+1)
	return ok
}

// read hands on the records of a group that can be read.
func (c *checker) read(s *segment, off int64, h groupHead, size int64) error {
	b := make([]byte, min(int64(h.length), max(0, size-off-groupHeader)))
	if err := readZeros(s.file, b, off+groupHeader); err != nil {
		return err
	}
	out := Scanned{Sequence: h.sequence}
	rest, at := b, off+groupHeader
	var bad []*DamageError
	for range h.records {
		r, n, err := splitRecord(rest, c.log.id, h.sequence)
		r.Pos = Pos{Segment: s.number, Offset: uint32(at + recordHeader)}
		if err == nil {
			out.Records = append(out.Records, r)
		} else {
			bad = append(bad, &DamageError{Segment: s.number, Offset: at, Bytes: n, Sequence: h.sequence, What: fmt.Sprintf("a record of group %d: %v", h.sequence, err)})
		}
		rest, at = rest[n:], at+n
		if errors.Is(err, errShort) {
			break // nobody knows where the next one begins
		}
	}
	if len(bad) > 0 && (off+h.span() > align(size) || blankRecords(b) > h.blanks) {
		last, err := c.isLast(s, off+h.span(), size)
		if err != nil || last { // torn
			return err
		}
	}
	for _, d := range bad {
		c.hit(d)
	}
	out.Damaged = len(bad) > 0
	c.sealed = len(out.Records) == 1 && out.Records[0].Type == typeSeal
	return c.group(out)
}

// follows tells a group behind a damage from the copy of an older one that is in
// a payload.
func (c *checker) follows(h groupHead) bool { return c.want == 0 || h.sequence > c.want }

// isLast reports whether no group begins behind the one that ends at off.
func (c *checker) isLast(s *segment, off, size int64) (bool, error) {
	b := make([]byte, sector)
	for at := off; at < min(size, off+c.log.cfg.MaxGroup+sector); at += sector {
		if err := readZeros(s.file, b, at); err != nil {
			return false, err
		}
		if h, ok := decodeGroupHead(b, c.log.id, s.number); ok && h.sequence >= c.want {
			return false, nil
		}
	}
	return true, nil
}

// blankRecords is blankSectors for the records of a group, which begin within its
// first sector.
func blankRecords(b []byte) uint32 {
	b = b[min(len(b), sector-groupHeader):]
	return blankSectors(append(slices.Clip(b), make([]byte, align(int64(len(b)))-int64(len(b)))...))
}

package seglog

import (
	"errors"
	"fmt"
)

// Check reads a log that nobody has open, from end to end, and changes nothing.
// It calls group for each group of which anything can be read, with the records
// that can be, and hit for each damage; what follows a damage is read as well. A
// torn last group, which Open would take away, is no damage. Either function may
// be nil. The error is about reading as such.
func Check(cfg Config, group func(Scanned) error, hit func(*Damage)) error {
	if err := cfg.defaults(); err != nil {
		return err
	}
	c := &checker{log: &Log{cfg: cfg}, group: group, hit: hit}
	if c.group == nil {
		c.group = func(Scanned) error { return nil }
	}
	if c.hit == nil {
		c.hit = func(*Damage) {}
	}
	defer c.log.closeFiles()
	return c.run()
}

type checker struct {
	log    *Log
	group  func(Scanned) error
	hit    func(*Damage)
	want   uint64 // sequence of the next group; 0: any
	sealed bool   // the segment before ended with a seal
}

func (c *checker) run() error {
	numbers, err := c.log.numbers()
	if err != nil {
		return err
	}
	for i, n := range numbers {
		if i > 0 && n != numbers[i-1]+1 {
			c.hit(&Damage{Segment: numbers[i-1] + 1, What: "the segment is missing"})
		}
		var bad *Damage
		switch err := c.log.load(n); {
		case errors.As(err, &bad):
			if bad.Segment == n { // a gap in the numbers was reported above
				c.hit(bad)
			}
		case err != nil:
			return err
		}
		if err := c.segment(c.log.segments[len(c.log.segments)-1], i == len(numbers)-1); err != nil {
			return err
		}
	}
	if c.sealed {
		c.hit(&Damage{Segment: numbers[len(numbers)-1] + 1, What: "the segment is missing"})
	}
	return nil
}

func (c *checker) segment(s *segment, newest bool) error {
	if s.file == nil { // collected
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
		if !ok {
			next, err := c.skip(s, off, size, newest)
			if err != nil || next == 0 {
				return err
			}
			off = next
			continue
		}
		c.expect(s.number, off, h.sequence)
		c.want, c.sealed = h.sequence+1, false
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
		c.hit(&Damage{Segment: number, Offset: off, Sequence: c.want, What: fmt.Sprintf("groups %d to %d are missing", c.want, sequence-1)})
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
		if h, ok := decodeGroupHead(b, c.log.id, s.number); ok {
			c.hit(&Damage{Segment: s.number, Offset: off, Bytes: at - off, Sequence: c.want, What: fmt.Sprintf("what is before group %d can't be read", h.sequence)})
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
		c.hit(&Damage{Segment: s.number, Offset: off, Sequence: c.want, What: "the header of a group can't be read"})
	}
	if !newest && !c.sealed && c.later(s) {
		c.hit(&Damage{Segment: s.number, Offset: off, Sequence: c.want, What: "its end is missing"})
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
	b := make([]byte, h.length)
	if err := readZeros(s.file, b, off+groupHeader); err != nil {
		return err
	}
	out := Scanned{Sequence: h.sequence}
	rest, at := b, off+groupHeader
	var bad []*Damage
	for range h.records {
		r, n, err := splitRecord(rest, c.log.id, h.sequence)
		r.Pos = Pos{Segment: s.number, Offset: uint32(at + recordHeader)}
		if err == nil {
			out.Records = append(out.Records, r)
		} else {
			bad = append(bad, &Damage{Segment: s.number, Offset: at, Bytes: n, Sequence: h.sequence, What: fmt.Sprintf("a record of group %d: %v", h.sequence, err)})
		}
		rest, at = rest[n:], at+n
	}
	if len(bad) > 0 && off+h.span() >= c.end(s, off+h.span(), size) && hasZeroSector(b) {
		return nil // the last group, torn
	}
	for _, d := range bad {
		c.hit(d)
	}
	out.Damaged = len(bad) > 0
	c.sealed = len(out.Records) == 1 && out.Records[0].Type == typeSeal
	return c.group(out)
}

// end is where the last group of a segment ends, if none begins at off.
func (c *checker) end(s *segment, off, size int64) int64 {
	b := make([]byte, sector)
	for at := off; at < min(size, off+c.log.cfg.MaxGroup+sector); at += sector {
		if readZeros(s.file, b, at) == nil {
			if _, ok := decodeGroupHead(b, c.log.id, s.number); ok {
				return size + 1
			}
		}
	}
	return off
}

// hasZeroSector is torn's question for the bytes behind a group's header.
func hasZeroSector(b []byte) bool {
	for b = b[min(len(b), sector-groupHeader):]; len(b) > 0; b = b[min(len(b), sector):] {
		if allZero(b[:min(len(b), sector)]) {
			return true
		}
	}
	return false
}

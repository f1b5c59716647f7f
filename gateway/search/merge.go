package search

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/centerleap/postern/gateway"
)

// Merge makes one segment of some that follow each other, as Builder would have. Messages
// that keep does not want are left out; nil wants all. It holds all of it in memory.
// ErrDamaged when one is.
func Merge(segments [][]byte, keep func(gateway.MessageNumber) bool) ([]byte, error) {
	m := merger{}
	for _, raw := range segments {
		if err := m.add(raw, keep); err != nil {
			return nil, err
		}
	}
	w := segmentWriter{first: m.parts[0].First, last: m.parts[len(m.parts)-1].Last, numbers: m.numbers, look: m.look}
	for g := range groups {
		w.groups[g].shift = fieldBits(g)
		if err := m.group(g, &w.groups[g]); err != nil {
			return nil, err
		}
	}
	return w.bytes(), nil
}

// merger is what is merged, and what of it is known already.
type merger struct {
	parts   []*Segment
	raw     [][]byte
	places  []places // by part
	numbers []gateway.MessageNumber
	look    [len(groups)][]uint32
}

// places are where the messages of a part are in the whole; gone if one is left out.
type places struct {
	of    []uint32
	whole bool // none is left out: they follow each other
}

const gone = math.MaxUint32

func (m *merger) add(raw []byte, keep func(gateway.MessageNumber) bool) error {
	s, err := Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return err
	}
	if n := len(m.parts); n > 0 && m.parts[n-1].Last >= s.First {
		return damaged("it does not follow the one before")
	}
	to := places{make([]uint32, len(s.numbers)), true}
	for i, n := range s.numbers {
		if keep != nil && !keep(n) {
			to.of[i], to.whole = gone, false
			continue
		}
		to.of[i] = uint32(len(m.numbers))
		m.numbers = append(m.numbers, n)
	}
	for g := range s.look {
		for _, doc := range s.look[g] {
			if to.of[doc] != gone {
				m.look[g] = append(m.look[g], to.of[doc])
			}
		}
	}
	m.parts, m.raw, m.places = append(m.parts, s), append(m.raw, raw), append(m.places, to)
	return nil
}

// group merges one dictionary of all parts.
func (m *merger) group(g int, w *groupWriter) error {
	cursors := make([]*cursor, len(m.parts))
	for i := range m.parts {
		c, err := m.cursor(i, g)
		if err != nil {
			return err
		}
		cursors[i] = c
	}
	for {
		var least []byte
		for _, c := range cursors {
			if c.term != nil && (least == nil || bytes.Compare(c.term, least) < 0) {
				least = c.term
			}
		}
		if least == nil {
			return nil
		}
		if err := mergeTerm(w, string(least), cursors); err != nil {
			return err
		}
	}
}

// mergeTerm writes a term with its postings in all parts, if any are left, and moves on.
func mergeTerm(w *groupWriter, term string, cursors []*cursor) error {
	for _, c := range cursors {
		if string(c.term) != term {
			continue
		}
		add := w.some
		if c.places.whole {
			add = w.follow
		}
		ok := add(c)
		if err := c.next(); !ok || err != nil {
			return damaged("a list of postings")
		}
	}
	w.end(term)
	return nil
}

// some adds the postings of messages that are not left out.
func (w *groupWriter) some(c *cursor) (ok bool) {
	doc, d, shift := uint64(0), decoder{b: c.list}, w.shift
	for len(d.b) > 0 {
		v := d.next()
		by := v >> shift
		if doc += by; by > uint64(len(c.places.of)) || doc >= uint64(len(c.places.of)) {
			return false
		}
		if place := c.places.of[doc]; place != gone {
			w.posting(place<<shift | uint32(v)&(1<<shift-1))
		}
	}
	return !d.bad
}

// follow adds all postings of a part: behind the first, the differences stay as they are.
func (w *groupWriter) follow(c *cursor) (ok bool) {
	d, shift := decoder{b: c.list}, w.shift
	v := d.next()
	by, ok := sum(d.b, shift)
	doc, messages := v>>shift, uint64(len(c.places.of))
	if d.bad || !ok || doc >= messages || by >= messages-doc {
		return false
	}
	w.posting(c.places.of[doc]<<shift | uint32(v)&(1<<shift-1))
	w.list = append(w.list, d.b...)
	w.before += uint32(by)
	return true
}

// sum adds up the differences of a list of postings. Most lists are of common words, whose
// differences take a byte each: eight of those are added at once.
func sum(list []byte, shift int) (n uint64, ok bool) {
	const high, even = 0x8080808080808080, 0x00ff00ff00ff00ff
	for shift == 0 && len(list) >= 8 {
		eight := binary.LittleEndian.Uint64(list)
		if eight&high != 0 {
			break
		}
		n += (eight&even + eight>>8&even) * 0x0001000100010001 >> 48
		list = list[8:]
	}
	d := decoder{b: list}
	for len(d.b) > 0 {
		by := d.next() >> shift
		if n += by; by > math.MaxUint32 {
			return 0, false
		}
	}
	return n, !d.bad
}

// cursor is at one term of a dictionary.
type cursor struct {
	term, list []byte // nil behind the last
	dict       []byte
	lists      decoder
	places     places
}

func (m *merger) cursor(part, g int) (*cursor, error) {
	s, raw := m.parts[part], m.raw[part]
	grp := &s.groups[g]
	if err := grp.load(bytes.NewReader(raw), s.size); err != nil {
		return nil, err
	}
	for _, k := range grp.blocks {
		if checksum(raw[grp.listAt+int64(k.lists):grp.listAt+int64(k.end)]) != k.sum {
			return nil, damaged("its postings")
		}
	}
	c := &cursor{lists: decoder{b: raw[grp.listAt:grp.listsEnd]}, places: m.places[part]}
	if len(grp.dict) > 0 {
		c.dict = grp.dict[1:]
	}
	return c, c.next()
}

// next moves on to the next term, which is greater.
func (c *cursor) next() error {
	if len(c.dict) == 0 {
		if c.term, c.list = nil, nil; len(c.lists.b) > 0 {
			return damaged("there are lists without terms")
		}
		return nil
	}
	n := bytes.IndexByte(c.dict, separator[0])
	before := c.term
	c.term, c.dict = c.dict[:n], c.dict[n+1:]
	if c.list = c.lists.take(); c.lists.bad || before != nil && bytes.Compare(before, c.term) >= 0 {
		return damaged("a dictionary is out of order")
	}
	return nil
}

package search

import (
	"bytes"
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
		w.groups[g].group = g
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
	places  [][]uint32 // by part: where each message is in the whole; gone if it is left out
	numbers []gateway.MessageNumber
	look    [len(groups)][]uint32
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
	places := make([]uint32, len(s.numbers))
	for i, n := range s.numbers {
		if places[i] = gone; keep == nil || keep(n) {
			places[i] = uint32(len(m.numbers))
			m.numbers = append(m.numbers, n)
		}
	}
	for g := range s.look {
		for _, doc := range s.look[g] {
			if places[doc] != gone {
				m.look[g] = append(m.look[g], places[doc])
			}
		}
	}
	m.parts, m.raw, m.places = append(m.parts, s), append(m.raw, raw), append(m.places, places)
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
	begun := false
	for _, c := range cursors {
		if string(c.term) != term {
			continue
		}
		doc, d, shift := uint64(0), decoder{b: c.list}, fieldBits(w.group)
		for len(d.b) > 0 {
			v := d.next()
			by := v >> shift
			if doc += by; by > uint64(len(c.places)) || doc >= uint64(len(c.places)) {
				return damaged("a list of postings")
			}
			place := c.places[doc]
			if place == gone {
				continue
			}
			if !begun {
				w.begin(term)
				begun = true
			}
			w.posting(place<<shift | uint32(v)&(1<<shift-1))
		}
		if err := c.next(); d.bad || err != nil {
			return damaged("a list of postings")
		}
	}
	if begun {
		w.end()
	}
	return nil
}

// cursor is at one term of a dictionary.
type cursor struct {
	term, list []byte // nil behind the last
	dict       []byte
	lists      decoder
	places     []uint32
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

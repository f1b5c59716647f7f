package search

import (
	"bytes"
	"io"
	"math/bits"
	"slices"
	"sort"

	"github.com/centerleap/postern/gateway"
)

// Find says which messages of a segment match a query, and which may; both in order.
// r reads the segment. ErrDamaged when what is needed of it is.
func (s *Segment) Find(r io.ReaderAt, q Query) (sure, maybe []gateway.MessageNumber, err error) {
	p := planOf(q.Text)
	found := newSet(len(s.numbers))
	for g := range s.groups {
		if fields := q.Fields & groups[g]; fields != 0 { // all of the text stands in one field
			docs, err := s.findIn(r, g, &p, fields)
			if err != nil {
				return nil, nil, err
			}
			found.join(docs)
		}
	}
	look := newSet(len(s.numbers))
	for g := range s.groups {
		if q.Fields&groups[g] != 0 {
			for _, doc := range s.look[g] {
				look.add(doc)
			}
		}
	}
	if p.exact && !q.AnySpace {
		return s.numbersOf(found), s.numbersOf(look.without(found)), nil
	}
	found.join(look)
	return nil, s.numbersOf(found), nil
}

// findIn says which messages a plan finds in some fields of a group.
func (s *Segment) findIn(r io.ReaderAt, g int, p *plan, fields Fields) (set, error) {
	docs := newSet(len(s.numbers))
	docs.fill(len(s.numbers))
	for _, pattern := range p.patterns {
		one := newSet(len(s.numbers))
		if err := s.find(r, g, pattern, fields, one); err != nil {
			return nil, err
		}
		docs.keep(one)
	}
	if g != bodies {
		return docs, nil
	}
	// The pairs leave fewer for the triples; where few are left, no list is worth its reading.
	ask := make([]func(set) (bool, error), 0, len(p.pairs)+len(p.triples))
	for _, two := range p.pairs {
		ask = append(ask, func(one set) (bool, error) { return s.adjacent(r, two, one) })
	}
	for _, three := range p.triples {
		ask = append(ask, func(one set) (bool, error) { return s.inLine(r, three, one) })
	}
	for _, narrow := range ask {
		if docs.count() <= fewToLookAt {
			break
		}
		one := newSet(len(s.numbers))
		if known, err := narrow(one); err != nil {
			return nil, err
		} else if known {
			docs.keep(one)
		}
	}
	return docs, nil
}

func (s *Segment) numbersOf(docs set) []gateway.MessageNumber {
	if docs.count() == 0 {
		return nil
	}
	list := make([]gateway.MessageNumber, 0, docs.count())
	for i, w := range docs {
		for ; w != 0; w &= w - 1 {
			list = append(list, s.numbers[i*64+bits.TrailingZeros64(w)])
		}
	}
	return list
}

// find adds the messages that have a term with a pattern in it, in some fields of a group.
func (s *Segment) find(r io.ReaderAt, g int, pattern string, fields Fields, docs set) error {
	grp := &s.groups[g]
	if err := grp.load(r, s.size); err != nil {
		return err
	}
	var hits []hit
	if n := len(pattern); n > 1 && pattern[0] == separator[0] && pattern[n-1] == separator[0] {
		hits = grp.term([]byte(pattern))
	} else {
		hits = grp.hits([]byte(pattern))
	}
	for len(hits) > 0 {
		// Blocks that are close to each other are read together.
		n := 1
		for n < len(hits) && hits[n].block-hits[n-1].block <= readOver && int64(grp.blocks[hits[n].block].end-grp.blocks[hits[0].block].lists) <= readMost {
			n++
		}
		if err := grp.read(r, s.size, hits[:n], func(list []byte) bool { return docs.addList(list, len(s.numbers), fieldBits(g), fields) }); err != nil {
			return err
		}
		if hits = hits[n:]; docs.count() == len(s.numbers) {
			return nil // there are no others
		}
	}
	return nil
}

const (
	// readOver is how many blocks that are not needed are read to save a reading.
	readOver = 8
	// readMost is how much is read at once, in bytes.
	readMost = 256 << 10
)

// hit is a block, and which of its terms are meant.
type hit struct {
	block int
	terms uint64
}

// hits finds the terms that a pattern occurs in.
func (g *group) hits(pattern []byte) (all []hit) {
	b, at := 0, 0 // the block, and where its terms have been counted up to
	counted, rare := 0, g.rarest(pattern)
	for from := 0; ; { // load has seen that no block has more terms than bits
		i := indexBy(g.dict, pattern, from, rare)
		if i < 0 {
			return all
		}
		if pattern[0] == separator[0] {
			i++
		}
		for b+1 < len(g.blocks) && int(g.blocks[b+1].dict) <= i {
			b++
			at = 0
		}
		if at == 0 {
			at, counted = int(g.blocks[b].dict), 0
		}
		counted += bytes.Count(g.dict[at:i], []byte(separator))
		at = i
		if n := len(all); n > 0 && all[n-1].block == b {
			all[n-1].terms |= 1 << counted
		} else {
			all = append(all, hit{b, 1 << counted})
		}
		from = i + bytes.IndexByte(g.dict[i:], separator[0])
	}
}

// term finds the one term that a pattern with a separator on both sides is.
func (g *group) term(pattern []byte) []hit {
	name := pattern[1 : len(pattern)-1]
	b := sort.Search(len(g.blocks), func(i int) bool {
		first := g.dict[g.blocks[i].dict:]
		return bytes.Compare(first[:bytes.IndexByte(first, separator[0])], name) > 0
	}) - 1
	if b < 0 {
		return nil
	}
	start, end := int(g.blocks[b].dict)-1, len(g.dict) // the separator before it is part of the pattern
	if b+1 < len(g.blocks) {
		end = int(g.blocks[b+1].dict)
	}
	i := bytes.Index(g.dict[start:end], pattern)
	if i < 0 {
		return nil
	}
	return []hit{{b, 1 << bytes.Count(g.dict[start+1:start+i+1], []byte(separator))}}
}

// rarest is where in a pattern the byte is that a dictionary has least often.
func (g *group) rarest(pattern []byte) (at int) {
	for i, c := range pattern {
		if g.counts[c] < g.counts[pattern[at]] {
			at = i
		}
	}
	return at
}

// indexBy is the first place of a pattern from one on, -1 if there is none: found by the
// byte at rare, of which bytes.Index would take the first, often a frequent one.
func indexBy(b, pattern []byte, from, rare int) int {
	for at := from + rare; at < len(b); at++ {
		i := bytes.IndexByte(b[at:], pattern[rare])
		if i < 0 {
			return -1
		}
		at += i
		if start := at - rare; bytes.HasPrefix(b[start:], pattern) {
			return start
		}
	}
	return -1
}

// read gives fn the postings of the terms of some blocks, which are read at once.
func (g *group) read(r io.ReaderAt, size int64, hits []hit, fn func(list []byte) bool) error {
	start, end := g.blocks[hits[0].block].lists, g.blocks[hits[len(hits)-1].block].end
	b, err := read(r, g.listAt+int64(start), int64(end-start), size)
	if err != nil {
		return err
	}
	for _, h := range hits {
		k := &g.blocks[h.block]
		lists := b[k.lists-start : k.end-start]
		if checksum(lists) != k.sum {
			return damaged("its postings")
		}
		d := decoder{b: lists}
		for left := h.terms; left != 0 && !d.bad; left >>= 1 {
			if list := d.take(); left&1 != 0 && !fn(list) {
				d.bad = true
			}
		}
		if d.bad {
			return damaged("a list of postings")
		}
	}
	return nil
}

// set is a set of ordinals.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) fill(n int) {
	for i := range s {
		s[i] = ^uint64(0)
	}
	if n%64 != 0 {
		s[len(s)-1] = 1<<(n%64) - 1
	}
}

func (s set) add(doc uint32) { s[doc/64] |= 1 << (doc % 64) }

func (s set) keep(other set) {
	for i := range s {
		s[i] &= other[i]
	}
}

func (s set) join(other set) {
	for i := range s {
		s[i] |= other[i]
	}
}

func (s set) without(other set) set {
	out := slices.Clone(s)
	for i := range out {
		out[i] &^= other[i]
	}
	return out
}

func (s set) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// addList adds the messages of a list of postings; false if it is damaged.
func (s set) addList(list []byte, docs, shift int, fields Fields) bool {
	doc, d := uint64(0), decoder{b: list}
	for len(d.b) > 0 {
		v := d.next()
		by := v >> shift
		if doc += by; by >= uint64(docs) && by > 0 || doc >= uint64(docs) {
			return false
		}
		if shift == 0 || v&uint64(fields) != 0 {
			s.add(uint32(doc))
		}
	}
	return !d.bad
}

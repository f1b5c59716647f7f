package search

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"sync"

	"github.com/centerleap/postern/gateway"
)

// Segment is one that can be asked. Several goroutines may.
type Segment struct {
	First, Last gateway.MessageNumber

	size    int64
	numbers []gateway.MessageNumber
	look    [len(groups)][]uint32
	groups  [len(groups)]group
}

// group is a dictionary with its lists, and where they are in the segment.
type group struct {
	terms                    int
	dictAt, blocksAt, listAt int64
	listsEnd                 int64
	dictSum, blocksSum       uint32

	mu     sync.Mutex
	loaded bool
	dict   []byte
	blocks []block
	counts [256]uint32 // of each byte in dict
}

// block is where some terms and their lists begin.
type block struct {
	dict, lists, end uint32
	sum              uint32
}

// Open reads the head of a segment of so many bytes. ErrDamaged if it is none.
func Open(r io.ReaderAt, size int64) (*Segment, error) {
	b, err := read(r, 0, int64(headBytes), size)
	if err != nil {
		return nil, err
	}
	be := binary.BigEndian
	if be.Uint32(b) != magic || be.Uint32(b[4:]) != checksum(b[8:]) {
		return nil, damaged("its head")
	}
	s := &Segment{First: gateway.MessageNumber(be.Uint64(b[8:])), Last: gateway.MessageNumber(be.Uint64(b[16:])), size: size}
	messages, length, sum := be.Uint32(b[24:]), be.Uint32(b[28:]), be.Uint32(b[32:])
	at := int64(headBytes) + int64(length)
	for i := range s.groups {
		h := b[36+i*groupHead:]
		g := &s.groups[i]
		g.terms, g.dictAt = int(be.Uint32(h)), at
		g.blocksAt = g.dictAt + int64(be.Uint32(h[4:]))
		g.listAt = g.blocksAt + int64(be.Uint32(h[8:]))
		g.listsEnd = g.listAt + int64(be.Uint32(h[12:]))
		g.dictSum, g.blocksSum = be.Uint32(h[16:]), be.Uint32(h[20:])
		at = g.listsEnd
	}
	if at != size || size > math.MaxUint32 || s.First > s.Last {
		return nil, damaged("its head does not fit its size")
	}
	if b, err = read(r, int64(headBytes), int64(length), size); err != nil {
		return nil, err
	}
	if checksum(b) != sum || !s.readNumbers(b, messages) {
		return nil, damaged("its numbers")
	}
	return s, nil
}

// read gives a piece of a segment, which lies in it.
func read(r io.ReaderAt, at, n, size int64) ([]byte, error) {
	if at < 0 || n < 0 || at+n > size {
		return nil, damaged("it is cut")
	}
	b := make([]byte, n)
	if got, err := r.ReadAt(b, at); int64(got) < n {
		return nil, err
	}
	return b, nil
}

// Messages is how many messages a segment knows.
func (s *Segment) Messages() int { return len(s.numbers) }

// segmentMemory is what a segment takes in memory that knows nothing, in bytes: mostly the
// counts of its groups.
const segmentMemory = 6 << 10

// Memory is how much an open segment takes at most, in bytes.
func (s *Segment) Memory() int64 {
	n := int64(len(s.numbers)) * 8
	for i := range s.groups {
		g := &s.groups[i]
		n += g.listAt - g.dictAt + int64(g.terms/blockTerms+1)*16 + int64(cap(s.look[i]))*4
	}
	return segmentMemory + n + n/8 // pieces of memory are of some sizes only
}

func (s *Segment) readNumbers(b []byte, messages uint32) bool {
	d := decoder{b: b}
	if int64(messages) > int64(len(b)) {
		return false
	}
	s.numbers = make([]gateway.MessageNumber, messages)
	at := uint64(s.First)
	for i := range s.numbers {
		by := d.next()
		if at += by; by == 0 && i > 0 || at < by || at > uint64(s.Last) {
			return false
		}
		s.numbers[i] = gateway.MessageNumber(at)
	}
	for g := range s.look {
		n, doc := d.next(), uint64(0)
		if n > uint64(messages) {
			return false
		}
		for i := range n {
			by := d.next()
			if doc += by; by == 0 && i > 0 || by > uint64(messages) || doc >= uint64(messages) {
				return false
			}
			s.look[g] = append(s.look[g], uint32(doc))
		}
	}
	return !d.bad && len(d.b) == 0
}

// decoder reads varints until one is damaged.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) next() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// take is the bytes whose count comes first.
func (d *decoder) take() []byte {
	n := d.next()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// load reads the dictionary and the blocks, once.
func (g *group) load(r io.ReaderAt, size int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.loaded {
		return nil
	}
	b, err := read(r, g.dictAt, g.listAt-g.dictAt, size)
	if err != nil {
		return err
	}
	dict, rest := b[:g.blocksAt-g.dictAt], b[g.blocksAt-g.dictAt:]
	if checksum(dict) != g.dictSum || checksum(rest) != g.blocksSum {
		return damaged("a dictionary")
	}
	blocks, ok := g.readBlocks(dict, rest)
	if !ok {
		return damaged("the blocks of a dictionary")
	}
	for _, c := range dict {
		g.counts[c]++
	}
	g.dict, g.blocks, g.loaded = dict, blocks, true
	return nil
}

// readBlocks checks that the blocks follow each other, and fit the dictionary.
func (g *group) readBlocks(dict, b []byte) ([]block, bool) {
	if len(b) != (g.terms+blockTerms-1)/blockTerms*blockBytes || (g.terms == 0) != (len(dict) == 0) {
		return nil, false
	}
	if g.terms == 0 {
		return nil, true
	}
	if dict[0] != separator[0] || dict[len(dict)-1] != separator[0] {
		return nil, false
	}
	blocks := make([]block, len(b)/blockBytes)
	lists, size := uint32(g.listsEnd-g.listAt), uint32(len(dict))
	be := binary.BigEndian
	for i := len(blocks) - 1; i >= 0; i-- {
		at := b[i*blockBytes:]
		blocks[i] = block{dict: be.Uint32(at), lists: be.Uint32(at[4:]), end: lists, sum: be.Uint32(at[8:])}
		k := &blocks[i]
		if k.dict >= size || k.lists > lists || k.dict == 0 || dict[k.dict-1] != separator[0] {
			return nil, false
		}
		if bytes.Count(dict[k.dict:size], []byte(separator)) != min(blockTerms, g.terms-i*blockTerms) {
			return nil, false
		}
		lists, size = blocks[i].lists, blocks[i].dict
	}
	return blocks, lists == 0 && size == 1
}

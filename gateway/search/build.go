package search

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// envelope are the fields whose terms share a dictionary: few, and looked for often.
const envelope = From | To | Cc | Bcc | Subject

// groups are the fields of each dictionary of a segment. The last one is of no field: it
// has the neighbours in bodies.
var groups = [...]Fields{envelope, Body, Header, neighbours: 0}

// bodies and neighbours are two of the groups.
const (
	bodies     = 1
	neighbours = 3
)

func groupOf(f Fields) int {
	switch {
	case f&envelope != 0:
		return 0
	case f&Body != 0:
		return bodies
	}
	return 2
}

// fieldBits is how many bits of a posting say in which fields of its group a term stands;
// only the first group has more than one.
func fieldBits(group int) int {
	if group == 0 {
		return bits.OnesCount16(uint16(envelope))
	}
	return 0
}

// Builder makes a segment of the texts of messages, which come in the order of their
// numbers. Use it once, in one goroutine.
type Builder struct {
	first   gateway.MessageNumber
	numbers []gateway.MessageNumber
	look    [len(groups)][]uint32 // ordinals of messages that are not indexed whole
	terms   [neighbours]termTable
	near    neighbourhood
	size    int
}

// NewBuilder starts a segment of the messages from a number on.
func NewBuilder(first gateway.MessageNumber) *Builder {
	b := &Builder{first: first}
	for i := range b.terms {
		b.terms[i].ids = make(map[string]uint32)
	}
	return b
}

// Begin starts a message. Its number is greater than those before.
func (b *Builder) Begin(n gateway.MessageNumber) { b.numbers = append(b.numbers, n) }

// Add indexes a text of the message, which stands in a field.
func (b *Builder) Add(field Fields, text string) {
	g, doc := groupOf(field), uint32(len(b.numbers)-1)
	value := doc << fieldBits(g)
	if g == 0 {
		value |= uint32(field & envelope)
	}
	t, near, noted := &b.terms[g], &b.near, b.near.total
	add := func(term string) { b.size += t.add(term, value, fieldBits(g)) }
	near.begin(doc)
	eachRun(Fold(text), func(run string) {
		eachPiece(run, add)
		if g == bodies {
			near.word(run)
		}
	}, func(run string) {
		eachPair(run, add)
		near.gap()
	})
	b.size += (near.total - noted) * postingMemory
}

// Look says that texts of the message in some fields were not added, or not all: a query
// about these fields gets the message as one to look at.
func (b *Builder) Look(fields Fields) {
	doc := uint32(len(b.numbers) - 1)
	for g := range groups {
		if l := b.look[g]; fields&groups[g] != 0 && (len(l) == 0 || l[len(l)-1] != doc) {
			b.look[g] = append(l, doc)
		}
	}
}

// Size is about how much memory the builder holds, in bytes.
func (b *Builder) Size() int { return b.size }

// Segment is what was built, as bytes. It covers the numbers up to last, whether there
// are messages of them or not.
func (b *Builder) Segment(last gateway.MessageNumber) []byte {
	w := segmentWriter{first: b.first, last: last, numbers: b.numbers, look: b.look}
	for g := range b.terms {
		w.groups[g].shift = fieldBits(g)
		b.terms[g].write(&w.groups[g])
	}
	b.near.write(&w.groups[neighbours])
	return w.bytes()
}

// posting says that a term stands in a message: its ordinal, with the field bits below.
type posting struct{ term, value uint32 }

// termTable collects the terms of a group.
type termTable struct {
	ids      map[string]uint32
	names    []string
	newest   []int // by term: the index of its newest posting
	counts   []uint32
	postings []posting
}

// add notes a term of the newest message, and returns how much memory that took.
func (t *termTable) add(term string, value uint32, shift int) int {
	id, known := t.ids[term]
	if !known {
		id = uint32(len(t.names))
		term = strings.Clone(term)
		t.ids[term] = id
		t.names = append(t.names, term)
		t.newest, t.counts = append(t.newest, 0), append(t.counts, 0)
	} else if p := &t.postings[t.newest[id]]; p.value>>shift == value>>shift {
		p.value |= value
		return 0
	}
	t.newest[id] = len(t.postings)
	t.counts[id]++
	t.postings = append(t.postings, posting{id, value})
	if !known {
		return termMemory + len(term)
	}
	return postingMemory
}

// termMemory and postingMemory are about what a new term and a posting take in memory.
const (
	termMemory    = 100
	postingMemory = 8
)

// write gives the terms in order, each with its postings.
func (t *termTable) write(w *groupWriter) {
	order := make([]uint32, len(t.names))
	starts := make([]uint32, len(t.names)+1)
	for i, n := range t.counts {
		order[i] = uint32(i)
		starts[i+1] = starts[i] + n
	}
	values, next := make([]uint32, len(t.postings)), slices.Clone(starts)
	for _, p := range t.postings {
		values[next[p.term]] = p.value
		next[p.term]++
	}
	slices.SortFunc(order, func(a, b uint32) int { return strings.Compare(t.names[a], t.names[b]) })
	for _, id := range order {
		for _, v := range values[starts[id]:starts[id+1]] {
			w.posting(v)
		}
		w.end(t.names[id])
	}
}

// groupWriter writes terms, which come in order: of each the postings, then the term itself.
type groupWriter struct {
	dict, blocks, lists []byte
	list                []byte // of the term that is being written
	terms               int
	before              uint32 // the value before, in list
	from                int    // where the lists of the block begin
	shift               int    // the field bits of a posting
}

// posting adds one; they come in order. The field bits are not part of the difference.
func (w *groupWriter) posting(v uint32) {
	doc := v >> w.shift
	by := uint64(doc-w.before)<<w.shift | uint64(v&(1<<w.shift-1))
	w.before = doc
	if by < 1<<7 { // as nearly all are
		w.list = append(w.list, byte(by))
		return
	}
	w.list = binary.AppendUvarint(w.list, by)
}

// end writes a term with the postings that were added, if there were any.
func (w *groupWriter) end(term string) {
	if len(w.list) == 0 {
		return
	}
	if len(w.dict) == 0 {
		w.dict = append(w.dict, separator...)
	}
	if w.terms%blockTerms == 0 {
		w.seal()
		w.blocks = binary.BigEndian.AppendUint32(w.blocks, uint32(len(w.dict)))
		w.blocks = binary.BigEndian.AppendUint32(w.blocks, uint32(len(w.lists)))
		w.from = len(w.lists)
	}
	w.dict = append(append(w.dict, term...), separator...)
	w.lists = binary.AppendUvarint(w.lists, uint64(len(w.list)))
	w.lists = append(w.lists, w.list...)
	w.list, w.before = w.list[:0], 0
	w.terms++
}

// seal writes the checksum of the lists of a block that is full.
func (w *groupWriter) seal() {
	if w.terms > 0 {
		w.blocks = binary.BigEndian.AppendUint32(w.blocks, checksum(w.lists[w.from:]))
	}
}

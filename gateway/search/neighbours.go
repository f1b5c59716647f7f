package search

import (
	"bytes"
	"io"
	"math/bits"
)

// Of a phrase of common words nearly every message has each word, and all would have to be
// looked at. So it is indexed, too, which words of a body follow each other: not by name,
// of which there would be far too many, but in 16,384 lists that a pair is put into by its
// hash. A message of 600 words is in one list of thirty, and by chance in those of both
// pairs of a phrase of three once in 700 times. They are half of a segment, which has 30 %
// of the size of the texts; with twice as many lists it would be a little larger.

// Mail of few words, as programs write it, has nearly every pair of them: of a message whose
// texts say each of their words eight times the triples are noted in the same lists. Another
// message is in noTriples instead.

// neighbourBits is how many bits of the hash of a pair name its list.
const neighbourBits = 14

const (
	// noTriples is the list of the messages whose triples are not all known.
	noTriples = 1 << neighbourBits
	// sayings is how often a message says a word, on average, whose triples are noted. Ours:
	// what people write repeats itself less until it is a book.
	sayings = 8
)

// longRun stands for a run that is over termBytes, of which the dictionary has pieces.
const longRun = "\x01"

// neighbourhood collects the lists of messages.
type neighbourhood struct {
	pieces [][]posting // term is the list
	total  int
	counts [noTriples + 1]uint32 // of messages, by list

	// Of the message that is being read: the lists it is in, its triples' lists, how many
	// words it has, and the hashes of these.
	message uint32
	in      [noTriples/64 + 1]uint64
	triples []uint32
	words   int
	seen    [1 << neighbourBits / 64]uint64

	// Of the text: how many runs, up to two, stand right before what comes, the hash of the
	// last one, and that of it with the one before.
	behind           int
	before, beforeIt uint32
}

// begin starts a text of a message.
func (h *neighbourhood) begin(message uint32) {
	if message != h.message {
		h.end()
		h.message = message
	}
	h.gap()
}

// gap says that what comes follows nothing. Scripts without spaces have pairs already.
func (h *neighbourhood) gap() { h.behind = 0 }

// word notes the lists of a run of a folded text, which follows the one before with nothing
// but boundaries between.
func (h *neighbourhood) word(run string) {
	own, pair, triple := hashes(whole(run), h.before, h.beforeIt)
	if h.behind > 0 {
		h.note(listOf(pair), h.message)
	}
	if h.behind > 1 {
		h.triples = append(h.triples, listOf(triple))
	}
	h.before, h.beforeIt, h.behind = own, pair, min(h.behind+1, 2)
	h.words++
	bit := listOf(own)
	h.seen[bit/64] |= 1 << (bit % 64)
}

// end notes the triples of the message, or that they are not.
func (h *neighbourhood) end() {
	distinct := 0
	for _, w := range h.seen {
		distinct += bits.OnesCount64(w)
	}
	switch {
	case len(h.triples) == 0:
	case h.words < sayings*distinct:
		h.note(noTriples, h.message)
	default:
		for _, list := range h.triples {
			h.note(list, h.message)
		}
	}
	h.triples, h.words = h.triples[:0], 0
	clear(h.seen[:])
	clear(h.in[:])
}

// piecePostings is how many postings stand in one piece. A list that grows as a whole is
// copied so often that it was a third of all memory that indexing asked for.
const piecePostings = 8 << 10

func (h *neighbourhood) note(list, message uint32) {
	if at, bit := list/64, uint64(1)<<(list%64); h.in[at]&bit == 0 {
		h.in[at] |= bit
	} else {
		return
	}
	if h.total%piecePostings == 0 {
		h.pieces = append(h.pieces, make([]posting, 0, piecePostings))
	}
	last := &h.pieces[len(h.pieces)-1]
	*last = append(*last, posting{list, message})
	h.counts[list]++
	h.total++
}

// write gives the lists in order, each with its messages, which come in order.
func (h *neighbourhood) write(w *groupWriter) {
	h.end()
	var next [len(h.counts)]uint32 // where each list goes on
	for list := range next[1:] {
		next[list+1] = next[list] + h.counts[list]
	}
	messages := make([]uint32, h.total)
	for _, piece := range h.pieces {
		for _, p := range piece {
			messages[next[p.term]] = p.value
			next[p.term]++
		}
	}
	for list, n := range h.counts {
		for _, m := range messages[:n] {
			w.posting(m)
		}
		messages = messages[n:]
		w.end(listName(uint32(list)))
	}
}

// whole is a run as it is hashed.
func whole(run string) string {
	if len(run) > termBytes {
		return longRun
	}
	return run
}

// hash is that of a run, and hashOn that of runs of a hash with one more behind them:
// FNV-1a, as what is hashed is short.
func hash(run string) uint32 { return hashOn(hashStart, run) }

const hashStart, hashPrime = 2166136261, 16777619

func hashOn(h uint32, run string) uint32 {
	h *= hashPrime // as of a separator
	for i := range len(run) {
		h = (h ^ uint32(run[i])) * hashPrime
	}
	return h
}

// hashes are that of a run, and those on two others. None waits for the one before.
func hashes(run string, a, b uint32) (own, onA, onB uint32) {
	own = hashStart
	own, onA, onB = own*hashPrime, a*hashPrime, b*hashPrime
	for i := range len(run) {
		c := uint32(run[i])
		own, onA, onB = (own^c)*hashPrime, (onA^c)*hashPrime, (onB^c)*hashPrime
	}
	return own, onA, onB
}

// listOf is the list of a hash.
func listOf(h uint32) uint32 { return (h ^ h>>16) & (1<<neighbourBits - 1) }

// listName is what a list is called in the dictionary: three bytes that are no separator,
// in the order of the lists.
func listName(list uint32) string {
	return string([]byte{0x40 | byte(list>>12), 0x40 | byte(list>>6)&0x3f, 0x40 | byte(list)&0x3f})
}

// side is one of two pieces of a query that follow each other: a whole run, or the end or
// the start of one.
type side struct {
	piece        string
	starts, ends bool // the query has a boundary before it, or behind it
}

type pair struct{ left, right side }

// triple has two sides that may not be whole, as pair has.
type triple struct {
	left   side
	middle string
	right  side
}

const (
	// maxNeighbours is how many lists are read for a pair of which one side is not whole.
	maxNeighbours = 32
	// fewToLookAt is how many messages are rather looked at than lists read.
	fewToLookAt = 4
)

// adjacent adds the messages in whose bodies two pieces may follow each other; false if
// there are too many runs that they may be part of.
func (s *Segment) adjacent(r io.ReaderAt, p pair, docs set) (known bool, err error) {
	return s.around(r, p.left, p.right, hash, docs)
}

// inLine is adjacent for three pieces.
func (s *Segment) inLine(r io.ReaderAt, t triple, docs set) (known bool, err error) {
	middle := whole(t.middle)
	known, err = s.around(r, t.left, t.right, func(left string) uint32 { return hashOn(hash(left), middle) }, docs)
	if !known || err != nil {
		return false, err
	}
	return true, s.list(r, noTriples, docs)
}

// around adds the messages of the lists of each left side, as it is hashed with what is
// between, with each right one.
func (s *Segment) around(r io.ReaderAt, left, right side, hashed func(string) uint32, docs set) (known bool, err error) {
	lefts, err := s.runsOf(r, left)
	if err != nil || lefts == nil {
		return false, err
	}
	rights, err := s.runsOf(r, right)
	if err != nil || len(lefts)*len(rights) > maxNeighbours || rights == nil {
		return false, err
	}
	for _, left := range lefts {
		for _, right := range rights {
			if err := s.list(r, listOf(hashOn(hashed(left), right)), docs); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

func (s *Segment) list(r io.ReaderAt, list uint32, docs set) error {
	return s.find(r, neighbours, separator+listName(list)+separator, 0, docs)
}

// runsOf are the runs in bodies that a piece may be, or be part of; nil if they are too
// many.
func (s *Segment) runsOf(r io.ReaderAt, p side) ([]string, error) {
	if p.starts && p.ends {
		return []string{whole(p.piece)}, nil
	}
	g := &s.groups[bodies]
	if err := g.load(r, s.size); err != nil {
		return nil, err
	}
	names := []string{longRun} // it may be part of one
	pattern := []byte(wordPattern(p.piece, p.starts, p.ends))
	rare := g.rarest(pattern)
	for from := 0; ; {
		i := indexBy(g.dict, pattern, from, rare)
		if i < 0 {
			return names, nil
		}
		if pattern[0] == separator[0] {
			i++
		}
		start := bytes.LastIndexByte(g.dict[:i], separator[0]) + 1
		from = i + bytes.IndexByte(g.dict[i:], separator[0])
		if names = append(names, string(g.dict[start:from])); len(names) > maxNeighbours {
			return nil, nil
		}
	}
}

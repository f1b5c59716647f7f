package search

import (
	"bytes"
	"hash/crc32"
	"io"
	"slices"
)

// Of a phrase of common words nearly every message has each word, and all would have to be
// looked at. So it is indexed, too, which words of a body follow each other: not by name,
// of which there would be far too many, but in 16,384 lists that a pair is put into by its
// hash. A message of 600 words is in one list of thirty, and by chance in those of both
// pairs of a phrase of three once in 700 times. They are half of a segment, which has 30 %
// of the size of the texts; with twice as many lists it would be a little larger.

// neighbourBits is how many bits of the hash of a pair name its list.
const neighbourBits = 14

// longRun stands for a run that is over termBytes, of which the dictionary has pieces.
const longRun = "\x01"

// appendNeighbours notes, for a message, the lists of the runs of a folded text that follow
// each other with nothing but boundaries between. Scripts without spaces have pairs
// already.
func appendNeighbours(to []posting, s string, message uint32) []posting {
	before, room := "", make([]byte, 0, pairBytes)
	for len(s) > 0 {
		n, of := run(s)
		switch of {
		case word:
			now := whole(s[:n])
			if before != "" {
				to = append(to, posting{neighbourListIn(room, before, now), message})
			}
			before = now
		case unspaced:
			before = ""
		}
		s = s[n:]
	}
	return to
}

// writeNeighbours gives the lists in order, each with its messages, which come in order.
func writeNeighbours(pieces [][]posting, w *groupWriter) {
	starts, total := make([]uint32, 1<<neighbourBits+1), 0
	for _, piece := range pieces {
		for _, p := range piece {
			starts[p.term+1]++
		}
		total += len(piece)
	}
	for i := range starts[1:] {
		starts[i+1] += starts[i]
	}
	messages, next := make([]uint32, total), slices.Clone(starts)
	for _, piece := range pieces {
		for _, p := range piece {
			messages[next[p.term]] = p.value
			next[p.term]++
		}
	}
	for list := range uint32(1 << neighbourBits) {
		of := slices.Compact(messages[starts[list]:starts[list+1]])
		if len(of) == 0 {
			continue
		}
		w.begin(listName(list))
		for _, m := range of {
			w.posting(m)
		}
		w.end()
	}
}

// whole is a run as it is hashed.
func whole(run string) string {
	if len(run) > termBytes {
		return longRun
	}
	return run
}

// neighbourList is the list of a pair.
func neighbourList(left, right string) uint32 {
	return neighbourListIn(make([]byte, 0, pairBytes), left, right)
}

// pairBytes is the room for a pair as it is hashed.
const pairBytes = 2*termBytes + len(separator)

// neighbourListIn is neighbourList in memory that the caller uses again.
func neighbourListIn(room []byte, left, right string) uint32 {
	h := crc32.Checksum(append(append(append(room[:0], left...), separator...), right...), castagnoli)
	return (h ^ h>>16) & (1<<neighbourBits - 1)
}

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

const (
	// maxNeighbours is how many lists are read for a pair of which one side is not whole.
	maxNeighbours = 32
	// fewToLookAt is how many messages are rather looked at than lists read.
	fewToLookAt = 4
)

// adjacent adds the messages in whose bodies two pieces may follow each other; false if
// there are too many runs that they may be part of.
func (s *Segment) adjacent(r io.ReaderAt, p pair, docs set) (known bool, err error) {
	lefts, err := s.runsOf(r, p.left)
	if err != nil || lefts == nil {
		return false, err
	}
	rights, err := s.runsOf(r, p.right)
	if err != nil || len(lefts)*len(rights) > maxNeighbours || rights == nil {
		return false, err
	}
	for _, left := range lefts {
		for _, right := range rights {
			if err := s.find(r, neighbours, separator+listName(neighbourList(left, right))+separator, 0, docs); err != nil {
				return false, err
			}
		}
	}
	return true, nil
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

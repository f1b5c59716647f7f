package search

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/centerleap/postern/gateway"
)

// A segment is bytes that never change: what is known of the messages of a range of
// numbers. All numbers are big endian.
//
//	head      magic u32, checksum of the rest of the head u32, first u64, last u64,
//	          messages u32, bytes of numbers u32, checksum of them u32;
//	          for each group: terms u32, bytes of dictionary, blocks and lists u32 each,
//	          checksums of dictionary and blocks u32 each
//	numbers   of the messages: differences as varints, the first to first; then for each
//	          group how many messages are to be looked at, and their ordinals as differences
//	for each group:
//	  dictionary   the terms in order, a zero before each and behind the last
//	  blocks       of 64 terms: where in dictionary and lists it starts u32 each, checksum
//	               of its lists u32
//	  lists        of each term: bytes of its postings, then the differences of the
//	               messages' ordinals, above the bits of the fields in the first group
const (
	// magic is "PSI" and a version, which is another one when other texts are indexed: an
	// older segment then counts as damaged, and its index is made again.
	magic      = 0x50534906
	groupHead  = 6 * 4
	headBytes  = 4 + 4 + 8 + 8 + 4 + 4 + 4 + len(groups)*groupHead
	blockBytes = 12
	// blockTerms is how many terms a block has; ours: their lists, which are read
	// together, are some KiB.
	blockTerms = 64
)

// ErrDamaged means that bytes are no segment, or not as they were written.
var ErrDamaged = errors.New("a segment of the search index is damaged")

func damaged(what string) error { return fmt.Errorf("%w: %s", ErrDamaged, what) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// segmentWriter puts the parts of a segment together.
type segmentWriter struct {
	first, last gateway.MessageNumber
	numbers     []gateway.MessageNumber
	look        [len(groups)][]uint32
	groups      [len(groups)]groupWriter
}

func (w *segmentWriter) bytes() []byte {
	numbers := w.numberBytes()
	total := headBytes + len(numbers)
	for g := range w.groups {
		w.groups[g].seal()
		total += len(w.groups[g].dict) + len(w.groups[g].blocks) + len(w.groups[g].lists)
	}
	be := binary.BigEndian
	b := be.AppendUint32(make([]byte, 0, total), magic)
	b = be.AppendUint32(b, 0)
	b = be.AppendUint64(be.AppendUint64(b, uint64(w.first)), uint64(w.last))
	b = be.AppendUint32(b, uint32(len(w.numbers)))
	b = be.AppendUint32(b, uint32(len(numbers)))
	b = be.AppendUint32(b, checksum(numbers))
	for i := range w.groups {
		g := &w.groups[i]
		for _, n := range []int{g.terms, len(g.dict), len(g.blocks), len(g.lists)} {
			b = be.AppendUint32(b, uint32(n))
		}
		b = be.AppendUint32(be.AppendUint32(b, checksum(g.dict)), checksum(g.blocks))
	}
	be.PutUint32(b[4:], checksum(b[8:]))
	b = append(b, numbers...)
	for i := range w.groups {
		b = append(append(append(b, w.groups[i].dict...), w.groups[i].blocks...), w.groups[i].lists...)
	}
	return b
}

func (w *segmentWriter) numberBytes() (b []byte) {
	before := w.first
	for _, n := range w.numbers {
		b = binary.AppendUvarint(b, uint64(n-before))
		before = n
	}
	for _, list := range w.look {
		b = binary.AppendUvarint(b, uint64(len(list)))
		was := uint32(0)
		for _, doc := range list {
			b = binary.AppendUvarint(b, uint64(doc-was))
			was = doc
		}
	}
	return b
}

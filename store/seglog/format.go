package seglog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// How the log lies on disk. All numbers are big endian.
//
//	segment   one sector of header, then groups, then zeros
//	group     header, records, zeros up to the next sector
//	record    header, payload
//
//	segment header   magic "postern\x02" | number u32 | state u32 | first, last sequence u64 | log id 16 | crc
//	group header     magic u32 | bytes of its records u32 | sequence u64 | number of records u32 | segment u32 | blank sectors u32 | crc
//	record header    bytes of its payload u32 | type u8, zero u24 | crc
//
// A group begins on a sector of its own, so a write that is torn can't reach
// what an earlier sync covered: a disk writes a sector whole or not at all.
// Every checksum is CRC32C and begins with the log's random id, so nobody who
// writes a mail can write a group into it; a record's also covers its group's
// sequence, so a record can't be taken for another one.
const (
	sector       = 512
	segmentMagic = "postern\x02"
	groupMagic   = 0x506f4c67
	groupHeader  = 32
	recordHeader = 12
)

// States of a segment. A collected one is a stub: its header alone, kept so
// that nobody takes its absence for a loss.
const (
	stateLive      = 1
	stateCollected = 2
)

// Type says what a record is. Types below FirstType are the log's own.
type Type uint8

const (
	typeSeal Type = 1 // the segment is complete; payload: number of the next u32

	// FirstType is the first one that callers may use.
	FirstType Type = 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// logID is drawn when a log is made. It seeds every checksum.
type logID [16]byte

func (id logID) sum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(id[:], castagnoli), castagnoli, b)
}

// header of a segment.
type header struct {
	id          logID
	number      uint32
	state       uint32
	first, last uint64 // of a collected segment: the sequences it held
}

func (h header) encode() []byte {
	b := append(make([]byte, 0, sector), segmentMagic...)
	b = binary.BigEndian.AppendUint32(b, h.number)
	b = binary.BigEndian.AppendUint32(b, h.state)
	b = binary.BigEndian.AppendUint64(b, h.first)
	b = binary.BigEndian.AppendUint64(b, h.last)
	b = append(b, h.id[:]...)
	b = binary.BigEndian.AppendUint32(b, h.id.sum(b))
	return b[:sector]
}

func decodeHeader(b []byte) (h header, err error) {
	if len(b) < sector || string(b[:8]) != segmentMagic {
		return header{}, errors.New("its header is none of a segment")
	}
	h.number, h.state = binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	h.first, h.last, h.id = binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:]), logID(b[32:])
	live := h.state == stateLive && h.first == 0 && h.last == 0
	collected := h.state == stateCollected && h.first > 0 && h.first <= h.last
	if binary.BigEndian.Uint32(b[48:]) != h.id.sum(b[:48]) || !live && !collected {
		return header{}, errors.New("its header is damaged")
	}
	return h, nil
}

// groupHead is the header of a group.
type groupHead struct {
	sequence uint64
	length   uint32 // of all records with their headers
	records  uint32
	segment  uint32
	blanks   uint32 // how many of its sectors are all zero: more of them, and some never reached the disk
}

func (h groupHead) put(b []byte, id logID) {
	binary.BigEndian.PutUint32(b, groupMagic)
	binary.BigEndian.PutUint32(b[4:], h.length)
	binary.BigEndian.PutUint64(b[8:], h.sequence)
	binary.BigEndian.PutUint32(b[16:], h.records)
	binary.BigEndian.PutUint32(b[20:], h.segment)
	binary.BigEndian.PutUint32(b[24:], h.blanks)
	binary.BigEndian.PutUint32(b[28:], id.sum(b[:28]))
}

// decodeGroupHead reports whether b begins with the header of a group of the
// given segment.
func decodeGroupHead(b []byte, id logID, segment uint32) (h groupHead, ok bool) {
	if len(b) < groupHeader || binary.BigEndian.Uint32(b) != groupMagic || binary.BigEndian.Uint32(b[28:]) != id.sum(b[:28]) {
		return h, false
	}
	h.length, h.sequence = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint64(b[8:])
	h.records, h.segment, h.blanks = binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:]), binary.BigEndian.Uint32(b[24:])
	return h, h.segment == segment && h.sequence > 0
}

// span is how many bytes of its segment a group takes.
func (h groupHead) span() int64 { return align(groupHeader + int64(h.length)) }

// blankSectors counts the sectors of b, which is whole sectors, that are all zero.
func blankSectors(b []byte) (n uint32) {
	for ; len(b) >= sector; b = b[sector:] {
		if allZero(b[:sector]) {
			n++
		}
	}
	return n
}

func align(n int64) int64 { return (n + sector - 1) / sector * sector }

// recordSum covers a record's header, its group's sequence and its payload.
func (id logID) recordSum(sequence uint64, head, payload []byte) uint32 {
	var b [16]byte
	copy(b[:8], head[:8])
	binary.BigEndian.PutUint64(b[8:], sequence)
	return crc32.Update(id.sum(b[:]), castagnoli, payload)
}

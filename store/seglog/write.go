package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Group collects the records of one group. Records may be added while the log still
// syncs the group before; Place then says where the group goes, the last records may
// be added, which say where the first ones are, and Append writes it all. A zero
// Group is an empty one that has no place.
type Group struct {
	log  *Log // nil until it has a place
	at   int64
	room int64
	head groupHead
	buf  []byte
}

// RecordSize is what a record with a payload of n bytes takes of a group's room.
func RecordSize(n int) int64 { return recordHeader + int64(n) }

// keptBuffer bounds the memory that a Group keeps for its next use, in bytes.
const keptBuffer = 4 << 20

// Reset empties a group, so that it may be used again.
func (g *Group) Reset() {
	buf := g.buf[:0]
	if cap(buf) > keptBuffer {
		buf = nil
	}
	*g = Group{buf: buf}
}

// Begin makes a group that has its place, with room bytes for its records as
// RecordSize counts them.
func (l *Log) Begin(room int64) (*Group, error) {
	g := &Group{buf: make([]byte, 0, align(groupHeader+min(room, l.cfg.MaxGroup)))}
	return g, l.Place(g, room)
}

// Place gives a group its place, with room for more bytes of records than it holds,
// as RecordSize counts them. When the current segment has less left, the group goes
// to the next one. It is the next one to be appended, or is thrown away.
func (l *Log) Place(g *Group, more int64) error {
	if l.failed != nil {
		return l.failed
	}
	g.begin()
	room := int64(len(g.buf)-groupHeader) + more
	if align(groupHeader+room) > l.cfg.MaxGroup {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrLarge, room, l.cfg.MaxGroup)
	}
	if l.tail+align(groupHeader+room)+sector > l.cfg.SegmentSize { // one sector is kept for the seal
		if err := l.Roll(); err != nil {
			return err
		}
	}
	l.place(g, room)
	return nil
}

func (l *Log) place(g *Group, room int64) {
	g.begin()
	g.log, g.at, g.room = l, l.tail, room
	g.head.sequence, g.head.segment = l.head.Load()+1, l.cur.number
}

// begin makes room for the header.
func (g *Group) begin() {
	if len(g.buf) == 0 {
		g.buf = append(g.buf, make([]byte, groupHeader)...)
	}
}

// Sequence of a group that has its place.
func (g *Group) Sequence() uint64 { return g.head.sequence }

// Add puts a record into the group, its payload in parts, and returns where in the
// group the payload begins.
func (g *Group) Add(t Type, parts ...[]byte) int {
	if t < FirstType {
		panic("seglog: a record of a type that is the log's own")
	}
	return g.add(t, parts...)
}

func (g *Group) add(t Type, parts ...[]byte) int {
	g.begin()
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	var head [recordHeader]byte
	binary.BigEndian.PutUint32(head[:], uint32(size))
	head[4] = byte(t)
	g.buf = append(g.buf, head[:]...) // its checksum needs the group's place
	at := len(g.buf)
	for _, p := range parts {
		g.buf = append(g.buf, p...)
	}
	if g.log != nil && int64(len(g.buf)-groupHeader) > g.room {
		panic("seglog: a group outgrew the room it was given")
	}
	g.head.records++
	return at
}

// Pos is where in the log a payload is that begins in the group at some byte. The
// group has its place.
func (g *Group) Pos(at int) Pos {
	return Pos{Segment: g.head.segment, Offset: uint32(g.at + int64(at))}
}

// Blank overwrites n bytes of a payload with zeros, from where it begins in the group.
func (g *Group) Blank(at, n int) { clear(g.buf[at : at+n]) }

// sums puts the checksums into the records.
func (g *Group) sums() {
	for at := groupHeader; at < len(g.buf); {
		head := g.buf[at : at+recordHeader]
		at += recordHeader
		payload := g.buf[at : at+int(binary.BigEndian.Uint32(head))]
		at += len(payload)
		binary.BigEndian.PutUint32(head[8:], g.log.id.recordSum(g.head.sequence, head, payload))
	}
}

// Append makes the group durable. After ErrFull nothing of it is there, and the
// log goes on; after any other error nobody knows, and nothing is appended any
// more: asking a disk again whose sync has failed may get a false yes.
func (l *Log) Append(g *Group) error {
	if l.failed != nil {
		return l.failed
	}
	g.sums()
	g.head.length = uint32(len(g.buf) - groupHeader)
	span := g.head.span()
	g.buf = append(g.buf, make([]byte, span-int64(len(g.buf)))...)
	g.head.blanks = blankSectors(g.buf[sector:])
	g.head.put(g.buf, l.id)
	s := l.cur
	l.fill.reach(s, g.at+span)
	if _, err := s.file.WriteAt(g.buf, g.at); err != nil {
		return l.undo(s, g, err)
	}
	if err := s.file.Sync(); err != nil {
		return l.fail("sync", err)
	}
	l.mu.Lock()
	if s.first == 0 {
		s.first = g.head.sequence
	}
	s.end = g.at + span
	l.head.Store(g.head.sequence)
	l.mu.Unlock()
	l.tail = g.at + span
	l.bytes.Add(span)
	l.fill.wake()
	return nil
}

// undo takes back a group that could not be written for want of space.
func (l *Log) undo(s *segment, g *Group, err error) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return l.fail("write", err)
	}
	// What was written of it must not stay behind a later, shorter group.
	if terr := l.fill.truncate(s, g.at); terr != nil {
		return l.fail("truncate", errors.Join(err, terr))
	}
	return fmt.Errorf("%w: %w", ErrFull, err)
}

func (l *Log) fail(what string, err error) error {
	l.failed = fmt.Errorf("%s of the log failed: %w", what, err)
	return l.failed
}

// Roll seals the current segment, if it holds anything, and goes on in the next. It
// is the writer's, like Begin and Append.
func (l *Log) Roll() error {
	s := l.cur
	if s.first == 0 {
		return nil
	}
	next, err := l.fill.next(s.number + 1)
	if err != nil {
		return fmt.Errorf("make the next segment of the log: %w", full(err))
	}
	g := new(Group)
	l.place(g, RecordSize(4))
	g.add(typeSeal, binary.BigEndian.AppendUint32(nil, next.number))
	if err := l.Append(g); err != nil {
		return err
	}
	l.mu.Lock()
	s.sealed, s.last = true, g.head.sequence
	l.mu.Unlock()
	l.cur, l.tail = next, sector
	return nil
}

// full marks an error of making a segment as ErrFull if that is what it is.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

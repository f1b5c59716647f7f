package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Group collects the records of one group. It is placed in its segment from the
// start, so the positions that Add returns are final.
type Group struct {
	log  *Log
	at   int64
	room int64
	head groupHead
	buf  []byte
}

// RecordSize is what a record with a payload of n bytes takes of a group's room.
func RecordSize(n int) int64 { return recordHeader + int64(n) }

// Begin starts the next group, with room bytes for its records as RecordSize
// counts them. When the current segment has less left, the group goes to the
// next one. The Group is valid until the next Begin.
func (l *Log) Begin(room int64) (*Group, error) {
	if l.failed != nil {
		return nil, l.failed
	}
	if align(groupHeader+room) > l.cfg.MaxGroup {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrLarge, room, l.cfg.MaxGroup)
	}
	if l.tail+align(groupHeader+room)+sector > l.cfg.SegmentSize { // one sector is kept for the seal
		if err := l.Roll(); err != nil {
			return nil, err
		}
	}
	return l.begin(room), nil
}

func (l *Log) begin(room int64) *Group {
	g := &l.group
	if cap(g.buf) > 1<<20 && room < 1<<18 {
		g.buf = nil // one large group shouldn't hold its memory for ever
	}
	*g = Group{
		log: l, at: l.tail, room: room, buf: append(g.buf[:0], make([]byte, groupHeader)...),
		head: groupHead{sequence: l.head.Load() + 1, segment: l.cur.number},
	}
	return g
}

// Sequence of this group.
func (g *Group) Sequence() uint64 { return g.head.sequence }

// Add puts a record into the group, its payload in parts, and returns where the
// payload will be.
func (g *Group) Add(t Type, parts ...[]byte) Pos {
	if t < FirstType {
		panic("seglog: a record of a type that is the log's own")
	}
	return g.add(t, parts...)
}

func (g *Group) add(t Type, parts ...[]byte) Pos {
	start := len(g.buf)
	g.buf = append(g.buf, make([]byte, recordHeader)...)
	for _, p := range parts {
		g.buf = append(g.buf, p...)
	}
	if int64(len(g.buf)-groupHeader) > g.room {
		panic("seglog: a group outgrew the room it was given")
	}
	head, payload := g.buf[start:start+recordHeader], g.buf[start+recordHeader:]
	binary.BigEndian.PutUint32(head, uint32(len(payload)))
	head[4] = byte(t)
	binary.BigEndian.PutUint32(head[8:], g.log.id.recordSum(g.head.sequence, head, payload))
	g.head.records++
	return Pos{Segment: g.head.segment, Offset: uint32(g.at + int64(start) + recordHeader)}
}

// Append makes the group durable. After ErrFull nothing of it is there, and the
// log goes on; after any other error nobody knows, and nothing is appended any
// more: asking a disk again whose sync has failed may get a false yes.
func (l *Log) Append(g *Group) error {
	if l.failed != nil {
		return l.failed
	}
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
	g := l.begin(RecordSize(4))
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

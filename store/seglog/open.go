package seglog

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
)

const tmpSuffix = ".tmp"

// Open opens the log in cfg.FS, or makes an empty one. It looks at the header of
// every segment and at every group header of the last one; what is in the groups
// is checked by Scan. A torn last group is taken away; anything else that can't
// be what was written is a *DamageError.
func Open(cfg Config) (*Log, error) {
	if err := cfg.defaults(); err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg}
	if err := l.open(); err != nil {
		l.closeFiles()
		return nil, err
	}
	for _, s := range l.segments {
		l.bytes.Add(s.end)
	}
	l.fill.start(l)
	l.fill.wake()
	return l, nil
}

func (l *Log) closeFiles() {
	for _, s := range l.segments {
		if s.file != nil {
			_ = s.file.Close()
		}
	}
}

func (l *Log) open() error {
	numbers, err := l.list()
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
		l.id = newID()
		s, err := l.create(1)
		if err != nil {
			return err
		}
		l.segments, l.cur, l.tail = []*segment{s}, s, sector
		return nil
	}
	// A process that died may have named a segment and not made that durable.
	if err := l.cfg.FS.SyncDir(); err != nil {
		return err
	}
	for _, n := range numbers {
		if err := l.load(n); err != nil {
			return err
		}
	}
	return l.recover()
}

// list returns the numbers of the segments, ascending, and removes what was being
// made when a process died.
func (l *Log) list() (numbers []uint32, err error) {
	names, err := l.cfg.FS.List()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "seg-") && strings.HasSuffix(name, tmpSuffix) {
			if err := l.cfg.FS.Remove(name); err != nil {
				return nil, err
			}
		}
	}
	return l.numbers()
}

func (l *Log) numbers() (numbers []uint32, err error) {
	names, err := l.cfg.FS.List()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		digits, ok := strings.CutPrefix(name, "seg-")
		if !ok || strings.HasSuffix(name, tmpSuffix) {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || segmentName(uint32(n)) != name {
			return nil, fmt.Errorf("%s is no file of a log", name)
		}
		numbers = append(numbers, uint32(n))
	}
	slices.Sort(numbers)
	return numbers, nil
}

// load opens one segment and reads its header and its first group's.
func (l *Log) load(number uint32) error {
	f, err := l.cfg.FS.Open(segmentName(number))
	if err != nil {
		return err
	}
	s := &segment{name: segmentName(number), file: f, end: sector}
	l.segments = append(l.segments, s)
	n := len(l.segments)
	b := make([]byte, sector)
	if err := readZeros(f, b, 0); err != nil {
		return err
	}
	if s.header, err = decodeHeader(b); err != nil {
		return &DamageError{Segment: number, What: err.Error()}
	}
	if l.id == (logID{}) {
		l.id = s.id
	}
	switch {
	case s.number != number:
		return &DamageError{Segment: number, What: fmt.Sprintf("it says that it is segment %d", s.number)}
	case s.id != l.id:
		return &DamageError{Segment: number, What: "it belongs to another log"}
	case n > 1 && l.segments[n-2].number+1 != number:
		return &DamageError{Segment: l.segments[n-2].number + 1, What: "the segment is missing"}
	case n == 1 && number != 1 && s.state == stateLive: // a stub would say that the log begins here
		return &DamageError{Segment: number - 1, What: "the segment is missing"}
	}
	if s.state == stateCollected {
		s.sealed, s.file = true, nil
		return f.Close()
	}
	size, err := f.Size()
	if err != nil {
		return err
	}
	s.size.Store(max(size, sector))
	if err := readZeros(f, b, sector); err != nil {
		return err
	}
	if h, ok := decodeGroupHead(b, l.id, number); ok {
		s.first = h.sequence
	}
	return nil
}

// recover finds the end of the log.
func (l *Log) recover() error {
	// The last segment with a group is the one that was written; after it there
	// may be one that was made ahead.
	at := len(l.segments) - 1
	for at > 0 && l.segments[at].first == 0 {
		at--
	}
	if at < len(l.segments)-2 {
		return &DamageError{Segment: l.segments[at+1].number, What: "its groups are missing"}
	}
	if err := l.chain(at); err != nil {
		return err
	}
	s := l.segments[at]
	if s.state == stateCollected {
		return l.follow(at, s.last)
	}
	t, err := l.walk(s)
	if err != nil {
		return err
	}
	if at+1 < len(l.segments) && !t.sealed { // the one made ahead must be untouched
		if err := l.settle(l.segments[at+1], sector, t.last+1); err != nil {
			return err
		}
	}
	l.head.Store(t.last)
	s.end = t.end
	if t.sealed {
		s.sealed, s.last = true, t.last
		return l.follow(at, t.last)
	}
	if at > 0 && t.last == 0 {
		t.last = l.segments[at-1].last
		l.head.Store(t.last)
	}
	l.cur, l.tail = s, t.end
	return nil
}

// follow makes the segment behind the sealed one at the current one.
func (l *Log) follow(at int, last uint64) error {
	if at+1 >= len(l.segments) {
		return &DamageError{Segment: l.segments[at].number + 1, What: "the segment is missing"}
	}
	next := l.segments[at+1]
	l.head.Store(last)
	l.cur, l.tail = next, sector
	return l.settle(next, sector, last+1)
}

// chain tells for each segment before the one at, which sequences it holds.
func (l *Log) chain(at int) error {
	for i, s := range l.segments[:at] {
		next := l.segments[i+1]
		if s.state != stateCollected {
			if s.first == 0 {
				return &DamageError{Segment: s.number, Offset: sector, What: "its first group can't be read"}
			}
			s.sealed, s.last, s.end = true, next.first-1, s.size.Load()
		}
		if next.first == 0 && i+1 < at {
			return &DamageError{Segment: next.number, Offset: sector, What: "its first group can't be read"}
		}
		if next.first != 0 && next.first != s.last+1 || s.last < s.first {
			return &DamageError{Segment: next.number, Offset: sector, Sequence: next.first, What: fmt.Sprintf("it begins with group %d, the segment before it ends with %d", next.first, s.last)}
		}
	}
	return nil
}

// tail is what walk finds.
type tail struct {
	last   uint64 // sequence of the last whole group; 0: none
	end    int64  // where the next one goes
	sealed bool
}

// walk goes from group to group of the segment that was written last.
func (l *Log) walk(s *segment) (t tail, err error) {
	t.end = sector
	prev, head := int64(0), groupHead{}
	b := make([]byte, groupHeader)
	for {
		if err := readZeros(s.file, b, t.end); err != nil {
			return t, err
		}
		h, ok := decodeGroupHead(b, l.id, s.number)
		if !ok {
			break
		}
		if head.sequence != 0 && h.sequence != head.sequence+1 {
			return t, &DamageError{Segment: s.number, Offset: t.end, Sequence: h.sequence, What: fmt.Sprintf("group %d follows group %d", h.sequence, head.sequence)}
		}
		prev, head = t.end, h
		t.last, t.end = h.sequence, t.end+h.span()
	}
	if head.sequence == 0 {
		return t, l.settle(s, sector, 1)
	}
	// All groups but the last were synced before the next was written.
	g, err := l.read(s, prev, head)
	if err != nil {
		torn, terr := l.torn(s, prev, head)
		if terr != nil {
			return t, terr
		}
		if !torn {
			return t, err
		}
		t.last, t.end = head.sequence-1, prev
		if prev == sector {
			t.last, s.first = 0, 0
		}
		l.cfg.Log.LogAttrs(context.Background(), slog.LevelWarn, "an unfinished group at the end of the log is dropped", slog.Uint64("sequence", head.sequence))
		return t, l.settle(s, prev, head.sequence)
	}
	t.sealed = len(g) == 1 && g[0].Type == typeSeal
	if err := l.settle(s, t.end, t.last+1); err != nil {
		return t, err
	}
	return t, l.rewrite(s, prev, head.span())
}

// torn reports whether the group at off may be half written: then at least one
// sector of it never reached the disk and is zero still.
func (l *Log) torn(s *segment, off int64, h groupHead) (bool, error) {
	b := make([]byte, h.span())
	if err := readZeros(s.file, b, off); err != nil {
		return false, err
	}
	return blankSectors(b) > h.blanks, nil
}

// settle makes sure that nothing lies behind the end of the log. One group, next,
// can have been on its way there when the process died; what reached the disk of
// it is overwritten by zeros. Headers in it of groups that aren't later than
// itself are in the copy of old bytes that it brought.
func (l *Log) settle(s *segment, end int64, next uint64) error {
	b := make([]byte, max(0, min(l.cfg.MaxGroup+sector, s.size.Load()-end)))
	if err := readZeros(s.file, b, end); err != nil {
		return err
	}
	if allZero(b) {
		return nil
	}
	if len(b) >= sector && !allZero(b[:sector]) {
		if _, ok := decodeGroupHead(b, l.id, s.number); !ok {
			return &DamageError{Segment: s.number, Offset: end, Sequence: next, What: "the header of a group can't be read"}
		}
	}
	for off := sector; off < len(b); off += sector {
		if h, ok := decodeGroupHead(b[off:], l.id, s.number); ok && h.sequence > next {
			return &DamageError{Segment: s.number, Offset: end, Bytes: int64(off), Sequence: next, What: fmt.Sprintf("what is before group %d can't be read", h.sequence)}
		}
	}
	clear(b)
	if _, err := s.file.WriteAt(b, end); err != nil {
		return err
	}
	return s.file.Sync()
}

// rewrite writes the last group again, as it is: if its sync failed before, it
// may be in memory and not on the disk, and syncing it once more would say that
// all is well.
func (l *Log) rewrite(s *segment, off, span int64) error {
	b := make([]byte, span)
	if err := readZeros(s.file, b, off); err != nil {
		return err
	}
	if _, err := s.file.WriteAt(b, off); err != nil {
		return err
	}
	s.size.Store(max(s.size.Load(), off+span)) // zeros at its end may have been missing
	return s.file.Sync()
}

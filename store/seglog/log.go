// Package seglog is an append-only log in segment files: what was appended is
// durable before Append returns, in the order of its sequence numbers, whole or
// not at all.
//
// The unit is the group: some records that become durable together by one sync.
// Each group has the next sequence number. A group is written only after the
// one before it was synced; so after a crash at most the last one can be torn,
// and a group that can't be read although a later one can is damage, never a
// torn write. Open takes a torn tail away and reports damage as an error:
// nothing that was acknowledged disappears in silence.
//
// Writing is plain write and fdatasync, no mmap: a full disk or a failing one is
// an ordinary error. Space is filled with zeros ahead of the writer, which
// spares each sync the file's metadata and tells torn from damaged.
//
// The log knows nothing of what records mean. It keeps every segment until
// Collect is told that nobody needs it. The package imports the standard library
// only. Read format.go for the bytes, open.go for what a start believes.
package seglog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

// Config of a Log.
type Config struct {
	FS  FS           // required: Dir(path) of a folder that exists
	Log *slog.Logger // default: slog.Default()

	// SegmentSize is where a segment ends, in bytes; default 256 MiB. A group
	// fits into one segment.
	SegmentSize int64
	// MaxGroup bounds a group, in bytes; default 24 MiB, at most SegmentSize
	// less three sectors. After a crash at most this much is looked at.
	MaxGroup int64
	// FillAhead is how much space is filled with zeros ahead of the writer at
	// least, in bytes, while the log is quiet; default 1 MiB. A log that holds more
	// has as much ahead as it holds, up to two segments.
	FillAhead int64
	// MayFill is asked before space is filled ahead; default: always. Where it
	// says no, the log grows as it is written.
	MayFill func() bool
}

const (
	defaultSegment  = 256 << 20
	defaultMaxGroup = 24 << 20
	maxSegment      = 1<<32 - sector // what an offset in a Pos can say
)

func (c *Config) defaults() error {
	if c.FS == nil {
		return errors.New("seglog: FS is required")
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.SegmentSize == 0 {
		c.SegmentSize = defaultSegment
	}
	if c.MaxGroup == 0 {
		c.MaxGroup = min(defaultMaxGroup, c.SegmentSize-3*sector)
	}
	if c.SegmentSize > maxSegment {
		return fmt.Errorf("seglog: segments of %d bytes are over the limit of %d", c.SegmentSize, int64(maxSegment))
	}
	if c.MaxGroup < sector || c.MaxGroup > c.SegmentSize-3*sector {
		return fmt.Errorf("seglog: groups of %d bytes don't fit into segments of %d", c.MaxGroup, c.SegmentSize)
	}
	if c.FillAhead == 0 {
		c.FillAhead = 1 << 20
	}
	if c.MayFill == nil {
		c.MayFill = func() bool { return true }
	}
	return nil
}

// ErrFull: the disk had no room for a group. Nothing of it stays; the log goes on.
var ErrFull = errors.New("no space left for the log")

// ErrLarge: a group is over MaxGroup. The log goes on.
var ErrLarge = errors.New("the group is too large for the log")

// Pos is where a record's payload begins.
type Pos struct {
	Segment uint32
	Offset  uint32 // from the start of the segment's file, in bytes
}

// DamageError is something in the log that can't be what was written.
type DamageError struct {
	Segment  uint32
	Offset   int64  // from the start of the segment's file, in bytes
	Bytes    int64  // how much is hit, as far as it can be told; 0: unknown
	Sequence uint64 // of the group that is hit; 0: unknown
	What     string
}

func (d *DamageError) Error() string {
	return fmt.Sprintf("segment %d of the log is damaged at byte %d: %s", d.Segment, d.Offset, d.What)
}

// Log is an open log. Place, Begin and Append belong to one goroutine at a time; the
// other methods may be called from any.
type Log struct {
	cfg Config
	id  logID

	mu       sync.RWMutex // guards the table of segments; held for reading by every read
	segments []*segment   // ascending, without a gap in their numbers
	head     atomic.Uint64
	bytes    atomic.Int64 // of all groups, those of collected segments left out

	collecting sync.Mutex // held by Collect

	// The writer's.
	cur    *segment
	tail   int64 // where the next group begins in it
	failed error // a sync failed: nothing is appended any more

	fill filler
}

// segment is one file of the log.
type segment struct {
	header
	name string
	file File // nil for a collected one
	// first and last are the sequences it holds; last is 0 while it is written,
	// both are 0 while it is empty. Guarded by Log.mu.
	sealed bool
	end    int64        // of its last group
	size   atomic.Int64 // bytes that are filled: written or zero
}

func segmentName(number uint32) string { return fmt.Sprintf("seg-%08d", number) }

// Head is the sequence of the newest durable group; 0 for an empty log.
func (l *Log) Head() uint64 { return l.head.Load() }

// current is the segment that is written: the one after the last sealed one.
// The caller holds mu; the writer has cur.
func (l *Log) current() *segment {
	for i := len(l.segments) - 1; i > 0; i-- {
		if l.segments[i-1].sealed {
			return l.segments[i]
		}
	}
	return l.segments[0]
}

// Info describes one segment.
type Info struct {
	Number      uint32
	First, Last uint64 // sequences of its groups; 0: it has none
	Bytes       int64  // of groups with their headers; 0 once collected
	Sealed      bool   // complete
	Collected   bool   // a stub
}

// Segments lists the segments, oldest first.
func (l *Log) Segments() []Info {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]Info, 0, len(l.segments))
	for _, s := range l.segments {
		i := Info{Number: s.number, First: s.first, Last: s.last, Bytes: s.end, Sealed: s.sealed, Collected: s.state == stateCollected}
		if s == l.current() {
			i.Last = l.head.Load()
			if i.First > i.Last {
				i.Last = 0
			}
		}
		out = append(out, i)
	}
	return out
}

func (l *Log) find(number uint32) *segment {
	if n := int(number) - int(l.segments[0].number); n >= 0 && n < len(l.segments) {
		return l.segments[n]
	}
	return nil
}

// ErrCollected: the segment of a position is gone.
var ErrCollected = errors.New("the segment was collected")

// ReadAt fills p from pos on. It checks nothing: the caller knows what it reads.
func (l *Log) ReadAt(p []byte, pos Pos) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := l.find(pos.Segment)
	if s == nil || s.file == nil {
		return fmt.Errorf("segment %d: %w", pos.Segment, ErrCollected)
	}
	if _, err := s.file.ReadAt(p, int64(pos.Offset)); err != nil {
		return fmt.Errorf("read segment %d at %d: %w", pos.Segment, pos.Offset, err)
	}
	return nil
}

// Close stops filling and closes the files. What was appended is durable already.
func (l *Log) Close() error {
	l.fill.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	for _, s := range l.segments {
		if s.file != nil {
			err = errors.Join(err, s.file.Close())
			s.file = nil
		}
	}
	return err
}

// create makes an empty segment under its name, durably.
func (l *Log) create(number uint32) (*segment, error) {
	h := header{id: l.id, number: number, state: stateLive}
	s := &segment{header: h, name: segmentName(number), end: sector}
	tmp := s.name + tmpSuffix
	if err := l.cfg.FS.Remove(tmp); err != nil && !isMissing(err) {
		return nil, err
	}
	f, err := l.cfg.FS.Create(tmp)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(h.encode(), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.cfg.FS.Rename(tmp, s.name)
	}
	if err == nil {
		err = l.cfg.FS.SyncDir()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make %s: %w", s.name, err), f.Close())
	}
	s.file = f
	s.size.Store(sector)
	return s, nil
}

func newID() (id logID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

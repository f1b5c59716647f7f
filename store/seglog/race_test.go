package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Readers beside the writer, the filler and Collect; -race looks on.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	groups := 600
	if testing.Short() {
		groups = 300
	}
	const segmentSize = 64 << 10
	path := t.TempDir()
	l := openDir(t, path, segmentSize)
	payload := func(seq uint64) []byte { return bytes.Repeat([]byte{byte(seq), byte(seq >> 8)}, 700) }
	type appended struct {
		seq uint64
		pos Pos
	}
	var newest atomic.Pointer[appended]
	var done atomic.Bool
	var readers sync.WaitGroup
	read := func(what string, fn func() error) {
		readers.Go(func() {
			for !done.Load() {
				if err := fn(); err != nil && !errors.Is(err, ErrCollected) {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	read("ReadAt", func() error {
		p := newest.Load()
		if p == nil {
			return nil
		}
		b := make([]byte, 1400)
		if err := l.ReadAt(b, p.pos); err != nil {
			return err
		}
		if !bytes.Equal(b, payload(p.seq)) {
			return fmt.Errorf("group %d differs", p.seq)
		}
		return nil
	})
	read("Scan", func() error {
		var prev uint64
		head := l.Head()
		err := l.Scan(0, func(g Scanned) error {
			if prev != 0 && g.Sequence != prev+1 {
				return fmt.Errorf("group %d follows %d", g.Sequence, prev)
			}
			prev = g.Sequence
			if r := g.Records[0]; r.Type != typeSeal && !bytes.Equal(r.Payload, payload(g.Sequence)) {
				return fmt.Errorf("group %d differs", g.Sequence)
			}
			return nil
		})
		if err == nil && prev < head {
			return fmt.Errorf("the scan ended at %d, the head was %d", prev, head)
		}
		return err
	})
	read("Segments", func() error {
		var prev Info
		for i, s := range l.Segments() {
			if i > 0 && (s.Number != prev.Number+1 || s.First != 0 && s.First != prev.Last+1) {
				return fmt.Errorf("%+v follows %+v", s, prev)
			}
			prev = s
		}
		return nil
	})
	for range 2 {
		read("Collect", func() error {
			s := l.Segments()
			for _, i := range s[:max(0, len(s)-4)] {
				if !i.Collected {
					return l.Collect(i.Number)
				}
			}
			return nil
		})
	}
	for range groups {
		g, err := l.Begin(RecordSize(1400))
		if err != nil {
			t.Fatal(err)
		}
		at := g.Pos(g.Add(FirstType, payload(g.Sequence())))
		if err := l.Append(g); err != nil {
			t.Fatal(err)
		}
		newest.Store(&appended{g.Sequence(), at})
	}
	done.Store(true)
	readers.Wait()
	head := l.Head()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Check(Config{FS: Dir(path), SegmentSize: segmentSize}, nil, func(d *DamageError) { t.Error(d) }); err != nil {
		t.Error(err)
	}
	l = openDir(t, path, segmentSize)
	defer l.Close()
	if l.Head() != head {
		t.Errorf("the head is %d, was %d", l.Head(), head)
	}
}

// The filler keeps the writer in space that is filled, and the next segment is
// ready when its turn comes.
func TestFillsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		cfg := smallLog(d)
		cfg.MayFill = func() bool { return true }
		l, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for range 5 {
			synctest.Wait()
			if have := l.cur.size.Load(); have < crashSegment && l.cur.number == 1 {
				t.Errorf("at %d of the first segment %d bytes are filled", l.tail, have)
			}
			appendOne(t, l, make([]byte, 1400))
		}
		for range 9 {
			appendOne(t, l, make([]byte, 10))
		}
		time.Sleep(time.Second)
		if n := len(l.Segments()); n != 2 {
			t.Errorf("%d segments, want the next one made", n)
		}
	})
}

// The filler may be late: the segment it looked at is sealed, collected or even
// dropped when it gets to it.
func TestFillerIsLate(t *testing.T) {
	d := newDisk()
	l, err := Open(smallLog(d))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	appendOne(t, l, []byte("a"))
	first := l.cur
	if err := l.Collect(1); err == nil {
		t.Error("the current segment was collected")
	}
	for n := range uint32(3) {
		if err := l.Roll(); err != nil {
			t.Fatal(err)
		}
		if err := l.Collect(n + 1); err != nil {
			t.Fatal(err)
		}
		if crashed := d.image(dropAll, nil); len(crashed.names[segmentName(n+1)].data) != sector {
			t.Errorf("a crash brings segment %d back", n+1)
		}
		if n == 0 && l.fill.piece(first, crashSegment) {
			t.Error("a stub was filled")
		}
		appendOne(t, l, []byte("a"))
	}
	if _, err := l.fill.next(2); err == nil {
		t.Error("a segment was made again that was collected long ago")
	}
	if s := l.Segments(); len(s) != 2 || s[0].Number != 3 || s[1].Number != 4 || len(d.names[segmentName(3)].data) != sector {
		t.Errorf("%+v, a stub of %d bytes", s, len(d.names[segmentName(3)].data))
	}
}

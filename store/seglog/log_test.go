package seglog

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
)

var quiet = slog.New(slog.DiscardHandler)

func openDir(t testing.TB, path string, size int64) *Log {
	t.Helper()
	l, err := Open(Config{FS: Dir(path), Log: quiet, SegmentSize: size})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func appendOne(t testing.TB, l *Log, payload []byte) (seq uint64, at Pos) {
	t.Helper()
	g, err := l.Begin(RecordSize(len(payload)))
	if err != nil {
		t.Fatal(err)
	}
	at = g.Pos(g.Add(FirstType, payload))
	if err := l.Append(g); err != nil {
		t.Fatal(err)
	}
	return g.Sequence(), at
}

// What was appended is there after a restart, in order, over many segments.
func TestAppendScan(t *testing.T) {
	dir := t.TempDir()
	l := openDir(t, dir, 16<<10)
	places := map[uint64]Pos{}
	for i := range 300 {
		seq, at := appendOne(t, l, bytes.Repeat([]byte{byte(i)}, 10*i%3000))
		places[seq] = at
	}
	for range 2 {
		seen := 0
		err := l.Scan(0, func(g Scanned) error {
			r := g.Records[0]
			if r.Type == typeSeal {
				return nil
			}
			if places[g.Sequence] != r.Pos {
				return fmt.Errorf("group %d is at %v, was put at %v", g.Sequence, r.Pos, places[g.Sequence])
			}
			b := make([]byte, len(r.Payload))
			if err := l.ReadAt(b, r.Pos); err != nil || !bytes.Equal(b, r.Payload) || !bytes.Equal(b, bytes.Repeat([]byte{byte(seen)}, 10*seen%3000)) {
				return fmt.Errorf("group %d differs, %w", g.Sequence, err)
			}
			seen++
			return nil
		})
		if err != nil || seen != 300 {
			t.Fatal(seen, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openDir(t, dir, 16<<10)
	}
	defer l.Close()
	if n := len(l.Segments()); n < 20 {
		t.Errorf("%d segments: rotation wasn't tried", n)
	}
	hits := 0
	if err := Check(Config{FS: Dir(dir), SegmentSize: 16 << 10}, nil, func(d *DamageError) { hits++; t.Error(d) }); err != nil || hits > 0 {
		t.Error(err, hits)
	}
}

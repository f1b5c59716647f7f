package seglog

import (
	"fmt"
	"testing"
)

// Records of 5,400 bytes, a mail of usual size, with one sync per group.
func BenchmarkAppend(b *testing.B) {
	for _, group := range []int{1, 64} {
		for _, fill := range []bool{true, false} {
			b.Run(fmt.Sprintf("group=%d/fill=%v", group, fill), func(b *testing.B) {
				l, err := Open(Config{FS: Dir(b.TempDir()), Log: quiet, SegmentSize: 64 << 20, MayFill: func() bool { return fill }})
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				payload := make([]byte, 5400)
				payload[0] = 1
				b.SetBytes(int64(group * len(payload)))
				b.ReportAllocs()
				n := uint64(0)
				for b.Loop() {
					g, err := l.Begin(int64(group) * RecordSize(len(payload)))
					if err != nil {
						b.Fatal(err)
					}
					for range group {
						g.Add(FirstType, payload)
					}
					if err := l.Append(g); err != nil {
						b.Fatal(err)
					}
					if n++; l.Head() < n {
						b.Fatalf("head %d after %d groups", l.Head(), n)
					}
				}
				b.ReportMetric(float64(n*uint64(group))/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}

// Readers don't wait for each other.
func BenchmarkReadAt(b *testing.B) {
	l := openDir(b, b.TempDir(), 64<<20)
	defer l.Close()
	payload := make([]byte, 5400)
	payload[5399] = 1
	var at []Pos
	for range 64 {
		_, p := appendOne(b, l, payload)
		at = append(at, p)
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p := make([]byte, len(payload))
		for i := 0; pb.Next(); i++ {
			if err := l.ReadAt(p, at[i%len(at)]); err != nil || p[5399] != 1 {
				b.Error(err)
				return
			}
		}
	})
}

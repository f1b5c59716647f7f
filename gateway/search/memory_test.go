package search_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// What a segment says that it takes in memory it does take at most, whether it is of one
// message or of many: a cache of them is held to its bound by that.
func TestSegmentMemory(t *testing.T) {
	for _, tt := range []struct{ segments, messages int }{{400, 1}, {100, 20}, {4, 1000}} {
		var raws [][]byte
		for i := range tt.segments {
			b := search.NewBuilder(1)
			for n := range tt.messages {
				b.Begin(gateway.MessageNumber(n + 1))
				b.Add(search.Subject, fmt.Sprint("letter ", i))
				b.Add(search.Body, strings.Repeat(fmt.Sprint("word", n, " "), 5))
				b.Look(search.Text)
			}
			raws = append(raws, b.Segment(gateway.MessageNumber(tt.messages)))
		}
		open, said := make([]*search.Segment, len(raws)), int64(0)
		before := heap()
		for i, raw := range raws {
			s, err := search.Open(bytes.NewReader(raw), int64(len(raw)))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Find(bytes.NewReader(raw), search.Query{Text: "some words", Fields: search.Text}); err != nil {
				t.Fatal(err)
			}
			open[i] = s
			said += s.Memory()
		}
		if took := heap() - before; took > said {
			t.Errorf("%d segments of %d messages take %d bytes, and say %d", tt.segments, tt.messages, took, said)
		}
		runtime.KeepAlive(open)
		runtime.KeepAlive(raws)
	}
}

// heap is how much memory is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Of a query of very many words the longest are looked for, and what has them all is found.
func TestQueryOfManyWords(t *testing.T) {
	text := strings.Repeat("a 漢字 b1 ", 5000) + "needle"
	b := search.NewBuilder(1)
	for n, said := range []string{text, "a 漢字 b1 needle", "a b1", text + "s"} {
		b.Begin(gateway.MessageNumber(n + 1))
		b.Add(search.Body, said)
	}
	raw := b.Segment(4)
	s, err := search.Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	sure, maybe, err := s.Find(bytes.NewReader(raw), search.Query{Text: text, Fields: search.Body})
	if got := fmt.Sprint(sure, maybe, err); got != "[] [1 2 4] <nil>" {
		t.Errorf("found %s", got)
	}
}

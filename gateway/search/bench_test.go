package search_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// writer makes texts as people write them: few words often, most hardly ever, and in each
// text some that stand nowhere else.
type writer struct {
	r    *rand.Rand
	zipf *rand.Zipf
}

func newWriter(seed uint64) *writer {
	r := rand.New(rand.NewPCG(seed, 9))
	return &writer{r, rand.NewZipf(r, 1.07, 8, 60_000)}
}

// letter is a body of about size bytes.
func (w *writer) letter(n, size int) string {
	var b strings.Builder
	for b.Len() < size {
		k := w.zipf.Uint64()
		fmt.Fprintf(&b, "%s%s ", syllables[k%17], syllables[k/17%19])
		if k > 400 {
			fmt.Fprintf(&b, "%s%d ", syllables[k%23], k)
		}
	}
	fmt.Fprintf(&b, "ticket%dx%x\n", n, w.r.Uint64())
	return b.String()
}

var syllables = strings.Fields("the of and to in for is on that by with you it not or be are from at as your all have new more was we will home can us about if")

// build makes segments of n letters of 4 KiB, and returns the bytes of their texts.
func build(tb testing.TB, n, each int) (all [][]byte, text int) {
	tb.Helper()
	w := newWriter(1)
	for first := 1; first <= n; first += each {
		b := search.NewBuilder(gateway.MessageNumber(first))
		for i := first; i < first+each; i++ {
			body := w.letter(i, 4<<10)
			text += len(body)
			b.Begin(gateway.MessageNumber(i))
			b.Add(search.Subject, body[:40])
			b.Add(search.From, fmt.Sprintf("Ann Example <ann%d@sample.example>", i%500))
			b.Add(search.Body, body)
		}
		all = append(all, b.Segment(gateway.MessageNumber(first+each-1)))
	}
	return all, text
}

func BenchmarkBuild(b *testing.B) {
	const n = 1000
	w := newWriter(1)
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = w.letter(i, 4<<10)
	}
	for b.Loop() {
		s := search.NewBuilder(1)
		for i, body := range bodies {
			s.Begin(gateway.MessageNumber(i + 1))
			s.Add(search.Body, body)
		}
		if raw := s.Segment(n); len(raw) < n {
			b.Fatal("nothing was built")
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkMerge(b *testing.B) {
	parts, text := build(b, 8000, 1000)
	var raw []byte
	for b.Loop() {
		var err error
		if raw, err = search.Merge(parts, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(8000*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(100*float64(len(raw))/float64(text), "%-of-text")
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		parts, _ := build(b, n, 1000)
		var segments []*search.Segment
		var raws [][]byte
		for len(parts) > 0 {
			k := min(len(parts), 10)
			raw, err := search.Merge(parts[:k], nil)
			if err != nil {
				b.Fatal(err)
			}
			s, err := search.Open(bytes.NewReader(raw), int64(len(raw)))
			if err != nil {
				b.Fatal(err)
			}
			segments, raws, parts = append(segments, s), append(raws, raw), parts[k:]
		}
		for _, q := range []struct{ name, text string }{{"rare", "ticket4321x"}, {"common", "the"}, {"substring", "icket43"}, {"phrase", "with your"}, {"none", "qqqzzz"}} {
			b.Run(fmt.Sprintf("%d/%s", n, q.name), func(b *testing.B) {
				found := 0
				for b.Loop() {
					found = 0
					for i, s := range segments {
						sure, maybe, err := s.Find(bytes.NewReader(raws[i]), search.Query{Text: q.text, Fields: search.Body})
						if err != nil {
							b.Fatal(err)
						}
						found += len(sure) + len(maybe)
					}
					if (found == 0) != (q.name == "none") {
						b.Fatalf("%d found", found)
					}
				}
				b.ReportMetric(float64(found), "found")
			})
		}
	}
}

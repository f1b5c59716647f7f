package mailbox_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/search"
)

// longLetter is a mail of about 4 KiB, in words of which a few are frequent.
func longLetter(r *rand.Rand, zipf *rand.Zipf, i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "From: Ann Example <ann%d@x.test>\r\nTo: box@h.test\r\nSubject: letter %d about %d\r\nMessage-ID: <%x@x.test>\r\n\r\n", i%500, i, zipf.Uint64(), r.Uint64())
	for b.Len() < 4<<10 {
		fmt.Fprintf(&b, "w%s ", vocabularyOf(zipf.Uint64()))
		if r.IntN(12) == 0 {
			b.WriteString("\r\n")
		}
	}
	fmt.Fprintf(&b, "\r\nticket%dx%x\r\n", i, r.Uint32())
	return b.String()
}

// vocabularyOf is a word for each number, the longer the rarer.
func vocabularyOf(n uint64) string {
	var b strings.Builder
	for n++; n > 0; n /= 14 {
		b.WriteString([]string{"ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "zo"}[n%14])
	}
	return b.String()
}

// Indexing reads mail from the store; asking reads what was written of it.
func BenchmarkIndex(b *testing.B) {
	const n = 4000
	h := newHouse(b, 0)
	s := newShelf(b, h, "ann", h.Store, nil)
	r := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(r, 1.1, 4, 50_000)
	text := 0
	for i := range n {
		raw := longLetter(r, zipf, i)
		text += len(raw)
		s.put(raw)
	}
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
			h.ok(h.DropSegments(b.Context(), system, s.a.Domain, s.a.ID))
			h.ok(s.mail.UpdateIndex(b.Context()))
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		all, _, err := h.Segments(b.Context(), system, s.a.Domain, s.a.ID)
		h.ok(err)
		size := int64(0)
		for i := range all {
			size += all[i].Blob.Size
		}
		b.ReportMetric(100*float64(size)/float64(text), "%-of-text")
	})
	for _, q := range []struct{ name, text string }{{"rare", "ticket3001x"}, {"common", "wce"}, {"substring", "icket300"}, {"phrase", "wce wdi"}, {"none", "qqqq"}} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				f, err := s.mail.AskIndex(b.Context(), s.scope(), s.a.Domain, s.a.ID, search.Query{Text: q.text, Fields: search.Body})
				if err != nil || f.Through != n || (len(f.Sure)+len(f.Maybe) == 0) != (q.name == "none") {
					b.Fatal(f, err)
				}
			}
		})
	}
}

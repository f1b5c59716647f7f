package mailbox_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// What searches cost in a mailbox of 10,000 and one of 100,000 mails of 4 KiB, all of
// them indexed: in IMAP's words, and in a list.
func BenchmarkSearch(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkSearch(b, n) })
	}
}

func benchmarkSearch(b *testing.B, n int) {
	h := newHouse(b, 0)
	s := newShelf(b, h, "ann", h.Store, nil)
	h.follow()
	s.mail = h.mail
	r := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(r, 1.1, 4, 50_000)
	fillShelf(s, n, func(i int) string { return longLetter(r, zipf, i) })
	h.ok(s.mail.UpdateIndex(b.Context()))
	v, err := s.mail.View(b.Context(), s.scope(), s.a, gateway.Inbox)
	h.ok(err)
	defer v.Close()
	for _, tt := range []struct {
		name string
		c    mailbox.Criteria
	}{
		{"unseen", mailbox.Criteria{Lacks: gateway.Seen}},
		{"keyword", mailbox.Criteria{LacksLabels: []string{"work"}}},
		{"since", mailbox.Criteria{Since: s.day}},
		{"sentsince", mailbox.Criteria{Not: []mailbox.Criteria{{SentSince: s.day}}}},
		{"from", mailbox.Criteria{Headers: []mailbox.HeaderText{{Name: "From", Text: "ann7@"}}}},
		{"subject", mailbox.Criteria{Headers: []mailbox.HeaderText{{Name: "Subject", Text: "about 7"}}}},
		{"subject-word", mailbox.Criteria{Headers: []mailbox.HeaderText{{Name: "Subject", Text: "letter"}}}},
		{"body-word", mailbox.Criteria{Bodies: []string{"wce"}}},
		{"body-rare", mailbox.Criteria{Bodies: []string{"ticket3001x"}}},
		{"body-phrase", mailbox.Criteria{Bodies: []string{"wce wdi wfo"}}},
		{"text", mailbox.Criteria{Texts: []string{"cevice"}}},
	} {
		b.Run("imap-"+tt.name, func(b *testing.B) {
			found := 0
			for b.Loop() {
				list, err := v.Search(b.Context(), &tt.c)
				if err != nil || len(list) == 0 {
					b.Fatal(len(list), err)
				}
				found = len(list)
			}
			b.ReportMetric(float64(found), "found")
		})
	}
	for _, q := range []string{"wce", "ticket3001x", "letter ann7@x.test", `"wce wdi wfo"`} {
		for _, list := range []struct {
			name string
			ask  func(mailbox.Query) (int, error)
		}{
			{"list", func(ask mailbox.Query) (int, error) {
				p, err := s.mail.List(b.Context(), s.scope(), ask)
				return int(p.Total), err
			}},
			{"threads", func(ask mailbox.Query) (int, error) {
				p, err := s.mail.Conversations(b.Context(), s.scope(), ask)
				return len(p.Items), err
			}},
		} {
			b.Run(list.name+"-"+q, func(b *testing.B) {
				found := 0
				for b.Loop() {
					var err error
					if found, err = list.ask(mailbox.Query{Limit: 20, Filter: &mailbox.Filter{Words: q}}); err != nil || found == 0 {
						b.Fatal(found, err)
					}
				}
				b.ReportMetric(float64(found), "found")
			})
		}
	}
}

// fillShelf puts n letters on a shelf, many at once.
func fillShelf(s *shelf, n int, letter func(i int) string) {
	letters := make(chan string)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for raw := range letters {
				s.put(raw)
			}
		})
	}
	for i := range n {
		letters <- "Date: " + s.day.Add(-time.Duration(i)*time.Minute).Format(time.RFC1123Z) + "\r\n" + letter(i)
	}
	close(letters)
	all.Wait()
}

// The worst for an index: mail of a few words, of which each has nearly all, in texts and
// markup. What the index leaves open is looked at.
func BenchmarkSearchFewWords(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if n > 10_000 && testing.Short() {
				b.Skip("it takes a minute to fill")
			}
			h := newHouse(b, 0)
			s := newShelf(b, h, "ann", h.Store, nil)
			h.follow()
			s.mail = h.mail
			r := rand.New(rand.NewPCG(1, 1))
			fillShelf(s, n, func(i int) string { return letterOfFewWords(r, i) })
			h.ok(s.mail.UpdateIndex(b.Context()))
			v, err := s.mail.View(b.Context(), s.scope(), s.a, gateway.Inbox)
			h.ok(err)
			defer v.Close()
			for _, tt := range []struct {
				name string
				c    mailbox.Criteria
			}{
				{"three", mailbox.Criteria{Bodies: []string{"shipping deploy deadline"}}},
				{"two", mailbox.Criteria{Bodies: []string{"shipping deploy"}}},
				{"text", mailbox.Criteria{Texts: []string{"shipping deploy"}}},
				{"subject", mailbox.Criteria{Headers: []mailbox.HeaderText{{Name: "Subject", Text: "deploy deadline"}}}},
			} {
				b.Run(tt.name, func(b *testing.B) {
					found := 0
					for b.Loop() {
						list, err := v.Search(b.Context(), &tt.c)
						if err != nil || len(list) == 0 {
							b.Fatal(len(list), err)
						}
						found = len(list)
					}
					b.ReportMetric(float64(found), "found")
				})
			}
		})
	}
}

// fewWords are all that letterOfFewWords has.
var fewWords = strings.Fields("invoice meeting report project update agent reply please review the a of for with tomorrow attached " +
	"customer order shipping question about our plan and thanks regards deadline budget quarter release server deploy")

// letterOfFewWords is a mail of about 4.5 KB.
func letterOfFewWords(r *rand.Rand, i int) string {
	words := func(n int, line string) string {
		var b strings.Builder
		for b.Len() < n {
			b.WriteString(line)
			for range 8 + r.IntN(8) {
				b.WriteString(fewWords[r.IntN(len(fewWords))] + " ")
			}
			b.WriteString("\r\n")
		}
		return b.String()
	}
	return fmt.Sprintf("From: Ann Example <ann%d@x.test>\r\nTo: box@h.test\r\nSubject: %s %s number %d\r\nMessage-ID: <%x@x.test>\r\n", i%500, fewWords[r.IntN(32)], fewWords[r.IntN(32)], i, r.Uint64()) +
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + words(1200, "") +
		"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n" + words(2600, "<p>") + "</body></html>\r\n--b--\r\n"
}

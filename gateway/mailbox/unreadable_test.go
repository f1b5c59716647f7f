package mailbox_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/search"
)

// deliver puts a letter into the shelf as mail that came, with what stands before its bytes.
func (s *shelf) deliver(prefix, raw string) {
	s.Helper()
	scope := gateway.NewScope(gateway.LevelDomain, s.a.Domain, 0, gateway.ID{})
	w, err := s.CreateBlob(context.Background(), scope, s.a.Domain, int64(len(raw)))
	s.ok(err)
	defer w.Close()
	_, err = io.WriteString(w, raw)
	s.ok(err)
	blob, err := w.Seal()
	s.ok(err)
	c, err := content.Scan(strings.NewReader(raw), gateway.DefaultLimits())
	s.ok(err)
	s.ok(s.Deliver(context.Background(), scope, &gateway.Filing{
		Message: &gateway.Message{Arrived: s.day, Blob: blob, Content: *c},
		Copies:  []gateway.Copy{{Account: s.a.ID, ID: newID(), Folder: gateway.Inbox, Prefix: []byte(prefix)}},
	}))
}

// A header that is over a limit, because of what was put before it or because the limit has
// become another one since, fails no search: what can be read of the mail is found.
func TestSearchOfLongHeaders(t *testing.T) {
	h := newHouse(t, 0)
	h.account("ann")
	header := "From: Bob <bob@b.example>\r\nSubject: Budget\r\nDate: Mon, 2 Mar 2026 23:30:00 -0500\r\nX-Mark: blue\r\n"
	sent := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		fields int64
		header bool // it can be read
	}{
		{"with its prefix over the limit", 4, true},
		{"over the limit by itself", 3, false},
	} {
		s := newShelf(t, h, strings.Fields(tt.name)[0], h.Store, func(l *gateway.Limits) { l.HeaderFields = tt.fields })
		for range 6 { // more than are looked at without the index
			s.deliver("Received: from there\r\nX-Trace: gray\r\n", header+"\r\nthe quarterly figures\r\n")
		}
		for _, known := range []string{"unknown", "indexed"} {
			for _, ask := range []struct {
				name    string
				c       mailbox.Criteria
				matches bool
			}{
				{"a body", mailbox.Criteria{Bodies: []string{"quarterly"}}, true},
				{"a text", mailbox.Criteria{Texts: []string{"Figures"}}, true},
				{"a text of the subject", mailbox.Criteria{Texts: []string{"budget"}}, true},
				{"a text of the prefix", mailbox.Criteria{Texts: []string{"x-trace: gray"}}, true},
				{"a text of the header", mailbox.Criteria{Texts: []string{"x-mark: blue"}}, tt.header},
				{"not a text", mailbox.Criteria{Not: []mailbox.Criteria{{Texts: []string{"nowhere"}}}}, true},
				{"a field", mailbox.Criteria{Headers: []mailbox.HeaderText{{Name: "X-Mark", Text: "blue"}}}, tt.header},
				{"the day of its zone", mailbox.Criteria{SentSince: sent, SentBefore: sent.AddDate(0, 0, 1)}, tt.header},
			} {
				if got := s.search(&ask.c); len(got) != 6 && ask.matches || len(got) != 0 && !ask.matches {
					t.Errorf("%s, %s, %s: %v", tt.name, known, ask.name, got)
				}
			}
			for q, want := range map[string]bool{"figures": true, "budget": true, "bob@b": tt.header} {
				p, err := s.mail.List(t.Context(), s.scope(), mailbox.Query{Limit: 10, Filter: &mailbox.Filter{Words: q}})
				if err != nil || want != (len(p.Items) == 6) {
					t.Errorf("%s, %s, q=%s: %d, %v", tt.name, known, q, len(p.Items), err)
				}
			}
			s.ok(s.mail.UpdateIndex(t.Context()))
		}
	}
}

// search is what a search of the inbox finds, by number.
func (s *shelf) search(c *mailbox.Criteria) []int {
	s.Helper()
	v, err := s.mail.View(context.Background(), s.scope(), s.a, gateway.Inbox)
	s.ok(err)
	defer v.Close()
	found, err := v.Search(context.Background(), c)
	s.ok(err)
	return slices.Clip(found)
}

// vanishing is a store in which the body of one message goes while it is read.
type vanishing struct {
	mailbox.Store
	gone uint64 // its blob
	err  error
}

func (v *vanishing) OpenBlob(ctx context.Context, s gateway.Scope, b gateway.Blob, off, n int64) (io.ReadCloser, error) {
	if b.ID == v.gone {
		return nil, v.err
	}
	return v.Store.OpenBlob(ctx, s, b, off, n)
}

// A message that is deleted while a search looks at it fails neither the search nor the
// list: it is no hit, and has no snippet.
func TestDeletedWhileSearched(t *testing.T) {
	h := newHouse(t, 0)
	v := &vanishing{Store: h.Store, err: gateway.Errorf(gateway.NotFound, "no such message")}
	s := newShelf(t, h, "ann", v, nil)
	long := strings.Repeat("and so on\r\n", 4000) // it is not read with its record
	for i := range 7 {
		text := "figures\r\n"
		if i == 2 {
			text = long + text
		}
		s.put("Subject: Budget\r\nDate: Mon, 2 Mar 2026 23:30:00 -0500\r\n\r\n" + text)
	}
	at, err := h.Messages(t.Context(), system, s.a.Domain, s.a.ID, []gateway.MessageNumber{3}, false)
	s.ok(err)
	v.gone = at[0].Blob.ID
	sent := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]mailbox.Criteria{
		"a body":     {Bodies: []string{"figures"}},
		"not a body": {Not: []mailbox.Criteria{{Bodies: []string{"nowhere"}}}},
		"a day":      {SentSince: sent, SentBefore: sent.AddDate(0, 0, 1)},
	} {
		if got, want := s.search(&c), []int{0, 1, 3, 4, 5, 6}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, tt := range []struct {
		name            string
		known           int // how many messages the index is sure of
		err             error
		items, snippets int
	}{{"looked at", 0, v.err, 6, 6}, {"known", 7, v.err, 7, 6}, {"damaged", 7, gateway.ErrDamaged, 7, 6}} {
		s.mail.SetIndex(sureOf(tt.known))
		v.err = tt.err
		p, err := s.mail.List(t.Context(), s.scope(), mailbox.Query{Limit: 10, Filter: &mailbox.Filter{Words: "figures"}})
		snippets := 0
		for _, it := range p.Items {
			if it.Snippet != nil {
				snippets++
			}
		}
		if err != nil || len(p.Items) != tt.items || snippets != tt.snippets {
			t.Errorf("%s: %d with %d snippets, %v, want %d with %d", tt.name, len(p.Items), snippets, err, tt.items, tt.snippets)
		}
	}
}

// sureOf is an index that is sure of the first messages, whatever it is asked.
func sureOf(n int) mailbox.Index {
	return func(context.Context, gateway.Scope, gateway.DomainID, gateway.AccountID, search.Query) (f search.Found, _ error) {
		for f.Through < gateway.MessageNumber(n) {
			f.Through++
			f.Sure = append(f.Sure, f.Through)
		}
		return f, nil
	}
}

// A text is searched to its end however long it is, also where it is read in pieces: what
// stands where two of them meet is found.
func TestSearchOfLongTexts(t *testing.T) {
	h := newHouse(t, 0)
	s := newShelf(t, h, "ann", h.Store, nil)
	var text strings.Builder
	for i := 0; text.Len() < 11<<20; i++ {
		fmt.Fprintf(&text, "Grüße Nummer %d und so weiter\r\n", i)
	}
	text.WriteString("die Nadel & das Öhr")
	for _, kind := range []string{"plain", "html"} {
		s.put("Subject: long\r\nContent-Type: text/" + kind + "; charset=utf-8\r\n\r\n" + text.String())
	}
	s.put("Subject: short\r\n\r\nnothing")
	long := text.String()[5<<20:][:40<<10] // as long as IMAP lets one ask
	long = strings.ReplaceAll(long[strings.IndexByte(long, '\n')+1:], "\r\n", "\n")
	for name, want := range map[string][]int{
		"nadel": {0, 1}, "das öhr": {0, 1}, "Nummer 300000": {0, 1}, "nummer 99999999": {}, strings.ToValidUTF8(long, ""): {0, 1},
	} {
		if got := s.search(&mailbox.Criteria{Bodies: []string{name}}); !slices.Equal(got, want) {
			t.Errorf("%.20q: %v, want %v", name, got, want)
		}
	}
	p, err := s.mail.List(t.Context(), s.scope(), mailbox.Query{Limit: 10, Filter: &mailbox.Filter{Words: `"nadel & das"`}})
	if err != nil || len(p.Items) != 2 {
		t.Errorf("of a list: %d, %v", len(p.Items), err)
	}
}

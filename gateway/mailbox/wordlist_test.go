package mailbox_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// says judges q as people read it: each word, or the words of a phrase with any space
// between them, somewhere in subject, addresses or texts.
func (l *letter) says(q string) bool {
	places := slices.Clone(l.texts)
	for _, f := range l.fields {
		if slices.Contains([]string{"From", "To", "Cc", "Subject"}, f[0]) {
			places = append(places, f[1])
		}
	}
	for i, piece := range strings.Split(q, `"`) {
		parts := strings.Fields(piece)
		if i%2 == 1 {
			parts = []string{strings.Join(parts, " ")}
		}
		for _, part := range parts {
			if !slices.ContainsFunc(places, func(p string) bool { return holds(strings.Join(strings.Fields(p), " "), part) }) {
				return false
			}
		}
	}
	return true
}

// Lists and conversations with q are what each email by itself says, whatever the index
// knows, on every page and from every cursor.
func TestWordsEqualNaive(t *testing.T) {
	h, v, all, _ := library(t, 60)
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := all[b].arrived.Compare(all[a].arrived); c != 0 {
			return c
		}
		return b - a
	})
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 11))
		h.mail.SetIndex(partIndex(r, all, []int{0, r.IntN(len(all)), len(all)}[seed%3]))
		q := strings.TrimSpace(phrase(r, 1)[:1] + " " + pickOne(r, []string{"", phrase(r, 1), `"` + phrase(r, 2) + `"`, "ann@"}))
		if !strings.ContainsAny(q[:1], "abcdefghijklmnopqrstuvwxyzIV") {
			q = phrase(r, 1)
		}
		f := &mailbox.Filter{Words: q}
		if r.IntN(3) == 0 {
			f.Read = new(bool)
		}
		var want []uint32
		threads := make(map[gateway.ID]bool)
		for _, i := range order {
			if l := all[i]; l.says(q) && (f.Read == nil || !l.flags.Has(gateway.Seen)) {
				want = append(want, v.Entry(i).UID)
				threads[l.thread] = true
			}
		}
		ask := mailbox.Query{Email: "ann@h.test", Limit: 1 + r.IntN(70), Filter: f}
		from := 0
		if r.IntN(2) == 0 {
			at := r.IntN(len(order))
			ref := &mailbox.Ref{UID: v.Entry(order[at]).UID}
			ask.After = ref
			for _, i := range order[:at+1] {
				if slices.Contains(want, v.Entry(i).UID) {
					from++
				}
			}
		}
		p, err := h.mail.List(t.Context(), ownScope(h), ask)
		var got []uint32
		for _, it := range p.Items {
			got = append(got, it.Entry.UID)
			if it.Snippet == nil {
				t.Errorf("%q: no snippet", q)
			}
		}
		rest := want[from:]
		if err != nil || p.Total != int64(len(want)) || p.HasMore != (len(rest) > ask.Limit) || !slices.Equal(got, rest[:min(len(rest), ask.Limit)]) {
			t.Fatalf("seed %d, %q: %v of %d, more %v, %v, want %v", seed, q, got, p.Total, p.HasMore, err, rest)
		}
		if f.Read != nil {
			continue
		}
		ask.After, ask.Limit = nil, 70
		sums, err := h.mail.Conversations(t.Context(), ownScope(h), ask)
		if err != nil || len(sums.Items) != len(threads) || slices.ContainsFunc(sums.Items, func(s mailbox.Summary) bool { return !threads[s.Thread.ID] }) {
			t.Fatalf("seed %d, %q: %d conversations, %v, want %d", seed, q, len(sums.Items), err, len(threads))
		}
	}
}

func ownScope(h *house) gateway.Scope {
	a, err := h.Account(h.Context(), system, h.domain.ID, "ann@h.test")
	h.ok(err)
	return gateway.NewScope(gateway.LevelAccount, a.Domain, a.ID, gateway.ID{})
}

// A search of a list that is out of time says so, even where the index knows all.
func TestWordsTime(t *testing.T) {
	limits := gateway.DefaultLimits()
	limits.SearchSeconds = 0
	h, _, all, _ := libraryWithin(t, 10, limits)
	for _, through := range []int{0, len(all)} {
		want := mailbox.ErrSearchTime
		h.mail.SetIndex(knowing(all, through))
		ask := mailbox.Query{Limit: 10, Filter: &mailbox.Filter{Words: "invoice"}}
		if _, err := h.mail.List(t.Context(), ownScope(h), ask); fmt.Sprint(err) != fmt.Sprint(want) {
			t.Errorf("the list, with %d known: %v, want %v", through, err, want)
		}
		if _, err := h.mail.Conversations(t.Context(), ownScope(h), ask); fmt.Sprint(err) != fmt.Sprint(want) {
			t.Errorf("conversations, with %d known: %v, want %v", through, err, want)
		}
	}
}

// What markup spells is found as people read it, before the index knows of it and then.
func TestWordsInMarkup(t *testing.T) {
	h := newHouse(t, 0)
	s := newShelf(t, h, "ann", h.Store, nil)
	s.put("Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Viele Gr&uuml;&szlig;e</p><p>Fish &amp; Chips</p>")
	for i := range 9 {
		s.put(fmt.Sprintf("Subject: other %d\r\n\r\nnothing", i))
	}
	for _, known := range []string{"unknown", "indexed"} {
		for _, q := range []string{"grüße", "Fish", `"fish & chips"`, "&amp;", "uuml"} {
			p, err := s.mail.List(t.Context(), s.scope(), mailbox.Query{Limit: 10, Filter: &mailbox.Filter{Words: q}})
			if err != nil || len(p.Items) != 1 || p.Items[0].Message.Content.Subject != "x" {
				t.Errorf("%s, %s: %d, %v", known, q, len(p.Items), err)
			}
		}
		s.ok(s.mail.UpdateIndex(t.Context()))
	}
}

// What is attached is found by what it is called, and an attached message by its header, as
// it stands in the body of the other: before the index knows of it and then.
func TestWordsOfAttachments(t *testing.T) {
	h := newHouse(t, 0)
	s := newShelf(t, h, "ann", h.Store, nil)
	s.put("Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n" +
		"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe%202026.pdf\r\n\r\n%PDF\r\n" +
		"--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: Zoe <zoe@z.example>\r\nSubject: =?utf-8?q?Gef=C3=A4llt?= mir\r\n\r\nwithin\r\n--b--\r\n")
	for i := range 9 {
		s.put(fmt.Sprintf("Subject: other %d\r\n\r\nnothing", i))
	}
	for _, known := range []string{"unknown", "indexed"} {
		for _, q := range []string{"grüße", `"Grüße 2026.pdf"`, "gefällt", "zoe@z", "within", `"subject: gefällt mir"`} {
			p, err := s.mail.List(t.Context(), s.scope(), mailbox.Query{Limit: 10, Filter: &mailbox.Filter{Words: q}})
			if err != nil || len(p.Items) != 1 || p.Items[0].Message.Content.Subject != "x" {
				t.Errorf("%s, %s: %d, %v", known, q, len(p.Items), err)
			}
			text := strings.Trim(q, `"`)
			for name, c := range map[string]mailbox.Criteria{"BODY": {Bodies: []string{text}}, "TEXT": {Texts: []string{text}}} {
				if got := s.search(&c); !slices.Equal(got, []int{0}) {
					t.Errorf("%s, %s %s: %v", known, name, text, got)
				}
			}
		}
		if got := s.search(&mailbox.Criteria{Headers: []mailbox.HeaderText{{Name: "From", Text: "zoe"}}}); len(got) != 0 {
			t.Errorf("%s: its sender is another: %v", known, got)
		}
		s.ok(s.mail.UpdateIndex(t.Context()))
	}
}

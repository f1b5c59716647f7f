package mailbox_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// A segment that is damaged is noticed, whoever reads it: nothing is left out, and the
// index is made again.
func TestDamagedIndex(t *testing.T) {
	for name, bytes := range map[string]func(string) string{
		"rubbish":  func(string) string { return "rubbish" },
		"cut":      func(s string) string { return s[:len(s)-1] },
		"flipped":  func(s string) string { return s[:len(s)-30] + string(s[len(s)-30]^1) + s[len(s)-29:] },
		"another":  func(string) string { return string(search.NewBuilder(5).Segment(9)) },
		"nothing":  func(string) string { return "" },
		"its head": func(s string) string { return s[:20] + "\xff" + s[21:] },
	} {
		for _, reader := range []string{"search", "merge"} {
			t.Run(name+"/"+reader, func(t *testing.T) {
				h := newHouse(t, 0)
				s := newShelf(t, h, "ann", h.Store, func(l *gateway.Limits) { l.IndexBatch = 1 })
				for i := range 7 {
					s.put(fmt.Sprintf("From: a@x.test\r\nSubject: number %d\r\n\r\nbody\r\n", i))
				}
				h.ok(s.mail.UpdateIndex(t.Context()))
				h.damage(s.a, 2, bytes)
				s.mail = h.reader(h.Store, func(l *gateway.Limits) { l.IndexBatch = 1 })
				if reader == "search" {
					f, err := s.mail.AskIndex(t.Context(), s.scope(), s.a.Domain, s.a.ID, search.Query{Text: "number", Fields: search.Text})
					if err != nil || f.Through != 0 || f.Sure != nil {
						t.Errorf("asked: %v, %v", f, err)
					}
				} else {
					s.put("Subject: number 7\r\n\r\nbody\r\n")
				}
				h.ok(s.mail.UpdateIndex(t.Context()))
				if got := s.ask(search.Query{Text: "number 1", Fields: search.Subject}); got != "[] [2]" {
					t.Errorf("made again: %s", got)
				}
				if !strings.Contains(h.log.String(), "a search index is damaged") {
					t.Error("the log says nothing")
				}
				h.fits()
			})
		}
	}
}

// damage puts other bytes into the place of a segment.
func (h *house) damage(a *gateway.Account, i int, change func(string) string) {
	h.Helper()
	all, _, err := h.Segments(context.Background(), system, a.Domain, a.ID)
	h.ok(err)
	r, err := h.OpenBlob(context.Background(), system, all[i].Blob, 0, -1)
	h.ok(err)
	raw, err := io.ReadAll(r)
	h.ok(err)
	h.ok(r.Close())
	w, err := h.CreateBlob(context.Background(), system, a.Domain, 0)
	h.ok(err)
	defer w.Close()
	_, err = io.WriteString(w, change(string(raw)))
	h.ok(err)
	bad := all[i]
	bad.Blob, err = w.Seal()
	h.ok(err)
	h.ok(h.MergeSegments(context.Background(), system, a.Domain, a.ID, all[i:i+1], &bad))
}

func (h *house) fits() {
	h.Helper()
	_, err := h.Check(context.Background(), system, func(what string) { h.Error(what) })
	h.ok(err)
}

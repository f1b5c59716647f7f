package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
)

// arrives files a message that was checked, and returns its id.
func (w *world) arrives(a *gateway.Account, msgid string) gateway.ID {
	w.Helper()
	ref, done := w.blob(a.Domain, "body of "+msgid)
	defer done()
	c, id := content(msgid, "subject", w.clock), newID()
	w.ok(w.Deliver(w.ctx(), inside(a.Domain), &gateway.Filing{
		Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c, Auth: gateway.AuthResults{SPF: gateway.AuthResult{Result: "none"}}},
		Facts:   threading.Facts(&c, w.clock), Copies: []gateway.Copy{{Account: a.ID, ID: id, Folder: gateway.Inbox}},
	}))
	return id
}

// The newest mail of an account, or of a domain, comes page by page; what is a draft, or
// was put there by a mail program, is left out, and so is everything of others.
func TestRecentMessages(t *testing.T) {
	w := newWorld(t)
	names := make(map[gateway.ID]string)
	for i := range 5 {
		names[w.arrives(w.ann, fmt.Sprintf("<a%d@x.test>", i))] = fmt.Sprint("a", i)
		names[w.arrives(w.eve, fmt.Sprintf("<e%d@x.test>", i))] = fmt.Sprint("e", i)
		w.arrives(w.spy, fmt.Sprintf("<s%d@x.test>", i))
		id, err := w.accept(inside(w.ours.ID), w.ann.Email, "x@y.test")
		w.ok(err)
		names[id] = fmt.Sprint("sent", i)
		w.clock = w.clock.Add(time.Second)
	}
	w.deliver(w.ann, "<unchecked@x.test>")
	draft, done := w.acceptance(inside(w.ours.ID), w.ann.Email)
	defer done()
	draft.Draft = true
	_, err := w.Accept(w.ctx(), inside(w.ours.ID), draft)
	w.ok(err)
	for _, tt := range []struct {
		name string
		sc   gateway.Scope
		a    gateway.AccountID
		sent bool
		want string
	}{
		{"account", of(w.ann), w.ann.ID, false, "a4 a3 a2 a1 a0"},
		{"account by the domain", inside(w.ours.ID), w.eve.ID, false, "e4 e3 e2 e1 e0"},
		{"domain", inside(w.ours.ID), 0, false, "e4 a4 e3 a3 e2 a2 e1 a1 e0 a0"},
		{"sent", inside(w.ours.ID), 0, true, "sent4 sent3 sent2 sent1 sent0"},
		{"nothing sent", of(w.eve), w.eve.ID, true, ""},
	} {
		for _, page := range []int{1, 2, 5, 100} {
			var got []string
			var at []byte
			for more := true; more; more = at != nil {
				all, next, err := w.RecentMessages(w.ctx(), tt.sc, tt.a, tt.sent, false, at, page)
				w.ok(err)
				if len(all) > page {
					t.Errorf("%s: %d messages on a page of %d", tt.name, len(all), page)
				}
				for _, m := range all {
					got = append(got, names[m.ID])
					if len(m.Content.Parts) != 1 {
						t.Errorf("%s: without its structure", names[m.ID])
					}
				}
				at = next
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("%s by %d: %s, want %s", tt.name, page, g, tt.want)
			}
			var back []string
			for more := true; more; more = at != nil {
				all, next, err := w.RecentMessages(w.ctx(), tt.sc, tt.a, tt.sent, true, at, page)
				w.ok(err)
				for _, m := range all {
					back = append(back, names[m.ID])
				}
				at = next
			}
			if slices.Reverse(back); !slices.Equal(got, back) {
				t.Errorf("%s by %d: %s, and from its end %s", tt.name, page, got, back)
			}
		}
	}
	for name, sc := range map[string]gateway.Scope{"neighbour": of(w.eve), "nobody": {}, "the operator": system} {
		if err := third(w.RecentMessages(w.ctx(), sc, w.ann.ID, false, false, nil, 1)); gateway.KindOf(err) != gateway.NotFound || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, _, err := w.RecentMessages(w.ctx(), inside(w.them.ID), 0, false, false, nil, 100); err != nil || len(all) != 5 {
		t.Errorf("the other domain has %d, %v", len(all), err)
	}
	if _, _, err := w.RecentMessages(w.ctx(), of(w.ann), 0, false, false, nil, 1); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("an account asks for its domain: %v", err)
	}
}

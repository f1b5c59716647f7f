package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
)

// However long conversations are, a mail that would have them written again is stored: it
// joins as much of them as one commit can change.
func TestLongConversations(t *testing.T) {
	const long = 75 // messages of each, of 16 KiB: two of them are more than may be written again
	for _, tt := range []struct {
		name    string
		links   []string // that the mail names
		earlier bool     // it is older than all it answers
		choice  func(first, second []*gateway.Message) gateway.ThreadChoice
		want    string // messages of its own conversation, the first and the second
	}{
		{name: "one more", links: []string{"<0.0@x>"}, want: "76 76 75"},
		{name: "one before", links: []string{"<0.0@x>"}, earlier: true, want: "1 75 75"},
		{name: "of both", links: []string{"<0.0@x>", "<1.0@x>"}, want: "76 76 75"},
		{name: "merged by a plugin", choice: func(first, second []*gateway.Message) gateway.ThreadChoice {
			return gateway.ThreadChoice{Join: first[0].Thread, Merge: []gateway.ID{second[0].Thread}}
		}, want: "76 76 75"},
		{name: "split by a plugin", choice: func(first, second []*gateway.Message) gateway.ThreadChoice {
			return gateway.ThreadChoice{New: true, Take: []gateway.ID{first[0].ID, second[0].ID, second[1].ID}}
		}, want: "1 75 75"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			ref, done := w.blob(w.ours.ID, "body")
			defer done()
			file := func(msgid string, at time.Time, choice gateway.ThreadChoice, links ...string) *gateway.Message {
				c, id := content(msgid, "subject of "+msgid, at), newID()
				c.References = links
				w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), &gateway.Filing{
					Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock),
					Copies: []gateway.Copy{{
						Account: w.ann.ID, ID: id, Folder: gateway.Inbox, Thread: choice, Prefix: []byte("X: " + strings.Repeat("x", 16<<10) + "\r\n"),
					}},
				}))
				m, err := w.Message(w.ctx(), of(w.ann), id)
				w.ok(err)
				return m
			}
			var both [2][]*gateway.Message
			for i := range both {
				for n := range long {
					both[i] = append(both[i], file(fmt.Sprintf("<%d.%d@x>", i, n), w.clock.Add(time.Duration(n)*time.Second-time.Hour), gateway.ThreadChoice{}, fmt.Sprintf("<%d.0@x>", i)))
				}
			}
			var choice gateway.ThreadChoice
			if tt.choice != nil {
				choice = tt.choice(both[0], both[1])
			}
			at := w.clock
			if tt.earlier {
				at = w.clock.Add(-2 * time.Hour)
			}
			m := file("<new@x>", at, choice, tt.links...)
			got := fmt.Sprint(len(w.together(w.ann, m.Thread)), " ", len(w.together(w.ann, both[0][0].Thread)), " ", len(w.together(w.ann, both[1][0].Thread)))
			if got != tt.want {
				t.Errorf("conversations of %s, want %s", got, tt.want)
			}
			w.fits()
		})
	}
}

// Mail of a conversation that is too long to be written again can be deleted all the same.
// What comes after stands behind all others, and in its place once the conversation is short.
func TestDeletingFromLongConversations(t *testing.T) {
	const long = 170 // messages of 16 KiB: more than a commit takes
	w := newWorld(t)
	var all []*gateway.Message
	file := func(n int) *gateway.Message {
		ref, done := w.blob(w.ours.ID, "body")
		defer done()
		c, id := content(fmt.Sprintf("<%d@x>", n), fmt.Sprint("subject ", n), w.clock.Add(time.Duration(n)*time.Second)), newID()
		c.References = []string{"<0@x>"}
		w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), &gateway.Filing{
			Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock),
			Copies: []gateway.Copy{{Account: w.ann.ID, ID: id, Folder: gateway.Inbox, Prefix: []byte("X: " + strings.Repeat("x", 16<<10) + "\r\n")}},
		}))
		m, err := w.Message(w.ctx(), of(w.ann), id)
		w.ok(err)
		return m
	}
	drop := func(m *gateway.Message) {
		w.ok(w.Expunge(w.ctx(), of(w.ann), gateway.Place{Domain: m.Domain, Account: m.Account, Mailbox: m.Entries[0].Mailbox, UID: m.Entries[0].UID}))
	}
	for n := range long {
		all = append(all, file(n))
	}
	drop(all[0])
	drop(all[long-1])
	th, _, err := w.Thread(w.ctx(), of(w.ann), all[1].Thread, 0, 1)
	if err != nil || th.Count != long-2 || th.Subject != all[1].Content.Subject || !th.Newest.Equal(w.clock.Add((long-2)*time.Second)) {
		t.Errorf("without its ends: %+v, %v", th, err)
	}
	w.fits()
	if next := file(long); next.Thread != all[1].Thread || next.Position <= all[long-2].Position {
		t.Errorf("the next one is number %d of %s, behind %d of %s", next.Position, next.Thread, all[long-2].Position, all[1].Thread)
	}
	w.fits()
	for _, m := range all[20 : long-1] {
		drop(m)
	}
	if got := len(w.together(w.ann, all[1].Thread)); got != 20 { // which wants their places without a gap
		t.Errorf("%d are left, want 20", got)
	}
	w.fits()
}

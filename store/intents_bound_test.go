package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
)

// What plugins want sent because of a mail never keeps the mail itself from being stored,
// however much it is: what is too much for its commit is dropped, and the plugin's log
// says so.
func TestIntentsLeaveRoomForTheMail(t *testing.T) {
	const kiB = 1 << 10
	for _, tt := range []struct {
		name  string
		sizes []int
		want  int
	}{
		{"a long one", []int{500 * kiB}, 1},
		{"the longest text", []int{1024 * kiB}, 0},
		{"several", []int{200 * kiB, 200 * kiB, 200 * kiB, 200 * kiB}, 2},
		{"a short one behind a long one", []int{500 * kiB, 500 * kiB, kiB}, 2},
		{"of many recipients", []int{900 * kiB, 900 * kiB, 900 * kiB, 900 * kiB}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			p := w.sender("bot", nil)
			var list []gateway.Intent
			for _, n := range tt.sizes {
				list = append(list, gateway.Intent{Plugin: p.ID, Mail: gateway.Compose{Text: strings.Repeat("x", n)}})
			}
			ref, done := w.blob(w.ours.ID, "body")
			defer done()
			c := content("<1@x.test>", "subject", w.clock)
			id := newID()
			w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), &gateway.Filing{
				Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock),
				Copies: []gateway.Copy{{Account: w.ann.ID, ID: id, Folder: gateway.Inbox}}, Effects: gateway.Effects{Intents: list},
			}))
			if _, err := w.Message(w.ctx(), of(w.ann), id); err != nil {
				t.Error(err)
			}
			if n := len(w.due()); n != tt.want {
				t.Errorf("%d mails wait, want %d", n, tt.want)
			}
			if n := len(w.lines(&p)); n != len(tt.sizes)-tt.want {
				t.Errorf("%d lines about those that are dropped, want %d: %q", n, len(tt.sizes)-tt.want, w.lines(&p))
			}
			w.fits()
		})
	}
}

// Who has few tries under way comes before who has many, however long those have waited.
func TestIntentsInTurn(t *testing.T) {
	w := newWorld(t)
	busy := w.sender("bot", nil)
	for range 20 {
		w.wants(gateway.Intent{Plugin: busy.ID})
	}
	w.clock = w.clock.Add(time.Minute)
	ours := w.ours
	w.ours = w.them
	calm := w.sender("bot", nil)
	w.wants(gateway.Intent{Plugin: calm.ID}, gateway.Intent{Plugin: calm.ID})
	w.ours = ours
	room := func(d gateway.DomainID) int {
		if d == ours.ID {
			return 2
		}
		return 4
	}
	var got []gateway.DomainID
	all, err := w.LeaseIntents(w.ctx(), system, 3, room, time.Hour)
	w.ok(err)
	for _, in := range all {
		got = append(got, in.Domain)
	}
	slices.Sort(got)
	if want := []gateway.DomainID{ours.ID, w.them.ID, w.them.ID}; !slices.Equal(got, want) {
		t.Errorf("tried are those of %v, want %v", got, want)
	}
	if all, err = w.LeaseIntents(w.ctx(), system, 100, room, time.Hour); err != nil || len(all) != 2 || all[0].Domain != ours.ID {
		t.Errorf("and then %+v, %v; want two more of the other", all, err)
	}
}

// What a plugin wanted sent goes with it, though it is too much for one commit.
func TestLongIntentsErased(t *testing.T) {
	w := newWorld(t)
	gone, stays := w.sender("gone", nil), w.sender("stays", nil)
	long := gateway.Compose{Text: strings.Repeat("x", 400<<10)}
	for range 7 {
		w.wants(gateway.Intent{Plugin: gone.ID, Mail: long})
	}
	w.wants(gateway.Intent{Plugin: stays.ID, Mail: long})
	w.ok(w.DeletePlugin(w.ctx(), inside(w.ours.ID), gone.ID))
	w.fits()
	if left := w.due(); len(left) != 1 || left[0].Plugin != stays.ID {
		t.Errorf("%d are left, want the other's", len(left))
	}
}

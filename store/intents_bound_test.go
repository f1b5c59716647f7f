package store_test

import (
	"strings"
	"testing"

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

package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
)

// However many plugins label a mail that arrives, it has each label once, and no more than
// a message may have.
func TestLabelsOfAnArrival(t *testing.T) {
	w := newWorld(t)
	ref, done := w.blob(w.ours.ID, "body")
	defer done()
	var many, want []string
	for i := range 200 {
		many = append(many, fmt.Sprint("l", i), fmt.Sprint("L", i))
	}
	for i := range gateway.DefaultLimits().Labels {
		want = append(want, fmt.Sprint("l", i))
	}
	c, id := content("<1@x.test>", "subject", w.clock), newID()
	w.ok(w.Deliver(w.ctx(), inside(w.ours.ID), &gateway.Filing{
		Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock),
		Copies: []gateway.Copy{{Account: w.ann.ID, ID: id, Folder: gateway.Inbox, Labels: many}},
	}))
	m, err := w.Message(w.ctx(), of(w.ann), id)
	w.ok(err)
	if got := m.Entries[0].Labels; !slices.Equal(got, want) {
		t.Errorf("%d labels: %q", len(got), got)
	}
}

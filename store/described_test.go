package store_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// What is shown of many messages is what each has, in whatever order they are asked for,
// near together or not, twice or gone.
func TestDescribed(t *testing.T) {
	w := newWorld(t)
	_, _ = w.inboxOf(w.ann, 40)
	near := make([]gateway.MessageNumber, 0, 60)
	for n := range 50 {
		near = append(near, gateway.MessageNumber(n*7%50+1))
	}
	near = append(near, 3, 3, 40)
	for _, numbers := range [][]gateway.MessageNumber{near, {1, 1000, 2, 40}, {5}, nil} {
		all, err := w.Messages(w.ctx(), of(w.ann), w.ann.Domain, w.ann.ID, numbers, true)
		w.ok(err)
		text, bodies := make([]bool, len(numbers)), make([]bool, len(numbers))
		w.ok(w.Described(w.ctx(), of(w.ann), w.ann.Domain, w.ann.ID, numbers, func(i int, c *gateway.Content) {
			want := all[i].Content
			text[i] = c.HeaderSize == want.HeaderSize && bytes.Equal(c.Envelope, want.Envelope) &&
				bytes.Equal(c.BodyStructure, want.BodyStructure) && bytes.Equal(c.Body, want.Body)
		}))
		w.ok(w.Bodies(w.ctx(), of(w.ann), w.ann.Domain, w.ann.ID, numbers, func(i int, m *gateway.Message) {
			want := all[i]
			bodies[i] = m.ID == want.ID && m.Blob == want.Blob && m.Thread == want.Thread && m.Arrived.Equal(want.Arrived) &&
				bytes.Equal(m.Prefix, want.Prefix) && m.Number == want.Number
		}))
		there := make([]bool, len(numbers))
		for i := range all {
			there[i] = all[i] != nil
		}
		if !slices.Equal(text, there) || !slices.Equal(bodies, there) {
			t.Errorf("%v: there are %v, right were %v and %v", numbers, there, text, bodies)
		}
	}
	err := w.Described(w.ctx(), of(w.eve), w.ann.Domain, w.ann.ID, near, func(int, *gateway.Content) {})
	if gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("another account: %v", err)
	}
	err = w.Bodies(w.ctx(), of(w.eve), w.ann.Domain, w.ann.ID, near, func(int, *gateway.Message) {})
	if gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("another account: %v", err)
	}
}

package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// A conversation is read with what its messages are made of, the newest first, so many at
// most.
func TestConversation(t *testing.T) {
	w := newWorld(t)
	one := w.placed(w.ann, w.clock, gateway.ThreadChoice{})
	two := w.placed(w.ann, w.clock.Add(time.Hour), gateway.ThreadChoice{Join: one.Thread})
	three := w.placed(w.ann, w.clock.Add(2*time.Hour), gateway.ThreadChoice{Join: one.Thread})
	for most, want := range map[int][]gateway.ID{1: {three.ID}, 2: {three.ID, two.ID}, 5: {three.ID, two.ID, one.ID}} {
		th, all, err := w.Conversation(w.ctx(), of(w.ann), one.Thread, most)
		w.ok(err)
		var got []gateway.ID
		for _, m := range all {
			whole, err := w.Message(w.ctx(), of(w.ann), m.ID)
			w.ok(err)
			if got = append(got, m.ID); len(m.Content.Parts) != len(whole.Content.Parts) || m.Content.HeaderSize != whole.Content.HeaderSize {
				t.Errorf("%s is read as %+v", m.ID, m.Content)
			}
		}
		if !slices.Equal(got, want) || th.ID != one.Thread || th.Count != 3 || th.Account != w.ann.ID {
			t.Errorf("at most %d: %+v %v, want %v", most, th, got, want)
		}
	}
	for who, sc := range map[string]gateway.Scope{"a neighbour": of(w.eve), "their domain": inside(w.them.ID), "nobody": {}} {
		if _, all, err := w.Conversation(w.ctx(), sc, one.Thread, 5); gateway.KindOf(err) != gateway.NotFound || err == nil || len(all) != 0 {
			t.Errorf("%s: %v", who, err)
		}
	}
}

package store_test

import (
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// A change of thousands of entries is one change. What is known of them is believed while
// nothing in the mailbox has changed since, and not a moment longer.
func TestFlagKnown(t *testing.T) {
	w := newWorld(t)
	at, uids := w.inboxOf(w.ann, 10)
	for len(uids) < 2500 {
		moved, err := w.Copy(w.ctx(), of(w.ann), at, uids, at.Mailbox, false)
		w.ok(err)
		for _, m := range moved {
			uids = append(uids, m.To)
		}
	}
	known := func() gateway.Known {
		box, all, err := w.Entries(w.ctx(), of(w.ann), at)
		w.ok(err)
		return gateway.Known{ModSeq: box.ModSeq, Entries: all}
	}
	before := known()
	after, others, err := w.FlagKnown(w.ctx(), of(w.ann), at, before, gateway.FlagChange{Add: gateway.Seen, AddLabels: []string{"a"}}, 1<<64-1)
	w.ok(err)
	now := known()
	same := func(a, b gateway.Entry) bool {
		return a.UID == b.UID && a.ModSeq == b.ModSeq && a.Flags == b.Flags && slices.Equal(a.Labels, b.Labels) && a.Message == b.Message &&
			a.Saved.Equal(b.Saved) && a.Arrived.Equal(b.Arrived) && a.Size == b.Size
	}
	if len(others) > 0 || !slices.EqualFunc(after, now.Entries, same) || now.ModSeq != before.ModSeq+1 || after[0].ModSeq != now.ModSeq || after[len(after)-1].ModSeq != now.ModSeq {
		t.Errorf("%d entries at %d after %d, %d others", len(after), now.ModSeq, before.ModSeq, len(others))
	}

	// What was known before that is old, and one entry has gone.
	_, err = w.ExpungeAll(w.ctx(), of(w.ann), at, uids[:1], false)
	w.ok(err)
	for _, old := range []gateway.Known{before, now} {
		old.Entries = slices.Clone(old.Entries[:30])
		after, _, err = w.FlagKnown(w.ctx(), of(w.ann), at, old, gateway.FlagChange{Add: gateway.Flagged}, 1<<64-1)
		w.ok(err)
		if len(after) != 29 || after[0].UID != uids[1] || after[0].Flags != gateway.Seen|gateway.Flagged || !slices.Equal(after[0].Labels, []string{"a"}) {
			t.Errorf("changed %d: %+v", len(after), after[0])
		}
	}

	// On a condition: only what has not changed since.
	is := known()
	after, others, err = w.FlagKnown(w.ctx(), of(w.ann), at, gateway.Known{ModSeq: is.ModSeq, Entries: is.Entries[:40]}, gateway.FlagChange{Add: gateway.Draft}, now.ModSeq)
	w.ok(err)
	if len(after) != 11 || !slices.Equal(others, uids[1:30]) {
		t.Errorf("%d changed, others are %v", len(after), others)
	}
	if _, _, err := w.FlagKnown(w.ctx(), of(w.eve), at, is, gateway.FlagChange{}, 0); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("another account: %v", err)
	}
}

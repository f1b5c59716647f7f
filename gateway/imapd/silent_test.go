package imapd

import (
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

func TestForeseen(t *testing.T) {
	row := func(f gateway.Flags, labels ...string) *mailbox.Row {
		r := &mailbox.Row{Flags: f}
		if len(labels) > 0 {
			r.Keywords = &mailbox.Keywords{Names: labels}
		}
		return r
	}
	for _, tt := range []struct {
		name        string
		before, now *mailbox.Row
		change      gateway.FlagChange
		want        bool
	}{
		{"added", row(0), row(gateway.Seen), gateway.FlagChange{Add: gateway.Seen}, true},
		{"and another", row(0), row(gateway.Seen | gateway.Draft), gateway.FlagChange{Add: gateway.Seen}, false},
		{"another is gone", row(gateway.Draft), row(gateway.Seen), gateway.FlagChange{Add: gateway.Seen}, false},
		{"replaced", row(gateway.Draft, "a"), row(gateway.Seen), gateway.FlagChange{Replace: true, Add: gateway.Seen}, true},
		{"label in another case", row(0, "A"), row(0, "A"), gateway.FlagChange{AddLabels: []string{"a"}}, true},
		{"label of another", row(0), row(0, "b"), gateway.FlagChange{}, false},
		{"label gone", row(0, "b"), row(0), gateway.FlagChange{}, false},
		{"label removed", row(0, "b"), row(0), gateway.FlagChange{RemoveLabels: []string{"B"}}, true},
		{"label over the limit", row(0), row(0), gateway.FlagChange{AddLabels: []string{"c"}}, false},
	} {
		if got := foreseen(tt.before, tt.now, &tt.change); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// What a silent STORE of 10,000 messages takes beside the store, which costs next to
// nothing here.
func BenchmarkStoreSilent(b *testing.B) {
	const many = 10_000
	after := make([]gateway.Entry, 0, many)
	seq := uint64(9)
	s := newStageOver(b, &stock{messages: many, flag: func(k gateway.Known, c gateway.FlagChange) ([]gateway.Entry, []uint32, error) {
		after = append(after[:0], k.Entries...)
		seq++
		for i := range after {
			after[i].Flags = after[i].Flags&^c.Remove | c.Add
			after[i].ModSeq = seq
		}
		return after, nil, nil
	}}, nil)
	defer s.stop()
	c := s.user(b, "imaps")
	defer c.Close()
	c.until("s SELECT INBOX", "s OK")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.ask("b STORE 1:* "+string("+-"[i%2])+"FLAGS.SILENT (\\Flagged)", "b OK")
	}
}

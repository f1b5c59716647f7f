package imapd

import (
	"testing"

	"github.com/centerleap/postern/gateway"
)

func TestForeseen(t *testing.T) {
	for _, tt := range []struct {
		name        string
		before, now gateway.Entry
		change      gateway.FlagChange
		want        bool
	}{
		{"added", gateway.Entry{}, gateway.Entry{Flags: gateway.Seen}, gateway.FlagChange{Add: gateway.Seen}, true},
		{"and another", gateway.Entry{}, gateway.Entry{Flags: gateway.Seen | gateway.Draft}, gateway.FlagChange{Add: gateway.Seen}, false},
		{"another is gone", gateway.Entry{Flags: gateway.Draft}, gateway.Entry{Flags: gateway.Seen}, gateway.FlagChange{Add: gateway.Seen}, false},
		{"replaced", gateway.Entry{Flags: gateway.Draft, Labels: []string{"a"}}, gateway.Entry{Flags: gateway.Seen}, gateway.FlagChange{Replace: true, Add: gateway.Seen}, true},
		{"label in another case", gateway.Entry{Labels: []string{"A"}}, gateway.Entry{Labels: []string{"A"}}, gateway.FlagChange{AddLabels: []string{"a"}}, true},
		{"label of another", gateway.Entry{}, gateway.Entry{Labels: []string{"b"}}, gateway.FlagChange{}, false},
		{"label gone", gateway.Entry{Labels: []string{"b"}}, gateway.Entry{}, gateway.FlagChange{}, false},
		{"label removed", gateway.Entry{Labels: []string{"b"}}, gateway.Entry{}, gateway.FlagChange{RemoveLabels: []string{"B"}}, true},
		{"label over the limit", gateway.Entry{}, gateway.Entry{}, gateway.FlagChange{AddLabels: []string{"c"}}, false},
	} {
		if got := foreseen(tt.before, tt.now, tt.change); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

package gateway

import (
	"reflect"
	"testing"
	"time"
)

// A refusal speaks with its own words: what an earlier hook said to nobody does not
// become its code. Two who hold a message both have to let it go.
func TestVerdictAdd(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ first, later, want Verdict }{
		{Verdict{Folder: "a", Flags: Seen}, Verdict{Flags: Flagged}, Verdict{Folder: "a", Flags: Seen | Flagged}},
		{Verdict{Action: ActionQuarantine}, Verdict{}, Verdict{Action: ActionQuarantine}},
		{Verdict{Action: ActionQuarantine, Code: 550, Text: "x"}, Verdict{Action: ActionTempfail}, Verdict{Action: ActionTempfail}},
		{Verdict{Code: 550, Text: "x"}, Verdict{Action: ActionTempfail, Code: 451}, Verdict{Action: ActionTempfail, Code: 451}},
		{Verdict{Action: ActionHold, Until: noon}, Verdict{}, Verdict{Action: ActionHold, Until: noon}},
		{Verdict{Action: ActionHold, Until: noon}, Verdict{Action: ActionHold, Until: noon.Add(1)}, Verdict{Action: ActionHold, Until: noon.Add(1)}},
		{Verdict{Action: ActionHold, Until: noon.Add(1)}, Verdict{Action: ActionHold, Until: noon}, Verdict{Action: ActionHold, Until: noon.Add(1)}},
		{Verdict{Action: ActionHold}, Verdict{Action: ActionHold, Until: noon}, Verdict{Action: ActionHold}},
		{Verdict{Action: ActionHold, Until: noon}, Verdict{Action: ActionHold}, Verdict{Action: ActionHold}},
		{Verdict{Action: ActionHold, Until: noon}, Verdict{Action: ActionDeny}, Verdict{Action: ActionDeny}},
		{Verdict{Labels: []string{"a"}}, Verdict{Labels: []string{"b"}, Final: true}, Verdict{Labels: []string{"a", "b"}, Final: true}},
	} {
		got, later := tt.first, tt.later
		if got.Add(&later); !reflect.DeepEqual(later, tt.later) {
			t.Errorf("%+v became %+v when it was added", tt.later, later)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%+v, then %+v: %+v, want %+v", tt.first, tt.later, got, tt.want)
		}
	}
}

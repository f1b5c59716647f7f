package inbound

import (
	"fmt"
	"testing"

	"github.com/centerleap/postern/gateway"
)

func TestApplied(t *testing.T) {
	copies := []gateway.Copy{{Address: "a", Folder: "INBOX"}, {Address: "b", Folder: "INBOX"}, {Address: "c", Folder: "INBOX"}, {Address: "d", Folder: "INBOX"}, {Address: "e", Folder: "INBOX"}}
	got, _ := applied(copies, []gateway.Verdict{
		{Folder: "Archive", Flags: gateway.Seen, Labels: []string{"news"}},
		{Action: gateway.ActionReject},
		{Action: gateway.ActionDiscard},
		{Action: gateway.ActionTempfail, Folder: "Archive"},
		{Action: gateway.ActionQuarantine},
	})
	var s []string
	for _, c := range got {
		s = append(s, fmt.Sprint(c.Address, " ", c.Folder, " ", c.Flags, " ", c.Labels))
	}
	want := "[a Archive 1 [news] b Junk 0 [rejected-by-plugin] d Junk 0 [plugin-error] e Junk 0 [quarantined]]"
	if fmt.Sprint(s) != want {
		t.Errorf("%v\nwant %v", s, want)
	}
}

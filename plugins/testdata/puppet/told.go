package main

import (
	"errors"
	"strings"

	"github.com/centerleap/postern/sdk"
)

// told does afterwards what a subject says that begins with told, and reports whether one
// did.
func told(m *sdk.Message) (bool, error) {
	rest, ours := strings.CutPrefix(m.Subject(), "told ")
	if !ours {
		return false, nil
	}
	sdk.Log.Info(m.Type() + " in " + m.Folder() + " with " + strings.Join(m.Labels(), ","))
	if rest == "error" {
		return true, errors.New("as it was told")
	}
	return true, m.Label(rest).Reply(sdk.Text("marked"))
}

// tock sends mail in a turn that the configuration says is for that.
func tock(turn sdk.Turn) error {
	if sdk.Config("tock") == "" {
		return nil
	}
	return sdk.Send(sdk.Mail{From: "bot@" + turn.Domain, To: []string{"ops@" + turn.Domain}, Subject: "tick", Text: "tock"})
}

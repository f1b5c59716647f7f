package rest

import (
	"cmp"

	"github.com/centerleap/postern/gateway"
)

// verdictShape is what a plugin said.
type verdictShape struct {
	Action string  `json:"action"`
	Code   *int    `json:"code"`
	Text   *string `json:"text"`
	Reason *string `json:"reason"`
	Final  bool    `json:"final"`
}

func verdictOf(hook gateway.Hook, v *gateway.Verdict, reason string) verdictShape {
	out := verdictShape{actionOf(hook, v.Action), nil, orNull(v.Text), orNull(reason), v.Final}
	if v.Code != 0 {
		out.Code = &v.Code
	}
	return out
}

// actionOf is an action as its hook calls it.
func actionOf(hook gateway.Hook, a gateway.Action) string {
	if a == gateway.ActionAccept && hook == gateway.HookOutbound {
		return "allow"
	}
	return cmp.Or(string(a), "accept")
}

func linesOf(lines []gateway.PluginLine) []trialLine {
	out := make([]trialLine, len(lines))
	for i := range lines {
		out[i] = trialLine{lines[i].Level.String(), lines[i].Text}
	}
	return out
}

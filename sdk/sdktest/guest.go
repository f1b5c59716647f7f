package sdktest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/centerleap/postern/sdk/abi"
)

// mostSent is how much mail one call sends, as a gateway's limits have it.
const mostSent = 10

// guest is a Host as the SDK sees it.
type guest struct{ *Host }

func (g guest) Event() ([]byte, error)                { return json.Marshal(&g.event) }
func (g guest) Get(path string) (string, bool)        { return g.event.Value(path) }
func (g guest) Config(key string) (v string, ok bool) { v, ok = g.Host.Config[key]; return v, ok }
func (g guest) Now() int64                            { return g.Clock.UnixMilli() }
func (g guest) HeaderCount(name string) int           { return len(g.named(name)) }
func (g guest) Log(level int, text string) {
	g.Lines = append(g.Lines, []string{"debug", "info", "warning", "error"}[level]+": "+text)
}

// Verdict takes a verdict if the hook may say that.
func (g guest) Verdict(doc []byte) error {
	var v abi.Verdict
	err := json.Unmarshal(doc, &v)
	if err == nil {
		err = g.judge(&v)
	}
	if err != nil {
		g.refusal = err.Error()
		return abi.BadArgument
	}
	g.doc = slices.Clone(doc)
	return nil
}

func (g guest) named(name string) (all []string) {
	for _, f := range g.event.Headers {
		if strings.EqualFold(f[0], name) {
			all = append(all, f[1])
		}
	}
	return all
}

func (g guest) Header(name string, index int) (string, bool) {
	all := g.named(name)
	if index == -1 {
		index = len(all) - 1
	}
	if index < 0 || index >= len(all) {
		return "", false
	}
	return all[index], true
}

func (g guest) Part(part int, off int64, p []byte) (int, error) {
	if off < 0 {
		return 0, abi.BadArgument
	}
	if part == -1 && !g.may(abi.PermitRaw) {
		return 0, abi.Denied
	}
	parts := g.mail.entities()
	body := g.mail.raw
	if part >= 0 && part < len(parts) {
		body = parts[part].body
	} else if part != -1 || body == nil {
		return 0, abi.Absent
	}
	return copy(p, body[min(off, int64(len(body))):]), nil
}

// Send takes mail to be sent if the hook ends well. That of a plugin leads to no other.
func (g guest) Send(doc []byte) error {
	if !g.may(abi.PermitSend) || g.event.Hook == abi.HookThread || g.mail.Via == "plugin" {
		return abi.Denied
	}
	var m abi.Outgoing
	if err := json.Unmarshal(doc, &m); err != nil || len(m.To) == 0 || m.Text == "" && m.HTML == "" {
		return abi.BadArgument
	}
	if len(g.sent) == mostSent {
		return abi.OverQuota
	}
	g.sent = append(g.sent, m)
	return nil
}

// Thread is the conversation of the Mail, or one of that message alone.
func (g guest) Thread() ([]byte, error) {
	if !g.may(abi.PermitThreadRead) {
		return nil, abi.Denied
	}
	e, c := &g.event, g.mail.Conversation
	switch {
	case e.Hook == abi.HookTick:
		return nil, abi.Absent
	case c == nil:
		c = &abi.Conversation{ThreadID: e.ThreadID, Subject: e.Subject, Count: 1, Messages: []abi.Said{{
			ID: e.MessageID, RFCMessageID: e.RFCMessageID, From: e.From, To: e.To, Time: e.Time, Subject: e.Subject, Text: e.Text,
		}}}
	}
	return json.Marshal(c)
}

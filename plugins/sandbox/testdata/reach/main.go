// Reach is a plugin that uses, with the SDK, all that reaches beyond the message. While
// somebody waits it does as filters do: it looks at a few fields, or at the whole event.
package main

import (
	"strconv"
	"strings"

	"github.com/centerleap/postern/sdk"
)

// warmed is what sdk.Warm leaves to every call.
var warmed string

func init() {
	sdk.Warm(func(m *sdk.Message) { warmed = m.Subject() })
	sdk.OnEvent(func(m *sdk.Message) error {
		if warmed != "A sample" {
			panic("what was made ready is not there: " + warmed)
		}
		warmed = ""
		e, err := m.Event()
		if err != nil {
			return err
		}
		keys := ""
		for key, err := range sdk.KV.List("a") {
			if err != nil {
				return err
			}
			keys += key + " "
		}
		n, err := sdk.KV.Incr("n", 2, 60)
		if err != nil {
			return err
		}
		if _, err := sdk.KV.Incr("", 1, 0); err == nil {
			panic("a counter without a name")
		}
		if err := sdk.KV.Delete("a1"); err != nil {
			return err
		}
		answer, err := sdk.HTTP.PostJSON(sdk.Config("url"), map[string]any{"q": m.Subject()}, "")
		if err != nil {
			return err
		}
		talk, err := m.Thread()
		if err != nil {
			return err
		}
		if err := sdk.Send(sdk.Mail{To: []string{"a@x.example"}, Subject: e.Subject}); err != nil {
			return err
		}
		return m.Reply(sdk.Text(answer.String("answer"))).Label("n"+strconv.FormatInt(n, 10), "of"+strconv.Itoa(talk.Count)).MoveTo(keys)
	})
	sdk.Inbound(func(m *sdk.Message) sdk.Verdict {
		return file(m.Subject(), m.From().Addr, m.Header("List-Unsubscribe"))
	})
	sdk.Outbound(func(m *sdk.Message) sdk.Verdict {
		e, err := m.Event()
		if err != nil {
			return sdk.Deny(err.Error())
		}
		return sdk.Allow().AddHeader("X-Fields", strconv.Itoa(len(e.Headers)))
	})
	sdk.OnTick(func() error {
		t := sdk.Tick()
		sdk.Log.Info("turn " + t.ID + " " + t.Scheduled.UTC().Format("15:04") + " " + strconv.FormatBool(t.Previous.IsZero()))
		_, err := sdk.HTTP.Get("https://away.example/")
		return err
	})
}

func file(subject, from, list string) sdk.Verdict {
	if strings.Contains(strings.ToLower(subject), "lottery") && from != "" && list != "" {
		return sdk.Accept().Folder("Junk").Label("spam")
	}
	return sdk.Accept()
}

func main() {}

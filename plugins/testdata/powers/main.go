// Powers is a plugin that gives one verdict: the one that its configuration names, at the
// hook and about the message of the configuration. All others it accepts.
package main

import (
	"time"

	"github.com/centerleap/postern/sdk"
)

func init() {
	sdk.Inbound(decide("inbound"))
	sdk.Outbound(decide("outbound"))
	sdk.Thread(decide("thread"))
	sdk.OnEvent(func(m *sdk.Message) error {
		if !meant("event", m.Subject()) {
			return nil
		}
		if wish := wishes[sdk.Config("verdict")]; wish != nil {
			return wish(m)
		}
		say(sdk.Config("document"))
		return nil
	})
	sdk.OnTick(func() error {
		if sdk.Config("hook") != "tick" {
			return nil
		}
		sdk.Log.Info(sdk.Config("about"))
		if err := sdk.Send(sdk.Mail{From: sdk.Config("from"), To: []string{sdk.Config("to")}, Subject: sdk.Config("about"), Text: "tick"}); err != nil {
			return err
		}
		say(sdk.Config("document"))
		return nil
	})
}

// meant reports whether it is now that the verdict is to be given.
func meant(hook, subject string) bool {
	return sdk.Config("hook") == hook && sdk.Config("about") == subject
}

func decide(hook string) func(*sdk.Message) sdk.Verdict {
	return func(m *sdk.Message) sdk.Verdict {
		if !meant(hook, m.Subject()) {
			return sdk.Accept()
		}
		return verdicts[sdk.Config("verdict")]()
	}
}

// verdicts are all that the SDK has, by the names that the test has for them.
var verdicts = map[string]func() sdk.Verdict{
	"accept":           sdk.Accept,
	"reject":           func() sdk.Verdict { return sdk.Reject(554, "no") },
	"tempfail":         func() sdk.Verdict { return sdk.Tempfail("later") },
	"quarantine":       func() sdk.Verdict { return sdk.Quarantine("odd") },
	"discard":          sdk.Discard,
	"redirect":         func() sdk.Verdict { return sdk.Accept().Redirect(sdk.Config("to")) },
	"redirect, keep":   func() sdk.Verdict { return sdk.Accept().Redirect(sdk.Config("to")).Keep() },
	"fileinto":         func() sdk.Verdict { return sdk.Accept().Folder("Filed") },
	"labels":           func() sdk.Verdict { return sdk.Accept().Label("new") },
	"unlabel":          func() sdk.Verdict { return sdk.Accept().Unlabel("old") },
	"flags":            func() sdk.Verdict { return sdk.Accept().Flag(`\Seen`, `\Flagged`) },
	"header add":       func() sdk.Verdict { return sdk.Accept().AddHeader("X-New", "1") },
	"header set":       func() sdk.Verdict { return sdk.Accept().SetHeader("X-Old", "2") },
	"header delete":    func() sdk.Verdict { return sdk.Accept().DeleteHeader("X-Old") },
	"subject":          func() sdk.Verdict { return sdk.Accept().Subject("Checked") },
	"body":             func() sdk.Verdict { return sdk.Accept().Body("other words", "") },
	"tags":             func() sdk.Verdict { return sdk.Accept().Tag("checked", "yes") },
	"remove recipient": func() sdk.Verdict { return sdk.Accept().Remove(sdk.Config("to")) },
	"reply":            func() sdk.Verdict { return sdk.Accept().Reply(sdk.Text("I am away")) },
	"hold":             func() sdk.Verdict { return sdk.Hold("review") },
	"hold until":       func() sdk.Verdict { return sdk.HoldUntil("review", sdk.Now().Add(time.Hour)) },
	"thread join":      func() sdk.Verdict { return sdk.Join(sdk.Config("thread")) },
	"thread new":       sdk.NewThread,
	"thread merge":     func() sdk.Verdict { return sdk.Merge("", sdk.Config("thread")) },
	"thread split":     func() sdk.Verdict { return sdk.Split(sdk.Config("email")) },
	"score":            func() sdk.Verdict { return sdk.Accept().Score(4) },
	"final":            func() sdk.Verdict { return sdk.Accept().Final() },
	"deny":             func() sdk.Verdict { return sdk.Deny("no") },
	"allow":            sdk.Allow,
}

// wishes are those that an event hook asks a Message for: for others the SDK has no words.
var wishes = map[string]func(*sdk.Message) error{
	"fileinto": func(m *sdk.Message) error { return m.MoveTo("Filed") },
	"labels":   func(m *sdk.Message) error { return m.Label("new") },
	"unlabel":  func(m *sdk.Message) error { return m.Unlabel("old") },
	"flags":    func(m *sdk.Message) error { return m.Flag(`\Seen`, `\Flagged`) },
	"reply":    func(m *sdk.Message) error { return m.Reply(sdk.Text("I am away")) },
}

func main() {}

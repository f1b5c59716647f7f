package sdk_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
	"github.com/centerleap/postern/sdk/sdktest"
)

// What an event hook asks of the message is its verdict, if it returns no error.
func TestOnEvent(t *testing.T) {
	away := errors.New("the server is away")
	for _, tt := range []struct {
		name  string
		hook  func(*sdk.Message) error
		wants func(*sdktest.Result)
	}{
		{"nothing", func(*sdk.Message) error { return nil }, func(r *sdktest.Result) { r.WantOK().WantReply("").WantLabels() }},
		{
			"chain", func(m *sdk.Message) error { return m.Reply(sdk.Text("42")).Label("answered", "bot").Unlabel("new") },
			func(r *sdktest.Result) {
				r.WantReply("42").WantLabels("answered", "bot").WantUnlabel("new").WantFolder("")
			},
		},
		{
			"one after the other", func(m *sdk.Message) error {
				m.Label("a")
				m.Flag(`\Seen`).MoveTo("Done").Flag(`\Flagged`)
				m.Label("b").Reply(sdk.HTML("<b>").Subject("S").From("a@x.example"))
				return nil
			},
			func(r *sdktest.Result) {
				if r.WantLabels("a", "b").WantFlags(`\Seen`, `\Flagged`).WantFolder("Done").WantReply("<b>"); r.Verdict.Reply.Subject != "S" || r.Verdict.Reply.From != "a@x.example" {
					t.Errorf("%+v", r.Verdict.Reply)
				}
			},
		},
		{"the last answer", func(m *sdk.Message) error {
			m.Reply(sdk.Text("one"))
			return m.MoveTo("A").Reply(sdk.Text("two")).MoveTo("B")
		}, func(r *sdktest.Result) { r.WantReply("two").WantFolder("B") }},
		{"error", func(m *sdk.Message) error { m.Label("a"); return away }, func(r *sdktest.Result) { r.WantFailure("error: the server is away") }},
		{"done, joined", func(m *sdk.Message) error { return errors.Join(m.Label("a"), nil, m.Unlabel("b")) }, func(r *sdktest.Result) { r.WantLabels("a").WantUnlabel("b") }},
		{"error, joined", func(m *sdk.Message) error { return errors.Join(m.Label("a"), away) }, func(r *sdktest.Result) { r.WantFailure("away") }},
		{"error around done", func(m *sdk.Message) error { return fmt.Errorf("no: %w", m.Label("a")) }, func(r *sdktest.Result) { r.WantFailure("no: ") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sdk.OnStored(nil)
			sdk.OnEvent(tt.hook)
			tt.wants(sdktest.Event(t, sdktest.Mail{}))
			sdk.OnEvent(nil)
			sdk.OnStored(tt.hook)
			tt.wants(sdktest.Event(t, sdktest.Mail{}))
		})
	}
}

// OnStored has mail that arrived, OnEvent everything else.
func TestOnStored(t *testing.T) {
	asked := ""
	tell := func(who string) func(*sdk.Message) error {
		return func(m *sdk.Message) error {
			asked = fmt.Sprint(who, " ", m.Type(), " ", m.EventID(), m.Attempt(), m.Detail(), " ", m.ID() != "")
			return nil
		}
	}
	bounced := sdktest.Mail{Type: "email.bounced", EventID: "e", Attempt: 3, Detail: "a@x.example"}
	for _, tt := range []struct {
		event, stored bool
		mail          sdktest.Mail
		want          string
	}{
		{true, true, sdktest.Mail{}, "stored email.received event-11 true"},
		{true, true, bounced, "event email.bounced e3a@x.example true"},
		{true, false, sdktest.Mail{}, "event email.received event-11 true"},
		{false, true, sdktest.Mail{}, "stored email.received event-11 true"},
		{false, true, bounced, ""},
		{false, false, sdktest.Mail{}, "-"},
	} {
		asked = ""
		sdk.OnEvent(nil)
		sdk.OnStored(nil)
		if tt.event {
			sdk.OnEvent(tell("event"))
		}
		if tt.stored {
			sdk.OnStored(tell("stored"))
		}
		r := sdktest.Event(t, tt.mail)
		if tt.want == "-" {
			r.WantFailure("no function is registered")
			continue
		}
		if r.WantOK(); asked != tt.want {
			t.Errorf("%q, want %q", asked, tt.want)
		}
	}
}

func TestOnTick(t *testing.T) {
	var turns []sdk.Turn
	sdk.OnTick(func() error {
		turns = append(turns, sdk.Tick())
		return sdk.Send(sdk.Mail{To: []string{"a@x.example"}, Subject: "report", Text: "all is well"})
	})
	h := sdktest.NewHost()
	first := h.Clock
	h.Tick(t).WantSent("a@x.example")
	h.Clock = first.Add(time.Hour)
	h.Tick(t).WantOK()
	want := []sdk.Turn{
		{ID: "tick-1", Scheduled: first, Domain: "demo.localhost", Mailbox: "bot@demo.localhost"},
		{ID: "tick-2", Scheduled: first.Add(time.Hour), Previous: first, Domain: "demo.localhost", Mailbox: "bot@demo.localhost"},
	}
	if fmt.Sprint(turns) != fmt.Sprint(want) || len(h.Sent) != 2 {
		t.Errorf("%v, want %v; sent %v", turns, want, h.Sent)
	}
	sdk.OnTick(nil)
	sdktest.Tick(t).WantFailure("no function is registered")
}

// A hook that decides says what it wants in its verdict: what it asks of the message
// itself is not lost in silence.
func TestMisplaced(t *testing.T) {
	decide := func(m *sdk.Message) sdk.Verdict {
		m.Label("a")
		return sdk.Accept()
	}
	sdk.Inbound(decide)
	sdk.Outbound(decide)
	sdk.Thread(decide)
	sdk.OnTick(func() error { return (&sdk.Message{}).Label("a") })
	for _, r := range []*sdktest.Result{sdktest.Inbound(t, sdktest.Mail{}), sdktest.Outbound(t, sdktest.Mail{}), sdktest.Thread(t, sdktest.Mail{}), sdktest.Tick(t)} {
		r.WantFailure("in event hooks")
	}
	sdk.Inbound(func(*sdk.Message) sdk.Verdict { return sdk.Accept() })
	sdktest.Inbound(t, sdktest.Mail{}).WantAction(abi.Accept).WantLabels()
}

package sdk_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
	"github.com/centerleap/postern/sdk/sdktest"
)

// look runs f as the thread hook of a message, which sees the most of it.
func look(t *testing.T, m sdktest.Mail, f func(*sdk.Message)) {
	t.Helper()
	sdk.Thread(func(m *sdk.Message) sdk.Verdict {
		f(m)
		return sdk.Accept()
	})
	sdktest.NewHost().Thread(t, m).WantAction(abi.Accept)
}

func TestMessage(t *testing.T) {
	m := sdktest.Mail{
		From: "Ann <ann@x.example>", To: "b@y.example, C <c@y.example>", Cc: "d@y.example", Subject: "Your INVOICE", Text: "Grüße",
		Bcc: "e@y.example", ReplyTo: "f@x.example", ID: "id", ReturnPath: "bounce@x.example", Recipients: []string{"r1@y.example", "r2@y.example"}, Folder: "Work", Labels: []string{"l1", "l2"},
		Flags: []string{`\Seen`}, Score: -1.5, DryRun: true, Candidates: []sdk.Candidate{{ThreadID: "old", Subject: "s"}, {ThreadID: "older"}},
		Header: [][2]string{
			{"X-A", "1"}, {"x-a", "2"}, {"Message-ID", "<1@x.example>"}, {"In-Reply-To", "<0@x.example>"}, {"References", "<00@x.example> <0@x.example>"},
		},
		Mailbox: "box@demo.localhost", Auth: sdk.Auth{SPF: "pass", DKIM: "none", DMARC: "fail", FromAligned: true, Disposition: "quarantine"}, ThreadID: "old", NewThreadID: "new",
	}
	look(t, m, func(m *sdk.Message) {
		for _, tt := range []struct{ name, got, want string }{
			{"Subject", m.Subject(), "Your INVOICE"},
			{"SubjectContains", fmt.Sprint(m.SubjectContains("money", "invoice"), m.SubjectContains("money"), m.SubjectContains()), "true false false"},
			{"From", fmt.Sprint(m.From()), "{Ann ann@x.example}"},
			{"To", fmt.Sprint(m.To()), "[{ b@y.example} {C c@y.example}]"},
			{"Cc", fmt.Sprint(m.Cc()), "[{ d@y.example}]"},
			{"Auth", fmt.Sprint(m.Auth()), "{pass none fail true quarantine}"},
			{"Header", m.Header("X-a"), "1"},
			{"HeaderAt", m.HeaderAt("X-A", 1) + m.HeaderAt("X-A", -1) + m.HeaderAt("X-A", 2), "22"},
			{"HeaderCount", fmt.Sprint(m.HeaderCount("X-A"), m.HeaderCount("X-B")), "2 0"},
			{"HasHeader", fmt.Sprint(m.HasHeader("X-A"), m.HasHeader("X-B")), "true false"},
			{"ReplyOK", fmt.Sprint(m.ReplyOK()), "true"},
			{"MessageID", m.MessageID(), "<1@x.example>"},
			{"Mailbox", m.Mailbox(), "box@demo.localhost"},
			{"ThreadID", m.ThreadID() + " " + m.NewThreadID(), "old new"},
			{"Bcc", fmt.Sprint(m.Bcc(), m.ReplyTo()), "[{ e@y.example}] [{ f@x.example}]"},
			{"Headers", fmt.Sprint(m.Headers()[:2], len(m.Headers())), "[[X-A 1] [x-a 2]] 10"},
			{"References", fmt.Sprint(m.InReplyTo(), m.References()), "<0@x.example>[<00@x.example> <0@x.example>]"},
			{"Parts", fmt.Sprint(m.Parts(), m.Size(), m.TextTruncated()), "[{0 text/plain  7}] 7 false"},
			{"envelope", fmt.Sprint(m.ReturnPath(), m.Recipients(), m.RemoteIP(), m.Helo()), "bounce@x.example[r1@y.example r2@y.example]192.0.2.1"},
			{"Automated", fmt.Sprint(m.Automated()), "{false false false false true}"},
			{"state", fmt.Sprint(m.Folder(), m.Labels(), m.Flags(), m.Score(), m.DryRun(), m.ID(), m.Domain()), `Work[l1 l2] [\Seen] -1.5 trueiddemo.localhost`},
			{"Candidates", fmt.Sprint(m.Candidates()), "[{old s} {older }]"},
			{"Time", m.Time().String(), "2026-03-01 12:00:00 +0000 UTC"},
			{"of other hooks", fmt.Sprint(m.Type(), m.EventID(), m.Attempt(), m.Detail(), m.Via(), m.APIKeyID(), m.Tags()), "0[]"},
		} {
			if tt.got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
			}
		}
		if e, err := m.Event(); err != nil || e.Hook != abi.HookThread || e.Domain != "demo.localhost" || len(e.Headers) != 10 {
			t.Errorf("%+v %v", e, err)
		}
	})
}

// Text is cut between characters.
func TestText(t *testing.T) {
	look(t, sdktest.Mail{Text: "aü€"}, func(m *sdk.Message) {
		for most, want := range map[int]string{-1: "", 0: "", 1: "a", 2: "a", 3: "aü", 5: "aü", 6: "aü€", 7: "aü€"} {
			if got := m.Text(most); got != want {
				t.Errorf("%d: %q, want %q", most, got, want)
			}
		}
	})
}

func TestPart(t *testing.T) {
	long := strings.Repeat("0123456789", 1000)
	look(t, sdktest.Mail{Text: long}, func(m *sdk.Message) {
		if got, err := io.ReadAll(m.Part(0)); err != nil || string(got) != long {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := io.ReadAll(m.Part(1)); !errors.Is(err, abi.Absent) {
			t.Errorf("a part that is not there: %v", err)
		}
	})
}

// What only the outbound hook is told.
func TestOutboundMessage(t *testing.T) {
	sdk.Outbound(func(m *sdk.Message) sdk.Verdict {
		if got, want := fmt.Sprint(m.Via(), m.APIKeyID(), m.Tags(), m.Folder()), "smtpk[{a b} {c }]Sent"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		return sdk.Allow()
	})
	sdktest.Outbound(t, sdktest.Mail{Via: "smtp", APIKeyID: "k", Tags: []sdk.Tag{{Name: "a", Value: "b"}, {Name: "c"}}}).WantOK()
}

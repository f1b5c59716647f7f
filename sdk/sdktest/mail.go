package sdktest

import (
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
)

// Mail is a message for a hook to look at. Parse and Read make one of a message as
// it travels.
type Mail struct {
	From, To, Cc string      // addresses, with or without display names
	Subject      string      // decoded, as all of Header
	Header       [][2]string // other fields: name and value
	Text         string
	Mailbox      string // bot@demo.localhost if empty
	Auth         sdk.Auth
	Automated    bool
	// ThreadID and NewThreadID are what the thread hook is told; if only the second
	// one is set, the message starts a conversation.
	ThreadID, NewThreadID string

	raw   []byte   // of Parse
	parts []entity // of Parse
}

// entities are the MIME parts; mail that was made of fields has its text alone.
func (m Mail) entities() []entity {
	if m.parts == nil {
		return []entity{{kind: "text/plain", body: []byte(m.Text)}}
	}
	return m.parts
}

// eventText is how much of a message's text its event carries, in bytes, as in a
// gateway.
const eventText = 16 << 10

// describe makes the event document of a message.
func describe(t testing.TB, hook string, m Mail, at time.Time) abi.Event {
	t.Helper()
	e := abi.Event{
		V: 1, Hook: hook, Time: at.UTC().Format(time.RFC3339), Mailbox: m.Mailbox, Subject: m.Subject, Text: m.Text, Size: int64(max(len(m.raw), len(m.Text))),
		Auth: m.Auth, ThreadID: m.ThreadID, NewThreadID: m.NewThreadID, Headers: slices.Clone(m.Header),
		To: addresses(t, m.To), Cc: addresses(t, m.Cc), Automated: abi.Automated{Auto: m.Automated, ReplyOK: !m.Automated},
	}
	if e.Mailbox == "" {
		e.Mailbox = "bot@demo.localhost"
	}
	if e.ThreadID == "" {
		e.ThreadID = e.NewThreadID
	}
	if len(e.Text) > eventText {
		e.Text, e.TextTruncated = strings.ToValidUTF8(e.Text[:eventText], ""), true
	}
	_, e.Domain, _ = strings.Cut(e.Mailbox, "@")
	if list := addresses(t, m.From); len(list) > 0 {
		e.From = list[0]
	}
	e.Envelope = abi.Envelope{MailFrom: e.From.Addr, RcptTo: []string{e.Mailbox}, RemoteIP: "192.0.2.1"}
	for i, p := range m.entities() {
		e.Parts = append(e.Parts, abi.Part{Index: i, Type: p.kind, Name: p.name, Size: int64(len(p.body))})
	}
	describeHeader(&e, m)
	return e
}

// describeHeader adds what the header says.
func describeHeader(e *abi.Event, m Mail) {
	for _, f := range [][2]string{{"From", decoded(m.From)}, {"To", decoded(m.To)}, {"Cc", decoded(m.Cc)}, {"Subject", m.Subject}} {
		if f[1] != "" {
			e.Headers = append(e.Headers, f)
		}
	}
	for _, f := range m.Header {
		switch name := strings.ToLower(f[0]); {
		case strings.HasPrefix(name, "list-"):
			e.Automated.List, e.Automated.ReplyOK = true, false
		case name == "auto-submitted" && !strings.EqualFold(f[1], "no"):
			e.Automated.Auto, e.Automated.ReplyOK = true, false
		case name == "message-id":
			e.RFCMessageID = f[1]
		case name == "in-reply-to":
			e.InReplyTo = f[1]
		case name == "references":
			e.References = strings.Fields(f[1])
		}
	}
}

func addresses(t testing.TB, list string) []abi.Address {
	t.Helper()
	out := []abi.Address{}
	if list == "" {
		return out
	}
	all, err := mail.ParseAddressList(list)
	if err != nil {
		t.Fatalf("%q: %v", list, err)
	}
	for _, a := range all {
		out = append(out, abi.Address{Name: a.Name, Addr: a.Address})
	}
	return out
}

package sdktest

import (
	"cmp"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
)

// Mail is a message for a hook to look at, and what the hook is told about it. File and Raw
// make one of a message as it travels. What is left empty is as it usually is.
type Mail struct {
	From, To, Cc, Bcc string      // addresses, with or without display names
	ReplyTo           string      // likewise
	Subject           string      // decoded, as all of Header
	Header            [][2]string // other fields: name and value
	Text              string

	// What the gateway knows of it.
	ID         string   // in REST; the event hook is told one if it is empty
	Mailbox    string   // bot@demo.localhost if empty
	ReturnPath string   // of the envelope; the author if empty
	Recipients []string // likewise; the mailbox if empty
	Auth       sdk.Auth
	Automated  bool
	Folder     string // INBOX, or Sent of mail that leaves, if empty
	Labels     []string
	Flags      []string // \Seen of mail that leaves if nil
	Score      float64
	DryRun     bool // the Host keeps nothing of what the hook does

	// ThreadID and NewThreadID are what the thread hook is told; if only the second
	// one is set, the message starts a conversation.
	ThreadID, NewThreadID string
	Candidates            []sdk.Candidate
	Conversation          *sdk.Conversation // nil: the message alone

	// What the outbound hook is told.
	Via      string // rest if empty; plugin: it leads to no other mail, whatever the hook
	APIKeyID string
	Tags     []sdk.Tag

	// What the event hook is told.
	Type    string // email.received if empty
	EventID string
	Attempt int // 1 if 0
	Detail  string

	raw    []byte   // of Raw
	parts  []entity // of Raw
	broken error    // it can't be read
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

// received is the type of event that is usual.
const received = "email.received"

// describe makes the event document of a message.
func describe(t T, hook string, m Mail, at time.Time) abi.Event {
	t.Helper()
	if m.broken != nil {
		t.Fatalf("%v", m.broken)
	}
	e := abi.Event{
		V: 1, Hook: hook, ID: m.EventID, MessageID: m.ID, Time: at.UTC().Format(time.RFC3339), Mailbox: cmp.Or(m.Mailbox, "bot@demo.localhost"),
		Subject: m.Subject, Text: m.Text, Size: int64(max(len(m.raw), len(m.Text))), Auth: m.Auth, DryRun: m.DryRun,
		ThreadID: cmp.Or(m.ThreadID, m.NewThreadID), NewThreadID: m.NewThreadID, Candidates: m.Candidates, Headers: slices.Clone(m.Header),
		To: addresses(t, m.To), Cc: addresses(t, m.Cc), Bcc: addresses(t, m.Bcc), ReplyTo: addresses(t, m.ReplyTo),
		Automated: abi.Automated{Auto: m.Automated, ReplyOK: !m.Automated},
		Folder:    cmp.Or(m.Folder, "INBOX"), Labels: append([]string{}, m.Labels...), Flags: append([]string{}, m.Flags...), Score: m.Score,
	}
	if len(e.Text) > eventText {
		e.Text, e.TextTruncated = strings.ToValidUTF8(e.Text[:eventText], ""), true
	}
	_, e.Domain, _ = strings.Cut(e.Mailbox, "@")
	if list := addresses(t, m.From); len(list) > 0 {
		e.From = list[0]
	}
	e.Envelope = abi.Envelope{MailFrom: cmp.Or(m.ReturnPath, e.From.Addr), RcptTo: m.Recipients, RemoteIP: "192.0.2.1"}
	if len(m.Recipients) == 0 {
		e.Envelope.RcptTo = []string{e.Mailbox}
	}
	for i, p := range m.entities() {
		e.Parts = append(e.Parts, abi.Part{Index: i, Type: p.kind, Name: p.name, Size: int64(len(p.body))})
	}
	describeHeader(&e, m)
	describeHook(&e, &m)
	return e
}

// describeHook adds what one hook alone is told.
func describeHook(e *abi.Event, m *Mail) {
	switch e.Hook {
	case abi.HookOutbound:
		e.Via, e.APIKeyID, e.Tags, e.Folder = cmp.Or(m.Via, "rest"), m.APIKeyID, m.Tags, cmp.Or(m.Folder, "Sent")
		if m.Flags == nil {
			e.Flags = []string{`\Seen`}
		}
	case abi.HookEvent:
		e.ID, e.Type, e.Detail, e.Attempt = cmp.Or(m.EventID, "event-1"), cmp.Or(m.Type, received), m.Detail, cmp.Or(m.Attempt, 1)
		e.MessageID = cmp.Or(m.ID, "01900000-0000-7000-8000-000000000001")
		e.ThreadID = cmp.Or(e.ThreadID, "01900000-0000-7000-8000-000000000002")
	}
}

// turn is the event of a tick: it is about no message.
func turn(e *abi.Event, previous time.Time) abi.Event {
	out := abi.Event{V: 1, Hook: e.Hook, ID: e.ID, Time: e.Time, Domain: e.Domain, Mailbox: e.Mailbox, Scheduled: e.Time}
	if !previous.IsZero() {
		out.Previous = previous.UTC().Format(time.RFC3339)
	}
	return out
}

// describeHeader adds what the header says.
func describeHeader(e *abi.Event, m Mail) {
	for _, f := range [][2]string{{"From", decoded(m.From)}, {"To", decoded(m.To)}, {"Cc", decoded(m.Cc)}, {"Reply-To", decoded(m.ReplyTo)}, {"Subject", m.Subject}} {
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

func addresses(t T, list string) []abi.Address {
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

package rest

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// eventDoc is what webhooks, and streams that ask for it, are told of an event. The data of
// those that Resend has too begins with Resend's fields.
type eventDoc struct {
	Type      gateway.EventType `json:"type"`
	CreatedAt string            `json:"created_at"`
	Data      any               `json:"data"`
}

// emailEvent is the data of an event about an email. Of one that is gone there are only
// the fields that the event itself knows.
type emailEvent struct {
	EmailID    string            `json:"email_id"`
	MessageID  *string           `json:"message_id,omitempty"`
	CreatedAt  string            `json:"created_at,omitempty"` // of the email
	From       string            `json:"from,omitempty"`
	To         []string          `json:"to,omitempty"`
	Cc         []string          `json:"cc,omitempty"`
	Bcc        []string          `json:"bcc,omitempty"`
	ReplyTo    []string          `json:"reply_to,omitempty"`
	Subject    *string           `json:"subject,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Bounce     *bounceShape      `json:"bounce,omitempty"`
	Failed     *failedShape      `json:"failed,omitempty"`
	Suppressed *suppressedShape  `json:"suppressed,omitempty"`

	Sequence    uint64  `json:"sequence"` // of the domain: later events have larger ones
	Email       string  `json:"email"`    // the mailbox
	Folder      string  `json:"folder,omitempty"`
	UID         uint32  `json:"uid,omitempty"`
	ThreadID    string  `json:"thread_id,omitempty"`
	InReplyTo   *string `json:"in_reply_to,omitempty"`
	Recipient   string  `json:"recipient,omitempty"`
	Code        int     `json:"code,omitempty"`    // SMTP reply of the recipient's host
	Message     string  `json:"message,omitempty"` // and its words
	ScheduledAt *string `json:"scheduled_at,omitempty"`
	*receivedEvent
	*updatedEvent
}

// receivedEvent is what an agent needs to act on an email without asking for it.
type receivedEvent struct {
	ReceivedFor    []string           `json:"received_for"`
	Text           *string            `json:"text"`
	HTML           *string            `json:"html"`
	BodyTruncated  bool               `json:"body_truncated"`
	Attachments    []linkedAttachment `json:"attachments"`
	Authentication *authentication    `json:"authentication"`
}

// updatedEvent is how an email is marked now.
type updatedEvent struct {
	IsRead    bool     `json:"is_read"`
	IsStarred bool     `json:"is_starred"`
	Labels    []string `json:"labels"`
}

type bounceShape struct {
	Message string `json:"message"`
	SubType string `json:"subType"`
	Type    string `json:"type"`
}

type failedShape struct {
	Reason string `json:"reason"`
}

type suppressedShape struct {
	Message string `json:"message"`
	Type    string `json:"type"`
}

// Document is what is told of an event, as JSON. NotFound when its account or its domain is
// gone.
func (s *Server) Document(ctx context.Context, scope gateway.Scope, e *gateway.Event) ([]byte, error) {
	doc := eventDoc{Type: e.Type, CreatedAt: exactly(e.At)}
	var err error
	switch e.Type {
	case gateway.EventDomain:
		doc.Data, err = s.domainEvent(ctx, scope, e.Detail, e.Sequence)
	case gateway.EventDomainCreated, gateway.EventDomainDeleted:
		doc.Data, err = s.instanceEvent(ctx, scope, e)
	case gateway.EventSuppressionAdded, gateway.EventSuppressionRemoved:
		doc.Data = struct {
			Email    string `json:"email"`
			Sequence uint64 `json:"sequence"`
		}{e.Detail, e.Sequence}
	case gateway.EventPluginDisabled:
		doc.Data, err = s.pluginEvent(ctx, scope, e)
	default:
		doc.Data, err = s.emailEvent(ctx, scope, e)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}

func (s *Server) emailEvent(ctx context.Context, scope gateway.Scope, e *gateway.Event) (*emailEvent, error) {
	it, err := s.cfg.Mail.Happened(ctx, scope, e)
	if err != nil {
		return nil, err
	}
	out := &emailEvent{EmailID: e.Email.String(), Sequence: e.Sequence, Email: it.Email, Folder: e.Folder, UID: e.UID}
	if !e.Delivery.IsZero() {
		out.Recipient = e.Detail
	}
	if it.Message == nil {
		return out, nil
	}
	out.describe(&it)
	switch {
	case e.Type == gateway.EventReceived:
		out.receivedEvent, err = s.receivedEvent(ctx, scope, it)
	case e.Type == gateway.EventUpdated:
		item := itemOf(&it)
		out.updatedEvent = &updatedEvent{item.IsRead, item.IsStarred, item.Labels}
	case !e.Delivery.IsZero():
		err = s.addFate(ctx, scope, it, e, out)
	}
	return out, err
}

// describe says which email it is about.
func (out *emailEvent) describe(it *mailbox.Item) {
	m, c := it.Message, &it.Message.Content
	out.EmailID, out.MessageID, out.CreatedAt = m.ID.String(), orNull(c.MessageID), exactly(m.Arrived)
	if len(c.From) > 0 {
		out.From = c.From[0].String()
	}
	out.To, out.Cc, out.Bcc, out.ReplyTo = addrs(c.To), addrs(c.Cc), addrs(c.Bcc), addrs(c.ReplyTo)
	out.Subject, out.ThreadID, out.InReplyTo = &c.Subject, m.Thread.String(), orNull(c.InReplyTo)
	out.Folder, out.UID, out.ScheduledAt = it.Folder, it.Entry.UID, stampOrNull(m.Scheduled)
	if len(m.Tags) > 0 {
		out.Tags = make(map[string]string, len(m.Tags))
		for _, t := range m.Tags {
			out.Tags[t.Name] = t.Value
		}
	}
}

// receivedEvent reads the texts of an email, each if it is short enough, and signs links to
// its files.
func (s *Server) receivedEvent(ctx context.Context, scope gateway.Scope, it mailbox.Item) (*receivedEvent, error) {
	body, err := s.cfg.Mail.Read(ctx, scope, it)
	if err != nil {
		return nil, err
	}
	out := &receivedEvent{ReceivedFor: listed(it.Message.Recipients), Authentication: authenticationOf(it.Message), BodyTruncated: body.Cut}
	for text, to := range map[*string]**string{&body.Text: &out.Text, &body.HTML: &out.HTML} {
		switch {
		case int64(len(*text)) > s.cfg.Limits.WebhookBody:
			out.BodyTruncated = true
		case *text != "":
			*to = text
		}
	}
	base := s.cfg.URL
	if base == "" && s.cfg.Here != nil {
		base = s.cfg.Here()
	}
	out.Attachments, err = s.linked(ctx, base, scope, it, mailbox.Files(it.Message))
	return out, err
}

// addFate says what became of one recipient, in the words of Resend and in those of the
// recipient's host.
func (s *Server) addFate(ctx context.Context, scope gateway.Scope, it mailbox.Item, e *gateway.Event, out *emailEvent) error {
	jobs, err := s.cfg.Mail.Deliveries(ctx, scope, it)
	for i := range jobs {
		if j := &jobs[i]; j.ID == e.Delivery {
			out.Code, out.Message, out.Recipient = j.LastCode, j.LastText, j.Recipient
		}
	}
	switch e.Type {
	case gateway.EventBounced:
		out.Bounce = &bounceShape{Message: out.Message, SubType: bounceSubType(out.Message), Type: "Permanent"}
	case gateway.EventFailed:
		out.Failed = &failedShape{out.Message}
	case gateway.EventSuppressed:
		out.Suppressed = &suppressedShape{"the recipient is on the domain's suppression list", "OnAccountSuppressionList"}
	}
	return err
}

// bounceSubTypes are Resend's names for what an enhanced status code says, RFC 3463: the
// first that it begins with counts.
var bounceSubTypes = []struct{ status, name string }{
	{"5.1.", "NoEmail"},
	{"5.2.1", "NoEmail"},
	{"5.2.2", "MailboxFull"},
	{"5.2.3", "MessageTooLarge"},
	{"5.3.4", "MessageTooLarge"},
	{"5.6.", "ContentRejected"},
	{"5.7.", "ContentRejected"},
}

func bounceSubType(words string) string {
	for _, b := range bounceSubTypes {
		if strings.HasPrefix(words, b.status) {
			return b.name
		}
	}
	return "General"
}

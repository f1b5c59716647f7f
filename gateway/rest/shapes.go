package rest

import (
	"cmp"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// list is the frame of every listing.
type list[T any] struct {
	Object string `json:"object"`
	Data   []T    `json:"data"`
}

func listOf[T any](data []T) list[T] {
	if data == nil {
		data = []T{}
	}
	return list[T]{"list", data}
}

// part is the frame of a listing that goes on behind its last item.
type part[T any] struct {
	list[T]
	HasMore bool `json:"has_more"`
}

func partOf[T any](data []T, more bool) part[T] { return part[T]{listOf(data), more} }

// emailItem is an email in a list. Source: API guide, "List Response" and
// "Thread Fields"; the fields below the line are ours.
type emailItem struct {
	Object         string  `json:"object,omitempty"`
	ID             string  `json:"id"`
	From           string  `json:"from"`
	To             string  `json:"to"`
	Subject        string  `json:"subject"`
	Preview        string  `json:"preview"`
	Date           string  `json:"date"`
	IsRead         bool    `json:"is_read"`
	IsStarred      bool    `json:"is_starred"`
	IsSent         bool    `json:"is_sent"`
	Folder         string  `json:"folder"`
	HasAttachments bool    `json:"has_attachments"`
	ThreadID       string  `json:"thread_id"`
	InReplyTo      *string `json:"in_reply_to"`
	ThreadPosition int     `json:"thread_position"`

	EmailID     string        `json:"email_id"`
	UID         uint32        `json:"uid"`
	Email       string        `json:"email"`
	MessageID   *string       `json:"message_id"`
	FromName    string        `json:"from_name"`
	ToAddresses []string      `json:"to_addresses"`
	Cc          []string      `json:"cc"`
	Bcc         []string      `json:"bcc"`
	ReplyTo     []string      `json:"reply_to"`
	Labels      []string      `json:"labels"`
	Tags        []gateway.Tag `json:"tags"`
	Size        int64         `json:"size"`
	LastEvent   *string       `json:"last_event"`
	ScheduledAt *string       `json:"scheduled_at"`
	Snippet     *snippet      `json:"snippet,omitempty"` // of lists with q
}

// snippet is a piece of an email's text, around the first place where it has one of
// the words of q. It is plain text, one line; hits are places in it, in Unicode code
// points, so that nothing has to be escaped.
type snippet struct {
	Text string `json:"text"`
	Hits []hit  `json:"hits"`
}

// hit is from start, and before end.
type hit struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

func snippetOf(sn *mailbox.Snippet) *snippet {
	if sn == nil {
		return nil
	}
	out := &snippet{Text: sn.Text, Hits: []hit{}}
	for _, h := range sn.Hits {
		out.Hits = append(out.Hits, hit(h))
	}
	return out
}

func itemOf(it *mailbox.Item) emailItem {
	m, c := it.Message, &it.Message.Content
	e := emailItem{
		ID: c.MessageID, From: firstAddr(c.From), To: strings.Join(addrs(c.To), ", "), Subject: c.Subject,
		Preview: c.Preview, Date: stamp(m.Arrived), IsRead: it.Entry.Flags.Has(gateway.Seen),
		IsStarred: it.Entry.Flags.Has(gateway.Flagged), IsSent: m.Sent && m.LastEvent != gateway.LastDraft, Folder: it.Folder,
		HasAttachments: c.HasAttachments(), ThreadID: m.Thread.String(), InReplyTo: orNull(c.InReplyTo),
		ThreadPosition: m.Position,
		EmailID:        m.ID.String(), UID: it.Entry.UID, Email: it.Email, MessageID: orNull(c.MessageID),
		ToAddresses: addrs(c.To), Cc: addrs(c.Cc), Bcc: addrs(c.Bcc), ReplyTo: addrs(c.ReplyTo),
		Labels: it.Entry.Labels, Tags: m.Tags, Size: m.Size(), LastEvent: orNull(m.LastEvent),
		ScheduledAt: stampOrNull(m.Scheduled), Snippet: snippetOf(it.Snippet),
	}
	if e.ID == "" {
		e.ID = e.EmailID
	}
	if len(c.From) > 0 {
		e.FromName = c.From[0].Name
	}
	if e.Labels == nil {
		e.Labels = []string{}
	}
	if e.Tags == nil {
		e.Tags = []gateway.Tag{}
	}
	return e
}

// emailDetail is one email, whole. Source: API guide, "Detail Response".
type emailDetail struct {
	emailItem
	HTML           string           `json:"html"`
	Text           string           `json:"text"`
	References     []string         `json:"references"`
	Headers        []headerShape    `json:"headers"`
	Attachments    []attachment     `json:"attachments"`
	HiddenText     bool             `json:"hidden_text"`
	BodyTruncated  bool             `json:"body_truncated"`
	Authentication *authentication  `json:"authentication"`
	Events         []deliveryStatus `json:"events"`
}

type headerShape struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// authentication says who really sent a received email, as far as was checked.
type authentication struct {
	SPF         string  `json:"spf"`
	DKIM        string  `json:"dkim"`
	DMARC       string  `json:"dmarc"`
	FromAligned bool    `json:"from_aligned"`
	Policy      *string `json:"policy"`
	Disposition string  `json:"disposition"`
	Reason      string  `json:"reason,omitempty"`
}

// authenticationOf is null of what nobody received: sent, drafted, or put there by a
// mail program.
func authenticationOf(m *gateway.Message) *authentication {
	a := &m.Auth
	if m.Sent || *a == (gateway.AuthResults{}) {
		return nil
	}
	return &authentication{
		SPF: a.SPF.Result, DKIM: a.DKIM.Result, DMARC: a.DMARC.Result, FromAligned: a.FromAligned, Policy: orNull(string(a.Policy)),
		Disposition: string(cmp.Or(a.Disposition, gateway.DispositionNone)), Reason: a.DMARC.Reason,
	}
}

// deliveryStatus is the fate of one recipient of a sent email.
type deliveryStatus struct {
	Type      string `json:"type"`
	At        string `json:"at"`
	Recipient string `json:"recipient"`
	Reason    string `json:"reason,omitempty"`
	Until     string `json:"until,omitempty"`
	Code      int    `json:"code,omitempty"`
	Message   string `json:"message,omitempty"`
}

// fateOf is the name of the newest event of a delivery.
func fateOf(j *gateway.Delivery) string {
	switch {
	case j.State != gateway.DeliveryQueued && j.State != gateway.DeliveryLeased:
		return string(j.State)
	case j.LastCode != 0:
		return "delivery_delayed"
	}
	return string(gateway.DeliveryQueued)
}

// attachment is a file of an email. Source: API guide, "List Attachments".
type attachment struct {
	ID          string  `json:"id"`
	Filename    string  `json:"filename"`
	ContentType string  `json:"content_type"`
	SizeBytes   int64   `json:"size_bytes"`
	IsInline    bool    `json:"is_inline"`
	ContentID   *string `json:"content_id"`
}

func attachmentsOf(m *gateway.Message) []attachment {
	out := []attachment{}
	for _, f := range mailbox.Files(m) {
		out = append(out, attachmentOf(&f))
	}
	return out
}

func attachmentOf(f *mailbox.File) attachment {
	return attachment{
		ID: f.ID.String(), Filename: f.Name(), ContentType: f.Part.Type, SizeBytes: f.Size,
		IsInline: f.Part.Inline, ContentID: orNull(f.Part.ContentID),
	}
}

func firstAddr(list []gateway.Address) string {
	if len(list) == 0 {
		return ""
	}
	return list[0].Addr
}

func addrs(list []gateway.Address) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.Addr
	}
	return out
}

// stamp is how times are shown: UTC, whole seconds.
func stamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

// exactly is how times are shown of what happens within a second: to the millisecond.
func exactly(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func stampOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	v := stamp(t)
	return &v
}

func orNull(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}

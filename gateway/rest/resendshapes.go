package rest

import (
	"encoding/json"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// asResend shows answers of handlers in Resend's shapes.
func asResend(_ *call, v any) any {
	switch v := v.(type) {
	case accepted:
		return resendID{v.ID}
	case batchAnswer:
		return resendBatchOf(v)
	case *emailDetail:
		return resendDetail(v)
	case emailItem: // of a change
		return resendObject{"email", v.EmailID}
	case part[linkedAttachment]:
		return partOf(mapped(v.Data, resendAttachmentOf), v.HasMore)
	case linkedAttachment:
		return resendFile{"attachment", resendAttachmentOf(v)}
	case domainShape:
		return resendDomainOf(v)
	case part[domainShape]:
		return partOf(mapped(v.Data, func(d domainShape) resendDomain {
			out := resendDomainOf(d)
			out.Object = ""
			return out
		}), v.HasMore)
	case keyShape:
		return resendKeyOf(v)
	case part[keyShape]:
		return partOf(mapped(v.Data, func(k keyShape) resendListedKey { return resendListedKey{k.ID, k.Name, k.CreatedAt, k.LastUsedAt} }), v.HasMore)
	case webhookShape:
		return resendWebhookOf(v)
	case part[webhookShape]:
		return partOf(mapped(v.Data, resendWebhookOf), v.HasMore)
	case part[heardShape]:
		return partOf(mapped(v.Data, resendHeardOf), v.HasMore)
	case heardShape:
		return resendObject{"webhook_event", v.ID}
	case part[attemptShape]:
		return partOf(mapped(v.Data, resendAttemptOf), v.HasMore)
	case suppressionShape:
		return resendSuppression{"suppression", v.ID, v.Email, v.Origin, nil, v.CreatedAt}
	case part[suppressionShape]:
		return partOf(mapped(v.Data, func(s suppressionShape) resendSuppression {
			return resendSuppression{"", s.ID, s.Email, s.Origin, nil, s.CreatedAt}
		}), v.HasMore)
	case logShape:
		return resendLogOf(v)
	case logPage:
		return partOf(mapped(v.Data, resendLogOf), v.HasMore)
	}
	return v // what is deleted or wrong is told in the same words
}

func mapped[A, B any](list []A, fn func(A) B) []B {
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = fn(v)
	}
	return out
}

type resendID struct {
	ID string `json:"id"`
}

type resendObject struct {
	Object string `json:"object"`
	ID     string `json:"id"`
}

type resendBatch struct {
	Data   []resendID         `json:"data"`
	Errors []resendBatchError `json:"errors,omitempty"`
}

type resendBatchError struct {
	Index   int    `json:"index"`
	Message string `json:"message"`
}

func resendBatchOf(v batchAnswer) resendBatch {
	return resendBatch{
		mapped(v.Data, func(a accepted) resendID { return resendID{a.ID} }),
		mapped(v.Errors, func(e batchError) resendBatchError { return resendBatchError{e.Index, e.Message} }),
	}
}

// resendEmail is a sent email in a list; resendSent one whole.
type resendEmail struct {
	ID          string   `json:"id"`
	MessageID   string   `json:"message_id"`
	To          []string `json:"to"`
	From        string   `json:"from"`
	CreatedAt   string   `json:"created_at"`
	Subject     string   `json:"subject"`
	Bcc         []string `json:"bcc"`
	Cc          []string `json:"cc"`
	ReplyTo     []string `json:"reply_to"`
	LastEvent   string   `json:"last_event"`
	ScheduledAt *string  `json:"scheduled_at"`
}

type resendSent struct {
	Object string `json:"object"`
	resendEmail
	HTML *string       `json:"html"`
	Text *string       `json:"text"`
	Tags []gateway.Tag `json:"tags"`
}

func resendListed(it *mailbox.Item) resendEmail {
	m, c := it.Message, &it.Message.Content
	return resendEmail{
		ID: m.ID.String(), MessageID: c.MessageID, To: addrs(c.To), From: shownAddr(c.From), CreatedAt: exactly(m.Arrived), Subject: c.Subject,
		Bcc: addrsOrNull(c.Bcc), Cc: addrsOrNull(c.Cc), ReplyTo: addrsOrNull(c.ReplyTo), LastEvent: resendEvent(m.LastEvent), ScheduledAt: stampOrNull(m.Scheduled),
	}
}

// resendEvent is what Resend calls the newest event of an email, where it has no such
// thing.
func resendEvent(name string) string {
	switch name {
	case "held", "":
		return "queued"
	}
	return name
}

func resendDetail(d *emailDetail) resendSent {
	from := d.From
	if d.FromName != "" {
		from = gateway.Address{Name: d.FromName, Addr: d.From}.String()
	}
	event := ""
	if d.LastEvent != nil {
		event = *d.LastEvent
	}
	messageID := ""
	if d.MessageID != nil {
		messageID = *d.MessageID
	}
	return resendSent{
		Object: "email",
		resendEmail: resendEmail{
			ID: d.EmailID, MessageID: messageID, To: d.ToAddresses, From: from, CreatedAt: d.Date, Subject: d.Subject, Bcc: orNullList(d.Bcc), Cc: orNullList(d.Cc),
			ReplyTo: orNullList(d.ReplyTo), LastEvent: resendEvent(event), ScheduledAt: d.ScheduledAt,
		},
		HTML: orNull(d.HTML), Text: orNull(d.Text), Tags: d.Tags,
	}
}

// resendArrival is an email that arrived in a list; resendInbound one whole.
type resendArrival struct {
	ID          string          `json:"id"`
	To          []string        `json:"to"`
	From        string          `json:"from"`
	CreatedAt   string          `json:"created_at"`
	Subject     string          `json:"subject"`
	Bcc         []string        `json:"bcc"`
	Cc          []string        `json:"cc"`
	ReplyTo     []string        `json:"reply_to"`
	ReceivedFor []string        `json:"received_for"`
	MessageID   string          `json:"message_id"`
	Attachments []resendEnclose `json:"attachments"`
}

type resendInbound struct {
	Object string `json:"object"`
	resendArrival
	HTML    *string           `json:"html"`
	Text    *string           `json:"text"`
	Headers map[string]string `json:"headers"`
	Raw     *resendRaw        `json:"raw"`
}

type resendRaw struct {
	DownloadURL string `json:"download_url"`
	ExpiresAt   string `json:"expires_at"`
}

// resendEnclose is a file as an email names it, without a link.
type resendEnclose struct {
	ID          string  `json:"id"`
	Filename    *string `json:"filename"`
	Size        int64   `json:"size"`
	ContentType string  `json:"content_type"`
	ContentID   *string `json:"content_id"`
	Disposition string  `json:"content_disposition"`
}

func resendArrived(it *mailbox.Item) resendArrival {
	m, c := it.Message, &it.Message.Content
	out := resendArrival{
		ID: m.ID.String(), To: addrs(c.To), From: shownAddr(c.From), CreatedAt: exactly(m.Arrived), Subject: c.Subject, Bcc: addrsOrNull(c.Bcc),
		Cc: addrsOrNull(c.Cc), ReplyTo: addrsOrNull(c.ReplyTo), ReceivedFor: listed(m.Recipients), MessageID: c.MessageID, Attachments: []resendEnclose{},
	}
	for _, a := range attachmentsOf(m) {
		out.Attachments = append(out.Attachments, resendEnclose{a.ID, &a.Filename, a.SizeBytes, a.ContentType, a.ContentID, dispositionOf(a.IsInline)})
	}
	return out
}

// resendReceived takes of several fields of one name the last, as there is room for one.
func resendReceived(it *mailbox.Item, d *emailDetail) resendInbound {
	out := resendInbound{
		Object: "email", resendArrival: resendArrived(it), HTML: orNull(d.HTML), Text: orNull(d.Text), Headers: make(map[string]string, len(d.Headers)),
	}
	for _, h := range d.Headers {
		out.Headers[strings.ToLower(h.Name)] = h.Value
	}
	return out
}

// resendAttachment is a file with a link.
type resendAttachment struct {
	ID          string  `json:"id"`
	Filename    string  `json:"filename"`
	Size        int64   `json:"size"`
	ContentType string  `json:"content_type"`
	Disposition string  `json:"content_disposition"`
	ContentID   *string `json:"content_id,omitempty"`
	DownloadURL string  `json:"download_url"`
	ExpiresAt   string  `json:"expires_at"`
}

type resendFile struct {
	Object string `json:"object"`
	resendAttachment
}

func resendAttachmentOf(a linkedAttachment) resendAttachment {
	out := resendAttachment{ID: a.ID, Filename: a.Filename, Size: a.SizeBytes, ContentType: a.ContentType, Disposition: dispositionOf(a.IsInline), ContentID: a.ContentID}
	if a.DownloadURL != nil {
		out.DownloadURL, out.ExpiresAt = *a.DownloadURL, *a.ExpiresAt
	}
	return out
}

func dispositionOf(inline bool) string {
	if inline {
		return "inline"
	}
	return "attachment"
}

// resendDomain has no region: there is one place. Clients want the field.
type resendDomain struct {
	Object       string           `json:"object,omitempty"`
	ID           string           `json:"id"`
	Name         string           `json:"name"`
	Status       string           `json:"status"`
	CreatedAt    string           `json:"created_at"`
	Region       string           `json:"region"`
	Capabilities resendCapability `json:"capabilities"`
	OpenTracking bool             `json:"open_tracking"`
	ClickTrack   bool             `json:"click_tracking"`
	Records      *[]recordShape   `json:"records,omitempty"`
}

type resendCapability struct {
	Sending   string `json:"sending"`
	Receiving string `json:"receiving"`
}

func resendDomainOf(d domainShape) resendDomain {
	able := func(on bool) string {
		if on {
			return "enabled"
		}
		return "disabled"
	}
	out := resendDomain{Object: "domain", ID: d.ID, Name: d.Name, Status: d.Status, CreatedAt: d.CreatedAt, Records: d.Records, Capabilities: resendCapability{"disabled", "disabled"}}
	if c := d.Capabilities; c != nil {
		out.Capabilities = resendCapability{able(c.Sending), able(c.Receiving)}
	}
	return out
}

type resendListedKey struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	CreatedAt  string  `json:"created_at"`
	LastUsedAt *string `json:"last_used_at"`
}

// resendKeyOf is a key that was made, or else one that was changed.
func resendKeyOf(k keyShape) any {
	if k.Token != "" {
		return fiber.Map{"id": k.ID, "token": k.Token}
	}
	return resendObject{"api_key", k.ID}
}

type resendWebhook struct {
	Object        string              `json:"object"`
	ID            string              `json:"id"`
	Endpoint      string              `json:"endpoint"`
	CreatedAt     string              `json:"created_at"`
	Status        string              `json:"status"`
	Events        []gateway.EventType `json:"events"`
	SigningSecret string              `json:"signing_secret,omitempty"`
}

func resendWebhookOf(w webhookShape) resendWebhook {
	return resendWebhook{"webhook", w.ID, w.Endpoint, w.CreatedAt, w.Status, w.Events, w.SigningSecret}
}

type resendHeard struct {
	ID        string            `json:"id"`
	Type      gateway.EventType `json:"type"`
	CreatedAt string            `json:"created_at"`
	Status    string            `json:"status"`
}

func resendHeardOf(v heardShape) resendHeard {
	return resendHeard{v.ID, v.Type, v.CreatedAt, resendHeardStatus(v.Status)}
}

func resendHeardStatus(status string) string {
	if status == string(gateway.WebhookDelivered) {
		return "success"
	}
	return status
}

// resendTold is an event with what it is told with.
type resendTold struct {
	Object string `json:"object"`
	resendHeard
	NextAt  *string         `json:"next_attempt_at"`
	Payload json.RawMessage `json:"payload"`
}

func resendPayload(v *gateway.WebhookEvent, doc []byte) resendTold {
	shape := heardOf(v)
	return resendTold{"webhook_event", resendHeardOf(shape), shape.NextAt, doc}
}

type resendAttempt struct {
	ID       string `json:"id"`
	Status   int    `json:"http_status_code"` // 0: there was no answer
	Response string `json:"response"`
	SentAt   string `json:"sent_at"`
}

// attemptID names an attempt by its time: it has no other name.
func attemptID(a *attemptShape) string { return "atmpt_" + a.CreatedAt }

func resendAttemptOf(a attemptShape) resendAttempt {
	out := resendAttempt{attemptID(&a), 0, a.Body, a.CreatedAt}
	if a.Status != nil {
		out.Status = *a.Status
	} else if a.Error != nil {
		out.Response = *a.Error
	}
	return out
}

type resendSuppression struct {
	Object    string  `json:"object,omitempty"`
	ID        string  `json:"id"`
	Email     string  `json:"email"`
	Origin    string  `json:"origin"`
	SourceID  *string `json:"source_id"`
	CreatedAt string  `json:"created_at"`
}

// resendLog has no bodies: none are kept.
type resendLog struct {
	Object       string  `json:"object"`
	ID           string  `json:"id"`
	CreatedAt    string  `json:"created_at"`
	Endpoint     string  `json:"endpoint"`
	Method       string  `json:"method"`
	Status       int     `json:"response_status"`
	UserAgent    *string `json:"user_agent"`
	RequestBody  *string `json:"request_body"`
	ResponseBody *string `json:"response_body"`
}

func resendLogOf(l logShape) resendLog {
	return resendLog{"log", l.ID, l.CreatedAt, l.Endpoint, l.Method, l.Status, orNull(l.UserAgent), nil, nil}
}

// shownAddr is the first address of a list with its name.
func shownAddr(list []gateway.Address) string {
	if len(list) == 0 {
		return ""
	}
	return list[0].String()
}

func addrsOrNull(list []gateway.Address) []string { return orNullList(addrs(list)) }

func orNullList(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

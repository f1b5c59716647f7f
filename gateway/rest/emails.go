package rest

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// parseRef reads an id as a client gives it: a UUID, a UID, or a Message-ID,
// with or without its brackets.
func parseRef(v string) (ref mailbox.Ref, err error) {
	if id, err := gateway.ParseID(v); err == nil {
		return mailbox.Ref{ID: id}, nil
	}
	if strings.Trim(v, "0123456789") == "" && v != "" {
		uid, err := strconv.ParseUint(v, 10, 32)
		if err != nil || uid == 0 {
			return ref, gateway.Errorf(gateway.NotFound, "no such email")
		}
		return mailbox.Ref{UID: uint32(uid)}, nil
	}
	if !strings.HasPrefix(v, "<") {
		v = "<" + v + ">"
	}
	if len(v) < 3 || len(v) > 250 {
		return ref, gateway.Errorf(gateway.NotFound, "no such email")
	}
	return mailbox.Ref{MessageID: v}, nil
}

// ref reads the email that a route names. The router leaves the id encoded; it
// is decoded here, once.
func (k *call) ref() (mailbox.Ref, error) {
	v, err := url.PathUnescape(k.c.Params("id"))
	if err != nil {
		return mailbox.Ref{}, gateway.Fieldf(gateway.InvalidParameter, "id", "the id is not percent-encoded correctly")
	}
	ref, err := parseRef(v)
	ref.Email, ref.Folder = k.c.Query("email"), k.c.Query("folder")
	return ref, err
}

// target is whom a route about one email is for, and the email it names.
func (s *Server) target(k *call) (gateway.Scope, mailbox.Ref, error) {
	scope, err := s.mailScope(k)
	if err != nil {
		return scope, mailbox.Ref{}, err
	}
	ref, err := k.ref()
	return scope, ref, err
}

func (s *Server) getEmail(k *call) error {
	format := k.c.Query("html_format", "cid")
	if format != "cid" && format != "data_uri" {
		return gateway.Fieldf(gateway.InvalidParameter, "html_format", "html_format is cid or data_uri")
	}
	scope, it, err := s.item(k)
	if err != nil {
		return err
	}
	d, err := s.detail(k, scope, it)
	if err == nil && format == "data_uri" {
		d.HTML, err = s.cfg.Mail.Inline(k.ctx, scope, it, d.HTML)
	}
	if err != nil {
		return err
	}
	return k.json(d)
}

// item finds the email that a route names, to read it.
func (s *Server) item(k *call) (gateway.Scope, mailbox.Item, error) {
	scope, ref, err := s.target(k)
	if err != nil {
		return scope, mailbox.Item{}, err
	}
	it, err := s.cfg.Mail.Get(k.ctx, scope, ref)
	if err == nil {
		k.row.Email = it.Message.ID
	}
	return scope, it, err
}

func (s *Server) detail(k *call, scope gateway.Scope, it mailbox.Item) (*emailDetail, error) {
	b, err := s.cfg.Mail.Read(k.ctx, scope, it)
	if err != nil {
		return nil, err
	}
	head, err := s.cfg.Mail.Header(k.ctx, scope, it)
	if err != nil {
		return nil, err
	}
	d := &emailDetail{
		emailItem: itemOf(&it), HTML: b.HTML, Text: b.Text, References: it.Message.Content.References,
		Attachments: attachmentsOf(it.Message), HiddenText: b.Hidden, BodyTruncated: b.Cut, Events: []deliveryStatus{},
	}
	d.Object = "email"
	if d.References == nil {
		d.References = []string{}
	}
	for _, f := range head {
		d.Headers = append(d.Headers, headerShape(f))
	}
	if d.Authentication = authenticationOf(it.Message); !it.Message.Sent {
		return d, nil
	}
	jobs, err := s.cfg.Mail.Deliveries(k.ctx, scope, it)
	for _, j := range jobs {
		e := deliveryStatus{
			Type: fateOf(&j), At: stamp(j.UpdatedAt), Recipient: j.Recipient, Reason: string(j.Held), Code: j.LastCode, Message: j.LastText,
		}
		if !j.Until.IsZero() {
			e.Until = stamp(j.Until)
		}
		d.Events = append(d.Events, e)
	}
	return d, err
}

// emailChange is the body of PATCH. Source: API guide, "Update Email".
type emailChange struct {
	IsRead       *bool    `json:"is_read"`
	IsStarred    *bool    `json:"is_starred"`
	Folder       *string  `json:"folder"`
	AddLabels    []string `json:"add_labels"`
	RemoveLabels []string `json:"remove_labels"`
	ScheduledAt  *string  `json:"scheduled_at"`
}

func (s *Server) updateEmail(k *call) error {
	var ch emailChange
	if err := s.readJSON(k, &ch); err != nil {
		return err
	}
	if ch.ScheduledAt != nil {
		return s.reschedule(k, &ch)
	}
	if k.sendOnly() {
		return gateway.Errorf(gateway.Restricted, "a send-only key changes nothing but scheduled_at")
	}
	scope, ref, err := s.target(k)
	if err != nil {
		return err
	}
	if ch.IsRead == nil && ch.IsStarred == nil && ch.Folder == nil && len(ch.AddLabels) == 0 && len(ch.RemoveLabels) == 0 {
		return gateway.Errorf(gateway.MissingField, "nothing to change: give is_read, is_starred, folder, add_labels or remove_labels")
	}
	it, err := s.cfg.Mail.Update(k.ctx, scope, ref, mailbox.Change{
		Read: ch.IsRead, Starred: ch.IsStarred, Folder: ch.Folder, AddLabels: ch.AddLabels, RemoveLabels: ch.RemoveLabels,
	})
	if err != nil {
		return err
	}
	k.row.Email = it.Message.ID
	out := itemOf(&it)
	out.Object = "email"
	return k.json(out)
}

// removed is the answer to DELETE; folder and uid say where the email is now.
type removed struct {
	Object  string  `json:"object"`
	ID      string  `json:"id"`
	Deleted bool    `json:"deleted"`
	Folder  *string `json:"folder"`
	UID     *uint32 `json:"uid"`
}

func (s *Server) deleteEmail(k *call) error {
	scope, ref, err := s.target(k)
	if err != nil {
		return err
	}
	permanent, err := k.flag("permanent")
	if err != nil {
		return err
	}
	r, err := s.cfg.Mail.Delete(k.ctx, scope, ref, permanent)
	if err != nil {
		return err
	}
	k.row.Email = r.ID
	out := removed{Object: "email", ID: r.ID.String(), Deleted: true, Folder: orNull(r.Folder)}
	if r.UID != 0 {
		out.UID = &r.UID
	}
	return k.json(out)
}

func (s *Server) getRawEmail(k *call) error {
	scope, it, err := s.item(k)
	if err != nil {
		return err
	}
	return s.sendRaw(k, scope, it)
}

// sendRaw answers with a message as it stands.
func (s *Server) sendRaw(k *call, scope gateway.Scope, it mailbox.Item) error {
	r, size, err := s.cfg.Mail.Raw(k.ctx, scope, it)
	if err != nil {
		return err
	}
	k.c.Set("Content-Type", "message/rfc822")
	k.c.Set("Content-Disposition", `attachment; filename="message.eml"`)
	k.c.Set("X-Content-Type-Options", "nosniff")
	k.c.Context().SetBodyStream(r, int(size))
	return nil
}

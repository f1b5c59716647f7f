package rest

import (
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
)

// Under /resend the routes speak as Resend's API does, so that its clients need nothing but
// another address. It is the same handlers with another presenter; the few routes that
// mean something else there have handlers of their own. What Resend has and a mail gateway
// has not (contacts, broadcasts, templates and the like) is 404. Source: the types of
// Resend's Node library, 6.38.

// resendRoot begins the paths.
const resendRoot = "/resend"

// resendRoutes are the routes there.
var resendRoutes = underResend([]route{
	{"POST", "/emails", "sendEmail", senders, keys.Sends, (*Server).sendEmail, nil},
	{"POST", "/emails/batch", "sendBatch", senders, keys.Sends, (*Server).sendBatch, nil},
	{"GET", "/emails", "listSent", readers, keys.Reads, (*Server).listSent, nil},
	{"GET", "/emails/receiving", "listReceived", readers, keys.Reads, (*Server).listReceived, nil},
	{"GET", "/emails/receiving/:id", "getReceived", readers, keys.Reads, (*Server).getReceived, nil},
	{"GET", "/emails/receiving/:id/attachments", "listAttachments", readers, keys.Reads, (*Server).listAttachments, nil},
	{"GET", "/emails/receiving/:id/attachments/:attachmentId", "getAttachment", readers, keys.Reads, (*Server).getAttachmentLink, nil},
	{"GET", "/emails/:id", "getEmail", readers, keys.Reads, (*Server).getEmail, nil},
	{"PATCH", "/emails/:id", "updateEmail", senders, keys.Changes, (*Server).updateEmail, nil},
	{"POST", "/emails/:id/cancel", "cancelEmail", senders, keys.Changes, (*Server).cancelEmail, nil},
	{"GET", "/emails/:id/attachments", "listAttachments", readers, keys.Reads, (*Server).listAttachments, nil},
	{"GET", "/emails/:id/attachments/:attachmentId", "getAttachment", readers, keys.Reads, (*Server).getAttachmentLink, nil},
	{"GET", "/domains", "listDomains", readers, keys.Reads, (*Server).listDomains, nil},
	{"POST", "/domains", "createDomain", instance, keys.Changes, (*Server).createDomain, nil},
	{"GET", "/domains/:id", "getDomain", admins, keys.Reads, (*Server).getDomain, nil},
	{"PATCH", "/domains/:id", "updateDomain", admins, keys.Changes, (*Server).updateDomain, nil},
	{"DELETE", "/domains/:id", "deleteDomain", instance, keys.Changes, (*Server).deleteDomain, nil},
	{"POST", "/domains/:id/verify", "verifyDomain", admins, keys.Changes, (*Server).verifyDomain, nil},
	{"GET", "/api-keys", "listKeys", readers, keys.Reads, (*Server).listKeys, nil},
	{"POST", "/api-keys", "createKey", readers, keys.Changes, (*Server).createKey, nil},
	{"PATCH", "/api-keys/:id", "updateKey", readers, keys.Changes, (*Server).updateKey, nil},
	{"DELETE", "/api-keys/:id", "revokeKey", readers, keys.Changes, (*Server).revokeKey, nil},
	{"GET", "/webhooks", "listWebhooks", readers, keys.Reads, (*Server).listWebhooks, nil},
	{"POST", "/webhooks", "createWebhook", readers, keys.Changes, (*Server).addWebhook, nil},
	{"GET", "/webhooks/:id", "getWebhook", readers, keys.Reads, (*Server).getWebhook, nil},
	{"PATCH", "/webhooks/:id", "updateWebhook", readers, keys.Changes, (*Server).updateWebhook, nil},
	{"DELETE", "/webhooks/:id", "deleteWebhook", readers, keys.Changes, (*Server).deleteWebhook, nil},
	{"POST", "/webhooks/:id/signing-secret/rotate", "rotateWebhookSecret", readers, keys.Changes, (*Server).rotateWebhookSecret, nil},
	{"GET", "/webhooks/:id/events", "listWebhookEvents", readers, keys.Reads, (*Server).listWebhookEvents, nil},
	{"GET", "/webhooks/:id/events/:event", "getWebhookEvent", readers, keys.Reads, (*Server).getWebhookPayload, nil},
	{"GET", "/webhooks/:id/events/:event/attempts", "listWebhookAttempts", readers, keys.Reads, (*Server).listWebhookAttempts, nil},
	{"POST", "/webhooks/:id/events/:event/replay", "replayWebhookEvent", readers, keys.Changes, (*Server).replayWebhookEvent, nil},
	{"GET", "/suppressions", "listSuppressions", admins, keys.Reads, (*Server).listSuppressions, nil},
	{"POST", "/suppressions", "addSuppression", admins, keys.Changes, (*Server).addSuppression, nil},
	{"GET", "/suppressions/:idOrEmail", "getSuppression", admins, keys.Reads, (*Server).getSuppression, nil},
	{"DELETE", "/suppressions/:idOrEmail", "removeSuppression", admins, keys.Changes, (*Server).removeSuppression, nil},
	{"GET", "/logs", "listLogs", readers, keys.Reads, (*Server).listLogs, nil},
	{"GET", "/logs/:id", "getLog", readers, keys.Reads, (*Server).getLog, nil},
})

func underResend(list []route) []route {
	for i := range list {
		list[i].Path = resendRoot + list[i].Path
		list[i].Present = asResend
	}
	return list
}

// resendStatus is the status that Resend gives an error which is the gateway's own with
// another one.
func resendStatus(k gateway.Kind, status int) int {
	switch k {
	case gateway.InvalidKey:
		return fiber.StatusForbidden
	case gateway.Restricted:
		return fiber.StatusUnauthorized
	}
	return status
}

// sentQuery reads which page of a log is wanted, the newest first.
func (s *Server) sentQuery(k *call, sent bool) (sc gateway.Scope, q mailbox.RecentQuery, err error) {
	if sc, err = s.mailScope(k); err != nil {
		return sc, q, err
	}
	q.Email, q.Sent = k.c.Query("email"), sent
	q.Span, err = s.span(k)
	return sc, q, err
}

// listSent lists what a domain or an account sent.
func (s *Server) listSent(k *call) error {
	return s.listRecent(k, true, func(it *mailbox.Item) any { return resendListed(it) })
}

// listReceived lists what arrived.
func (s *Server) listReceived(k *call) error {
	return s.listRecent(k, false, func(it *mailbox.Item) any { return resendArrived(it) })
}

func (s *Server) listRecent(k *call, sent bool, show func(*mailbox.Item) any) error {
	sc, q, err := s.sentQuery(k, sent)
	if err != nil {
		return err
	}
	items, more, err := s.cfg.Mail.Recent(k.ctx, sc, q)
	if err != nil {
		return err
	}
	out := make([]any, len(items))
	for i := range items {
		out[i] = show(&items[i])
	}
	return k.json(partOf(out, more))
}

// getReceived gives an email that arrived, with a link to its bytes.
func (s *Server) getReceived(k *call) error {
	format := k.c.Query("html_format", "data_uri")
	if !slices.Contains([]string{"cid", "data_uri"}, format) {
		return gateway.Fieldf(gateway.InvalidParameter, "html_format", "html_format is cid or data_uri")
	}
	sc, it, err := s.item(k)
	if err != nil {
		return err
	}
	d, err := s.detail(k, sc, it)
	if err == nil && format == "data_uri" {
		d.HTML, err = s.cfg.Mail.Inline(k.ctx, sc, it, d.HTML)
	}
	if err != nil {
		return err
	}
	out := resendReceived(&it, d)
	if link, err := s.cfg.Mail.RawLink(k.ctx, sc, it); err == nil {
		out.Raw = &resendRaw{s.base(k) + "/files/" + link.Token, stamp(link.Expires)}
	} else if gateway.KindOf(err) != gateway.Unavailable {
		return err
	}
	return k.json(out)
}

// getAttachmentLink is what is known of a file, with a link to it.
func (s *Server) getAttachmentLink(k *call) error {
	sc, it, f, err := s.namedFile(k)
	if err != nil {
		return err
	}
	out, err := s.withLinks(k, sc, it, []mailbox.File{f})
	if err != nil {
		return err
	}
	return k.json(out[0])
}

// getWebhookPayload gives an event with the document that it is told with now.
func (s *Server) getWebhookPayload(k *call) error {
	sc, v, err := s.webhookEvent(k)
	if err != nil {
		return err
	}
	doc, err := s.Document(k.ctx, sc, &v.Event)
	if gateway.KindOf(err) == gateway.NotFound && err != nil {
		doc = []byte("null") // what it was about is gone
	} else if err != nil {
		return err
	}
	return k.json(resendPayload(v, doc))
}

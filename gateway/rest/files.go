package rest

import (
	"context"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
)

// linkedAttachment is a file with a link that needs no key. Both are null when the
// instance has no secret yet and its disk is too full for one.
type linkedAttachment struct {
	attachment
	DownloadURL *string `json:"download_url"`
	ExpiresAt   *string `json:"expires_at"`
}

// withLinks shows files of an email, each with a link.
func (s *Server) withLinks(k *call, scope gateway.Scope, it mailbox.Item, files []mailbox.File) ([]linkedAttachment, error) {
	return s.linked(k.ctx, s.base(k), scope, it, files)
}

// linked is withLinks for links that begin with base.
func (s *Server) linked(ctx context.Context, base string, scope gateway.Scope, it mailbox.Item, files []mailbox.File) ([]linkedAttachment, error) {
	links, err := s.cfg.Mail.Links(ctx, scope, it, files)
	if err != nil && gateway.KindOf(err) != gateway.Unavailable {
		return nil, err
	}
	out := make([]linkedAttachment, len(files))
	for i := range files {
		out[i].attachment = attachmentOf(&files[i])
		if links != nil {
			url := base + "/files/" + links[i].Token
			out[i].DownloadURL, out[i].ExpiresAt = &url, stampOrNull(links[i].Expires)
		}
	}
	return out, nil
}

// base is what links begin with. Fields such as X-Forwarded-Host are anybody's to
// set: behind a proxy, rest.url says it.
func (s *Server) base(k *call) string {
	if s.cfg.URL != "" {
		return s.cfg.URL
	}
	scheme := "http://"
	if k.c.Context().IsTLS() {
		scheme = "https://"
	}
	if host := string(k.c.Context().Host()); !strings.ContainsFunc(host, notOfHost) {
		return scheme + host
	}
	return "" // then the link is relative
}

// notOfHost tells what no host has in it, with its port.
func notOfHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_:[]", r)
}

// getFile gives the file of a link. It counts, and is in the log, as a request of the
// key that the link was given to.
func (s *Server) getFile(k *call) error {
	l, err := s.cfg.Mail.Linked(k.ctx, k.c.Params("token"))
	if err != nil {
		return err
	}
	if l.Key != nil {
		k.note(l.Key)
		if _, err := s.cfg.Keys.Count(l.Key.ID, keys.Reads); err != nil {
			return err
		}
	}
	m := l.Item.Message
	k.row.Email, k.row.Domain, k.row.Account = m.ID, m.Domain, m.Account
	k.c.Set("Referrer-Policy", "no-referrer")
	if l.Raw {
		return s.sendRaw(k, l.Scope, l.Item)
	}
	return s.sendFile(k, l.Scope, l.Item, l.File)
}

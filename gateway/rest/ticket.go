package rest

import (
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// streamOperation is the one route that a token opens.
const streamOperation = "streamEmails"

// streamToken stands in the stream's address instead of a key.
type streamToken struct {
	Object    string   `json:"object"`
	Token     string   `json:"token"`
	Email     string   `json:"email"`
	Folders   []string `json:"folders"`
	ExpiresAt string   `json:"expires_at"`
}

// createStreamToken makes a token for the stream of a mailbox, for clients that can't
// send a header field: a browser's EventSource.
func (s *Server) createStreamToken(k *call) error {
	var in struct {
		Email   string   `json:"email"`
		Folders []string `json:"folders"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	scope, err := s.mailScopeOf(k, in.Email)
	if err != nil {
		return err
	}
	token, t, err := s.cfg.Mail.SignStream(k.ctx, scope, in.Email, in.Folders)
	if err != nil {
		return err
	}
	a, err := s.cfg.Domains.AccountByID(k.ctx, scope, t.Domain, t.Account)
	if err != nil {
		return err
	}
	k.row.Account = t.Account
	k.c.Set("Cache-Control", "no-store")
	return k.json(streamToken{"stream_token", token, a.Email, t.Folders, stamp(t.Expires)})
}

// recognise opens the session of a caller: with a key, or at the stream with a token. All
// that is wrong with a token sounds the same to its holder.
func (s *Server) recognise(k *call) (*keys.Session, error) {
	header := k.c.Get("Authorization")
	if header != "" || k.token == "" || k.route.Operation != streamOperation {
		return s.cfg.Keys.Open(k.ctx, bearer(header))
	}
	refused := func(reason string) error {
		return &gateway.Error{Kind: gateway.InvalidKey, Message: "the stream's token is invalid or has ended; ask for another one", Reason: reason}
	}
	t, signed, err := s.cfg.Mail.Ticket(k.ctx, k.token)
	if err != nil {
		return nil, err
	} else if !signed {
		return nil, refused("unknown token")
	}
	k.ticket = &t
	if !t.Expires.After(s.cfg.Now()) {
		return nil, refused("expired token")
	}
	return s.cfg.Keys.OpenFor(k.ctx, t.Domain, t.Key)
}

// lasts is how long a stream may stay open; with a key 0, which is as long as that.
func (k *call) lasts(now time.Time) time.Duration {
	if k.ticket == nil {
		return 0
	}
	return max(k.ticket.Expires.Sub(now), 1)
}

// confine makes of the key's scope that of the token, if one was shown.
func (k *call) confine() (err error) {
	if k.ticket != nil {
		k.row.Domain, k.row.Account = k.ticket.Domain, k.ticket.Account
		k.scope, err = keys.Narrow(k.scope, k.ticket.Domain, k.ticket.Account)
	}
	return err
}

// ticketFolders are those of the token; folders may say them again, and no other.
func (k *call) ticketFolders(names []string) (map[string]bool, error) {
	for i, name := range names {
		names[i] = gateway.FoldMailbox(strings.TrimSpace(name))
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > 0 && !slices.Equal(names, k.ticket.Folders) {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "folders", "the token is for %s", strings.Join(k.ticket.Folders, ","))
	}
	return setOf(k.ticket.Folders, nil)
}

package rest

import (
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// keyShape is a key; its token is shown once, in the answer that makes it.
type keyShape struct {
	Object         string  `json:"object"`
	ID             string  `json:"id"`
	Name           string  `json:"name"`
	Prefix         string  `json:"prefix"`
	Permission     string  `json:"permission"`
	Scope          string  `json:"scope"`
	Domain         *string `json:"domain"`
	Email          *string `json:"email"`
	CreatedAt      string  `json:"created_at"`
	LastUsedAt     *string `json:"last_used_at"`
	ExpiresAt      *string `json:"expires_at"`
	RevokedAt      *string `json:"revoked_at"`
	RateLimit      int64   `json:"rate_limit"`
	RecipientLimit int64   `json:"recipient_limit"`
	UsedThisHour   int64   `json:"used_this_hour"`
	Token          string  `json:"token,omitempty"`
}

func (s *Server) keyOf(k *call, key *gateway.Key) (keyShape, error) {
	out := keyShape{
		Object: "api_key", ID: key.ID.String(), Name: key.Name, Prefix: key.Display(), Permission: string(key.Permission),
		Scope: key.Level.String(), CreatedAt: stamp(key.CreatedAt), LastUsedAt: stampOrNull(key.LastUsedAt),
		ExpiresAt: stampOrNull(key.ExpiresAt), RevokedAt: stampOrNull(key.RevokedAt),
		RateLimit: key.Limits.Messages, RecipientLimit: key.Limits.Recipients, UsedThisHour: key.Used.At(s.cfg.Now()).Messages,
	}
	if key.Domain != 0 {
		d, err := s.cfg.Domains.ByID(k.ctx, k.scope, key.Domain)
		if err != nil {
			return out, err
		}
		out.Domain = &d.Name
	}
	if key.Account != 0 {
		a, err := s.cfg.Domains.AccountByID(k.ctx, k.scope, key.Domain, key.Account)
		switch {
		case err == nil:
			out.Email = &a.Email
		case gateway.KindOf(err) != gateway.NotFound: // else the account was deleted
			return out, err
		}
	}
	return out, nil
}

func (s *Server) listKeys(k *call) error {
	w, err := s.span(k)
	if err != nil {
		return err
	}
	all, more, err := s.cfg.Keys.Page(k.ctx, k.scope, w)
	if err != nil {
		return err
	}
	var out []keyShape
	for i := range all {
		shape, err := s.keyOf(k, &all[i])
		if err != nil {
			return err
		}
		out = append(out, shape)
	}
	return k.json(partOf(out, more))
}

// newKey is the body of POST /api-keys.
type newKey struct {
	Name           string  `json:"name"`
	Permission     string  `json:"permission"`
	Domain         *string `json:"domain"`
	DomainID       *string `json:"domain_id"`
	Email          *string `json:"email"`
	Instance       bool    `json:"instance"`
	ExpiresAt      *string `json:"expires_at"`
	RateLimit      *int64  `json:"rate_limit"`
	RecipientLimit *int64  `json:"recipient_limit"`
}

func (s *Server) createKey(k *call) error {
	var in newKey
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	n := keys.NewKey{Name: in.Name, Permission: gateway.Permission(in.Permission)}
	if in.Permission == "sending_access" { // as other services call it
		n.Permission = gateway.SendOnly
	}
	if err := s.keyScope(k, &in, &n); err != nil {
		return err
	}
	var err error
	if n.ExpiresAt, err = expiry(in.ExpiresAt); err != nil {
		return err
	}
	if in.RateLimit != nil || in.RecipientLimit != nil {
		lim := gateway.KeyLimits{Messages: s.cfg.Limits.KeyMessages, Recipients: s.cfg.Limits.KeyRecipients}
		for from, to := range map[*int64]*int64{in.RateLimit: &lim.Messages, in.RecipientLimit: &lim.Recipients} {
			if from != nil {
				*to = *from
			}
		}
		n.Limits = &lim
	}
	key, token, err := s.cfg.Keys.Create(k.ctx, k.scope, n)
	if err != nil {
		return err
	}
	out, err := s.keyOf(k, key)
	if err != nil {
		return err
	}
	out.Token = token.Reveal()
	k.c.Set("Cache-Control", "no-store")
	return k.answer(fiber.StatusCreated, out)
}

// keyScope finds what the new key is for: what the body names, or the caller's
// own scope. To ask for more than that is refused.
func (s *Server) keyScope(k *call, in *newKey, n *keys.NewKey) error {
	name := in.Domain
	if name == nil {
		name = in.DomainID
	}
	switch {
	case in.Instance:
		n.Level = gateway.LevelInstance
		return nil
	case in.Email != nil:
		a, err := s.cfg.Domains.Account(k.ctx, k.scope, *in.Email)
		if err != nil {
			return outside(err, "email", *in.Email)
		}
		n.Level, n.Domain, n.Account = gateway.LevelAccount, a.Domain, a.ID
		return nil
	case name != nil:
		d, err := s.cfg.Domains.Get(k.ctx, k.scope, *name)
		if err != nil {
			return outside(err, "domain", *name)
		}
		n.Level, n.Domain = gateway.LevelDomain, d.ID
		return nil
	case k.scope.Level() == gateway.LevelInstance:
		return gateway.Fieldf(gateway.MissingField, "domain", "say what the key is for: domain, email or instance")
	}
	n.Level, n.Domain, n.Account = k.scope.Level(), k.scope.Domain(), k.scope.Account()
	return nil
}

// outside makes of an object that is not found one that may not be acted for.
func outside(err error, field, what string) error {
	if gateway.KindOf(err) == gateway.NotFound {
		return gateway.Fieldf(gateway.Restricted, field, "%s is outside of this key's scope", clip(strings.ToValidUTF8(what, ""), 100))
	}
	return err
}

func expiry(v *string) (time.Time, error) {
	if v == nil || *v == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, *v)
	if err != nil {
		return t, gateway.Fieldf(gateway.InvalidParameter, "expires_at", "expires_at is a time such as 2027-01-31T12:00:00Z")
	}
	return t, nil
}

func (s *Server) updateKey(k *call) error {
	id, err := gateway.ParseID(k.c.Params("id"))
	if err != nil {
		return gateway.Errorf(gateway.NotFound, "no such key")
	}
	var in struct {
		Name           *string `json:"name"`
		ExpiresAt      *string `json:"expires_at"`
		RateLimit      *int64  `json:"rate_limit"`
		RecipientLimit *int64  `json:"recipient_limit"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	ch := keys.Change{Name: in.Name, Messages: in.RateLimit, Recipients: in.RecipientLimit}
	if in.ExpiresAt != nil {
		t, err := expiry(in.ExpiresAt)
		if err != nil {
			return err
		}
		ch.ExpiresAt = &t
	}
	key, err := s.cfg.Keys.Update(k.ctx, k.scope, id, ch)
	if err != nil {
		return err
	}
	out, err := s.keyOf(k, key)
	if err != nil {
		return err
	}
	return k.json(out)
}

func (s *Server) revokeKey(k *call) error {
	id, err := gateway.ParseID(k.c.Params("id"))
	if err != nil {
		return gateway.Errorf(gateway.NotFound, "no such key")
	}
	cancel, err := k.flag("cancel_pending")
	if err != nil {
		return err
	}
	key, err := s.cfg.Keys.Revoke(k.ctx, k.scope, id)
	if err != nil {
		return err
	}
	out := fiber.Map{"object": "api_key", "id": id.String(), "deleted": true}
	if cancel { // the key is dead by now: nothing is added meanwhile
		if out["canceled"], err = s.cancelOfKey(k, key); err != nil {
			return err
		}
	}
	return k.json(out)
}

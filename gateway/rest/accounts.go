package rest

import (
	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/domains"
)

// accountShape is an account.
type accountShape struct {
	Object     string   `json:"object"`
	ID         string   `json:"id"`
	Email      string   `json:"email"`
	Name       string   `json:"name"`
	Aliases    []string `json:"aliases"`
	Implicit   bool     `json:"implicit"`
	QuotaBytes int64    `json:"quota_bytes"`
	UsedBytes  int64    `json:"used_bytes"`
	CreatedAt  string   `json:"created_at"`
}

func accountOf(a *gateway.Account) accountShape {
	out := accountShape{"account", a.UUID.String(), a.Email, a.Name, a.Aliases, a.Implicit, a.Quota, a.Used, stamp(a.CreatedAt)}
	if out.Aliases == nil {
		out.Aliases = []string{}
	}
	return out
}

func (s *Server) createAccount(k *call) error {
	var in struct {
		Email   *string  `json:"email"`
		Name    string   `json:"name"`
		Aliases []string `json:"aliases"`
		Quota   int64    `json:"quota_bytes"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	if in.Email == nil {
		return gateway.Fieldf(gateway.MissingField, "email", "email is required")
	}
	a, err := s.cfg.Domains.CreateAccount(k.ctx, k.scope, domains.NewAccount{Email: *in.Email, Name: in.Name, Aliases: in.Aliases, Quota: in.Quota})
	if err != nil {
		return err
	}
	return k.answer(fiber.StatusCreated, accountOf(a))
}

func (s *Server) listAccounts(k *call) error {
	scope, _, err := s.ownEmail(k)
	if err != nil {
		return err
	}
	limit, err := s.pageLimit(k)
	if err != nil {
		return err
	}
	all, more, err := s.cfg.Domains.Accounts(k.ctx, scope, scope.Domain(), k.c.Query("after"), limit)
	if err != nil {
		return err
	}
	var out []accountShape
	for i := range all {
		out = append(out, accountOf(&all[i]))
	}
	return k.json(partOf(out, more))
}

func (s *Server) getAccount(k *call) error {
	a, err := s.cfg.Domains.Account(k.ctx, k.scope, k.param("email"))
	if err != nil {
		return err
	}
	return k.json(accountOf(a))
}

func (s *Server) updateAccount(k *call) error {
	var in struct {
		Name    *string   `json:"name"`
		Aliases *[]string `json:"aliases"`
		Quota   *int64    `json:"quota_bytes"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	a, err := s.cfg.Domains.UpdateAccount(k.ctx, k.scope, k.param("email"), domains.AccountChange{Name: in.Name, Aliases: in.Aliases, Quota: in.Quota})
	if err != nil {
		return err
	}
	return k.json(accountOf(a))
}

func (s *Server) deleteAccount(k *call) error {
	a, err := s.cfg.Instance.DeleteAccount(k.ctx, k.scope, k.param("email"))
	if err != nil {
		return err
	}
	return k.json(fiber.Map{"object": "account", "id": a.UUID.String(), "email": a.Email, "deleted": true})
}

package rest

import (
	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// searchIndexShape is how far the search index has come, of an account or of all.
type searchIndexShape struct {
	Object   string  `json:"object"`
	Email    *string `json:"email"`
	Accounts int     `json:"accounts"`
	Messages int64   `json:"messages"`
	Behind   int64   `json:"behind"`
	Segments int     `json:"segments"`
	Bytes    int64   `json:"bytes"`
}

func (s *Server) getSearchIndex(k *call) error {
	a, err := s.indexOwner(k)
	if err != nil {
		return err
	}
	return s.tellIndex(k, a)
}

func (s *Server) rebuildSearchIndex(k *call) error {
	a, err := s.indexOwner(k)
	if err != nil {
		return err
	}
	if err := s.cfg.Mail.RebuildIndex(k.ctx, k.scope, a); err != nil {
		return err
	}
	k.c.Status(fiber.StatusAccepted)
	return s.tellIndex(k, a)
}

// indexOwner is the account that is asked about; nil is all.
func (s *Server) indexOwner(k *call) (*gateway.Account, error) {
	email := k.c.Query("email")
	if email == "" {
		return nil, nil
	}
	return s.cfg.Domains.Account(k.ctx, k.scope, email)
}

func (s *Server) tellIndex(k *call, a *gateway.Account) error {
	st, err := s.cfg.Mail.IndexState(k.ctx, k.scope, a)
	if err != nil {
		return err
	}
	out := searchIndexShape{Object: "search_index", Accounts: st.Accounts, Messages: st.Messages, Behind: st.Behind, Segments: st.Segments, Bytes: st.Bytes}
	if a != nil {
		out.Email = &a.Email
	}
	return k.json(out)
}

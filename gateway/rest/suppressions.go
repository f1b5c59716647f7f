package rest

import (
	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// suppressionShape is an address that a domain sends nothing to.
type suppressionShape struct {
	Object    string `json:"object"`
	ID        string `json:"id"`
	Email     string `json:"email"`
	Origin    string `json:"origin"`
	CreatedAt string `json:"created_at"`
}

func suppressionOf(s *gateway.Suppression) suppressionShape {
	return suppressionShape{"suppression", s.ID.String(), s.Email, string(s.Origin), stamp(s.CreatedAt)}
}

func (s *Server) addSuppression(k *call) error {
	var in struct {
		Email *string `json:"email"`
	}
	scope, err := s.domainScope(k)
	if err != nil {
		return err
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	if in.Email == nil {
		return gateway.Fieldf(gateway.MissingField, "email", "email is required")
	}
	sup, added, err := s.cfg.Sender.Suppress(k.ctx, scope, *in.Email)
	if err != nil {
		return err
	}
	status := fiber.StatusOK
	if added {
		status = fiber.StatusCreated
	}
	return k.answer(status, suppressionOf(sup))
}

func (s *Server) listSuppressions(k *call) error {
	scope, err := s.domainScope(k)
	if err != nil {
		return err
	}
	w, err := s.span(k)
	if err != nil {
		return err
	}
	all, more, err := s.cfg.Sender.Suppressions(k.ctx, scope, gateway.SuppressionOrigin(k.c.Query("origin")), w)
	if err != nil {
		return err
	}
	var out []suppressionShape
	for i := range all {
		out = append(out, suppressionOf(&all[i]))
	}
	return k.json(partOf(out, more))
}

func (s *Server) getSuppression(k *call) error {
	scope, err := s.domainScope(k)
	if err != nil {
		return err
	}
	sup, err := s.cfg.Sender.Suppression(k.ctx, scope, k.param("idOrEmail"))
	if err != nil {
		return err
	}
	return k.json(suppressionOf(sup))
}

func (s *Server) removeSuppression(k *call) error {
	scope, err := s.domainScope(k)
	if err != nil {
		return err
	}
	sup, err := s.cfg.Sender.Unsuppress(k.ctx, scope, k.param("idOrEmail"))
	if err != nil {
		return err
	}
	return k.json(fiber.Map{"object": "suppression", "id": sup.ID.String(), "email": sup.Email, "deleted": true})
}

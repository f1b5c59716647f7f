package rest

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// Webhooks are the endpoints that are told what happens.
type Webhooks interface {
	Add(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, endpoint string, types []gateway.EventType) (*gateway.Webhook, error)
	List(ctx context.Context, s gateway.Scope) ([]gateway.Webhook, error)
	Get(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Webhook, error)
	Change(ctx context.Context, s gateway.Scope, id gateway.ID, c gateway.WebhookChange) (*gateway.Webhook, error)
	Rotate(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Webhook, error)
	Delete(ctx context.Context, s gateway.Scope, id gateway.ID) error
	Test(ctx context.Context, s gateway.Scope, id gateway.ID) (gateway.WebhookAttempt, error)
	// Events are those before one, unless that is "", the newest first.
	Events(ctx context.Context, s gateway.Scope, id gateway.ID, before string, most int) (gateway.WebhookEventPage, error)
	Event(ctx context.Context, s gateway.Scope, id gateway.ID, event string) (*gateway.WebhookEvent, error)
	Retell(ctx context.Context, s gateway.Scope, id gateway.ID, event string) (*gateway.WebhookEvent, error)
}

// webhookShape is a webhook. Fields up to signing_secret are Resend's.
type webhookShape struct {
	Object        string              `json:"object"`
	ID            string              `json:"id"`
	Endpoint      string              `json:"endpoint"`
	Events        []gateway.EventType `json:"events"`
	Status        string              `json:"status"`
	CreatedAt     string              `json:"created_at"`
	SigningSecret string              `json:"signing_secret,omitempty"` // of one alone, not in lists
	Scope         string              `json:"scope"`
	Domain        *string             `json:"domain"`
	Email         *string             `json:"email"`
	Reason        *string             `json:"disabled_reason"`
	FailingSince  *string             `json:"failing_since"`
	UpdatedAt     string              `json:"updated_at"`
}

func (s *Server) webhookOf(k *call, sc gateway.Scope, w *gateway.Webhook) (webhookShape, error) {
	out := webhookShape{
		Object: "webhook", ID: w.ID.String(), Endpoint: w.Endpoint, Events: w.Wanted(), Status: "disabled", CreatedAt: stamp(w.CreatedAt),
		Scope: gateway.LevelDomain.String(), Reason: orNull(w.Stopped), FailingSince: stampOrNull(w.FailingSince), UpdatedAt: stamp(w.UpdatedAt),
	}
	if w.Enabled {
		out.Status = "enabled"
	}
	if w.Domain == 0 {
		out.Scope = gateway.LevelInstance.String()
		return out, nil
	}
	d, err := s.cfg.Domains.ByID(k.ctx, sc, w.Domain)
	if err != nil {
		return out, err
	}
	if out.Domain = &d.Name; w.Account == 0 {
		return out, nil
	}
	a, err := s.cfg.Domains.AccountByID(k.ctx, sc, w.Domain, w.Account)
	if err == nil {
		out.Scope, out.Email = gateway.LevelAccount.String(), &a.Email
	}
	return out, err
}

// answerWebhook writes one, with its secret.
func (s *Server) answerWebhook(k *call, sc gateway.Scope, w *gateway.Webhook, status int) error {
	out, err := s.webhookOf(k, sc, w)
	if err != nil {
		return err
	}
	out.SigningSecret = w.Secret.Reveal()
	return k.answer(status, out)
}

// hookScope is ownEmail where an instance key that names no domain has webhooks of its
// own.
func (s *Server) hookScope(k *call) (gateway.Scope, gateway.AccountID, error) {
	if k.scope.Level() == gateway.LevelInstance && k.c.Query("email") == "" && k.c.Query("domain") == "" {
		return k.scope, 0, nil
	}
	return s.ownEmail(k)
}

// addWebhook makes a webhook of the caller's instance, domain or account, or of the account
// that email names, in the body or the query.
func (s *Server) addWebhook(k *call) error {
	sc, account, err := s.hookScope(k)
	if err != nil {
		return err
	}
	var in struct {
		Endpoint *string             `json:"endpoint"`
		Events   []gateway.EventType `json:"events"`
		Email    string              `json:"email"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	if in.Endpoint == nil {
		return gateway.Fieldf(gateway.MissingField, "endpoint", "endpoint is required")
	}
	if account == 0 {
		account = sc.Account()
	}
	if in.Email != "" {
		if sc.Level() == gateway.LevelInstance {
			if sc, err = s.mailScopeOf(k, in.Email); err != nil {
				return err
			}
		}
		a, err := s.cfg.Domains.Account(k.ctx, sc, in.Email)
		if err != nil {
			return outside(err, "email", in.Email)
		}
		account = a.ID
	}
	w, err := s.cfg.Webhooks.Add(k.ctx, sc, sc.Domain(), account, *in.Endpoint, in.Events)
	if err != nil {
		return err
	}
	return s.answerWebhook(k, sc, w, fiber.StatusCreated)
}

func (s *Server) listWebhooks(k *call) error {
	sc, account, err := s.hookScope(k)
	if err != nil {
		return err
	}
	all, err := s.cfg.Webhooks.List(k.ctx, sc)
	if err != nil {
		return err
	}
	out := []webhookShape{}
	for i := range all {
		if account != 0 && all[i].Account != account {
			continue
		}
		shape, err := s.webhookOf(k, sc, &all[i])
		if gateway.KindOf(err) == gateway.NotFound && err != nil {
			continue // its account is being erased
		} else if err != nil {
			return err
		}
		out = append(out, shape)
	}
	page, more, err := spanOf(s, k, out, func(w *webhookShape) string { return w.ID })
	if err != nil {
		return err
	}
	return k.json(partOf(page, more))
}

// webhookCall is the scope and the id of a call about one webhook.
func (s *Server) webhookCall(k *call) (sc gateway.Scope, id gateway.ID, err error) {
	if sc, _, err = s.hookScope(k); err != nil {
		return sc, id, err
	}
	if id, err = gateway.ParseID(k.c.Params("id")); err != nil {
		return sc, id, gateway.Errorf(gateway.NotFound, "no such webhook")
	}
	return sc, id, nil
}

func (s *Server) getWebhook(k *call) error {
	sc, id, err := s.webhookCall(k)
	if err != nil {
		return err
	}
	w, err := s.cfg.Webhooks.Get(k.ctx, sc, id)
	if err != nil {
		return err
	}
	return s.answerWebhook(k, sc, w, fiber.StatusOK)
}

func (s *Server) updateWebhook(k *call) error {
	sc, id, err := s.webhookCall(k)
	if err != nil {
		return err
	}
	var in struct {
		Endpoint *string              `json:"endpoint"`
		Events   *[]gateway.EventType `json:"events"`
		Status   *string              `json:"status"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	c := gateway.WebhookChange{Endpoint: in.Endpoint, Types: in.Events}
	if in.Status != nil {
		on := *in.Status == "enabled"
		if c.Enabled = &on; !on && *in.Status != "disabled" {
			return gateway.Fieldf(gateway.InvalidParameter, "status", "status is enabled or disabled")
		}
	}
	w, err := s.cfg.Webhooks.Change(k.ctx, sc, id, c)
	if err != nil {
		return err
	}
	return s.answerWebhook(k, sc, w, fiber.StatusOK)
}

func (s *Server) deleteWebhook(k *call) error {
	sc, id, err := s.webhookCall(k)
	if err != nil {
		return err
	}
	if err := s.cfg.Webhooks.Delete(k.ctx, sc, id); err != nil {
		return err
	}
	return k.json(fiber.Map{"object": "webhook", "id": id.String(), "deleted": true})
}

// rotateWebhookSecret gives a webhook a new secret; the former one signs for a day, too.
func (s *Server) rotateWebhookSecret(k *call) error {
	sc, id, err := s.webhookCall(k)
	if err != nil {
		return err
	}
	w, err := s.cfg.Webhooks.Rotate(k.ctx, sc, id)
	if err != nil {
		return err
	}
	return s.answerWebhook(k, sc, w, fiber.StatusOK)
}

// attemptShape is one POST to an endpoint.
type attemptShape struct {
	Object     string  `json:"object"`
	CreatedAt  string  `json:"created_at"`
	DurationMS int64   `json:"duration_ms"`
	Status     *int    `json:"response_status"` // null: there was no answer
	Body       string  `json:"response_body"`
	Error      *string `json:"error"`
}

func attemptOf(a *gateway.WebhookAttempt) attemptShape {
	out := attemptShape{
		Object: "webhook_attempt", CreatedAt: exactly(a.At), DurationMS: int64(a.Took / time.Millisecond), Body: a.Answer, Error: orNull(a.Error),
	}
	if a.Status != 0 {
		out.Status = &a.Status
	}
	return out
}

// testWebhook posts an event that did not happen, and says what the endpoint answered.
func (s *Server) testWebhook(k *call) error {
	sc, id, err := s.webhookCall(k)
	if err != nil {
		return err
	}
	a, err := s.cfg.Webhooks.Test(k.ctx, sc, id)
	if err != nil {
		return err
	}
	return k.json(attemptOf(&a))
}

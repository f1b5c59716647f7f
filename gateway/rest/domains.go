package rest

import (
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/domains"
)

// domainShape is a domain; what an account key sees of it stops at its status.
type domainShape struct {
	Object       string         `json:"object"`
	ID           string         `json:"id"`
	Name         string         `json:"name"`
	Status       string         `json:"status"`
	CreatedAt    string         `json:"created_at,omitempty"`
	CatchAll     *bool          `json:"catch_all,omitempty"`
	TLS          string         `json:"tls,omitempty"`
	RateLimit    *int64         `json:"rate_limit,omitempty"`
	RecipLimit   *int64         `json:"recipient_limit,omitempty"`
	Capabilities *capabilities  `json:"capabilities,omitempty"`
	Records      *[]recordShape `json:"records,omitempty"`
}

type capabilities struct {
	Sending   bool `json:"sending"`
	Receiving bool `json:"receiving"`
}

type recordShape struct {
	Record   string `json:"record"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	TTL      string `json:"ttl"`
	Priority int    `json:"priority,omitempty"`
	Value    string `json:"value"`
	Status   string `json:"status"`
	// What was seen instead, or as well, and why that is not enough.
	Seen   []string `json:"seen"`
	Reason string   `json:"reason,omitempty"`
}

func recordOf(r *domains.Record) recordShape {
	return recordShape{
		Record: r.Record, Name: r.Name, Type: r.Type, TTL: r.TTL, Priority: r.Priority, Value: r.Value,
		Status: string(r.Status), Seen: listed(r.Seen), Reason: r.Reason,
	}
}

func domainOf(d *gateway.Domain, level gateway.Level) domainShape {
	out := domainShape{Object: "domain", ID: d.UUID.String(), Name: d.Name, Status: string(d.Status)}
	if level == gateway.LevelAccount {
		return out
	}
	out.CreatedAt, out.CatchAll, out.TLS = stamp(d.CreatedAt), &d.CatchAll, string(d.TLS)
	out.RateLimit, out.RecipLimit = &d.Limits.Messages, &d.Limits.Recipients
	out.Capabilities = &capabilities{Sending: d.Sends(), Receiving: d.Receives()}
	return out
}

// answerDomain shows one domain with its records.
func (s *Server) answerDomain(k *call, status int, d *gateway.Domain) error {
	records, err := s.cfg.Domains.Records(k.ctx, k.scope, d)
	if err != nil {
		return err
	}
	list := []recordShape{}
	for i := range records {
		list = append(list, recordOf(&records[i]))
	}
	out := domainOf(d, k.scope.Level())
	out.Records = &list
	return k.answer(status, out)
}

func (s *Server) listDomains(k *call) error {
	limit, err := s.pageLimit(k)
	if err != nil {
		return err
	}
	if err := k.oneCursor(); err != nil {
		return err
	}
	all, more, err := s.cfg.Domains.Page(k.ctx, k.scope, k.c.Query("after"), k.c.Query("before"), limit)
	if err != nil {
		return err
	}
	var out []domainShape
	for i := range all {
		out = append(out, domainOf(&all[i], k.scope.Level()))
	}
	return k.json(partOf(out, more))
}

func (s *Server) createDomain(k *call) error {
	var in struct {
		Name     *string `json:"name"`
		Verified bool    `json:"verified"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	if in.Name == nil {
		return gateway.Fieldf(gateway.MissingField, "name", "name is required")
	}
	d, err := s.cfg.Domains.Create(k.ctx, k.scope, *in.Name, in.Verified)
	if err != nil {
		return err
	}
	return s.answerDomain(k, fiber.StatusCreated, d)
}

func (s *Server) deleteDomain(k *call) error {
	d, err := s.cfg.Domains.Get(k.ctx, k.scope, k.param("id"))
	if err != nil {
		return err
	}
	force, err := k.flag("force")
	if err != nil {
		return err
	}
	if !force {
		left, _, err := s.cfg.Domains.Accounts(k.ctx, k.scope, d.ID, "", 1)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return gateway.Errorf(gateway.InvalidState, "%s has accounts, and their mail would be gone for good: add ?force=true, or delete them first", d.Name)
		}
	}
	if err := s.cfg.Instance.DeleteDomain(k.ctx, k.scope, d.Name); err != nil {
		return err
	}
	return k.json(fiber.Map{"object": "domain", "id": d.UUID.String(), "deleted": true})
}

func (s *Server) getDomain(k *call) error {
	d, err := s.cfg.Domains.Get(k.ctx, k.scope, k.param("id"))
	if err != nil {
		return err
	}
	return s.answerDomain(k, fiber.StatusOK, d)
}

func (s *Server) updateDomain(k *call) error {
	var in struct {
		CatchAll   *bool              `json:"catch_all"`
		TLS        *gateway.TLSPolicy `json:"tls"`
		RateLimit  *int64             `json:"rate_limit"`
		RecipLimit *int64             `json:"recipient_limit"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	c := domains.Change{CatchAll: in.CatchAll, TLS: in.TLS, Messages: in.RateLimit, Recipients: in.RecipLimit}
	d, err := s.cfg.Domains.Update(k.ctx, k.scope, k.param("id"), c)
	if err != nil {
		return err
	}
	return s.answerDomain(k, fiber.StatusOK, d)
}

func (s *Server) verifyDomain(k *call) error {
	var in struct {
		Local bool `json:"local"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	d, err := s.cfg.Domains.Verify(k.ctx, k.scope, k.param("id"), in.Local)
	if err != nil {
		return err
	}
	return s.answerDomain(k, fiber.StatusOK, d)
}

// param is a path parameter, decoded once; one that can't be decoded is itself,
// and names nothing.
func (k *call) param(name string) string {
	v, err := url.PathUnescape(k.c.Params(name))
	if err != nil {
		return k.c.Params(name)
	}
	return v
}

// health says that the process answers.
func (s *Server) health(k *call) error { return k.json(fiber.Map{"status": "ok"}) }

// ready says that mail is accepted.
func (s *Server) ready(k *call) error {
	if err := s.cfg.Ready(); err != nil {
		return &gateway.Error{Kind: gateway.Unavailable, Message: "not ready", Retry: 5 * time.Second, Err: err}
	}
	return k.json(fiber.Map{"status": "ready"})
}

// updateInstance changes what an operator may of the gateway as a whole.
func (s *Server) updateInstance(k *call) error {
	var in struct {
		Mode *string `json:"delivery_mode"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	if in.Mode == nil {
		return gateway.Fieldf(gateway.MissingField, "delivery_mode", "delivery_mode is required")
	}
	if err := s.cfg.Instance.SetDeliveryMode(k.ctx, gateway.DeliveryMode(*in.Mode)); err != nil {
		return err
	}
	return k.json(fiber.Map{"object": "instance", "delivery_mode": *in.Mode})
}

func (s *Server) openapiDocument(k *call) error {
	k.c.Set("Content-Type", fiber.MIMEApplicationJSON)
	return k.c.Send(s.openapi)
}

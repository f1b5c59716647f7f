package rest

import (
	"github.com/centerleap/postern/gateway"
)

// heardShape is an event as a webhook was told of it.
type heardShape struct {
	Object    string            `json:"object"`
	ID        string            `json:"id"`
	Type      gateway.EventType `json:"type"`
	CreatedAt string            `json:"created_at"` // when it happened
	Status    string            `json:"status"`
	Attempts  int               `json:"attempts"`
	NextAt    *string           `json:"next_attempt_at"`
	EmailID   *string           `json:"email_id"`
	Sequence  uint64            `json:"sequence"`
	Last      *attemptShape     `json:"last_attempt"`
}

func heardOf(v *gateway.WebhookEvent) heardShape {
	out := heardShape{
		Object: "webhook_event", ID: gateway.EventID(v.Position, v.Event.At), Type: v.Event.Type, CreatedAt: exactly(v.Event.At), Status: string(v.State),
		Attempts: v.Tried, NextAt: stampOrNull(v.Next), EmailID: idOrNull(v.Event.Email), Sequence: v.Sequence,
	}
	if n := len(v.Attempts); n > 0 {
		last := attemptOf(&v.Attempts[n-1])
		out.Last = &last
	}
	return out
}

// listWebhookEvents shows what a webhook was told, the newest event first.
func (s *Server) listWebhookEvents(k *call) error {
	sc, id, err := s.webhookCall(k)
	if err != nil {
		return err
	}
	limit, err := s.pageLimit(k)
	if err != nil {
		return err
	}
	page, err := s.cfg.Webhooks.Events(k.ctx, sc, id, k.c.Query("after"), limit)
	if err != nil {
		return err
	}
	out := []heardShape{}
	for i := range page.Events {
		out = append(out, heardOf(&page.Events[i]))
	}
	return k.json(partOf(out, page.More))
}

// webhookEvent finds the event that a route names.
func (s *Server) webhookEvent(k *call) (sc gateway.Scope, v *gateway.WebhookEvent, err error) {
	sc, id, err := s.webhookCall(k)
	if err == nil {
		v, err = s.cfg.Webhooks.Event(k.ctx, sc, id, k.c.Params("event"))
	}
	return sc, v, err
}

func (s *Server) getWebhookEvent(k *call) error {
	_, v, err := s.webhookEvent(k)
	if err != nil {
		return err
	}
	return k.json(heardOf(v))
}

// listWebhookAttempts shows the attempts to tell of an event, the oldest that is kept
// first.
func (s *Server) listWebhookAttempts(k *call) error {
	_, v, err := s.webhookEvent(k)
	if err != nil {
		return err
	}
	out := []attemptShape{}
	for i := range v.Attempts {
		out = append(out, attemptOf(&v.Attempts[i]))
	}
	page, more, err := spanOf(s, k, out, attemptID)
	if err != nil {
		return err
	}
	return k.json(partOf(page, more))
}

// replayWebhookEvent has a webhook told of an event once more, with the same id.
func (s *Server) replayWebhookEvent(k *call) error {
	sc, id, err := s.webhookCall(k)
	if err != nil {
		return err
	}
	v, err := s.cfg.Webhooks.Retell(k.ctx, sc, id, k.c.Params("event"))
	if err != nil {
		return err
	}
	return k.json(heardOf(v))
}

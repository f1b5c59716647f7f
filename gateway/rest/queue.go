package rest

import (
	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// deliveryShape is the job of carrying an email to one recipient.
type deliveryShape struct {
	Object    string  `json:"object"`
	ID        string  `json:"id"`
	EmailID   string  `json:"email_id"`
	Recipient string  `json:"recipient"`
	Site      string  `json:"site"`
	State     string  `json:"state"`
	Reason    *string `json:"reason"`
	Attempts  int     `json:"attempts"`
	NextAt    *string `json:"next_at"`
	HeldUntil *string `json:"held_until"`
	CreatedAt string  `json:"created_at"`
	UpdatedAt string  `json:"updated_at"`
	Code      int     `json:"code"`
	Message   string  `json:"message"`
	SizeBytes int64   `json:"size_bytes"`
}

func deliveryOf(d *gateway.Delivery) deliveryShape {
	out := deliveryShape{
		Object: "delivery", ID: d.ID.String(), EmailID: d.Email.String(), Recipient: d.Recipient, Site: d.Site, State: string(d.State),
		Reason: orNull(string(d.Held)), Attempts: d.Attempts, CreatedAt: stamp(d.CreatedAt), UpdatedAt: stamp(d.UpdatedAt),
		Code: d.LastCode, Message: d.LastText, SizeBytes: d.Blob.Size,
	}
	out.HeldUntil = stampOrNull(d.Until)
	if next := d.Due; d.State == gateway.DeliveryQueued || d.Held == gateway.HeldScheduled || !d.Until.IsZero() {
		if d.Until.After(next) { // else it is scheduled for later
			next = d.Until
		}
		out.NextAt = stampOrNull(next)
	}
	return out
}

// queuePart is a page of what waits. A filtered page may have fewer items than there is
// room, or none, and go on: cursor says where.
type queuePart struct {
	part[deliveryShape]
	Cursor *string `json:"cursor"`
}

func (s *Server) listQueue(k *call) error {
	scope, err := s.domainScope(k)
	if err != nil {
		return err
	}
	f := gateway.QueueFilter{State: gateway.DeliveryState(k.c.Query("state")), Held: gateway.HeldReason(k.c.Query("reason")), Site: gateway.FoldAddress(k.c.Query("site"))}
	if f.Limit, err = s.pageLimit(k); err != nil {
		return err
	}
	if f.After, err = k.afterID(); err != nil {
		return err
	}
	if v := k.c.Query("email_id"); v != "" {
		if f.Email, err = gateway.ParseID(v); err != nil {
			return gateway.Fieldf(gateway.InvalidParameter, "email_id", "email_id is the UUID of an email")
		}
	}
	page, cursor, more, err := s.cfg.Sender.Waiting(k.ctx, scope, f)
	if err != nil {
		return err
	}
	var out []deliveryShape
	for i := range page {
		out = append(out, deliveryOf(&page[i]))
	}
	answer := queuePart{part: partOf(out, more)}
	if more {
		answer.Cursor = orNull(cursor.String())
	}
	return k.json(answer)
}

// queued is the delivery that a route names, and the scope of its domain.
func (s *Server) queued(k *call) (scope gateway.Scope, id gateway.ID, err error) {
	if scope, err = s.domainScope(k); err != nil {
		return scope, id, err
	}
	if id, err = gateway.ParseID(k.param("id")); err != nil {
		err = gateway.Errorf(gateway.NotFound, "no such delivery")
	}
	return scope, id, err
}

// about answers with a delivery, and notes in the log which email it is of.
func (k *call) about(d *gateway.Delivery, err error) error {
	if err != nil {
		return err
	}
	k.row.Email = d.Email
	return k.json(deliveryOf(d))
}

func (s *Server) getDelivery(k *call) error {
	scope, id, err := s.queued(k)
	if err != nil {
		return err
	}
	return k.about(s.cfg.Sender.Delivery(k.ctx, scope, id))
}

func (s *Server) holdDelivery(k *call) error {
	scope, id, err := s.queued(k)
	if err != nil {
		return err
	}
	return k.about(s.cfg.Sender.HoldDelivery(k.ctx, k.scope, scope, id))
}

func (s *Server) releaseDelivery(k *call) error {
	scope, id, err := s.queued(k)
	if err != nil {
		return err
	}
	return k.about(s.cfg.Sender.ReleaseDelivery(k.ctx, k.scope, scope, id))
}

func (s *Server) retryDelivery(k *call) error {
	scope, id, err := s.queued(k)
	if err != nil {
		return err
	}
	return k.about(s.cfg.Sender.RetryDelivery(k.ctx, scope, id))
}

func (s *Server) cancelDelivery(k *call) error {
	scope, id, err := s.queued(k)
	if err != nil {
		return err
	}
	return k.about(s.cfg.Sender.CancelDelivery(k.ctx, scope, id))
}

func (s *Server) dropDelivery(k *call) error {
	scope, id, err := s.queued(k)
	if err != nil {
		return err
	}
	d, err := s.cfg.Sender.DropDelivery(k.ctx, scope, id)
	if err != nil {
		return err
	}
	k.row.Email = d.Email
	return k.json(fiber.Map{"object": "delivery", "id": d.ID.String(), "deleted": true})
}

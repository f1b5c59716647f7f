package rest

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/outbound"
)

// What a sender may still do with mail that is not under way.

// sentItem finds the one email that a route about sending names. A send-only key
// reaches what it created and nothing else.
func (s *Server) sentItem(k *call) (gateway.Scope, mailbox.Item, error) {
	scope, ref, err := s.target(k)
	if err != nil {
		return scope, mailbox.Item{}, err
	}
	if k.sendOnly() {
		ref.Key = k.session.Key().ID
	}
	it, err := s.cfg.Mail.One(k.ctx, scope, ref)
	if err == nil {
		k.row.Email, k.row.Tags = it.Message.ID, it.Message.Tags
	}
	return scope, it, err
}

// sendOnly reports whether the caller may do nothing but send.
func (k *call) sendOnly() bool {
	return k.session != nil && k.session.Key().Permission == gateway.SendOnly
}

func (s *Server) cancelEmail(k *call) error {
	scope, it, err := s.sentItem(k)
	if err != nil {
		return err
	}
	if err := s.cfg.Sender.Cancel(k.ctx, scope, it.Message); err != nil {
		return err
	}
	return k.json(fiber.Map{"object": "email", "id": it.Message.ID.String()})
}

// sendStored sends a draft, or lets go what a hook holds for approval.
func (s *Server) sendStored(k *call) error {
	scope, it, err := s.sentItem(k)
	if err != nil {
		return err
	}
	if it.Message.Sent && it.Message.LastEvent != gateway.LastDraft {
		if err := s.cfg.Sender.Release(k.ctx, scope, it.Message); err != nil {
			return err
		}
		return k.json(accepted{it.Message.ID.String(), it.Message.Content.MessageID, it.Message.Thread.String()})
	}
	row := k.row
	row.Status = 200
	receipt, err := s.cfg.Sender.Submit(k.ctx, scope, outbound.Submission{Stored: it.Message, Activity: s.commitRow(k, row)})
	if err != nil {
		return err
	}
	k.logged = k.session != nil
	k.counted(receipt.Used)
	return k.json(answerOf(receipt))
}

// cancelOfKey cancels what a key sent and that waits; an instance key may have sent
// from any domain.
func (s *Server) cancelOfKey(k *call, key *gateway.Key) (n int, err error) {
	if key.Domain != 0 {
		return s.cfg.Sender.CancelOfKey(k.ctx, k.scope, key.Domain, key.ID)
	}
	all, err := s.cfg.Domains.List(k.ctx, k.scope)
	for i := range all {
		if err != nil {
			break
		}
		var some int
		some, err = s.cfg.Sender.CancelOfKey(k.ctx, k.scope, all[i].ID, key.ID)
		n += some
	}
	return n, err
}

// reschedule answers a PATCH with scheduled_at.
func (s *Server) reschedule(k *call, ch *emailChange) error {
	if ch.IsRead != nil || ch.IsStarred != nil || ch.Folder != nil || len(ch.AddLabels) > 0 || len(ch.RemoveLabels) > 0 {
		return gateway.Fieldf(gateway.InvalidParameter, "scheduled_at", "scheduled_at is changed alone")
	}
	at, err := scheduledAt(*ch.ScheduledAt)
	if err != nil {
		return err
	}
	scope, it, err := s.sentItem(k)
	if err != nil {
		return err
	}
	if err := s.cfg.Sender.Reschedule(k.ctx, scope, it.Message, at); err != nil {
		return err
	}
	it.Message.Scheduled = at
	out := itemOf(&it)
	out.Object = "email"
	return k.json(out)
}

// scheduledAt reads a time as RFC 3339 writes it.
func scheduledAt(v string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return at, gateway.Fieldf(gateway.InvalidParameter, "scheduled_at", "scheduled_at is a time such as 2027-01-31T12:00:00Z")
	}
	return at.UTC(), nil
}

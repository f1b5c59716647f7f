package store

import (
	"context"
	"time"

	"github.com/centerleap/postern/gateway"
)

// What comes back: reports to senders, which are deliveries without an email, and what
// other hosts say after they took a message.

// queueReport queues a report about j to its sender, if there is one, and notes that it
// was told of a delay.
func (t *tx) queueReport(j *gateway.Delivery, r *gateway.Report) error {
	if r == nil {
		return nil
	}
	j.Warned = true
	d := gateway.Delivery{
		ID: newID(), Recipient: r.To, Author: r.Author, Prefix: r.Prefix, Site: r.Site, Held: r.Held,
		State: gateway.DeliveryQueued, Due: t.now.Truncate(time.Millisecond),
	}
	if d.Held != "" {
		d.State = gateway.DeliveryHeld
	}
	return t.enqueue(&stored{Message: gateway.Message{Account: j.Account, Blob: r.Blob}}, &d)
}

// Returned records what another host said of a delivery after its attempt: that it
// bounced, that somebody complained, or, as queued, that it is delayed. j.Report is queued
// with it. It changes nothing if the delivery is gone, or can't be that any more.
func (s *Store) Returned(ctx context.Context, sc gateway.Scope, j gateway.Delivery, o gateway.Outcome) error {
	if !sc.CoversDomain(j.Domain) {
		return denied("delivery")
	}
	return s.frees(ctx, j.Domain, func(t *tx) error {
		now, err := readDelivery(t, j.Domain, j.ID)
		if err != nil {
			return ignoreMissing(err)
		}
		if !now.Returns(o.State) {
			return nil
		}
		if err := t.queueReport(now, j.Report); err != nil {
			return err
		}
		return t.returned(now, o)
	})
}

func (t *tx) returned(j *gateway.Delivery, o gateway.Outcome) error {
	typ := gateway.EventDelayed
	switch o.State {
	case gateway.DeliveryQueued:
		j.Warned = true
	case gateway.DeliveryBounced:
		typ = gateway.EventBounced
	case gateway.DeliveryComplained:
		typ = gateway.EventComplained
	}
	if typ != gateway.EventDelayed {
		if !j.State.Ended() { // the host had it, and answers before its attempt is recorded
			t.unqueue(j)
			if err := t.end(j); err != nil {
				return err
			}
		}
		j.State = o.State
	}
	j.LastCode, j.LastText, j.UpdatedAt = o.Code, o.Words(), t.now
	t.turn(j, gateway.Turn{State: o.State, Code: o.Code, Text: cutText(o.Words(), mostTurnText), Phase: phaseReport})
	if err := t.putDelivery(j); err != nil {
		return err
	}
	return t.tell(j, &o, typ)
}

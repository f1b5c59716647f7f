package store

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What becomes of attempts: how they end is one commit, with all that follows from it.

// Finish records how leased attempts ended, all of one domain. An attempt whose lease was
// lost to a later one, whose outcome then counts, changes nothing; the error then is
// InvalidState, or NotFound if the delivery is gone, when it is the only one.
func (s *Store) Finish(ctx context.Context, sc gateway.Scope, attempts ...gateway.Attempt) error {
	if len(attempts) == 0 {
		return nil
	}
	d := attempts[0].Delivery.Domain
	if !sc.CoversDomain(d) {
		return denied("delivery")
	}
	return s.frees(ctx, d, func(t *tx) error {
		for i := range attempts {
			err := t.finish(&attempts[i].Delivery, &attempts[i].Outcome)
			if k := gateway.KindOf(err); err != nil && (len(attempts) == 1 || k != gateway.NotFound && k != gateway.InvalidState) {
				return err
			}
		}
		return nil
	})
}

func (t *tx) finish(was *gateway.Delivery, o *gateway.Outcome) error {
	if was.Domain != t.domain {
		return denied("delivery")
	}
	j, err := readDelivery(t, t.domain, was.ID)
	if err != nil {
		return missing(err, "delivery")
	}
	if j.Fence != was.Fence || j.State != gateway.DeliveryLeased {
		return gateway.Errorf(gateway.InvalidState, "the attempt's lease was lost")
	}
	t.unqueue(j)
	if err := t.moveSite(j, was.Site); err != nil {
		return err
	}
	if err := t.queueReport(j, was.Report); err != nil {
		return err
	}
	j.State, j.UpdatedAt = o.State, t.now
	typ, known := ending[o.State]
	switch {
	case o.State == gateway.DeliveryQueued && o.Untried:
		j.Attempts--
		j.Due = o.Retry.Truncate(time.Millisecond)
		if err := t.putDelivery(j); err != nil {
			return err
		}
		return t.queueUp(j)
	case !known:
		return gateway.Errorf(gateway.InvalidState, "no attempt ends as %s", o.State)
	case o.State == gateway.DeliveryQueued:
		j.Due = o.Retry.Truncate(time.Millisecond)
		err = t.queueUp(j)
	default:
		err = t.end(j)
	}
	if err != nil {
		return err
	}
	j.LastCode, j.LastText = o.Code, o.Words()
	t.turn(j, tried(j, o))
	if err := t.putDelivery(j); err != nil {
		return err
	}
	return t.tell(j, o, typ)
}

// ending are the events of what an attempt may come to.
var ending = map[gateway.DeliveryState]gateway.EventType{
	gateway.DeliveryQueued: gateway.EventDelayed, gateway.DeliveryDelivered: gateway.EventDelivered, gateway.DeliverySent: gateway.EventSent,
	gateway.DeliveryFailed: gateway.EventFailed, gateway.DeliveryBounced: gateway.EventBounced,
}

// tell makes known how an attempt ended: to who follows the domain, in the message's
// record, and in the log if another host had a word in it, or ours was no.
func (t *tx) tell(j *gateway.Delivery, o *gateway.Outcome, typ gateway.EventType) error {
	t.emit(deliveryEvent(j, typ))
	if o.Suppress != "" && !j.Redirected { // what others write is no word about the domain's own mail
		why := gateway.Suppression{Email: j.Recipient, Origin: o.Suppress, Code: o.Code, Text: cutText(o.Words(), mostTurnText), Sent: j.Email}
		if _, _, err := t.addSuppression(why); err != nil && gateway.KindOf(err) != gateway.InvalidState {
			return err // one that there is no room for is left out
		}
	}
	if j.Site != "" || j.State != gateway.DeliveryDelivered {
		t.logDelivery(j, typ)
	}
	t.forgetRedirect(j)
	return t.noteEvent(j, typ)
}

// logDelivery adds a row about what became of a delivery. It names the email; who it is
// for, that shows.
func (t *tx) logDelivery(j *gateway.Delivery, typ gateway.EventType) {
	t.logRow(&gateway.Activity{
		Domain: t.domain, Account: j.Account, Key: j.Key, Protocol: "system", Method: "DELIVER", Endpoint: j.Site,
		Status: j.LastCode, Email: j.Email, Reason: string(typ)[len("email."):] + ": " + j.LastText,
	})
}

// moveSite notes that a delivery goes elsewhere than was thought when it was accepted: its
// domain came here, or left.
func (t *tx) moveSite(j *gateway.Delivery, site string) error {
	if j.Site == site {
		return nil
	}
	if err := t.countWaiting(j, -1); err != nil {
		return err
	}
	j.Site = site
	return t.countWaiting(j, 1)
}

// Renew gives attempts under way more time. Those whose lease was lost are left alone.
func (s *Store) Renew(ctx context.Context, sc gateway.Scope, under []gateway.Delivery, lease time.Duration) error {
	if len(under) == 0 {
		return nil
	}
	d := under[0].Domain
	if !sc.CoversDomain(d) {
		return denied("delivery")
	}
	return s.frees(ctx, d, func(t *tx) error {
		for i := range under {
			j, err := readDelivery(t, d, under[i].ID)
			if errors.Is(err, engine.ErrNotFound) || err == nil && (j.Fence != under[i].Fence || j.State != gateway.DeliveryLeased) {
				continue
			} else if err != nil {
				return err
			}
			t.unqueue(j)
			j.Due = t.now.Add(lease).Truncate(time.Millisecond)
			t.Set(timedKey(subLease, j.Due, d, j.ID), nil)
			if err := t.putDelivery(j); err != nil {
				return err
			}
		}
		return nil
	})
}

// noteEvent shows the newest fate in the message's record, if it still exists.
func (t *tx) noteEvent(j *gateway.Delivery, typ gateway.EventType) error {
	m, err := readMessage(t, t.domain, j.Account, j.Message)
	if errors.Is(err, engine.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	if !m.Sent {
		return nil // it was sent on: that is no fate of its own
	}
	m.LastEvent = string(typ)[len("email."):]
	t.putMessage(m)
	return nil
}

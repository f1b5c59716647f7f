package store

import (
	"context"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What a sender may still change: the deliveries of a message that none was tried of.

// Cancel ends all deliveries of a message. InvalidState once sending has begun, or
// there is nothing to cancel.
func (s *Store) Cancel(ctx context.Context, sc gateway.Scope, m *gateway.Message) error {
	return s.pending(ctx, sc, m, func(t *tx, all []*gateway.Delivery) error {
		for _, j := range all {
			if !pending(j) {
				return gateway.Errorf(gateway.InvalidState, "the email can't be canceled any more: a delivery is %s", j.State)
			}
		}
		return t.cancel(all)
	})
}

// pending reports whether a delivery has not been tried.
func pending(j *gateway.Delivery) bool {
	return j.Attempts == 0 && (j.State == gateway.DeliveryHeld || j.State == gateway.DeliveryQueued)
}

func (t *tx) cancel(all []*gateway.Delivery) error {
	for _, j := range all {
		t.unqueue(j)
		if err := t.end(j); err != nil {
			return err
		}
		t.turn(j, gateway.Turn{State: gateway.DeliveryCanceled, Held: j.Held})
		j.State, j.Held, j.Then, j.Until, j.UpdatedAt = gateway.DeliveryCanceled, "", "", time.Time{}, t.now
		if err := t.putDelivery(j); err != nil {
			return err
		}
		t.forgetRedirect(j)
		t.emit(deliveryEvent(j, gateway.EventCanceled))
	}
	return t.noteEvent(all[0], gateway.EventCanceled)
}

// leaveDeliveries cancels those deliveries of m that somebody or something holds. The
// others go on without their message, and take what stands before its body with them.
func (t *tx) leaveDeliveries(m *stored) error {
	if !m.Sent {
		return nil
	}
	all, err := deliveriesOf(t, t.domain, m.Account, m.Number)
	if err != nil {
		return err
	}
	var held []*gateway.Delivery
	for _, j := range all {
		switch {
		case j.State == gateway.DeliveryHeld:
			held = append(held, j)
		case !j.State.Ended():
			j.Prefix = m.Prefix
			if err := t.putDelivery(j); err != nil {
				return err
			}
		}
	}
	if len(held) == 0 {
		return nil
	}
	return t.cancel(held)
}

// Reschedule changes when a scheduled message leaves. InvalidState if it is not
// scheduled any more.
func (s *Store) Reschedule(ctx context.Context, sc gateway.Scope, m *gateway.Message, at time.Time) error {
	return s.pending(ctx, sc, m, func(t *tx, all []*gateway.Delivery) error {
		for _, j := range all {
			if j.State != gateway.DeliveryHeld || j.Held != gateway.HeldScheduled {
				return gateway.Errorf(gateway.InvalidState, "the email is not scheduled any more: a delivery is %s", j.State)
			}
			t.unqueue(j)
			j.Due, j.UpdatedAt = at.Truncate(time.Millisecond), t.now
			if err := t.queueUp(j); err != nil {
				return err
			}
			if err := t.putDelivery(j); err != nil {
				return err
			}
		}
		rec, err := readMessage(t, t.domain, m.Account, m.Number)
		if err != nil {
			return missing(err, "email")
		}
		rec.Scheduled = at.Truncate(time.Millisecond)
		t.putMessage(rec)
		t.emit(deliveryEvent(all[0], gateway.EventScheduled))
		return nil
	})
}

// Release lets go what a plugin holds. InvalidState if it holds nothing of the message.
func (s *Store) Release(ctx context.Context, sc gateway.Scope, m *gateway.Message) error {
	return s.pending(ctx, sc, m, func(t *tx, all []*gateway.Delivery) error {
		held := slices.DeleteFunc(all, func(j *gateway.Delivery) bool {
			return j.State != gateway.DeliveryHeld || j.Held != gateway.HeldPlugin
		})
		if len(held) == 0 {
			return gateway.Errorf(gateway.InvalidState, "the email is neither a draft nor held for approval")
		}
		for _, j := range held {
			if err := t.release(j); err != nil {
				return err
			}
		}
		return nil
	})
}

// release lets go one delivery: to wait for its time, for whatever holds it next, or
// for its attempt.
func (t *tx) release(j *gateway.Delivery) error {
	t.unqueue(j)
	typ := gateway.EventQueued
	j.Until = time.Time{}
	switch {
	case j.Due.After(t.now):
		j.Held, typ = gateway.HeldScheduled, gateway.EventScheduled
		t.turn(j, gateway.Turn{State: gateway.DeliveryHeld, Held: j.Held})
	case j.Then != "":
		return t.holdOn(j)
	default:
		t.turn(j, gateway.Turn{State: gateway.DeliveryQueued, Held: j.Held})
		j.State, j.Held, j.Due = gateway.DeliveryQueued, "", t.now.Truncate(time.Millisecond)
	}
	j.UpdatedAt = t.now
	if err := t.queueUp(j); err != nil {
		return err
	}
	if err := t.putDelivery(j); err != nil {
		return err
	}
	t.emit(deliveryEvent(j, typ))
	return t.noteEvent(j, typ)
}

// pending runs fn on the deliveries of a message, at least one, in a commit of its
// domain that goes on when the disk is nearly full.
func (s *Store) pending(ctx context.Context, sc gateway.Scope, m *gateway.Message, fn func(*tx, []*gateway.Delivery) error) error {
	if !sc.Covers(m.Domain, m.Account) {
		return denied("email")
	}
	return s.frees(ctx, m.Domain, func(t *tx) error {
		all, err := deliveriesOf(t, m.Domain, m.Account, m.Number)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(j *gateway.Delivery) bool { return j.State == gateway.DeliverySuppressed })
		if len(all) == 0 {
			return gateway.Errorf(gateway.InvalidState, "the email has no deliveries that could be tried")
		}
		return fn(t, all)
	})
}

func deliveriesOf(r engine.Reader, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) (all []*gateway.Delivery, err error) {
	var ids []gateway.ID
	err = r.Scan(engine.Prefix(carriedKey(d, a, n)), func(k, _ []byte) error {
		ids = append(ids, lastID(k))
		return nil
	})
	for _, id := range ids {
		if err != nil {
			break
		}
		var j *gateway.Delivery
		if j, err = readDelivery(r, d, id); err == nil {
			all = append(all, j)
		}
	}
	return all, err
}

// cancelPage is how many deliveries are looked at, and at most canceled, in one go.
const cancelPage = 500

// CancelOfKey cancels what a key sent and nobody has tried to deliver yet: scheduled,
// held and waiting. It returns how many deliveries that were.
func (s *Store) CancelOfKey(ctx context.Context, sc gateway.Scope, d gateway.DomainID, key gateway.ID) (n int, err error) {
	if !sc.TouchesDomain(d) {
		return 0, denied("key")
	}
	prefix := engine.Prefix(deliveryKey(d, gateway.ID{})[:5])
	for more := true; more; {
		var found []gateway.ID
		rng := prefix
		rng.Limit = cancelPage
		more = false
		seen := 0
		err = s.view(ctx, func(r engine.Reader) error {
			return r.Scan(rng, func(k, v []byte) error {
				if seen++; seen == cancelPage {
					more = true
				}
				prefix.From = append(slices.Clone(k), 0)
				j, err := decodeDelivery(d, lastID(k), v)
				if err == nil && j.Key == key && pending(j) && sc.Covers(d, j.Account) {
					found = append(found, j.ID)
				}
				return err
			})
		})
		if err != nil || len(found) == 0 {
			if err != nil {
				return n, err
			}
			continue
		}
		ended, err := s.cancelAll(ctx, d, found)
		if n += ended; err != nil {
			return n, err
		}
	}
	return n, nil
}

// cancelAll cancels those of some deliveries that nobody has tried meanwhile.
func (s *Store) cancelAll(ctx context.Context, d gateway.DomainID, ids []gateway.ID) (n int, err error) {
	err = s.frees(ctx, d, func(t *tx) error {
		n = 0
		for _, id := range ids {
			j, err := readDelivery(t, d, id)
			if err != nil {
				return missing(err, "delivery")
			}
			if !pending(j) {
				continue
			}
			if err := t.cancel([]*gateway.Delivery{j}); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

package store

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What an operator, or a domain, may do about single deliveries that wait.

// Waiting lists the deliveries of a domain that wait, in the order they were made: those
// that f wants, at most f.Limit. At most FilterReach are looked at; more says that there
// are others, or may be, behind the one at.
func (s *Store) Waiting(ctx context.Context, sc gateway.Scope, f gateway.QueueFilter) (all []gateway.Delivery, at gateway.ID, more bool, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return nil, at, false, denied("domain")
	}
	rng := engine.Prefix(key(subWaiting, d))
	rng.KeysOnly = true
	if !f.After.IsZero() {
		rng.From = append(waitingKey(d, f.After), 0)
	}
	err = s.view(ctx, func(r engine.Reader) error {
		all, more = nil, false
		looked := int64(0)
		return r.Scan(rng, func(k, _ []byte) error {
			if len(all) == f.Limit || looked == s.cfg.Limits.FilterReach {
				more = true
				return engine.ErrStop
			}
			looked++
			at = lastID(k)
			j, err := readDelivery(r, d, at)
			if err == nil && f.Wants(j) {
				all = append(all, *j)
			}
			return ignoreMissing(err)
		})
	})
	return all, at, more, err
}

// Delivery finds one by its id.
func (s *Store) Delivery(ctx context.Context, sc gateway.Scope, id gateway.ID) (j *gateway.Delivery, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return nil, denied("delivery")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		j, err = readDelivery(r, d, id)
		return missing(err, "delivery")
	})
	return j, err
}

// operate runs fn on one delivery that waits and that nobody is trying; InvalidState
// otherwise. It returns what became of it.
func (s *Store) operate(ctx context.Context, sc gateway.Scope, id gateway.ID, fn func(*tx, *gateway.Delivery) error) (done *gateway.Delivery, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return nil, denied("delivery")
	}
	err = s.frees(ctx, d, func(t *tx) error {
		j, err := readDelivery(t, d, id)
		switch {
		case err != nil:
			return missing(err, "delivery")
		case j.State == gateway.DeliveryLeased:
			return gateway.Errorf(gateway.InvalidState, "the delivery is being tried at this moment")
		case j.State.Ended():
			return gateway.Errorf(gateway.InvalidState, "the delivery has ended: %s", j.State)
		}
		done = j
		return fn(t, j)
	})
	return done, err
}

// HoldDelivery keeps a delivery from being tried until it is released. InvalidState if
// something holds it already that its time does not end.
func (s *Store) HoldDelivery(ctx context.Context, sc gateway.Scope, id gateway.ID, why gateway.HeldReason) (*gateway.Delivery, error) {
	return s.operate(ctx, sc, id, func(t *tx, j *gateway.Delivery) error {
		if j.State == gateway.DeliveryHeld && !timed(j) {
			return gateway.Errorf(gateway.InvalidState, "the delivery is held already: %s", j.Held)
		}
		t.unqueue(j)
		if j.State == gateway.DeliveryQueued {
			j.Due = t.now // once released it leaves at once
		}
		j.State, j.Held, j.Until, j.UpdatedAt = gateway.DeliveryHeld, why, time.Time{}, t.now
		t.turn(j, gateway.Turn{State: j.State, Held: j.Held})
		if err := t.putDelivery(j); err != nil {
			return err
		}
		t.emit(deliveryEvent(j, gateway.EventHeld))
		return t.noteEvent(j, gateway.EventHeld)
	})
}

// ReleaseDelivery lets a held delivery go on, if what holds it is one of these.
// InvalidState if nothing does.
func (s *Store) ReleaseDelivery(ctx context.Context, sc gateway.Scope, id gateway.ID, may func(gateway.HeldReason) error) (*gateway.Delivery, error) {
	return s.operate(ctx, sc, id, func(t *tx, j *gateway.Delivery) error {
		switch {
		case j.State != gateway.DeliveryHeld:
			return gateway.Errorf(gateway.InvalidState, "nothing holds the delivery")
		case j.Held == gateway.HeldScheduled:
			return gateway.Errorf(gateway.InvalidState, "the email is scheduled: change scheduled_at")
		}
		if err := may(j.Held); err != nil {
			return err
		}
		return t.release(j)
	})
}

// RetryDelivery has a delivery tried now.
func (s *Store) RetryDelivery(ctx context.Context, sc gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
	return s.operate(ctx, sc, id, func(t *tx, j *gateway.Delivery) error {
		if j.State != gateway.DeliveryQueued {
			return gateway.Errorf(gateway.InvalidState, "the delivery is held: %s", j.Held)
		}
		return t.requeue(j)
	})
}

// CancelDelivery ends a delivery, and its sender hears of it.
func (s *Store) CancelDelivery(ctx context.Context, sc gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
	return s.operate(ctx, sc, id, func(t *tx, j *gateway.Delivery) error { return t.cancel([]*gateway.Delivery{j}) })
}

// DropDelivery removes a delivery as if it had never been: nobody hears of it.
func (s *Store) DropDelivery(ctx context.Context, sc gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
	return s.operate(ctx, sc, id, func(t *tx, j *gateway.Delivery) error {
		t.unqueue(j)
		if err := t.end(j); err != nil {
			return err
		}
		t.Delete(deliveryKey(t.domain, j.ID))
		t.Delete(waitingKey(t.domain, j.ID))
		t.Delete(carriedKey(t.domain, j.Account, j.Message).id(j.ID))
		return nil
	})
}

// checkQueue compares what is said to wait with the deliveries that do.
func (c *checker) checkQueue(deliveries, bytes uint64) error {
	n, err := loadOr(c.r, key(subDomainSeq, c.domain), decodeNumbers)
	if err == nil && (n[countQueued] != deliveries || n[countQueuedBytes] != bytes) {
		c.report("the queue has %d deliveries of %d bytes, counted %d and %d", n[countQueued], n[countQueuedBytes], deliveries, bytes)
	}
	return err
}

// queued reports whether a delivery that waits stands where its time finds it.
func (c *checker) queued(j *gateway.Delivery) error {
	var k []byte
	switch {
	case j.State == gateway.DeliveryLeased:
		k = timedKey(subLease, j.Due, c.domain, j.ID)
	case j.State == gateway.DeliveryQueued && j.Site != "":
		k = siteKey(c.domain, j.Site).u64(ms(j.Due)).id(j.ID)
	case timed(j):
		k = timedKey(subDue, comes(j), c.domain, j.ID)
	default:
		return nil
	}
	if _, err := c.r.Get(k); errors.Is(err, engine.ErrNotFound) {
		c.report("delivery %s is %s, and in no index", j.ID, j.State)
	} else if err != nil {
		return err
	}
	if j.State != gateway.DeliveryQueued || j.Site == "" {
		return nil
	}
	b, err := c.r.Get(siteMarkKey(c.domain, j.Site))
	if err == nil && len(b) == 16 {
		_, err = c.r.Get(siteDueKey(fromMS(b), c.domain, siteKey(0, j.Site)[5:]))
	}
	if errors.Is(err, engine.ErrNotFound) {
		c.report("nobody will look at the site of delivery %s", j.ID)
		return nil
	}
	return err
}

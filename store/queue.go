package store

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// The queue: each delivery that waits for an attempt stands in the due index;
// each that is being attempted stands in the lease index. An attempt that dies
// leaves its lease behind, and the delivery becomes due again when the lease
// ends, or at the next start.
//
// The queue goes on draining when the disk is nearly full: a body that waits for
// its delivery goes with it.

func deliveryKey(d gateway.DomainID, id gateway.ID) []byte { return key(subDelivery, d).id(id) }

func carriedKey(d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) keyBuilder {
	return key(subCarried, d).account(a).number(n)
}

func readDelivery(r engine.Reader, d gateway.DomainID, id gateway.ID) (*gateway.Delivery, error) {
	return load(r, deliveryKey(d, id), func(b []byte) (*gateway.Delivery, error) { return decodeDelivery(d, id, b) })
}

// enqueue adds one delivery of m. It holds the body until it has ended, which it has
// from the start if its recipient is suppressed.
func (t *tx) enqueue(m *stored, d gateway.Delivery) error {
	d.Domain, d.Account, d.Message, d.Email = t.domain, m.Account, m.Number, m.ID
	d.Key, d.Blob, d.CreatedAt, d.UpdatedAt = m.Key, m.Blob, t.now, t.now
	if !d.State.Ended() {
		if err := t.Link(blobRef(d.Blob)); err != nil {
			return err
		}
	}
	switch {
	case timed(&d):
		t.Set(timedKey(subDue, d.Due, t.domain, d.ID), nil)
	case d.State == gateway.DeliveryHeld:
		t.emit(deliveryEvent(&d, gateway.EventHeld))
	case d.State == gateway.DeliverySuppressed:
		t.emit(deliveryEvent(&d, gateway.EventSuppressed))
	}
	t.Set(carriedKey(t.domain, m.Account, m.Number).id(d.ID), nil)
	t.Set(deliveryKey(t.domain, d.ID), encodeDelivery(&d))
	return nil
}

// timed reports whether a delivery stands in the due index: its time will come by
// itself.
func timed(d *gateway.Delivery) bool {
	return d.State == gateway.DeliveryQueued || d.State == gateway.DeliveryHeld && d.Held == gateway.HeldScheduled
}

func deliveryEvent(d *gateway.Delivery, typ gateway.EventType) gateway.Event {
	return gateway.Event{Type: typ, Account: d.Account, Message: d.Message, Email: d.Email, Delivery: d.ID, Detail: d.Recipient}
}

// waiting is a key of the due or lease index.
type waiting struct {
	at     time.Time
	domain gateway.DomainID
	id     gateway.ID
}

// scanTimed reads one of the two indexes up to a time.
func (s *Store) scanTimed(ctx context.Context, sub byte, to time.Time, most int) (found []waiting, err error) {
	index, end := timedIndex(sub), ms(to)+1
	begun := s.fronts.begin(index)
	if begun.from >= end {
		return nil, nil
	}
	rng := engine.Range{
		From: binary.BigEndian.AppendUint64([]byte{sub}, begun.from), To: binary.BigEndian.AppendUint64([]byte{sub}, end),
		KeysOnly: true, Limit: most,
	}
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func(k, _ []byte) error {
			found = append(found, waiting{
				at:     time.UnixMilli(int64(binary.BigEndian.Uint64(k[1:]))).UTC(),
				domain: gateway.DomainID(binary.BigEndian.Uint32(k[9:])), id: lastID(k),
			})
			return nil
		})
	})
	if err == nil {
		if len(found) > 0 {
			end = ms(found[0].at)
		}
		s.fronts.raise(index, begun, end)
	}
	return found, err
}

// LeaseDue takes at most most due deliveries for attempts that end within
// lease. Nobody else gets them meanwhile.
func (s *Store) LeaseDue(ctx context.Context, sc gateway.Scope, most int, lease time.Duration) ([]gateway.Delivery, error) {
	if sc.Level() != gateway.LevelInstance {
		return nil, denied("queue")
	}
	now := s.cfg.Now()
	found, err := s.scanTimed(ctx, subDue, now, most)
	if err == nil && len(found) < most {
		var lost []waiting
		lost, err = s.scanTimed(ctx, subLease, now, most-len(found))
		found = append(found, lost...)
	}
	if err != nil {
		return nil, err
	}
	byDomain := make(map[gateway.DomainID][]waiting)
	for _, w := range found {
		byDomain[w.domain] = append(byDomain[w.domain], w)
	}
	var all []gateway.Delivery
	for d, ws := range byDomain {
		leased, err := s.lease(ctx, d, ws, lease)
		if err != nil {
			return all, err
		}
		all = append(all, leased...)
	}
	return all, nil
}

func (s *Store) lease(ctx context.Context, d gateway.DomainID, ws []waiting, lease time.Duration) (leased []gateway.Delivery, err error) {
	err = s.frees(ctx, d, func(t *tx) error {
		leased = leased[:0]
		for _, w := range ws {
			j, err := readDelivery(t, d, w.id)
			if errors.Is(err, engine.ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			if !j.Due.Equal(w.at) || !timed(j) && j.State != gateway.DeliveryLeased {
				continue // taken, or changed, since the scan
			}
			t.unqueue(j)
			if j.State == gateway.DeliveryHeld && j.Then != "" {
				if err := t.holdOn(j); err != nil {
					return err
				}
				continue
			}
			j.Held, j.Then = "", ""
			j.State, j.Due = gateway.DeliveryLeased, t.now.Add(lease).Truncate(time.Millisecond)
			j.Attempts++
			j.Fence = max(j.Fence+1, s.engine.Boot()<<32)
			j.UpdatedAt = t.now
			t.Set(timedKey(subLease, j.Due, d, j.ID), nil)
			t.Set(deliveryKey(d, j.ID), encodeDelivery(j))
			if err := t.fetchPrefix(j); err != nil {
				return err
			}
			leased = append(leased, *j)
		}
		return nil
	})
	return leased, err
}

// fetchPrefix completes what a leased delivery carries: what stands before the body is
// in the message's record, or in the delivery's own if the message went before it.
func (t *tx) fetchPrefix(j *gateway.Delivery) error {
	if j.Prefix != nil {
		return nil
	}
	m, err := readMessage(t, t.domain, j.Account, j.Message)
	if err != nil {
		return ignoreMissing(err)
	}
	j.Prefix = m.Prefix
	return nil
}

// unqueue takes a delivery out of the index it stands in.
func (t *tx) unqueue(j *gateway.Delivery) {
	switch {
	case timed(j):
		t.Delete(timedKey(subDue, j.Due, t.domain, j.ID))
	case j.State == gateway.DeliveryLeased:
		t.Delete(timedKey(subLease, j.Due, t.domain, j.ID))
	}
}

// holdOn lets the next reason hold a delivery, in no index.
func (t *tx) holdOn(j *gateway.Delivery) error {
	j.Held, j.Then, j.UpdatedAt = j.Then, "", t.now
	t.Set(deliveryKey(t.domain, j.ID), encodeDelivery(j))
	t.emit(deliveryEvent(j, gateway.EventHeld))
	return t.noteEvent(j, gateway.EventHeld)
}

// Finish records how a leased attempt ended. InvalidState if the lease was lost
// to a later one, whose outcome then counts.
func (s *Store) Finish(ctx context.Context, sc gateway.Scope, j gateway.Delivery, o gateway.Outcome) error {
	if !sc.CoversDomain(j.Domain) {
		return denied("delivery")
	}
	return s.frees(ctx, j.Domain, func(t *tx) error {
		now, err := readDelivery(t, j.Domain, j.ID)
		if err != nil {
			return missing(err, "delivery")
		}
		if now.Fence != j.Fence || now.State != gateway.DeliveryLeased {
			return gateway.Errorf(gateway.InvalidState, "the attempt's lease was lost")
		}
		t.unqueue(now)
		return t.finish(now, o)
	})
}

func (t *tx) finish(j *gateway.Delivery, o gateway.Outcome) error {
	j.State, j.LastCode, j.LastText, j.UpdatedAt = o.State, o.Code, o.Text, t.now
	typ := gateway.EventDelivered
	switch o.State {
	case gateway.DeliveryQueued:
		typ, j.Due = gateway.EventDelayed, o.Retry.Truncate(time.Millisecond)
		t.Set(timedKey(subDue, j.Due, t.domain, j.ID), nil)
	case gateway.DeliveryFailed:
		typ = gateway.EventFailed
	case gateway.DeliveryDelivered:
	default:
		return gateway.Errorf(gateway.InvalidState, "no attempt ends as %s", o.State)
	}
	if o.State != gateway.DeliveryQueued {
		if err := t.Unlink(blobRef(j.Blob)); err != nil {
			return err
		}
		j.Prefix = nil
	}
	t.Set(deliveryKey(t.domain, j.ID), encodeDelivery(j))
	t.emit(deliveryEvent(j, typ))
	return t.noteEvent(j, typ)
}

// noteEvent shows the newest fate in the message's record, if it still exists.
func (t *tx) noteEvent(j *gateway.Delivery, typ gateway.EventType) error {
	m, err := readMessage(t, t.domain, j.Account, j.Message)
	if errors.Is(err, engine.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	m.LastEvent = string(typ)[len("email."):]
	t.putMessage(m)
	return nil
}

// Reclaim makes every lease of an earlier process due at once. It is called at
// the start, before the first LeaseDue.
func (s *Store) Reclaim(ctx context.Context, sc gateway.Scope) error {
	if sc.Level() != gateway.LevelInstance {
		return denied("queue")
	}
	const batch = 1000
	for {
		found, err := s.scanTimed(ctx, subLease, time.UnixMilli(1<<47), batch)
		if err != nil || len(found) == 0 {
			return err
		}
		reclaimed := 0
		for _, w := range found {
			err := s.frees(ctx, w.domain, func(t *tx) error {
				j, err := readDelivery(t, w.domain, w.id)
				if err != nil || j.Fence >= s.engine.Boot()<<32 || j.State != gateway.DeliveryLeased {
					return missing(err, "delivery")
				}
				t.unqueue(j)
				j.State, j.Due = gateway.DeliveryQueued, t.now.Truncate(time.Millisecond)
				t.Set(timedKey(subDue, j.Due, w.domain, j.ID), nil)
				t.Set(deliveryKey(w.domain, j.ID), encodeDelivery(j))
				reclaimed++
				return nil
			})
			if err != nil {
				return err
			}
		}
		if reclaimed == 0 {
			return nil
		}
	}
}

// NextDue is when LeaseDue will next find something; the zero time if nothing
// waits.
func (s *Store) NextDue(ctx context.Context, sc gateway.Scope) (next time.Time, err error) {
	if sc.Level() != gateway.LevelInstance {
		return next, denied("queue")
	}
	for _, sub := range []byte{subDue, subLease} {
		found, err := s.scanTimed(ctx, sub, time.UnixMilli(1<<47), 1)
		if err != nil {
			return next, err
		}
		if len(found) == 1 && (next.IsZero() || found[0].at.Before(next)) {
			next = found[0].at
		}
	}
	return next, nil
}

// Deliveries lists the deliveries of a message, in the order they were made.
func (s *Store) Deliveries(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) (all []gateway.Delivery, err error) {
	if !sc.Covers(d, a) {
		return nil, denied("email")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(engine.Prefix(carriedKey(d, a, n)), func(k, _ []byte) error {
			j, err := readDelivery(r, d, lastID(k))
			if err == nil {
				all = append(all, *j)
			}
			return err
		})
	})
	return all, err
}

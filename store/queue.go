package store

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// The queue: each delivery that waits for an attempt stands in the due index, or in
// that of its site (sites.go) if it goes to another host; each that is being attempted
// stands in the lease index. An attempt that dies leaves its lease behind, and the
// delivery becomes due again when the lease ends, or at the next start.
//
// The queue goes on draining when the disk is nearly full: a body that waits for
// its delivery goes with it.

func deliveryKey(d gateway.DomainID, id gateway.ID) []byte { return key(subDelivery, d).id(id) }

func waitingKey(d gateway.DomainID, id gateway.ID) []byte { return key(subWaiting, d).id(id) }

func carriedKey(d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) keyBuilder {
	return key(subCarried, d).account(a).number(n)
}

func readDelivery(r engine.Reader, d gateway.DomainID, id gateway.ID) (*gateway.Delivery, error) {
	return load(r, deliveryKey(d, id), func(b []byte) (*gateway.Delivery, error) { return decodeDelivery(d, id, b) })
}

// enqueue adds one delivery of m. It holds the body until it has ended, which it has
// from the start if its recipient is suppressed.
func (t *tx) enqueue(m *stored, d *gateway.Delivery) error {
	d.Domain, d.Account, d.Message, d.Email = t.domain, m.Account, m.Number, m.ID
	d.Key, d.Plugin, d.Blob, d.CreatedAt, d.UpdatedAt, d.Turns = m.Key, m.Plugin, m.Blob, t.now, t.now, nil
	if !d.State.Ended() {
		if err := t.Link(blobRef(d.Blob)); err != nil {
			return err
		}
		if err := t.countWaiting(d, 1); err != nil {
			return err
		}
	}
	switch {
	case d.State == gateway.DeliveryLeased:
		d.Due, d.Attempts, d.Fence = t.now.Add(gateway.LeaseTime).Truncate(time.Millisecond), 1, t.store.engine.Boot()<<32
		t.Set(timedKey(subLease, d.Due, t.domain, d.ID), nil)
	case timed(d):
		if err := t.queueUp(d); err != nil {
			return err
		}
	case d.State == gateway.DeliverySuppressed:
		t.emit(deliveryEvent(d, gateway.EventSuppressed))
	}
	if d.State == gateway.DeliveryHeld && d.Held != gateway.HeldScheduled {
		t.emit(deliveryEvent(d, gateway.EventHeld))
	}
	if d.State == gateway.DeliveryHeld || d.State == gateway.DeliverySuppressed {
		t.turn(d, gateway.Turn{State: d.State, Held: d.Held})
	}
	t.Set(carriedKey(t.domain, m.Account, m.Number).id(d.ID), nil)
	return t.putDelivery(d)
}

// putDelivery keeps a delivery, and lists it while it waits for more than its first
// attempt inside: that is made at once, and nobody could look in between.
func (t *tx) putDelivery(j *gateway.Delivery) error {
	t.Set(deliveryKey(t.domain, j.ID), encodeDelivery(j))
	waits := !j.State.Ended() && (j.Site != "" || j.State == gateway.DeliveryHeld || j.LastCode != 0)
	k := waitingKey(t.domain, j.ID)
	switch _, err := t.Get(k); {
	case errors.Is(err, engine.ErrNotFound):
		if waits {
			t.Set(k, nil)
		}
	case err != nil:
		return err
	case !waits:
		t.Delete(k)
	}
	return nil
}

// countWaiting counts deliveries to other hosts, and what they carry.
func (t *tx) countWaiting(j *gateway.Delivery, by int) error {
	if j.Site == "" {
		return nil
	}
	n, err := loadOr(t, key(subDomainSeq, t.domain), decodeNumbers)
	if err != nil {
		return err
	}
	n[countQueued] += uint64(by)
	n[countQueuedBytes] += uint64(int64(by) * j.Blob.Size)
	t.Set(key(subDomainSeq, t.domain), n.encode())
	return nil
}

// mayQueue says whether a domain may have more waiting for other hosts.
func (t *tx) mayQueue(list []gateway.Delivery, size int64) error {
	more := uint64(0)
	for i := range list {
		if list[i].Site != "" && !list[i].State.Ended() {
			more++
		}
	}
	if more == 0 {
		return nil
	}
	n, err := loadOr(t, key(subDomainSeq, t.domain), decodeNumbers)
	if err != nil {
		return err
	}
	lim := t.store.cfg.Limits
	if n[countQueued]+more > uint64(lim.QueueDeliveries) || n[countQueuedBytes]+more*uint64(size) > uint64(lim.QueueBytes) {
		return &gateway.Error{
			Kind: gateway.Unavailable, Retry: time.Minute, Reason: "the domain's queue is full",
			Message: "too much mail of the domain waits for other hosts; try again later",
		}
	}
	return nil
}

// end lets go the body of a delivery that will not be tried again.
func (t *tx) end(j *gateway.Delivery) error {
	if err := t.Unlink(blobRef(j.Blob)); err != nil {
		return err
	}
	j.Prefix = nil
	return t.countWaiting(j, -1)
}

// timed reports whether a delivery stands in the due index: its time will come by
// itself.
func timed(d *gateway.Delivery) bool {
	return d.State == gateway.DeliveryQueued || d.State == gateway.DeliveryHeld && (d.Held == gateway.HeldScheduled || !d.Until.IsZero())
}

// comes is that time.
func comes(d *gateway.Delivery) time.Time {
	if d.Until.IsZero() {
		return d.Due
	}
	return d.Until
}

func deliveryEvent(d *gateway.Delivery, typ gateway.EventType) gateway.Event {
	return gateway.Event{Type: typ, Account: d.Account, Message: d.Message, Email: d.Email, Delivery: d.ID, Detail: d.Recipient}
}

// waiting is a key of an index by time.
type waiting struct {
	at     time.Time
	domain gateway.DomainID
	id     gateway.ID
}

// scanTimed reads such an index up to a time.
func (s *Store) scanTimed(ctx context.Context, sub byte, to time.Time, most int) (found []waiting, err error) {
	index, end := timedIndex(sub), ms(to)+1
	from, adds := s.fronts.begin(index)
	if from >= end {
		return nil, nil
	}
	rng := engine.Range{
		From: binary.BigEndian.AppendUint64([]byte{sub}, from), To: binary.BigEndian.AppendUint64([]byte{sub}, end),
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
		s.fronts.raise(index, adds, end)
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
			if !comes(j).Equal(w.at) || !timed(j) && j.State != gateway.DeliveryLeased {
				continue // taken, or changed, since the scan
			}
			switch {
			case !j.Until.IsZero(): // who held it said how long
				err = t.release(j)
			case j.State == gateway.DeliveryHeld && j.Then != "":
				t.unqueue(j)
				err = t.holdOn(j)
			case j.Site != "": // its time has come, or an attempt at it was lost
				err = t.requeue(j)
			default:
				if err = t.take(j, lease); err == nil {
					leased = append(leased, *j)
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return leased, err
}

// take leases one delivery.
func (t *tx) take(j *gateway.Delivery, lease time.Duration) error {
	t.unqueue(j)
	j.Held, j.Then = "", ""
	j.State, j.Due = gateway.DeliveryLeased, t.now.Add(lease).Truncate(time.Millisecond)
	j.Attempts++
	j.Fence = max(j.Fence+1, t.store.engine.Boot()<<32)
	j.UpdatedAt = t.now
	t.Set(timedKey(subLease, j.Due, t.domain, j.ID), nil)
	if err := t.putDelivery(j); err != nil {
		return err
	}
	return t.fetchPrefix(j)
}

// requeue has a delivery wait for its attempt from now on.
func (t *tx) requeue(j *gateway.Delivery) error {
	t.unqueue(j)
	j.Held, j.Then = "", ""
	j.State, j.Due = gateway.DeliveryQueued, t.now.Truncate(time.Millisecond)
	if err := t.putDelivery(j); err != nil {
		return err
	}
	return t.queueUp(j)
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

// unqueue takes a delivery out of the index it stands in. Its site's row stays where it
// is: who looks there and finds nothing removes it.
func (t *tx) unqueue(j *gateway.Delivery) {
	switch {
	case j.State == gateway.DeliveryLeased:
		t.Delete(timedKey(subLease, j.Due, t.domain, j.ID))
	case timed(j) && j.Site != "" && j.State == gateway.DeliveryQueued:
		t.Delete(siteKey(t.domain, j.Site).u64(ms(j.Due)).id(j.ID))
	case timed(j):
		t.Delete(timedKey(subDue, comes(j), t.domain, j.ID))
	}
}

// holdOn lets the next reason hold a delivery, in no index.
func (t *tx) holdOn(j *gateway.Delivery) error {
	j.Held, j.Then, j.UpdatedAt = j.Then, "", t.now
	t.turn(j, gateway.Turn{State: gateway.DeliveryHeld, Held: j.Held})
	if err := t.putDelivery(j); err != nil {
		return err
	}
	t.emit(deliveryEvent(j, gateway.EventHeld))
	return t.noteEvent(j, gateway.EventHeld)
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
				reclaimed++
				return t.requeue(j)
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

// NextDue is when LeaseDue will next find something, or DueSites something that is not
// due now; the zero time if nothing waits.
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
	err = s.view(ctx, func(r engine.Reader) error {
		rng := engine.Range{From: siteDueKey(s.cfg.Now().Add(time.Millisecond), 0, nil), To: []byte{subSiteDue + 1}, KeysOnly: true, Limit: 1}
		return r.Scan(rng, func(k, _ []byte) error {
			if at := fromMS(k[1:]); next.IsZero() || at.Before(next) {
				next = at
			}
			return nil
		})
	})
	return next, err
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

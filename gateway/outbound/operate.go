package outbound

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// What may be done about single deliveries that wait: by a domain about its own, by an
// operator about all. by is who asks, sc the domain that it is about.

// Waiting lists a page of what waits, oldest first. The cursor is where the next one goes
// on, if there is more.
func (s *Sender) Waiting(ctx context.Context, sc gateway.Scope, f gateway.QueueFilter) (page []gateway.Delivery, cursor gateway.ID, more bool, err error) {
	switch f.State {
	case "", gateway.DeliveryQueued, gateway.DeliveryLeased, gateway.DeliveryHeld:
	default:
		return nil, cursor, false, gateway.Fieldf(gateway.InvalidParameter, "state", "state is queued, leased or held")
	}
	return s.cfg.Store.Waiting(ctx, sc, f)
}

// QueueUse is how much of a domain's mail waits for other hosts.
func (s *Sender) QueueUse(ctx context.Context, sc gateway.Scope, d gateway.DomainID) (gateway.QueueUse, error) {
	return s.cfg.Store.QueueUse(ctx, sc, d)
}

// Delivery finds one by its id, also when it has ended.
func (s *Sender) Delivery(ctx context.Context, sc gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
	return s.cfg.Store.Delivery(ctx, sc, id)
}

// HoldDelivery keeps a delivery until it is released. What an operator holds, a domain
// does not let go.
func (s *Sender) HoldDelivery(ctx context.Context, by, sc gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
	why := gateway.HeldDomain
	if isOperator(by) {
		why = gateway.HeldOperator
	}
	return s.cfg.Store.HoldDelivery(ctx, sc, id, why)
}

// ReleaseDelivery lets a held delivery leave. Captured mail is an operator's to release:
// the gateway keeps it so that nothing leaves by accident.
func (s *Sender) ReleaseDelivery(ctx context.Context, by, sc gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
	d, err := s.cfg.Store.ReleaseDelivery(ctx, sc, id, func(why gateway.HeldReason) error {
		if isOperator(by) || why != gateway.HeldCapture && why != gateway.HeldOperator {
			return nil
		}
		return gateway.Errorf(gateway.Restricted, "only an operator releases what is held by: %s", why)
	})
	s.Wake()
	return d, err
}

// RetryDelivery has a delivery tried now, also when its site is being left alone.
func (s *Sender) RetryDelivery(ctx context.Context, sc gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
	d, err := s.cfg.Store.RetryDelivery(ctx, sc, id)
	if err != nil {
		return nil, err
	}
	hop, err := s.cfg.Courier.Hop(ctx, d.Site)
	if err != nil {
		return nil, err
	}
	s.hops.retry(hop)
	s.Wake()
	return d, nil
}

// CancelDelivery ends a delivery whether or not it was tried.
func (s *Sender) CancelDelivery(ctx context.Context, sc gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
	return s.cfg.Store.CancelDelivery(ctx, sc, id)
}

// DropDelivery removes a delivery, and tells nobody.
func (s *Sender) DropDelivery(ctx context.Context, sc gateway.Scope, id gateway.ID) (*gateway.Delivery, error) {
	return s.cfg.Store.DropDelivery(ctx, sc, id)
}

func isOperator(by gateway.Scope) bool { return by.Level() == gateway.LevelInstance }

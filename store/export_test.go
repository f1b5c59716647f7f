package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// TracedLater adds to a trace as the commit of an event does.
func (s *Store) TracedLater(ctx context.Context, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber, steps []gateway.Step) error {
	return s.update(ctx, d, func(t *tx) error { return t.tracedLater(a, n, steps) })
}

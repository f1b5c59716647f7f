package outbound

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// ReturnPath is what a delivery has for a reverse-path on its way to other hosts.
func (s *Sender) ReturnPath(ctx context.Context, d *gateway.Delivery) (string, error) {
	return s.returnPath(ctx, d)
}

// Trips puts together what one transaction carries.
var Trips = trips

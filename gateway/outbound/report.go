package outbound

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// report tells the sender of a delivery what became of it, if that is for them to know.
// It is called before the outcome is recorded, and again after a crash between the two.
func (s *Sender) report(context.Context, *gateway.Delivery, gateway.Outcome) error { return nil }

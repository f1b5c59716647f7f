package serve

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// router lets receiving ask the sending flow, which is made after it since it delivers to it.
type router struct{ g *Gateway }

// Way implements inbound.Router.
func (r router) Way(ctx context.Context, addr string) (site string, held gateway.HeldReason, err error) {
	return r.g.Sender.Way(ctx, addr)
}

// Wake implements inbound.Router.
func (r router) Wake() { r.g.Sender.Wake() }

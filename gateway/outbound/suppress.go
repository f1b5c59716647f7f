package outbound

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// Suppressed addresses of a domain get no mail from it: the commit of a message ends
// their deliveries before they begin, and the other recipients get theirs.

// Suppress adds an address by hand; added is false if it was suppressed before.
func (s *Sender) Suppress(ctx context.Context, sc gateway.Scope, email string) (sup *gateway.Suppression, added bool, err error) {
	a, err := content.ParseAddress(email)
	if err != nil {
		known := *gateway.AsError(err)
		known.Field = "email"
		return nil, false, &known
	}
	return s.cfg.Store.AddSuppression(ctx, sc, a.Addr, gateway.SuppressedManual)
}

// Suppression finds one by its id or its address.
func (s *Sender) Suppression(ctx context.Context, sc gateway.Scope, idOrEmail string) (*gateway.Suppression, error) {
	if id, err := gateway.ParseID(idOrEmail); err == nil {
		return s.cfg.Store.Suppression(ctx, sc, id)
	}
	a, err := content.ParseAddress(idOrEmail)
	if err != nil {
		return nil, gateway.Errorf(gateway.NotFound, "no such suppression")
	}
	return s.cfg.Store.SuppressionOf(ctx, sc, a.Addr)
}

// Unsuppress removes one by its id or its address, and returns what it was.
func (s *Sender) Unsuppress(ctx context.Context, sc gateway.Scope, idOrEmail string) (*gateway.Suppression, error) {
	sup, err := s.Suppression(ctx, sc, idOrEmail)
	if err != nil {
		return nil, err
	}
	return sup, s.cfg.Store.RemoveSuppression(ctx, sc, sup.ID)
}

// Suppressions lists a span of a domain's suppressions, newest first: of one origin or
// all. more says whether the list goes on where the span ends.
func (s *Sender) Suppressions(ctx context.Context, sc gateway.Scope, origin gateway.SuppressionOrigin, w gateway.Span) (page []gateway.Suppression, more bool, err error) {
	if origin != "" && !origin.Valid() {
		return nil, false, gateway.Fieldf(gateway.InvalidParameter, "origin", "origin is bounce, complaint or manual")
	}
	found, err := s.cfg.Store.Suppressions(ctx, sc, origin, w.Wider())
	page, more = gateway.Cut(found, w)
	return page, more, err
}

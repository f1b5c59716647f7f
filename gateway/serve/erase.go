package serve

import (
	"context"
	"log/slog"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// DeleteDomain removes a domain with all that is in it, for good. When it returns
// nil nothing of it can be found, and nobody who had a key of it is connected any
// more. Its bytes leave the disk in the background.
func (g *Gateway) DeleteDomain(ctx context.Context, s gateway.Scope, idOrName string) error {
	d, err := g.Domains.Get(ctx, s, idOrName)
	if err != nil {
		return err
	}
	err = g.Store.DeleteDomain(ctx, s, d.ID)
	if err == nil {
		g.Keys.EndDomain(d.ID)
		g.refresh(d.ID)
	}
	select {
	case g.erased <- struct{}{}:
	default:
	}
	return err
}

// DeleteAccount removes an account with all that is in it, for good. Who had a key
// of it is cut off first; when it returns nil, nothing of it can be found and its
// addresses are free.
func (g *Gateway) DeleteAccount(ctx context.Context, s gateway.Scope, email string) (*gateway.Account, error) {
	a, err := g.Domains.Account(ctx, s, email)
	if err != nil {
		return nil, err
	}
	if err := g.Store.CloseAccount(ctx, s, a.Domain, a.ID); err != nil {
		return nil, err
	}
	g.Keys.EndAccount(a.Domain, a.ID)
	defer g.refresh(a.Domain)
	if err := g.Store.EraseAccount(ctx, s, a.Domain, a.ID); err != nil {
		select {
		case g.erased <- struct{}{}: // it goes on in the background
		default:
		}
		return nil, err
	}
	return a, nil
}

// erase takes off the disk what was deleted, and finishes deletions that were cut
// short: by the end of a process, or of a request, or because the store refused it.
func (g *Gateway) erase(ctx context.Context) error {
	for asked := false; ; asked = true {
		if err := g.Store.CountBytes(ctx, keys.System()); err != nil && ctx.Err() == nil {
			g.log.LogAttrs(ctx, slog.LevelError, "the bytes of older mail are not counted yet", slog.Any("err", err))
		}
		gone, err := g.Store.FinishDeletions(ctx, keys.System())
		for _, d := range gone {
			g.Keys.EndDomain(d)
		}
		if err == nil && (asked || len(gone) > 0) {
			err = g.Store.Compact(ctx, keys.System())
		}
		if err != nil && ctx.Err() == nil { // the next start tries again
			g.log.LogAttrs(ctx, slog.LevelError, "a deleted domain or account is not off the disk yet", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-g.erased:
		case <-g.Store.Uncleared():
		}
	}
}

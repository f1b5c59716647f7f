package plugins

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// Failures returns what a plugin could not be told of, the newest first: those before one,
// unless that is 0.
func (p *Plugins) Failures(ctx context.Context, s gateway.Scope, id gateway.ID, before uint64, most int) (gateway.FailurePage, error) {
	if lim := p.cfg.Limits.PageSize; most < 1 || int64(most) > lim {
		return gateway.FailurePage{}, gateway.Fieldf(gateway.InvalidParameter, "limit", "limit must be 1 to %d", lim)
	}
	page, err := p.cfg.Store.Failures(ctx, s, id, before, most)
	for i := range page.Failures {
		f := &page.Failures[i]
		f.EventID = eventID(id, f.Position, &f.Event)
	}
	return page, err
}

// RetryFailure has a plugin told of an event again, now, under the name that the event has.
func (p *Plugins) RetryFailure(ctx context.Context, s gateway.Scope, id gateway.ID, n uint64) (*gateway.Failure, error) {
	f, err := p.cfg.Store.RetryFailure(ctx, s, id, n)
	if err == nil {
		f.EventID = eventID(id, f.Position, &f.Event)
		p.changed(s.Domain())
	}
	return f, err
}

// DropFailure forgets an event that a plugin could not be told of.
func (p *Plugins) DropFailure(ctx context.Context, s gateway.Scope, id gateway.ID, n uint64) error {
	return p.cfg.Store.DropFailure(ctx, s, id, n)
}

// Backlog counts what a plugin is to be told again, and what it could not be told.
func (p *Plugins) Backlog(ctx context.Context, s gateway.Scope, inst *gateway.Plugin) (waiting, failed int, err error) {
	return p.cfg.Store.Backlog(ctx, s, inst.ID)
}

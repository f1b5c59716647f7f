package rest

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// pluginEvent is the data of an event about a plugin. Name and version are those that it
// has now; null of one that was deleted.
type pluginEvent struct {
	PluginID string  `json:"plugin_id"`
	Name     *string `json:"name"`
	Version  *string `json:"version"`
	Scope    string  `json:"scope"`
	Email    *string `json:"email"` // whose it is; null: the domain's
	Status   string  `json:"status"`
	Hook     *string `json:"hook"` // that failed
	Reason   string  `json:"reason"`
	Sequence uint64  `json:"sequence"`
}

func (s *Server) pluginEvent(ctx context.Context, scope gateway.Scope, e *gateway.Event) (*pluginEvent, error) {
	out := &pluginEvent{
		PluginID: e.Subject.String(), Scope: gateway.LevelDomain.String(), Status: "disabled", Hook: orNull(e.Detail), Reason: "it was switched off", Sequence: e.Sequence,
	}
	if e.Detail != "" {
		out.Status, out.Reason = "quarantined", "it failed too often: it is not asked for a while"
	}
	if e.Account != 0 {
		a, err := s.cfg.Domains.AccountByID(ctx, scope, e.Domain, e.Account)
		if err != nil {
			return nil, err
		}
		out.Scope, out.Email = gateway.LevelAccount.String(), &a.Email
	}
	p, err := s.cfg.Plugins.Get(ctx, scope, e.Subject)
	switch {
	case err == nil:
		out.Name, out.Version = &p.Name, &p.Version
	case gateway.KindOf(err) != gateway.NotFound:
		return nil, err
	}
	return out, nil
}

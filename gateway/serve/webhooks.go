package serve

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/notify"
	"github.com/centerleap/postern/gateway/safehttp"
)

// buildWebhooks makes the endpoints that are told what happens, and who tells them. In
// quickstart a developer's own server is as far away as any.
func (g *Gateway) buildWebhooks() error {
	lim := g.cfg.Limits
	client, err := safehttp.New(safehttp.Config{AllowLoopback: g.cfg.local, Allow: g.cfg.HTTPAllow, Log: g.log})
	if err != nil {
		return err
	}
	slots := notify.NewSlots(int(lim.WebhookCalls))
	if g.webhooks, err = notify.NewWebhooks(notify.WebhooksConfig{
		Store: g.Store, HTTP: client, Slots: slots,
		Document: func(ctx context.Context, s gateway.Scope, e *gateway.Event) ([]byte, error) {
			return g.rest.Document(ctx, s, e)
		},
		Changed: func(d gateway.DomainID) { g.Told.Refresh(d) },
		Limits:  lim, Now: g.now,
	}); err != nil {
		return err
	}
	g.Told, err = notify.NewConsumers(notify.ConsumersConfig{
		Store: g.Store, Teller: g.webhooks, Job: "notify/webhooks", System: keys.System(), Internal: ofFeed,
		Slots: slots, Attempts: lim.WebhookAttempts, Pauses: notify.WebhookPauses, Limits: lim, Log: g.log, Now: g.now,
	})
	return err
}

// ofFeed is the scope that a feed is read with: that of domain 0 is the instance's.
func ofFeed(d gateway.DomainID) gateway.Scope {
	if d == 0 {
		return keys.System()
	}
	return keys.Internal(d)
}

// refresh has those who keep count of what a domain's subscriptions are told look at them
// again: some may be gone.
func (g *Gateway) refresh(d gateway.DomainID) {
	g.Events.Refresh(d)
	g.Told.Refresh(d)
}

package notify

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/safehttp"
)

// WebhookStore is the part of the store that webhooks need.
type WebhookStore interface {
	AddWebhook(ctx context.Context, s gateway.Scope, w gateway.Webhook) (*gateway.Webhook, error)
	Webhooks(ctx context.Context, s gateway.Scope) ([]gateway.Webhook, error)
	Webhook(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Webhook, error)
	ChangeWebhook(ctx context.Context, s gateway.Scope, id gateway.ID, c gateway.WebhookChange) (*gateway.Webhook, error)
	RotateWebhook(ctx context.Context, s gateway.Scope, id gateway.ID, secret gateway.Secret, overlap time.Duration) (*gateway.Webhook, error)
	DeleteWebhook(ctx context.Context, s gateway.Scope, id gateway.ID) error
	// WebhookEvents are those before one, unless it is zero, the newest first.
	WebhookEvents(ctx context.Context, s gateway.Scope, id gateway.ID, before gateway.Position, most int) (gateway.WebhookEventPage, error)
	WebhookEvent(ctx context.Context, s gateway.Scope, id gateway.ID, p gateway.Position) (*gateway.WebhookEvent, error)
	RetellWebhook(ctx context.Context, s gateway.Scope, id gateway.ID, p gateway.Position) (*gateway.WebhookEvent, error)
}

// WebhooksConfig of Webhooks.
type WebhooksConfig struct {
	Store WebhookStore     // required
	HTTP  *safehttp.Client // required: it judges the addresses that endpoints are at
	Slots *Slots           // required: those of the consumers
	// Document is what is told of an event: JSON with type, created_at and data. NotFound
	// when there is nothing to tell of it any more. Required.
	Document func(ctx context.Context, s gateway.Scope, e *gateway.Event) ([]byte, error)
	// Changed is called when a domain's webhooks are not what they were, or may not be: when
	// the store fails nobody knows. Required.
	Changed func(gateway.DomainID)
	Limits  gateway.Limits   // required
	Now     func() time.Time // default: time.Now
}

// Webhooks are the endpoints that are told what happens. They are the Teller of a
// Consumers, which keeps count of what each was told. A scope of the instance has webhooks
// of its own, and reaches no domain's.
type Webhooks struct {
	cfg       WebhooksConfig
	documents documents
}

// NewWebhooks checks cfg and fills its defaults. It starts nothing.
func NewWebhooks(cfg WebhooksConfig) (*Webhooks, error) {
	if cfg.Store == nil || cfg.HTTP == nil || cfg.Slots == nil || cfg.Document == nil || cfg.Changed == nil || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("notify: a required field of WebhooksConfig is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Webhooks{cfg: cfg, documents: documents{from: cfg.Document}}, nil
}

// WebhookPauses are those after the attempts to tell a webhook of an event: eight of them
// take about 27 hours. Source: design, "Webhooks and events".
var WebhookPauses = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
}

// Subscriptions are the webhooks of a domain that are enabled; of 0, those of the instance.
func (w *Webhooks) Subscriptions(ctx context.Context, s gateway.Scope, d gateway.DomainID) (subs []gateway.Subscription, err error) {
	all, err := w.cfg.Store.Webhooks(ctx, s)
	for i := range all {
		if hook := &all[i]; hook.Enabled {
			subs = append(subs, gateway.Subscription{ID: hook.ID, Domain: d, Account: hook.Account, Types: hook.Wanted()})
		}
	}
	return subs, err
}

// Tell posts an event to a webhook. What the endpoint answers is in the result, whether it
// is an error or not: anything but 2xx is one.
func (w *Webhooks) Tell(ctx context.Context, s gateway.Scope, sub *gateway.Subscription, at gateway.Position, e *gateway.Event, attempt int) (out gateway.Result, err error) {
	hook, err := w.cfg.Store.Webhook(ctx, s, sub.ID)
	switch {
	case gateway.KindOf(err) == gateway.NotFound:
		return out, err
	case err != nil:
		return out, unavailable(err)
	case !hook.Enabled:
		return out, gateway.Errorf(gateway.NotFound, "the webhook is disabled")
	}
	doc, err := w.documents.of(ctx, s, at, e, attempt)
	switch {
	case gateway.KindOf(err) == gateway.NotFound:
		return gateway.Result{Skipped: true}, nil
	case err != nil:
		return out, unavailable(err)
	}
	a := w.post(ctx, hook, gateway.EventID(at, e.At), doc)
	out.Attempt = &a
	if a.Status == statusGone {
		out.Stop = "the endpoint answered 410: it wants no more"
	}
	if a.Error != "" {
		err = errors.New(a.Error)
	}
	return out, err
}

// statusGone is how an endpoint says that it wants to be told no more, Standard Webhooks.
const statusGone = 410

// unavailable marks an error of the gateway's own: the webhook has not failed.
func unavailable(err error) error {
	return &gateway.Error{Kind: gateway.Unavailable, Message: "the event can't be read now", Err: err}
}

// newSecret makes a secret of 256 bits.
func newSecret() gateway.Secret {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails
	return gateway.Secret(gateway.WebhookSecretPrefix + base64.StdEncoding.EncodeToString(b))
}

// Add makes a webhook, with a secret of its own: whoever may change it may see that.
func (w *Webhooks) Add(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, endpoint string, types []gateway.EventType) (*gateway.Webhook, error) {
	if err := w.check(d, &endpoint, &types); err != nil {
		return nil, err
	}
	hook, err := w.cfg.Store.AddWebhook(ctx, s, gateway.Webhook{
		ID: gateway.ID(uuid.Must(uuid.NewV7())), Domain: d, Account: a, Endpoint: endpoint, Types: types, Enabled: true, Secret: newSecret(),
	})
	w.cfg.Changed(d)
	return hook, err
}

// check judges an endpoint and types, as far as they are given, of a webhook of a domain or,
// with 0, of the instance.
func (w *Webhooks) check(d gateway.DomainID, endpoint *string, types *[]gateway.EventType) error {
	if endpoint != nil {
		if err := w.cfg.HTTP.Check(*endpoint); err != nil {
			return gateway.Fieldf(gateway.InvalidParameter, "endpoint", "endpoint: %s", gateway.AsError(err).Message)
		}
	}
	if types == nil {
		return nil
	}
	whose := "a domain or an account"
	if d == 0 {
		whose = "the instance"
	}
	for _, t := range *types {
		if !slices.Contains(gateway.WebhookEventsOf(d), t) {
			return gateway.Fieldf(gateway.InvalidParameter, "events", "there is no event %.80q that a webhook of %s can be told of", string(t), whose)
		}
	}
	slices.Sort(*types)
	*types = slices.Compact(*types)
	return nil
}

// List returns those that the scope reaches, the oldest first.
func (w *Webhooks) List(ctx context.Context, s gateway.Scope) ([]gateway.Webhook, error) {
	return w.cfg.Store.Webhooks(ctx, s)
}

// Get returns one.
func (w *Webhooks) Get(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Webhook, error) {
	return w.cfg.Store.Webhook(ctx, s, id)
}

// Change changes one.
func (w *Webhooks) Change(ctx context.Context, s gateway.Scope, id gateway.ID, c gateway.WebhookChange) (*gateway.Webhook, error) {
	if err := w.check(s.Domain(), c.Endpoint, c.Types); err != nil {
		return nil, err
	}
	hook, err := w.cfg.Store.ChangeWebhook(ctx, s, id, c)
	w.cfg.Changed(s.Domain())
	return hook, err
}

// Rotate gives one a new secret. Both sign until FormerUntil.
func (w *Webhooks) Rotate(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Webhook, error) {
	return w.cfg.Store.RotateWebhook(ctx, s, id, newSecret(), gateway.WebhookOverlap)
}

// Delete removes one.
func (w *Webhooks) Delete(ctx context.Context, s gateway.Scope, id gateway.ID) error {
	err := w.cfg.Store.DeleteWebhook(ctx, s, id)
	w.cfg.Changed(s.Domain())
	return err
}

// Events returns what one was told: the events before one, unless that is "", the newest
// first, at most most.
func (w *Webhooks) Events(ctx context.Context, s gateway.Scope, id gateway.ID, before string, most int) (gateway.WebhookEventPage, error) {
	var p gateway.Position
	if before != "" {
		var ok bool
		if p, _, ok = gateway.ParseEventID(before); !ok {
			return gateway.WebhookEventPage{}, gateway.Fieldf(gateway.InvalidParameter, "after", "after is no id of an event")
		}
	}
	return w.cfg.Store.WebhookEvents(ctx, s, id, p, most)
}

// Event returns what one was told of one event.
func (w *Webhooks) Event(ctx context.Context, s gateway.Scope, id gateway.ID, event string) (*gateway.WebhookEvent, error) {
	return named(event, func(p gateway.Position) (*gateway.WebhookEvent, error) {
		return w.cfg.Store.WebhookEvent(ctx, s, id, p)
	})
}

// Retell has one told of an event once more.
func (w *Webhooks) Retell(ctx context.Context, s gateway.Scope, id gateway.ID, event string) (*gateway.WebhookEvent, error) {
	if _, err := w.Event(ctx, s, id, event); err != nil { // nothing is changed for an id of another life
		return nil, err
	}
	row, err := named(event, func(p gateway.Position) (*gateway.WebhookEvent, error) {
		return w.cfg.Store.RetellWebhook(ctx, s, id, p)
	})
	w.cfg.Changed(s.Domain())
	return row, err
}

// named reads an event by its id.
func named(event string, read func(gateway.Position) (*gateway.WebhookEvent, error)) (*gateway.WebhookEvent, error) {
	none := gateway.Errorf(gateway.NotFound, "no such event")
	p, ms, ok := gateway.ParseEventID(event)
	if !ok {
		return nil, none
	}
	row, err := read(p)
	if err == nil && row.Event.At.UnixMilli() != ms {
		return nil, none
	}
	return row, err
}

// Test posts an event that did not happen, once, to one that may be disabled. Its id
// begins with evt_test_.
func (w *Webhooks) Test(ctx context.Context, s gateway.Scope, id gateway.ID) (gateway.WebhookAttempt, error) {
	hook, err := w.cfg.Store.Webhook(ctx, s, id)
	if err != nil {
		return gateway.WebhookAttempt{}, err
	}
	give, ok := w.cfg.Slots.take(ctx, hook.Domain, true)
	if !ok {
		return gateway.WebhookAttempt{}, gateway.Errorf(gateway.Unavailable, "too many calls of webhooks are under way")
	}
	defer give()
	doc, err := json.Marshal(map[string]any{
		"type": "webhook.test", "created_at": w.cfg.Now().UTC().Format(time.RFC3339Nano), "data": map[string]any{"webhook_id": id.String()},
	})
	if err != nil {
		return gateway.WebhookAttempt{}, err
	}
	event := "evt_test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	return w.post(ctx, hook, event, doc), nil
}

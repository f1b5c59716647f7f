package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func webhookKey(d gateway.DomainID, id gateway.ID) []byte { return key(subWebhook, d).id(id) }

func heardKey(d gateway.DomainID, id gateway.ID, p gateway.Position) []byte {
	return key(subHeard, d).id(id).u64(p.Sequence).u32(p.Part)
}

func readWebhook(r engine.Reader, d gateway.DomainID, id gateway.ID) (*gateway.Webhook, error) {
	return load(r, webhookKey(d, id), func(b []byte) (*gateway.Webhook, error) { return decodeWebhook(d, id, b) })
}

// webhookOf reads one that the scope reaches: an account reaches its own, not its domain's,
// and the instance its own, which belong to domain 0.
func webhookOf(r engine.Reader, sc gateway.Scope, id gateway.ID) (*gateway.Webhook, error) {
	d := sc.Domain()
	w, err := readWebhook(r, d, id)
	if err != nil {
		return nil, missing(err, "webhook")
	}
	if !ofWebhook(sc, w) {
		return nil, denied("webhook")
	}
	return w, nil
}

func ofWebhook(sc gateway.Scope, w *gateway.Webhook) bool {
	return sc.CoversDomain(w.Domain) || w.Account != 0 && sc.Covers(w.Domain, w.Account)
}

// AddWebhook makes a webhook durable. It is told of all that happens after.
func (s *Store) AddWebhook(ctx context.Context, sc gateway.Scope, w gateway.Webhook) (*gateway.Webhook, error) {
	if !ofWebhook(sc, &w) || w.Domain != sc.Domain() {
		return nil, denied("domain")
	}
	err := s.update(ctx, w.Domain, func(t *tx) error {
		if _, err := readDomain(t, t.domain); err != nil && t.domain != 0 {
			return missing(err, "domain")
		}
		if w.Account != 0 {
			if _, err := readAccount(t, t.domain, w.Account); err != nil {
				return missing(err, "account")
			}
		}
		rng := engine.Prefix(key(subWebhook, t.domain))
		rng.KeysOnly = true
		there, most := int64(0), t.store.cfg.Limits.Webhooks
		if sc.Level() == gateway.LevelAccount { // none of its accounts keeps a domain from having its own
			most = (most + 1) / 2
		}
		if err := t.Scan(rng, func(_, _ []byte) error { there++; return nil }); err != nil {
			return err
		}
		if there >= most {
			return gateway.Errorf(gateway.InvalidState, "there are all the %d webhooks that there may be; delete one first", most)
		}
		w.CreatedAt, w.UpdatedAt = t.now, t.now
		return t.putWebhook(&w)
	})
	return &w, err
}

// putWebhook writes a webhook, and begins to tell it of events, or ends that.
func (t *tx) putWebhook(w *gateway.Webhook) error {
	t.Set(webhookKey(t.domain, w.ID), encodeWebhook(w))
	f, err := load(t, followsKey(t.domain, w.ID), decodeFollows)
	if errors.Is(err, engine.ErrNotFound) {
		f, err = &follows{Off: true, Webhook: true}, nil
	}
	if err != nil || f.Off == !w.Enabled {
		return err
	}
	if f.Off = !w.Enabled; w.Enabled {
		f.Done = nil
		f.Next = gateway.Position{Sequence: t.emit(gateway.Event{Type: gateway.EventWebhook, Account: w.Account, Detail: w.ID.String()}) + 1}
	}
	t.Set(followsKey(t.domain, w.ID), encodeFollows(f))
	return nil
}

// Webhooks returns those that the scope reaches, the oldest first.
func (s *Store) Webhooks(ctx context.Context, sc gateway.Scope) (all []gateway.Webhook, err error) {
	d := sc.Domain()
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(engine.Prefix(key(subWebhook, d)), func(k, v []byte) error {
			w, err := decodeWebhook(d, lastID(k), v)
			if err == nil && ofWebhook(sc, w) {
				all = append(all, *w)
			}
			return err
		})
	})
	slices.SortFunc(all, func(a, b gateway.Webhook) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all, err
}

// Webhook returns one.
func (s *Store) Webhook(ctx context.Context, sc gateway.Scope, id gateway.ID) (w *gateway.Webhook, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		w, err = webhookOf(r, sc, id)
		return err
	})
	return w, err
}

// ChangeWebhook changes one. What happened while it was off it is not told, but what it
// had to be told again before. At another endpoint nothing has failed yet.
func (s *Store) ChangeWebhook(ctx context.Context, sc gateway.Scope, id gateway.ID, c gateway.WebhookChange) (*gateway.Webhook, error) {
	return s.alterWebhook(ctx, sc, id, func(t *tx, w *gateway.Webhook) error {
		if c.Endpoint != nil && *c.Endpoint != w.Endpoint {
			w.Endpoint, w.FailingSince = *c.Endpoint, time.Time{}
		}
		set(&w.Types, c.Types)
		set(&w.Enabled, c.Enabled)
		if w.Enabled && c.Enabled != nil {
			w.Stopped, w.FailingSince = "", time.Time{}
		}
		return nil
	})
}

// RotateWebhook gives one a new secret; the former one signs for a while, too.
func (s *Store) RotateWebhook(ctx context.Context, sc gateway.Scope, id gateway.ID, secret gateway.Secret, overlap time.Duration) (*gateway.Webhook, error) {
	return s.alterWebhook(ctx, sc, id, func(t *tx, w *gateway.Webhook) error {
		w.Former, w.FormerUntil, w.Secret = w.Secret, t.now.Add(overlap), secret
		return nil
	})
}

func (s *Store) alterWebhook(ctx context.Context, sc gateway.Scope, id gateway.ID, alter func(*tx, *gateway.Webhook) error) (w *gateway.Webhook, err error) {
	err = s.update(ctx, sc.Domain(), func(t *tx) error {
		if w, err = webhookOf(t, sc, id); err != nil {
			return err
		}
		if err := alter(t, w); err != nil {
			return err
		}
		w.UpdatedAt = t.now
		return t.putWebhook(w)
	})
	return w, err
}

// DeleteWebhook removes one and all it was told. Once it returns, nothing more is sent.
func (s *Store) DeleteWebhook(ctx context.Context, sc gateway.Scope, id gateway.ID) error {
	d := sc.Domain()
	err := s.frees(ctx, d, func(t *tx) error {
		if _, err := webhookOf(t, sc, id); err != nil {
			return err
		}
		t.dropWebhook(id)
		return nil
	})
	if err == nil {
		s.clearSoon(ctx, d)
	}
	return err
}

// dropWebhook ends one; what it was told is cleared as what plugins leave.
func (t *tx) dropWebhook(id gateway.ID) {
	t.Delete(webhookKey(t.domain, id))
	t.Delete(followsKey(t.domain, id))
	t.Set(pluginUseKey(t.domain, id), (&numbers{0, 1}).encode())
}

// eraseWebhooks removes those of an account.
func (s *Store) eraseWebhooks(ctx context.Context, a *gateway.Account) error {
	err := s.frees(ctx, a.Domain, func(t *tx) error {
		return t.Scan(engine.Prefix(key(subWebhook, a.Domain)), func(k, v []byte) error { // a bounded number
			w, err := decodeWebhook(t.domain, lastID(k), v)
			if err == nil && w.Account == a.ID {
				t.dropWebhook(w.ID)
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	return s.clearPlugins(ctx, a.Domain)
}

// webhooks compares each with what says how far it has come, and finds what was told to
// none.
func (c *checker) webhooks() error {
	there := make(map[gateway.ID]bool)
	err := c.r.Scan(engine.Prefix(key(subWebhook, c.domain)), func(k, v []byte) error {
		w, err := decodeWebhook(c.domain, lastID(k), v)
		if err != nil {
			return err
		}
		there[w.ID] = true
		f, err := load(c.r, followsKey(c.domain, w.ID), decodeFollows)
		if errors.Is(err, engine.ErrNotFound) {
			f, err = &follows{Off: w.Enabled}, nil
		}
		if err == nil && (f.Off == w.Enabled || !f.Webhook) {
			c.report("webhook %s: enabled %v, and what says how far it has come doesn't fit that", w.ID, w.Enabled)
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.r.Scan(engine.Prefix(key(subHeard, c.domain)), func(k, v []byte) error {
		if _, err := decodeHeard(c.domain, k, v); err != nil {
			return err
		}
		id := gateway.ID(k[5:21])
		if there[id] {
			return nil
		}
		there[id] = true // once is enough
		use, err := loadOr(c.r, pluginUseKey(c.domain, id), decodeNumbers)
		if err == nil && use[1] != 1 { // else it is being cleared
			c.report("webhook %s is gone, and what it was told is there", id)
		}
		return err
	})
}

package store

import (
	"bytes"
	"context"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func valueKey(d gateway.DomainID, id gateway.ID, name string) []byte {
	return key(subPluginKV, d).id(id).text(name)
}

// PluginValue returns what a plugin remembers under a name.
func (s *Store) PluginValue(ctx context.Context, sc gateway.Scope, id gateway.ID, name string) (v []byte, known bool, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return nil, false, denied("plugin")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		v, err = r.Get(valueKey(d, id, name))
		known = err == nil
		if errors.Is(err, engine.ErrNotFound) {
			return nil
		}
		return err
	})
	return v, known, err
}

// PluginKeys returns names that a plugin remembers values under, in the order of their
// bytes: those that begin with prefix and stand behind after, so many at most.
func (s *Store) PluginKeys(ctx context.Context, sc gateway.Scope, id gateway.ID, prefix, after string, most int) (names []string, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return nil, denied("plugin")
	}
	start := len(valueKey(d, id, ""))
	rng := engine.Prefix(valueKey(d, id, prefix))
	rng.KeysOnly, rng.Limit = true, most
	if beyond := append(valueKey(d, id, after), 0); after != "" && bytes.Compare(beyond, rng.From) > 0 {
		if rng.From = beyond; bytes.Compare(beyond, rng.To) >= 0 {
			return nil, nil
		}
	}
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func(k, _ []byte) error {
			names = append(names, string(k[start:]))
			return nil
		})
	})
	return names, err
}

// PluginBytes returns how much a plugin remembers, in bytes of names and values.
// What has expired counts until it is counted anew, which recount does.
func (s *Store) PluginBytes(ctx context.Context, sc gateway.Scope, id gateway.ID, recount bool) (sum int64, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return 0, denied("plugin")
	}
	var noted numbers
	err = s.view(ctx, func(r engine.Reader) error {
		if noted, err = loadOr(r, pluginUseKey(d, id), decodeNumbers); err != nil || !recount {
			sum = int64(noted[0])
			return err
		}
		prefix := key(subPluginKV, d).id(id)
		return r.Scan(engine.Prefix(prefix), func(k, v []byte) error {
			sum += int64(len(k) - len(prefix) + len(v))
			return nil
		})
	})
	if err != nil || sum == int64(noted[0]) {
		return sum, err
	}
	// Counted outside of the commit, which others would wait for; so it holds only if
	// nothing was written meanwhile.
	return sum, s.update(ctx, d, func(t *tx) error {
		now, err := loadOr(t, pluginUseKey(d, id), decodeNumbers)
		if err != nil || now != noted {
			return err
		}
		if _, err := readPlugin(t, d, id); err != nil {
			return ignoreMissing(err)
		}
		t.Set(pluginUseKey(d, id), (&numbers{uint64(sum)}).encode())
		return nil
	})
}

// RemindPlugins makes durable what plugins remember, and want sent, because of a message
// that is not kept.
func (s *Store) RemindPlugins(ctx context.Context, sc gateway.Scope, e gateway.Effects) error {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return denied("domain")
	}
	return s.update(ctx, d, func(t *tx) error { return t.effects(&e) })
}

// effects makes durable what comes of asking plugins, in the commit of what they were
// asked about.
func (t *tx) effects(e *gateway.Effects) error {
	if err := t.remindPlugins(e.KV); err != nil {
		return err
	}
	return t.addIntents(e.Intents)
}

// remindPlugins writes into the KV of plugins; one that was deleted meanwhile
// remembers nothing.
func (t *tx) remindPlugins(writes []gateway.PluginWrite) error {
	for _, w := range writes {
		if _, err := t.Get(pluginKey(t.domain, w.Plugin)); errors.Is(err, engine.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		used, err := loadOr(t, pluginUseKey(t.domain, w.Plugin), decodeNumbers)
		if err != nil {
			return err
		}
		k := valueKey(t.domain, w.Plugin, w.Key)
		switch old, err := t.Get(k); {
		case err == nil:
			used[0] -= min(used[0], uint64(len(old)+len(w.Key)))
		case !errors.Is(err, engine.ErrNotFound):
			return err
		}
		if !w.Delete {
			used[0] += uint64(len(w.Value) + len(w.Key))
		}
		t.Set(pluginUseKey(t.domain, w.Plugin), used.encode())
		switch {
		case w.Delete:
			t.Delete(k)
		case w.Expires.IsZero():
			t.Set(k, w.Value)
		default:
			t.SetUntil(k, w.Value, w.Expires)
		}
	}
	return nil
}

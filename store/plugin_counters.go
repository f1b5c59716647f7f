package store

import (
	"context"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func counterKey(d gateway.DomainID, id gateway.ID, name string) []byte {
	return key(subCounter, d).id(id).text(name)
}

func encodeCounter(c *gateway.PluginCounter) []byte {
	e := newRecord(24)
	e.uint(1, uint64(c.Value))
	e.time(2, c.Expires)
	return e.b
}

func decodeCounter(id gateway.ID, name string, b []byte) (c gateway.PluginCounter, err error) {
	c.Plugin, c.Key = id, name
	err = readRecord("counter of a plugin", b, func(f field) error {
		switch f.n {
		case 1:
			c.Value = int64(f.v)
		case 2:
			c.Expires = f.time()
		}
		return nil
	})
	return c, err
}

// PluginCounter returns a counter of a plugin as it was made durable last.
func (s *Store) PluginCounter(ctx context.Context, sc gateway.Scope, id gateway.ID, name string) (c gateway.PluginCounter, known bool, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return c, false, denied("plugin")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		v, err := r.Get(counterKey(d, id, name))
		if errors.Is(err, engine.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		known = true
		c, err = decodeCounter(id, name, v)
		return err
	})
	return c, known, err
}

// PluginCounters returns how many counters of a plugin are durable, at most most: it does
// not look for more.
func (s *Store) PluginCounters(ctx context.Context, sc gateway.Scope, id gateway.ID, most int) (n int, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return 0, denied("plugin")
	}
	rng := engine.Prefix(key(subCounter, d).id(id))
	rng.KeysOnly, rng.Limit = true, most
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func([]byte, []byte) error {
			n++
			return nil
		})
	})
	return n, err
}

// SetPluginCounters makes counters of a domain's plugins durable. Those of a plugin that
// was deleted meanwhile are dropped.
func (s *Store) SetPluginCounters(ctx context.Context, sc gateway.Scope, d gateway.DomainID, all []gateway.PluginCounter) error {
	if !sc.CoversDomain(d) || d == 0 {
		return denied("domain")
	}
	return s.update(ctx, d, func(t *tx) error {
		installed := make(map[gateway.ID]bool)
		for i := range all {
			c := &all[i]
			there, known := installed[c.Plugin]
			if !known {
				_, err := t.Get(pluginKey(d, c.Plugin))
				if there = err == nil; !there && !errors.Is(err, engine.ErrNotFound) {
					return err
				}
				installed[c.Plugin] = there
			}
			switch k := counterKey(d, c.Plugin, c.Key); {
			case !there:
			case c.Expires.IsZero():
				t.Set(k, encodeCounter(c))
			default:
				t.SetUntil(k, encodeCounter(c), c.Expires)
			}
		}
		return nil
	})
}

package store

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// A plugin that is asked at intervals has its next turn here, and a row in an index by
// time. Its turns keep to the grid on which it was switched on: one that was missed is
// made up for, but once for all that were missed.

func turnKey(d gateway.DomainID, id gateway.ID) []byte { return key(subTurn, d).id(id) }

// tick is a plugin's next one.
type tick struct {
	Due, Previous time.Time
	Every         int64 // seconds
}

func encodeTick(v *tick) []byte {
	e := newRecord(32)
	e.time(1, v.Due)
	e.time(2, v.Previous)
	e.int(3, v.Every)
	return e.b
}

func decodeTick(b []byte) (*tick, error) {
	v := &tick{}
	err := readRecord("turn of a plugin", b, func(f field) error {
		switch f.n {
		case 1:
			v.Due = f.time()
		case 2:
			v.Previous = f.time()
		case 3:
			v.Every = f.int()
		}
		return nil
	})
	return v, err
}

// takeTurns gives a plugin its next turn that now has them, or has them at another
// interval, and takes it from one that has not.
func (t *tx) takeTurns(p *gateway.Plugin) error {
	every := p.TickSeconds
	if !p.Enabled || !slices.Contains(p.Hooks, gateway.HookTick) {
		every = 0
	}
	was, err := load(t, turnKey(t.domain, p.ID), decodeTick)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		was = &tick{}
	case err != nil:
		return err
	}
	if was.Every == every {
		return nil
	}
	t.dropTurn(p.ID, was)
	if every > 0 {
		t.setTurn(p.ID, &tick{Due: t.now.Add(time.Duration(every) * time.Second).Truncate(time.Millisecond), Previous: was.Previous, Every: every})
	}
	return nil
}

func (t *tx) setTurn(id gateway.ID, v *tick) {
	t.Set(turnKey(t.domain, id), encodeTick(v))
	t.Set(timedKey(subTurnDue, v.Due, t.domain, id), nil)
}

func (t *tx) dropTurn(id gateway.ID, v *tick) {
	if v.Every > 0 {
		t.Delete(turnKey(t.domain, id))
		t.Delete(timedKey(subTurnDue, v.Due, t.domain, id))
	}
}

// endTurns takes the turns of a plugin that is deleted.
func (t *tx) endTurns(id gateway.ID) error {
	v, err := load(t, turnKey(t.domain, id), decodeTick)
	if err == nil {
		t.dropTurn(id, v)
	}
	return ignoreMissing(err)
}

// forgetTurn takes one off the index whose domain is deleted.
func (t *tx) forgetTurn(k, b []byte) error {
	v, err := decodeTick(b)
	if err == nil {
		t.Delete(timedKey(subTurnDue, v.Due, t.domain, lastID(k)))
	}
	return err
}

// DueTurns returns turns of plugins that are due by now, the longest due first, at most
// most; and when the next one is due, zero if there is none. Those of plugins that skip
// leaves out, which rest, don't count: however many they are, they hide no others.
func (s *Store) DueTurns(ctx context.Context, sc gateway.Scope, most int, skip func(plugin gateway.ID) bool) (due []gateway.PluginTurn, next time.Time, err error) {
	if sc.Level() != gateway.LevelInstance {
		return nil, next, denied("turns")
	}
	now := s.cfg.Now()
	err = s.view(ctx, func(r engine.Reader) error {
		rng := engine.Prefix([]byte{subTurnDue})
		rng.KeysOnly = true
		return r.Scan(rng, func(k, _ []byte) error {
			at, id := fromMS(k[1:]), lastID(k)
			if skip(id) {
				return nil
			}
			if len(due) == most || at.After(now) {
				next = at
				return engine.ErrStop
			}
			d := gateway.DomainID(binary.BigEndian.Uint32(k[9:]))
			v, err := load(r, turnKey(d, id), decodeTick)
			if errors.Is(err, engine.ErrNotFound) { // one row of one domain must not stop all others
				return nil
			}
			if err == nil {
				due = append(due, gateway.PluginTurn{Domain: d, Plugin: id, Due: at, Previous: v.Previous})
			}
			return err
		})
	})
	return due, next, err
}

// Ticked makes durable that a plugin had its turn, with what came of it, and gives it the
// next one: the first of its grid that is not past. InvalidState if it had that turn
// before, NotFound if it has no turns any more: nothing is done then.
func (s *Store) Ticked(ctx context.Context, sc gateway.Scope, had gateway.PluginTurn, e gateway.Effects) error {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 || d != had.Domain {
		return denied("plugin")
	}
	return s.update(ctx, d, func(t *tx) error {
		v, err := load(t, turnKey(d, had.Plugin), decodeTick)
		if err != nil {
			return missing(err, "plugin")
		}
		if !v.Due.Equal(had.Due) {
			return gateway.Errorf(gateway.InvalidState, "the plugin had its turn before")
		}
		every := time.Duration(v.Every) * time.Second
		missed := max(0, t.now.Sub(v.Due)) / every
		t.dropTurn(had.Plugin, v)
		t.setTurn(had.Plugin, &tick{Due: v.Due.Add((missed + 1) * every), Previous: v.Due, Every: v.Every})
		return t.effects(&e)
	})
}

// turns compares the index of turns with them.
func (c *checker) turns() error {
	due := make(map[gateway.ID]time.Time)
	err := c.r.Scan(engine.Prefix(key(subTurn, c.domain)), func(k, v []byte) error {
		one, err := decodeTick(v)
		if err == nil {
			due[lastID(k)] = one.Due
			_, err = c.r.Get(timedKey(subTurnDue, one.Due, c.domain, lastID(k)))
		}
		if errors.Is(err, engine.ErrNotFound) {
			c.report("plugin %s: its turn isn't in the index", lastID(k))
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	rng := engine.Prefix([]byte{subTurnDue})
	rng.KeysOnly = true
	return c.r.Scan(rng, func(k, _ []byte) error {
		if d := gateway.DomainID(binary.BigEndian.Uint32(k[9:])); d == c.domain && !due[lastID(k)].Equal(fromMS(k[1:])) {
			c.report("plugin %s: the index has a turn that it has not", lastID(k))
		}
		return nil
	})
}

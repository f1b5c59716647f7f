package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Who is told of events has three things here: how far it has come in the feed, what it
// is told again, and what it could not be told. The first is written in the commit that
// switches a plugin on: so it is told of all that happens after that was answered.

func followsKey(d gateway.DomainID, id gateway.ID) []byte { return key(subFollows, d).id(id) }

func againKey(d gateway.DomainID, id gateway.ID, due time.Time, p gateway.Position) []byte {
	return key(subAgain, d).id(id).u64(ms(due)).u64(p.Sequence).u32(p.Part)
}

// follow begins to tell a plugin of events that now wants them, and ends it for one that
// does not any more.
func (t *tx) follow(p *gateway.Plugin) error {
	wants := p.Enabled && slices.Contains(p.Hooks, gateway.HookEvent)
	f, err := load(t, followsKey(t.domain, p.ID), decodeFollows)
	switch {
	case errors.Is(err, engine.ErrNotFound) && wants:
		f = &follows{Off: true}
	case err != nil:
		return ignoreMissing(err)
	}
	if f.Off == !wants {
		return nil
	}
	if f.Off = !wants; wants {
		f.Done = nil
		f.Next = gateway.Position{Sequence: t.emit(gateway.Event{Type: gateway.EventPlugin, Account: p.Account, Detail: p.ID.String()}) + 1}
	}
	t.Set(followsKey(t.domain, p.ID), encodeFollows(f))
	return nil
}

// following reads how far a subscription has come. NotFound if it is none any more.
func following(r engine.Reader, d gateway.DomainID, id gateway.ID) (*follows, error) {
	f, err := load(r, followsKey(d, id), decodeFollows)
	if err == nil && f.Off {
		err = engine.ErrNotFound
	}
	return f, missing(err, "subscription")
}

// Cursor returns how far a subscription has come. A plugin that was switched on before
// there were events begins now. NotFound if it is not to be told of any.
func (s *Store) Cursor(ctx context.Context, sc gateway.Scope, id gateway.ID) (c gateway.Cursor, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) {
		return c, denied("subscription")
	}
	read := func() error {
		return s.view(ctx, func(r engine.Reader) error {
			f, err := following(r, d, id)
			if err != nil {
				return err
			}
			c = f.Cursor
			rng := engine.Prefix(key(subAgain, d).id(id))
			rng.KeysOnly, rng.Limit = true, 1
			return r.Scan(rng, func(k, _ []byte) error {
				c.Due = fromMS(k[len(k)-20:])
				return nil
			})
		})
	}
	if err = read(); gateway.KindOf(err) != gateway.NotFound || err == nil {
		return c, err
	}
	err = s.update(ctx, d, func(t *tx) error {
		p, err := readPlugin(t, d, id)
		if err != nil {
			return missing(err, "subscription")
		}
		return t.follow(p)
	})
	if err == nil {
		err = read()
	}
	return c, err
}

// WaitingEvents returns what a subscription is to be told again by now, the longest due
// first, at most most; and when the next one is due, zero if none waits.
func (s *Store) WaitingEvents(ctx context.Context, sc gateway.Scope, id gateway.ID, most int) (due []gateway.Waiting, next time.Time, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) {
		return nil, next, denied("subscription")
	}
	now := s.cfg.Now()
	rng := engine.Prefix(key(subAgain, d).id(id))
	rng.Limit = most + 1
	err = s.view(ctx, func(r engine.Reader) error {
		if _, err := following(r, d, id); err != nil {
			return err
		}
		return r.Scan(rng, func(k, v []byte) error {
			w, err := decodeWaiting(d, k, v)
			if err != nil {
				return err
			}
			if next = w.Due; len(due) == most || w.Due.After(now) {
				return engine.ErrStop
			}
			due, next = append(due, w), time.Time{}
			return nil
		})
	})
	return due, next, err
}

// Advance notes that everything before a place is dealt with.
func (s *Store) Advance(ctx context.Context, sc gateway.Scope, id gateway.ID, next gateway.Position) error {
	d := sc.Domain()
	if !sc.CoversDomain(d) {
		return denied("subscription")
	}
	return s.update(ctx, d, func(t *tx) error {
		f, err := following(t, d, id)
		if err != nil {
			return err
		}
		f.advance(next)
		t.Set(followsKey(d, id), encodeFollows(f))
		return nil
	})
}

// advance moves on, never back.
func (f *follows) advance(next gateway.Position) {
	if f.Next.Less(next) {
		f.Next = next
	}
	f.Done = slices.DeleteFunc(f.Done, func(p gateway.Position) bool { return p.Less(f.Next) })
}

// Handled makes durable that a subscription was told of an event, with all that comes of
// it, in one commit: what is remembered, mail that is wanted sent, the change of the
// message. InvalidState if that was done before, and NotFound if the subscription has
// ended: nothing is done then. A webhook that was switched off while it was told has
// not ended: what it answered is written down, and what it did not take waits.
func (s *Store) Handled(ctx context.Context, sc gateway.Scope, id gateway.ID, told *gateway.Told) error {
	d := sc.Domain()
	if !sc.CoversDomain(d) {
		return denied("subscription")
	}
	return s.update(ctx, d, func(t *tx) error {
		f, err := load(t, followsKey(d, id), decodeFollows)
		if err == nil && f.Off && !f.Webhook {
			err = engine.ErrNotFound
		}
		if err != nil {
			return missing(err, "subscription")
		}
		if err := t.untell(f, id, told); err != nil {
			return err
		}
		if err := t.tracedEvent(&told.Event, told.Effects.Steps); err != nil {
			return err
		}
		switch {
		case told.Error == "":
			t.cause = id
			err = t.changeEntry(&told.Event, &told.Change)
			t.cause = gateway.ID{}
		case told.Again.IsZero() && f.Webhook: // what it was told says so
		case told.Again.IsZero():
			t.giveUp(f, id, &gateway.Failure{Position: told.Position, Event: told.Event, Attempts: told.Attempts, Error: told.Error, At: t.now})
		default:
			w := gateway.Waiting{Position: told.Position, Event: told.Event, Attempts: told.Attempts, Due: told.Again, Error: told.Error}
			t.Set(againKey(d, id, w.Due, w.Position), encodeWaiting(&w))
			f.Waiting++
		}
		if err == nil && f.Webhook {
			err = t.heard(f, id, told)
		}
		if err != nil {
			return err
		}
		t.Set(followsKey(d, id), encodeFollows(f))
		return t.effects(&told.Effects)
	})
}

// untell takes an event off what is to be told. InvalidState if it is not there any more.
func (t *tx) untell(f *follows, id gateway.ID, told *gateway.Told) error {
	var err error
	if told.Due.IsZero() {
		err = t.untellFirst(f, id, told)
	} else {
		err = t.untellAgain(f, id, told)
	}
	if errors.Is(err, engine.ErrNotFound) {
		return gateway.Errorf(gateway.InvalidState, "the subscription was told of that before")
	}
	if err == nil {
		f.advance(told.Next)
	}
	return err
}

// untellFirst notes that an event of the feed is dealt with.
func (t *tx) untellFirst(f *follows, id gateway.ID, told *gateway.Told) error {
	if !told.Less(f.Next) && !slices.Contains(f.Done, told.Position) {
		f.Done = append(f.Done, told.Position)
		return nil
	}
	if !f.Webhook {
		return engine.ErrNotFound
	}
	// It may have been switched off and on while it was told: then nothing is on record.
	switch _, err := readHeard(t, t.domain, id, told.Position); {
	case err == nil:
		return engine.ErrNotFound
	case errors.Is(err, engine.ErrNotFound):
		return nil
	default:
		return err
	}
}

// untellAgain takes an event off those that wait.
func (t *tx) untellAgain(f *follows, id gateway.ID, told *gateway.Told) error {
	k := againKey(t.domain, id, told.Due, told.Position)
	_, err := t.Get(k)
	if errors.Is(err, engine.ErrNotFound) && f.Webhook {
		k, err = t.movedAgain(id, told)
	}
	if err == nil {
		t.Delete(k)
		f.Waiting--
	}
	return err
}

// movedAgain finds where an event waits that somebody asked for by hand while it was told:
// nobody has told of it since.
func (t *tx) movedAgain(id gateway.ID, told *gateway.Told) ([]byte, error) {
	row, err := readHeard(t, t.domain, id, told.Position)
	if err != nil {
		return nil, err
	}
	k := againKey(t.domain, id, row.Next, told.Position)
	w, err := load(t, k, func(b []byte) (gateway.Waiting, error) { return decodeWaiting(t.domain, k, b) })
	if err == nil && w.Attempts != told.Attempts-1 {
		err = engine.ErrNotFound
	}
	return k, err
}

// followers compares what subscriptions are said to wait for with what is there.
func (c *checker) followers() error {
	waiting := make(map[gateway.ID]int)
	rng := engine.Prefix(key(subAgain, c.domain))
	rng.KeysOnly = true
	err := c.r.Scan(rng, func(k, _ []byte) error {
		waiting[gateway.ID(k[5:21])]++
		return nil
	})
	if err != nil {
		return err
	}
	err = c.r.Scan(engine.Prefix(key(subFollows, c.domain)), func(k, v []byte) error {
		f, err := decodeFollows(v)
		if id := lastID(k); err == nil && f.Waiting != waiting[id] {
			c.report("subscription %s: %d events wait, counted %d", id, f.Waiting, waiting[id])
		}
		delete(waiting, lastID(k))
		return err
	})
	if err != nil {
		return err
	}
	for id, n := range waiting {
		use, err := loadOr(c.r, pluginUseKey(c.domain, id), decodeNumbers)
		if err != nil {
			return err
		}
		if use[1] != 1 { // else they are being cleared
			c.report("subscription %s is gone, and %d events wait for it", id, n)
		}
	}
	return nil
}

package store

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

const settingDomains = "domains" // how many domain numbers were given out

func routeByName(name string) []byte      { return key(subRoute, 0).byte(0).text(name) }
func routeByUUID(id gateway.ID) []byte    { return key(subRoute, 0).byte(1).id(id) }
func domainKey(d gateway.DomainID) []byte { return key(subDomain, d) }

func decodeRoute(b []byte) (gateway.DomainID, error) {
	if len(b) != 4 {
		return 0, errRecord
	}
	return gateway.DomainID(binary.BigEndian.Uint32(b)), nil
}

// CreateDomain makes d durable and fills d.ID. AlreadyExists if the name is
// taken.
//
// It is three commits, because a name is the instance's and a domain is its own
// lane: first the name gets a number, then the number gets its record, and then
// the instance is told. A name whose record is missing, after a crash between the
// first two, is finished by the next call.
func (s *Store) CreateDomain(ctx context.Context, sc gateway.Scope, d *gateway.Domain) error {
	if sc.Level() != gateway.LevelInstance {
		return gateway.Errorf(gateway.Restricted, "only an instance key may create domains")
	}
	d.CreatedAt = s.cfg.Now()
	err := s.update(ctx, 0, func(t *tx) (err error) {
		d.ID, err = t.nameDomain(d)
		return err
	})
	if err != nil {
		return err
	}
	err = s.update(ctx, d.ID, func(t *tx) error {
		if _, err := t.Get(domainKey(d.ID)); !errors.Is(err, engine.ErrNotFound) {
			if err == nil {
				err = gateway.Errorf(gateway.AlreadyExists, "domain %s exists", d.Name)
			}
			return err
		}
		t.Set(domainKey(d.ID), encodeDomain(d))
		t.emit(gateway.Event{Type: gateway.EventDomain, Detail: d.Name})
		return t.beginValidity()
	})
	if err == nil {
		s.made(ctx, d)
	}
	return err
}

// nameDomain gives d's name a number, or finds the number of an unfinished one.
func (t *tx) nameDomain(d *gateway.Domain) (gateway.DomainID, error) {
	id, err := load(t, routeByName(d.Name), decodeRoute)
	switch {
	case err == nil:
		if _, err := t.Get(domainKey(id)); err == nil {
			return 0, gateway.Errorf(gateway.AlreadyExists, "domain %s exists", d.Name)
		} else if !errors.Is(err, engine.ErrNotFound) {
			return 0, err
		}
	case errors.Is(err, engine.ErrNotFound):
		k := key(subSetting, 0).text(settingDomains)
		n, err := loadOr(t, k, decodeNumbers)
		if err != nil {
			return 0, err
		}
		n[0]++
		id = gateway.DomainID(n[0])
		t.Set(k, n.encode())
		t.Set(routeByName(d.Name), encodeU32(uint32(id)))
	default:
		return 0, err
	}
	t.Set(routeByUUID(d.UUID), encodeU32(uint32(id)))
	t.Set(makingKey(id), nil)
	return id, nil
}

func readDomain(r engine.Reader, id gateway.DomainID) (*gateway.Domain, error) {
	return load(r, domainKey(id), func(b []byte) (*gateway.Domain, error) { return decodeDomain(id, b) })
}

// Domain returns one domain.
func (s *Store) Domain(ctx context.Context, sc gateway.Scope, id gateway.DomainID) (d *gateway.Domain, err error) {
	if !sc.TouchesDomain(id) {
		return nil, denied("domain")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		d, err = readDomain(r, id)
		return missing(err, "domain")
	})
	return d, err
}

// DomainByName finds a domain by its canonical name.
func (s *Store) DomainByName(ctx context.Context, sc gateway.Scope, name string) (*gateway.Domain, error) {
	return s.routed(ctx, sc, routeByName(name))
}

// DomainByUUID finds a domain by its public id.
func (s *Store) DomainByUUID(ctx context.Context, sc gateway.Scope, id gateway.ID) (*gateway.Domain, error) {
	d, err := s.routed(ctx, sc, routeByUUID(id))
	if err == nil && d.UUID != id { // the id of a creation that was not finished
		return nil, denied("domain")
	}
	return d, err
}

func (s *Store) routed(ctx context.Context, sc gateway.Scope, route []byte) (d *gateway.Domain, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		id, err := load(r, route, decodeRoute)
		if err != nil {
			return missing(err, "domain")
		}
		if !sc.TouchesDomain(id) {
			return denied("domain")
		}
		d, err = readDomain(r, id)
		return missing(err, "domain")
	})
	return d, err
}

// Domains lists the domains a scope reaches, oldest first.
func (s *Store) Domains(ctx context.Context, sc gateway.Scope) (all []gateway.Domain, err error) {
	rng := engine.Prefix([]byte{subDomain})
	if sc.Level() != gateway.LevelInstance {
		rng = engine.Prefix(domainKey(sc.Domain()))
	}
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func(k, v []byte) error {
			d, err := decodeDomain(gateway.DomainID(binary.BigEndian.Uint32(k[1:])), v)
			if err != nil {
				return err
			}
			all = append(all, *d)
			return nil
		})
	})
	return all, err
}

// DomainPage lists the domains a scope reaches, oldest first: those just behind after, or
// with before those just before it, or neither, which are 0; at most most.
func (s *Store) DomainPage(ctx context.Context, sc gateway.Scope, after, before gateway.DomainID, most int) (all []gateway.Domain, err error) {
	rng := engine.Prefix([]byte{subDomain})
	if sc.Level() != gateway.LevelInstance {
		rng = engine.Prefix(domainKey(sc.Domain()))
	}
	if after > 0 {
		rng = beyond(rng, domainKey(after))
	}
	if rng.Reverse = before > 0; rng.Reverse {
		rng = beyond(rng, domainKey(before))
	}
	rng.Limit = most
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func(k, v []byte) error {
			d, err := decodeDomain(gateway.DomainID(binary.BigEndian.Uint32(k[1:])), v)
			if err == nil {
				all = append(all, *d)
			}
			return err
		})
	})
	if rng.Reverse {
		slices.Reverse(all)
	}
	return all, err
}

// UpdateDomain changes a domain's record within a commit.
func (s *Store) UpdateDomain(ctx context.Context, sc gateway.Scope, id gateway.DomainID, change func(*gateway.Domain) error) (d *gateway.Domain, err error) {
	if !sc.CoversDomain(id) {
		return nil, denied("domain")
	}
	err = s.update(ctx, id, func(t *tx) error {
		if d, err = readDomain(t, id); err != nil {
			return missing(err, "domain")
		}
		name, uuid := d.Name, d.UUID
		if err := change(d); err != nil {
			return err
		}
		d.Name, d.UUID = name, uuid // its routes are not for changing
		t.Set(domainKey(id), encodeDomain(d))
		t.emit(gateway.Event{Type: gateway.EventDomain, Detail: d.Name})
		return nil
	})
	return d, err
}

// Setting reads a value of the instance; empty if it was never set.
func (s *Store) Setting(ctx context.Context, sc gateway.Scope, name string) (value string, err error) {
	if sc.Level() != gateway.LevelInstance {
		return "", denied("setting")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		b, err := r.Get(settingKey(name))
		if errors.Is(err, engine.ErrNotFound) {
			return nil
		}
		value = string(b)
		return err
	})
	return value, err
}

// SetSetting makes a value of the instance durable.
func (s *Store) SetSetting(ctx context.Context, sc gateway.Scope, name, value string) error {
	if sc.Level() != gateway.LevelInstance {
		return denied("setting")
	}
	return s.update(ctx, 0, func(t *tx) error {
		t.Set(settingKey(name), []byte(value))
		return nil
	})
}

// KeepSetting makes a value durable unless the setting has one, and returns the one
// that stands: all who ask at once get the same.
func (s *Store) KeepSetting(ctx context.Context, sc gateway.Scope, name, value string) (kept string, err error) {
	if sc.Level() != gateway.LevelInstance {
		return "", denied("setting")
	}
	err = s.update(ctx, 0, func(t *tx) error {
		b, err := t.Get(settingKey(name))
		if errors.Is(err, engine.ErrNotFound) {
			b, err = []byte(value), nil
			t.Set(settingKey(name), b)
		}
		kept = string(b)
		return err
	})
	return kept, err
}

// settingKey keeps the names of settings apart from the counters beside them.
func settingKey(name string) []byte { return key(subSetting, 0).text("set/" + name) }

package store

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func pluginKey(d gateway.DomainID, id gateway.ID) []byte    { return key(subPlugin, d).id(id) }
func pluginUseKey(d gateway.DomainID, id gateway.ID) []byte { return key(subPluginUse, d).id(id) }

func readPlugin(r engine.Reader, d gateway.DomainID, id gateway.ID) (*gateway.Plugin, error) {
	return load(r, pluginKey(d, id), func(b []byte) (*gateway.Plugin, error) { return decodePlugin(d, id, b) })
}

// readPlugins returns the installations of a domain in the order they are asked.
func readPlugins(r engine.Reader, d gateway.DomainID) (all []gateway.Plugin, err error) {
	err = r.Scan(engine.Prefix(key(subPlugin, d)), func(k, v []byte) error {
		p, err := decodePlugin(d, lastID(k), v)
		if err == nil {
			all = append(all, *p)
		}
		return err
	})
	slices.SortFunc(all, func(a, b gateway.Plugin) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all, err
}

// ofPlugin reports whether a scope reaches an installation: an account sees its
// own, not its domain's.
func ofPlugin(sc gateway.Scope, p *gateway.Plugin) bool {
	return sc.CoversDomain(p.Domain) || p.Account != 0 && sc.Covers(p.Domain, p.Account)
}

// Plugins lists the installations that the scope reaches, as they are asked: by
// priority, then by name. Others are given the same list: nobody changes it.
func (s *Store) Plugins(ctx context.Context, sc gateway.Scope) (all []gateway.Plugin, err error) {
	d := sc.Domain()
	if d == 0 {
		return nil, denied("domain")
	}
	all, known, changes := s.installed.get(d)
	if !known {
		all, err = s.readInstalled(ctx, d, changes)
	}
	if sc.CoversDomain(d) || err != nil { // the flows ask three times for each mail
		return slices.Clip(all), err
	}
	return slices.DeleteFunc(slices.Clone(all), func(p gateway.Plugin) bool { return !ofPlugin(sc, &p) }), nil
}

// readInstalled lists what is installed in a domain, and remembers it unless something has
// changed since.
func (s *Store) readInstalled(ctx context.Context, d gateway.DomainID, changes uint64) (all []gateway.Plugin, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		all, err = readPlugins(r, d)
		return err
	})
	if err == nil {
		s.installed.keep(d, all, changes)
	}
	return all, err
}

// Plugin returns one installation.
func (s *Store) Plugin(ctx context.Context, sc gateway.Scope, id gateway.ID) (p *gateway.Plugin, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		p, err = pluginOf(r, sc, id)
		return err
	})
	return p, err
}

func pluginOf(r engine.Reader, sc gateway.Scope, id gateway.ID) (*gateway.Plugin, error) {
	d := sc.Domain()
	if d == 0 {
		return nil, denied("plugin")
	}
	p, err := readPlugin(r, d, id)
	if err != nil {
		return nil, missing(err, "plugin")
	}
	if !ofPlugin(sc, p) {
		return nil, denied("plugin")
	}
	return p, nil
}

// InstallPlugin makes an installation durable, its code with it. One of that name
// in the same place gets the new code, as UpdatePlugin gives it. created says which.
func (s *Store) InstallPlugin(ctx context.Context, sc gateway.Scope, n *gateway.Plugin, regrant bool) (p gateway.Plugin, created bool, err error) {
	if !ofPlugin(sc, n) || n.Domain != sc.Domain() {
		return p, false, denied("domain")
	}
	err = s.update(ctx, n.Domain, func(t *tx) error {
		all, err := readPlugins(t, n.Domain)
		if err != nil {
			return err
		}
		if n.Account != 0 {
			if _, err := readAccount(t, t.domain, n.Account); err != nil {
				return missing(err, "account")
			}
		}
		i := slices.IndexFunc(all, func(o gateway.Plugin) bool { return o.Account == n.Account && o.Name == n.Name })
		if created = i < 0; !created {
			p = all[i]
			return t.newCode(&p, n.Active(), regrant)
		}
		most := t.store.cfg.Limits.Plugins
		if sc.Level() == gateway.LevelAccount { // none of its accounts keeps a domain from having its own
			most = (most + 1) / 2
		}
		if int64(len(all)) >= most {
			return gateway.Errorf(gateway.InvalidState, "the domain has all the %d plugins it may have; delete one first", most)
		}
		p = *n
		p.Use(once(p.Active()))
		p.CreatedAt, p.UpdatedAt, p.CodeAt = t.now, t.now, t.now
		if err := t.Link(blobRef(p.Code)); err != nil {
			return missing(err, "module")
		}
		return t.putPlugin(&p)
	})
	return p, created, err
}

// ChangePlugin changes an installation from the next message on. One can always be
// switched off, also on a disk that is nearly full.
func (s *Store) ChangePlugin(ctx context.Context, sc gateway.Scope, id gateway.ID, c gateway.PluginChange) (p *gateway.Plugin, err error) {
	commit := s.update
	if c.Enabled != nil && !*c.Enabled {
		commit = s.frees
	}
	err = commit(ctx, sc.Domain(), func(t *tx) error {
		if p, err = pluginOf(t, sc, id); err != nil {
			return err
		}
		if err := t.goBack(p, c.Version); err != nil {
			return err
		}
		if c.Grants != nil {
			p.Grants = distinct(*c.Grants)
			revoke(p, p.Grants)
		}
		if p.Enabled && c.Enabled != nil && !*c.Enabled {
			t.emit(gateway.Event{Type: gateway.EventPluginDisabled, Account: p.Account, Subject: p.ID})
		}
		set(&p.Enabled, c.Enabled)
		set(&p.Priority, c.Priority)
		set(&p.Failure, c.Failure)
		set(&p.Config, c.Config)
		if c.Config != nil || c.Secrets != nil {
			if err := t.configure(p, c.Secrets); err != nil {
				return err
			}
		}
		for _, g := range p.Grants {
			if !slices.Contains(p.Asks, g) {
				return gateway.Fieldf(gateway.InvalidParameter, "grants", "the plugin does not ask for %q", g)
			}
		}
		p.UpdatedAt = t.now
		return t.putPlugin(p)
	})
	return p, err
}

// configure changes secrets, and holds the whole configuration to its bound: what is
// not changed counts too.
func (t *tx) configure(p *gateway.Plugin, secrets map[string]*gateway.Secret) error {
	for name, v := range secrets {
		if delete(p.Secrets, name); v != nil {
			p.Secrets[name] = *v
		}
	}
	if most := t.store.cfg.Limits.PluginConfigValues; int64(len(p.Config)+len(p.Secrets)) > most {
		return gateway.Fieldf(gateway.InvalidParameter, "config", "configuration and secrets are more than %d values", most)
	}
	size := 0
	for k, v := range p.Config {
		size += len(k) + len(v)
		if _, both := p.Secrets[k]; both {
			return gateway.Fieldf(gateway.InvalidParameter, "secrets", "config and secrets both have %.80q", k)
		}
	}
	for k, v := range p.Secrets {
		size += len(k) + len(v)
	}
	if most := t.store.cfg.Limits.PluginConfig; int64(size) > most {
		return gateway.Fieldf(gateway.TooLarge, "config", "configuration and secrets have %d bytes; at most %d are allowed", size, most)
	}
	return nil
}

func set[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

// DeletePlugin removes an installation, its code and all it remembers. Once it
// returns, nothing more is asked of it.
func (s *Store) DeletePlugin(ctx context.Context, sc gateway.Scope, id gateway.ID) error {
	d := sc.Domain()
	err := s.frees(ctx, d, func(t *tx) error {
		p, err := pluginOf(t, sc, id)
		if err != nil {
			return err
		}
		return t.dropPlugin(p)
	})
	if err == nil {
		s.clearSoon(ctx, d)
	}
	return err
}

func (t *tx) putPlugin(p *gateway.Plugin) error {
	t.plugin = true
	t.Set(pluginKey(t.domain, p.ID), encodePlugin(p))
	if err := t.follow(p); err != nil {
		return err
	}
	return t.takeTurns(p)
}

func (t *tx) dropPlugin(p *gateway.Plugin) error {
	t.plugin = true
	t.Delete(pluginKey(t.domain, p.ID))
	t.Set(pluginUseKey(t.domain, p.ID), (&numbers{0, 1}).encode()) // to be cleared, also after a crash
	for _, v := range p.Versions() {
		if err := t.Unlink(blobRef(v.Code)); err != nil {
			return err
		}
	}
	t.Delete(followsKey(t.domain, p.ID))
	return t.endTurns(p.ID)
}

// ignoreMissing is for what may be gone.
func ignoreMissing(err error) error {
	if errors.Is(err, engine.ErrNotFound) {
		return nil
	}
	return err
}

package store

import (
	"context"
	"encoding/hex"
	"slices"

	"github.com/centerleap/postern/gateway"
)

// UpdatePlugin gives an installation new code. It keeps the rest: id, order, policy,
// configuration, what it remembers, whether it is enabled; of its grants it keeps
// what it still asks for, unless regrant says that v brings its own. The code before
// is kept, so many versions of it as there may be.
func (s *Store) UpdatePlugin(ctx context.Context, sc gateway.Scope, id gateway.ID, v gateway.PluginVersion, regrant bool) (p *gateway.Plugin, err error) {
	err = s.update(ctx, sc.Domain(), func(t *tx) error {
		if p, err = pluginOf(t, sc, id); err != nil {
			return err
		}
		return t.newCode(p, v, regrant)
	})
	return p, err
}

func (t *tx) newCode(p *gateway.Plugin, v gateway.PluginVersion, regrant bool) error {
	v = once(v)
	if !regrant {
		v.Grants = slices.DeleteFunc(slices.Clone(p.Grants), func(g string) bool { return !slices.Contains(v.Asks, g) })
	}
	known, err := p.Find(hex.EncodeToString(v.SHA256[:]))
	if err == nil { // it has this code already, with a body
		v.Code, v.CreatedAt = known.Code, known.CreatedAt
	} else {
		v.CreatedAt = t.now
		if err := t.Link(blobRef(v.Code)); err != nil {
			return missing(err, "module")
		}
	}
	t.use(p, v)
	for most := max(t.store.cfg.Limits.PluginVersions, 1); int64(len(p.Kept)) >= most; {
		last := len(p.Kept) - 1
		if err := t.Unlink(blobRef(p.Kept[last].Code)); err != nil {
			return err
		}
		p.Kept = p.Kept[:last]
	}
	p.UpdatedAt = t.now
	return t.putPlugin(p)
}

// use makes v the version that is asked, and keeps the one before.
func (t *tx) use(p *gateway.Plugin, v gateway.PluginVersion) {
	if v.SHA256 != p.SHA256 {
		rest := slices.DeleteFunc(p.Kept, func(o gateway.PluginVersion) bool { return o.SHA256 == v.SHA256 })
		p.Kept = append([]gateway.PluginVersion{p.Active()}, rest...)
	}
	p.Use(v)
}

// goBack makes a kept version the one that is asked, with the grants that it had, less
// those that the tenant has taken away since.
func (t *tx) goBack(p *gateway.Plugin, name *string) error {
	if name == nil {
		return nil
	}
	v, err := p.Find(*name)
	if err != nil {
		return gateway.Fieldf(gateway.InvalidParameter, "active_version", "%s", gateway.AsError(err).Message)
	}
	v.Grants = slices.DeleteFunc(slices.Clone(v.Grants), func(g string) bool { return slices.Contains(p.Asks, g) && !slices.Contains(p.Grants, g) })
	t.use(p, v)
	return nil
}

// revoke takes from the kept versions what the tenant refuses the present one.
func revoke(p *gateway.Plugin, grants []string) {
	for i := range p.Kept {
		v := &p.Kept[i]
		v.Grants = slices.DeleteFunc(v.Grants, func(g string) bool { return slices.Contains(p.Asks, g) && !slices.Contains(grants, g) })
	}
}

// once is a version whose lists name each thing once. A manifest may name one a hundred
// thousand times, and each mail reads the record.
func once(v gateway.PluginVersion) gateway.PluginVersion {
	v.Hooks, v.Asks, v.Grants = distinct(v.Hooks), distinct(v.Asks), distinct(v.Grants)
	return v
}

// distinct is a list without what it has named before.
func distinct[T comparable](list []T) (out []T) {
	seen := make(map[T]bool)
	for _, v := range list {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

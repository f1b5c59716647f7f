package plugins

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
	"github.com/centerleap/postern/sdk/abi"
)

// Slot takes one of the few places for modules that are read or compiled; the
// caller gives it back with done.
func (p *Plugins) Slot() (done func(), err error) {
	select {
	case p.uploads <- struct{}{}:
		return func() { <-p.uploads }, nil
	default:
		return nil, &gateway.Error{Kind: gateway.Unavailable, Message: "too many plugins are being uploaded at once; try again", Retry: 2 * time.Second}
	}
}

// Install checks and compiles a module, then stores it: for the domain of the
// scope, or one account of it. It is not asked before it is enabled; one of that
// name that is enabled is replaced from the next message on. created is false then.
// What is wrong with a module is an InvalidParameter that says so.
func (p *Plugins) Install(ctx context.Context, s gateway.Scope, u gateway.PluginUpload) (inst gateway.Plugin, created bool, err error) {
	if u.Name != "" && !names.MatchString(u.Name) {
		return inst, false, gateway.Fieldf(gateway.InvalidParameter, "name", "name must be of 1 to 64 letters, digits and . _ + -")
	}
	err = p.take(ctx, s, u, func(m *abi.Manifest, v gateway.PluginVersion) (err error) {
		n := gateway.Plugin{
			ID: gateway.ID(uuid.Must(uuid.NewV7())), Domain: s.Domain(), Account: u.Account, Name: cmp.Or(u.Name, m.Name), Priority: m.Priority,
			Failure: gateway.FailOpen,
		}
		n.Use(v)
		inst, created, err = p.cfg.Store.InstallPlugin(ctx, s, &n, u.Grants != nil)
		return err
	})
	p.changed(s.Domain())
	return inst, created, err
}

// Replace is Install for new code of an installation, whatever the module calls
// itself.
func (p *Plugins) Replace(ctx context.Context, s gateway.Scope, id gateway.ID, u gateway.PluginUpload) (inst *gateway.Plugin, err error) {
	err = p.take(ctx, s, u, func(_ *abi.Manifest, v gateway.PluginVersion) (err error) {
		inst, err = p.cfg.Store.UpdatePlugin(ctx, s, id, v, u.Grants != nil)
		return err
	})
	p.changed(s.Domain())
	return inst, err
}

// take checks and compiles a module and writes it down; commit makes it somebody's.
func (p *Plugins) take(ctx context.Context, s gateway.Scope, u gateway.PluginUpload, commit func(*abi.Manifest, gateway.PluginVersion) error) error {
	if !p.cfg.Uploads && !u.Operator {
		return gateway.Errorf(gateway.Restricted, "on this gateway, plugins are installed by its operator")
	}
	code, m, err := p.assemble(u)
	if err != nil {
		return err
	}
	signer, err := p.signer(code)
	if err != nil {
		return err
	}
	v := gateway.PluginVersion{SignedBy: signer, Version: m.Version, SHA256: sha256.Sum256(code), Asks: m.Permissions, Grants: m.Permissions}
	if v.PluginReach, err = reach(m, &p.cfg.Limits); err != nil {
		return err
	}
	for _, h := range m.Hooks {
		v.Hooks = append(v.Hooks, gateway.Hook(h))
	}
	if u.Later {
		v.Grants = nil
	}
	if u.Grants != nil {
		v.Grants = *u.Grants
		for _, g := range v.Grants {
			if !slices.Contains(v.Asks, g) {
				return gateway.Fieldf(gateway.InvalidParameter, "grants", "the plugin does not ask for %.80q", g)
			}
		}
	}
	module, err := p.compile(ctx, code, m)
	if err != nil {
		return err
	}
	p.modules.put(s.Domain(), v.SHA256, module)
	w, err := p.cfg.Store.CreateBlob(ctx, s, s.Domain(), int64(len(code)))
	if err != nil {
		return err
	}
	defer w.Close() // drops the body unless the commit has it
	if _, err := w.Write(code); err != nil {
		return err
	}
	if v.Code, err = w.Seal(); err != nil {
		return err
	}
	return commit(m, v)
}

// assemble returns the module with its manifest in it, and the manifest.
func (p *Plugins) assemble(u gateway.PluginUpload) (code []byte, m *abi.Manifest, err error) {
	if code = u.Wasm; int64(len(code)) > p.cfg.Limits.PluginModule {
		return nil, nil, gateway.Errorf(gateway.TooLarge, "the module has %d bytes; at most %d are allowed", len(code), p.cfg.Limits.PluginModule)
	}
	doc := u.Manifest
	if doc == nil {
		var ok bool
		if doc, ok, err = sandbox.Manifest(code); err != nil {
			return nil, nil, unfit(err)
		} else if !ok {
			return nil, nil, gateway.Fieldf(gateway.MissingField, "manifest", "the module has no manifest in it: send one as the part manifest")
		}
	}
	if m, err = readManifest(doc); err != nil || u.Manifest == nil {
		return code, m, err
	}
	code, err = sandbox.WithManifest(code, doc)
	return code, m, unfit(err)
}

// compile makes a module ready, so that one that can't run is refused here, and the
// first message does not wait for it.
func (p *Plugins) compile(ctx context.Context, code []byte, m *abi.Manifest) (*sandbox.Module, error) {
	module, err := p.engine.Compile(ctx, code)
	p.cache.keep() // also of what was compiled and can't be made ready
	if err != nil {
		return nil, unfit(err)
	}
	if most, has := m.Limits["memory"], module.MemoryBytes(); most > 0 && most < has {
		_ = module.Close(ctx) // nothing runs on it
		return nil, gateway.Fieldf(gateway.InvalidParameter, "manifest", "manifest: limits.memory is %d, but the module has %d bytes when it begins", most, has)
	}
	for _, h := range m.Hooks {
		if !module.Exports(h) {
			_ = module.Close(ctx)
			return nil, gateway.Fieldf(gateway.InvalidParameter, "wasm", "the manifest names the hook %s, but the module does not export %s", h, abi.Export(h))
		}
	}
	return module, nil
}

// unfit makes of a module's fault an error that a client sees.
func unfit(err error) error {
	if fault, ok := errors.AsType[*sandbox.FaultError](err); ok {
		return gateway.Fieldf(gateway.InvalidParameter, "wasm", "%s", fault.Error())
	}
	return err
}

// List returns what is installed and the scope reaches, in the order it is asked.
func (p *Plugins) List(ctx context.Context, s gateway.Scope) ([]gateway.Plugin, error) {
	all, err := p.cfg.Store.Plugins(ctx, s)
	return slices.Clone(all), err // those of the store are what mail is judged by
}

// Get returns one installation.
func (p *Plugins) Get(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Plugin, error) {
	return p.cfg.Store.Plugin(ctx, s, id)
}

// Change changes an installation, from the next message on.
func (p *Plugins) Change(ctx context.Context, s gateway.Scope, id gateway.ID, c gateway.PluginChange) (*gateway.Plugin, error) {
	if c.Failure != nil {
		switch *c.Failure {
		case gateway.FailOpen, gateway.FailClosed, gateway.FailQuarantine:
		default:
			return nil, gateway.Fieldf(gateway.InvalidParameter, "failure_policy", "failure_policy is open, closed or quarantine")
		}
	}
	inst, err := p.cfg.Store.ChangePlugin(ctx, s, id, c)
	if err == nil && c.Enabled != nil {
		p.health.forget(id, false) // whoever switches it on wants to see it work
	}
	p.changed(s.Domain())
	return inst, err
}

// Delete removes an installation and all it remembers.
func (p *Plugins) Delete(ctx context.Context, s gateway.Scope, id gateway.ID) error {
	err := p.cfg.Store.DeletePlugin(ctx, s, id)
	if err == nil {
		p.health.forget(id, true)
	}
	p.changed(s.Domain())
	p.lines.wake(id) // who follows its log sees that it is gone
	return err
}

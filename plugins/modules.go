package plugins

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
)

// modules keeps compiled modules by the digest of their code. Those in use stay; of the
// others the ones used last, among them those of versions before: who goes back to one
// finds it ready. Who has the most makes room, so that no domain has another's mail wait
// for modules to be loaded. A call stays on the module it began with, whatever replaces it.
type modules struct {
	load func(context.Context, gateway.Scope, *gateway.Plugin) (*sandbox.Module, error)
	most int // that stay when nobody uses them

	mu     sync.Mutex
	loaded map[[32]byte]*loaded
	clock  uint64 // counts uses
}

// loaded is one module, or the wait for it.
type loaded struct {
	ready  chan struct{} // closed when module or err is set
	module *sandbox.Module
	err    error
	users  int
	used   uint64
	by     gateway.DomainID
}

// get returns the module of an installation, which the caller releases when it no longer
// uses it. Whoever asks first has it loaded, and all wait as long as they can:
// loading goes on without them, for the next. What can't be loaded for another installation,
// whose code may be gone, is loaded again for this one.
func (m *modules) get(ctx context.Context, s gateway.Scope, p *gateway.Plugin) (*loaded, error) {
	for {
		l, mine := m.use(ctx, s, p)
		err := l.wait(ctx)
		if err == nil {
			return l, nil
		}
		m.release(l)
		_, unfit := errors.AsType[*sandbox.FaultError](err)
		if mine || unfit || ctx.Err() != nil {
			return nil, err
		}
	}
}

// wait waits for a module that is being loaded.
func (l *loaded) wait(ctx context.Context) error {
	select {
	case <-l.ready: // mostly: to look at one channel is quick
		return l.err
	default:
	}
	select {
	case <-l.ready:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// use counts one more user of a module, and has it loaded if nobody did.
func (m *modules) use(ctx context.Context, s gateway.Scope, p *gateway.Plugin) (l *loaded, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, known := m.loaded[p.SHA256]
	if !known {
		l = &loaded{ready: make(chan struct{}), users: 1} // who loads it
		m.loaded[p.SHA256] = l
		go m.fill(context.WithoutCancel(ctx), s, p, l)
	}
	m.clock++
	l.users, l.used, l.by = l.users+1, m.clock, p.Domain
	return l, !known
}

// fill loads a module. One that could not be loaded is tried again by the next who asks.
func (m *modules) fill(ctx context.Context, s gateway.Scope, p *gateway.Plugin, l *loaded) {
	l.module, l.err = m.load(ctx, s, p)
	if l.err != nil {
		m.mu.Lock()
		if m.loaded[p.SHA256] == l {
			delete(m.loaded, p.SHA256)
		}
		m.mu.Unlock()
	}
	close(l.ready)
	m.release(l)
}

// put keeps a module that was compiled for another reason.
func (m *modules) put(d gateway.DomainID, sha [32]byte, module *sandbox.Module) {
	m.mu.Lock()
	l, known := m.loaded[sha]
	if !known {
		l = &loaded{ready: make(chan struct{}), module: module}
		close(l.ready)
		m.loaded[sha] = l
	}
	m.clock++
	l.users, l.used, l.by = l.users+1, m.clock, d
	m.mu.Unlock()
	if known {
		_ = module.Close(context.Background()) // nothing runs on it
	}
	m.release(l)
}

// release ends one use.
func (m *modules) release(l *loaded) {
	m.mu.Lock()
	l.users--
	var idle []*loaded
	for len(m.loaded) > m.most {
		sha, found := m.excess()
		if !found {
			break
		}
		idle = append(idle, m.loaded[sha])
		delete(m.loaded, sha)
	}
	m.mu.Unlock()
	for _, o := range idle {
		_ = o.module.Close(context.Background()) // nothing runs on it
	}
}

// excess is the one that makes room, if one is not in use: of the domain that has the most
// of them, the one used longest ago. m is locked.
func (m *modules) excess() (sha [32]byte, found bool) {
	has := make(map[gateway.DomainID]int)
	for _, l := range m.loaded {
		has[l.by]++
	}
	var of *loaded
	for k, l := range m.loaded {
		if l.users == 0 && (of == nil || has[l.by] > has[of.by] || has[l.by] == has[of.by] && l.used < of.used) {
			sha, of = k, l
		}
	}
	return sha, of != nil
}

// close waits for what is being loaded, and frees all.
func (m *modules) close(ctx context.Context) (err error) {
	m.mu.Lock()
	all := m.loaded
	m.loaded = make(map[[32]byte]*loaded)
	m.mu.Unlock()
	for _, l := range all {
		<-l.ready
		if l.module != nil {
			err = errors.Join(err, l.module.Close(ctx))
		}
	}
	return err
}

// load reads the code of an installation and compiles it.
func (p *Plugins) load(ctx context.Context, s gateway.Scope, inst *gateway.Plugin) (*sandbox.Module, error) {
	r, err := p.cfg.Store.OpenBlob(ctx, s, inst.Code, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	code, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	// Modules are shared by this digest: code under another's would run as that.
	if sha256.Sum256(code) != inst.SHA256 {
		return nil, fmt.Errorf("the code of plugin %s is not what was installed", inst.ID)
	}
	defer p.cache.keep()
	return p.engine.Load(ctx, code)
}

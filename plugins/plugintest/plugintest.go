// Package plugintest asks a plugin about messages without a gateway: in the sandbox, with
// the limits and the translation of verdicts that a gateway has, and nothing behind them.
// It is what the command runs for authors; it checks and signs modules for them, too.
package plugintest

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/plugins"
)

// Config says how a plugin is asked. All of it may be left zero.
type Config struct {
	Manifest []byte            // instead of the one in the module
	Values   map[string]string // its configuration, and its secrets
	Web      plugins.Web       // makes its requests; nil: it makes none
	Auth     map[string]string // results of spf, dkim and dmarc; none unless it is said
	Limits   *gateway.Limits   // default: gateway.DefaultLimits
	// CacheDir keeps compiled code, which is run: nobody else may write there. Default: one
	// that goes with the Plugin.
	CacheDir string
}

// Plugin is a module that is ready to be asked. One goroutine uses it.
type Plugin struct {
	cfg     Config
	lim     gateway.Limits
	dir     string // that goes with it; empty: none
	memory  *memory
	plugins *plugins.Plugins
	ID      gateway.ID
}

// Open checks and compiles a module as an upload is. What is wrong with it is an
// InvalidParameter that says so. Close it.
func Open(ctx context.Context, wasm []byte, cfg Config) (_ *Plugin, err error) {
	p := &Plugin{cfg: cfg, lim: gateway.DefaultLimits(), memory: &memory{values: make(map[string]gateway.PluginWrite)}}
	if cfg.Limits != nil {
		p.lim = *cfg.Limits
	}
	if cfg.CacheDir == "" {
		if p.dir, err = os.MkdirTemp("", "postern-plugin"); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	lim := p.lim
	if p.plugins, err = plugins.New(plugins.Config{
		Store: p.memory, Activity: p.memory, Uploads: true, CacheDir: cmp.Or(cfg.CacheDir, p.dir), Limits: lim, Log: slog.New(slog.DiscardHandler), Web: cfg.Web, TryWeb: true,
		Internal:     func(gateway.DomainID) gateway.Scope { return gateway.Scope{} }, // memory is nobody's
		CheckHeaders: func(fields []gateway.HeaderField) error { return content.CheckHeaders(fields, lim) },
		ParseAddress: content.ParseAddress, CheckMail: func(c *gateway.Compose) error { return content.CheckCompose(c, lim) },
	}); err != nil {
		return nil, err
	}
	inst, _, err := p.plugins.Install(ctx, gateway.Scope{}, gateway.PluginUpload{Wasm: wasm, Manifest: cfg.Manifest})
	if err != nil {
		return nil, err
	}
	p.memory.plugin.Config = cfg.Values
	p.ID = inst.ID
	return p, nil
}

// Close frees the module.
func (p *Plugin) Close() (err error) {
	if p.plugins != nil {
		err = p.plugins.Close()
	}
	if p.dir != "" {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return err
}

// Installed is what a gateway would have installed.
func (p *Plugin) Installed() *gateway.Plugin { return &p.memory.plugin }

// Ask asks a hook about a message, as one that arrives or leaves; the tick hook is asked
// about none. A failure of the plugin is in the outcome, as its failure policy has it. What
// it wants to remember it finds again at the next call, counters apart: they count for one.
func (p *Plugin) Ask(ctx context.Context, t gateway.PluginTrial, raw string) (out gateway.PluginOutcome, err error) {
	look := &gateway.Look{Domain: domain, Mailbox: mailbox}
	if t.Hook != gateway.HookTick {
		if look, err = p.look(raw); err != nil {
			return out, err
		}
	}
	if out, err = p.plugins.Try(ctx, gateway.Scope{}, p.ID, t, look); err != nil {
		if text := errors.Unwrap(err); text != nil { // what is said to senders helps no author
			err = text
		}
		return out, err
	}
	p.remember(out.Writes)
	return out, nil
}

// remember keeps what a call wrote.
func (p *Plugin) remember(writes []gateway.PluginWrite) {
	for _, w := range writes {
		if w.Delete {
			delete(p.memory.values, w.Key)
		} else {
			p.memory.values[w.Key] = w
		}
	}
}

// Where messages without a recipient go: the names of quickstart.
const (
	domain  = "demo.localhost"
	mailbox = "bot@" + domain
)

func (p *Plugin) look(raw string) (*gateway.Look, error) {
	msg, open, err := content.Unsent(raw, time.Now(), p.lim)
	if err != nil {
		return nil, err
	}
	for name, of := range map[string]*gateway.AuthResult{"spf": &msg.Auth.SPF, "dkim": &msg.Auth.DKIM, "dmarc": &msg.Auth.DMARC} {
		if r, ok := p.cfg.Auth[name]; ok {
			*of = gateway.AuthResult{Result: r}
		}
	}
	msg.Auth.FromAligned = msg.Auth.DMARC.Result == "pass"
	look := &gateway.Look{
		Message: msg, Mailbox: mailbox, Domain: domain, Via: "rest", NewThread: gateway.ID(uuid.Must(uuid.NewV7())),
		Reading: &content.Reading{Open: open, Content: &msg.Content, Limits: p.lim},
	}
	for _, a := range msg.Content.To {
		look.Envelope.Recipients = append(look.Envelope.Recipients, a.Addr)
	}
	if len(look.Envelope.Recipients) > 0 {
		look.Mailbox = look.Envelope.Recipients[0]
	}
	look.Envelope.ReturnPath = msg.ReturnPath
	look.Automation = func() (gateway.Automation, error) {
		fields, err := look.Reading.Header()
		about := content.Correspondence{ReturnPath: msg.ReturnPath, Own: look.Envelope.Recipients, DMARC: msg.Auth.DMARC.Result}
		return content.Automation(&msg.Content, fields, about), err
	}
	look.Candidates = func() ([]gateway.Thread, error) { return nil, nil }
	return look, nil
}

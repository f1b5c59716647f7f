// Package plugins is tenants' code inside the mail path: what is installed where,
// in which order it is asked, what it may see, and what becomes of its answers.
//
// The flows ask at their hooks and get verdicts that the gateway can act on: a
// plugin's answer is data, held to the ABI, to its grants and to the limits here,
// and whatever goes wrong with it ends in its failure policy. How a module is run,
// safely, is the sandbox's question.
//
// Read chain.go for what happens at a hook, guest.go for what a plugin may ask.
package plugins

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
)

// Store is the part of the store that plugins need.
type Store interface {
	Plugins(ctx context.Context, s gateway.Scope) ([]gateway.Plugin, error)
	Plugin(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Plugin, error)
	InstallPlugin(ctx context.Context, s gateway.Scope, p *gateway.Plugin, regrant bool) (gateway.Plugin, bool, error)
	UpdatePlugin(ctx context.Context, s gateway.Scope, id gateway.ID, v gateway.PluginVersion, regrant bool) (*gateway.Plugin, error)
	ChangePlugin(ctx context.Context, s gateway.Scope, id gateway.ID, c gateway.PluginChange) (*gateway.Plugin, error)
	DeletePlugin(ctx context.Context, s gateway.Scope, id gateway.ID) error
	AddPluginLines(ctx context.Context, s gateway.Scope, d gateway.DomainID, lines []gateway.PluginLine) error
	PluginLines(ctx context.Context, s gateway.Scope, id gateway.ID, f gateway.LineFilter) (gateway.LinePage, error)
	Failures(ctx context.Context, s gateway.Scope, id gateway.ID, before uint64, most int) (gateway.FailurePage, error)
	RetryFailure(ctx context.Context, s gateway.Scope, id gateway.ID, n uint64) (*gateway.Failure, error)
	DropFailure(ctx context.Context, s gateway.Scope, id gateway.ID, n uint64) error
	Backlog(ctx context.Context, s gateway.Scope, id gateway.ID) (waiting, failed int, err error)
	PluginValue(ctx context.Context, s gateway.Scope, id gateway.ID, key string) ([]byte, bool, error)
	PluginKeys(ctx context.Context, s gateway.Scope, id gateway.ID, prefix, after string, most int) ([]string, error)
	PluginCounter(ctx context.Context, s gateway.Scope, id gateway.ID, key string) (gateway.PluginCounter, bool, error)
	PluginCounters(ctx context.Context, s gateway.Scope, id gateway.ID, most int) (int, error)
	SetPluginCounters(ctx context.Context, s gateway.Scope, d gateway.DomainID, all []gateway.PluginCounter) error
	PluginBytes(ctx context.Context, s gateway.Scope, id gateway.ID, recount bool) (int64, error)
	CreateBlob(ctx context.Context, s gateway.Scope, d gateway.DomainID, sizeHint int64) (gateway.BlobWriter, error)
	OpenBlob(ctx context.Context, s gateway.Scope, b gateway.Blob, off, n int64) (io.ReadCloser, error)
}

// Activity is the log of who did what, which tenants read.
type Activity interface{ Add(row gateway.Activity) }

// Config of Plugins.
type Config struct {
	Store    Store
	Activity Activity
	// CheckHeaders holds header fields to what a plugin may add.
	CheckHeaders func([]gateway.HeaderField) error
	// ParseAddress reads an address that a plugin names.
	ParseAddress func(string) (gateway.Address, error)
	// CheckMail holds a mail that a plugin wants sent to what one may be.
	CheckMail func(*gateway.Compose) error
	Web       Web  // makes the requests of plugins; nil: they make none
	TryWeb    bool // in dry runs, too: for somebody who tries a plugin of their own
	// Internal is the scope of Postern's own work in a domain.
	Internal func(gateway.DomainID) gateway.Scope
	// Look shows what an event is about, as it stands now. NotFound if its account is gone.
	// Default: nothing is there, and plugins are told of no events.
	Look func(context.Context, gateway.Scope, *gateway.Event) (*gateway.Look, error)
	// Changed is called when the plugins of a domain are not what they were; may be nil.
	Changed func(gateway.DomainID)
	Uploads bool // tenants may install
	// Signers are the Ed25519 keys, in base64, of which one has signed what is uploaded;
	// none: nothing has to be signed.
	Signers  []string
	CacheDir string // for compiled code, which is run: nobody else may write there
	Check    bool   // compare a plugin's state after every call, for tests
	Limits   gateway.Limits
	Log      *slog.Logger     // default: slog.Default()
	Now      func() time.Time // default: time.Now
}

// Plugins runs what is installed.
type Plugins struct {
	cfg      Config
	engine   *sandbox.Engine
	cache    *cache
	modules  *modules
	shares   gateway.Shares
	late     gateway.Shares // of calls that nobody waits for
	lines    lines
	counters counters
	health   health
	uploads  chan struct{} // one slot for each module that is read or compiled
}

// New checks cfg and fills its defaults. It runs nothing; Close it.
func New(cfg Config) (*Plugins, error) {
	if cfg.Store == nil || cfg.Activity == nil || cfg.CheckHeaders == nil || cfg.ParseAddress == nil || cfg.CheckMail == nil || cfg.Internal == nil || cfg.CacheDir == "" || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("plugins: a required field of Config is missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Look == nil {
		cfg.Look = noLook
	}
	c := &cache{dir: cfg.CacheDir, most: cfg.Limits.PluginCache, log: cfg.Log, now: cfg.Now}
	if err := c.check(); err != nil {
		cfg.Log.LogAttrs(context.Background(), slog.LevelWarn, "compiled plugins are not kept: their folder can't be checked", slog.Any("err", err))
		cfg.CacheDir = ""
	}
	engine, err := sandbox.New(sandbox.Config{Limits: sandboxLimits(&cfg.Limits), LateSlots: int(cfg.Limits.PluginEventCalls), CacheDir: cfg.CacheDir, Vouch: c.vouch, Check: cfg.Check, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	p := &Plugins{cfg: cfg, engine: engine, cache: c, uploads: make(chan struct{}, cfg.Limits.PluginUploads)}
	p.late.Most = max(1, int(cfg.Limits.PluginEventCalls)/2)
	p.modules = &modules{load: p.load, most: int(cfg.Limits.PluginModules), loaded: make(map[[32]byte]*loaded)}
	return p, nil
}

// Close makes durable what was counted, and frees the modules. No hook may run any more.
func (p *Plugins) Close() error {
	ctx := context.Background()
	p.settle(ctx)
	return errors.Join(p.modules.close(ctx), p.engine.Close(ctx))
}

func sandboxLimits(l *gateway.Limits) sandbox.Limits {
	return sandbox.Limits{
		ModuleBytes: l.PluginModule, Functions: l.PluginFunctions, Locals: l.PluginLocals, FunctionBytes: l.PluginFunctionBytes, Blocks: l.PluginBlocks, MemoryBytes: l.PluginMemory, IdleBytes: l.PluginIdle,
		HostCalls: l.PluginHostCalls, LogLines: l.PluginLogLines, LogBytes: l.PluginLogLine,
		CallTime: time.Duration(l.PluginMillis) * time.Millisecond, CompileTime: time.Duration(l.PluginCompileSeconds) * time.Second,
		LateTime: time.Duration(l.PluginEventMillis) * time.Millisecond, LateMemoryBytes: l.PluginEventMemory,
		Fuel: l.PluginFuel, StackBytes: l.PluginStack, Frames: l.PluginFrames,
	}
}

package sandbox

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/plugins/sandbox/snapshot"
	"github.com/centerleap/postern/sdk/abi"
)

// Config of an Engine.
type Config struct {
	Limits   Limits
	CacheDir string // for compiled code, which is run: nobody else may write there; empty: none is kept
	// Vouch is asked before compiled code is read from CacheDir, with the names of which its
	// file there has one, if there is a file: it is believed and run. After an error it is
	// not read, and the module compiled anew. nil: whatever is there is believed.
	Vouch func(names []string) error
	Slots int // calls that run at once; default GOMAXPROCS
	// LateSlots is how many calls of the hooks that nobody waits for may be under way
	// beside them, most of them waiting; default 8.
	LateSlots int
	// Idle is how long an instance waits for its next call before it is freed; default
	// one minute.
	Idle time.Duration
	// Seed is what all random numbers are made from; nil: the system's. With one, what
	// modules do is the same every time: it is for tests, and to look at one call again.
	Seed *[32]byte
	// Check compares each instance with its image after every call. It is for tests: it
	// costs as much as copying its memory.
	Check bool
	Log   *slog.Logger // default: slog.Default()
}

// Engine compiles modules and bounds what runs at once.
type Engine struct {
	cfg       Config
	rewrite   rewrite.Config          // what modules are held to
	hooks     map[string]string       // what they export to answer one
	cache     wazero.CompilationCache // nil without a CacheDir
	turns     turns                   // of the cache
	rewritten *rewritten
	keeper    *snapshot.Keeper
	pool      pool
	compile   chan struct{} // one slot: compiling takes time and memory
	load      chan struct{} // one slot, for what was compiled before
	slots     slots
}

// New makes an Engine. Close it when its modules are closed.
func New(cfg Config) (*Engine, error) {
	l := &cfg.Limits
	if l.ModuleBytes <= 0 || l.MemoryBytes < rewrite.PageBytes || l.CallTime <= 0 || l.CompileTime <= 0 || l.Fuel <= 0 || l.StackBytes <= 0 || l.Frames <= 0 {
		return nil, errors.New("sandbox: Limits are required")
	}
	if l.StackBytes > math.MaxInt32 {
		return nil, errors.New("sandbox: Limits.StackBytes has to be below 2 GiB")
	}
	if cfg.Slots <= 0 {
		cfg.Slots = runtime.GOMAXPROCS(0)
	}
	if cfg.LateSlots <= 0 {
		cfg.LateSlots = lateSlots
	}
	l.LateTime, l.LateMemoryBytes = cmp.Or(l.LateTime, l.CallTime), cmp.Or(l.LateMemoryBytes, l.MemoryBytes)
	if cfg.Idle <= 0 {
		cfg.Idle = time.Minute
	}
	e := &Engine{cfg: cfg, compile: make(chan struct{}, 1), load: make(chan struct{}, 1), slots: newSlots(cfg.Slots, cfg.LateSlots)}
	e.turns.taken = make(map[moduleID]chan struct{})
	e.rewrite.Limits = rewrite.Limits{
		ModuleBytes: l.ModuleBytes, Functions: l.Functions, Locals: l.Locals, FunctionBytes: l.FunctionBytes, Blocks: l.Blocks,
		MemoryBytes: e.mostMemory(), StackBytes: l.StackBytes, Frames: l.Frames,
	}
	e.rewrite.Imports, e.rewrite.Exports = offers(), exports()
	e.hooks = make(map[string]string, len(abi.Hooks))
	for _, hook := range abi.Hooks {
		e.hooks[hook] = abi.Export(hook)
	}
	e.pool.wait, e.pool.most = cfg.Idle, l.IdleBytes
	if cfg.CacheDir != "" {
		if err := os.MkdirAll(cfg.CacheDir, 0o700); err != nil {
			return nil, err
		}
		var err error
		if e.cache, err = wazero.NewCompilationCacheWithDir(cfg.CacheDir); err != nil {
			return nil, err
		}
	}
	var err error
	if e.rewritten, err = newRewritten(cfg.CacheDir, &e.rewrite); err != nil {
		return nil, err
	}
	e.keeper = snapshot.New(snapshot.Config{Log: cfg.Log, Check: cfg.Check})
	return e, nil
}

// lateSlots is the default of Config.LateSlots; ours.
const lateSlots = 8

// mostMemory is how large the memory of any instance may become.
func (e *Engine) mostMemory() int64 {
	return max(e.cfg.Limits.MemoryBytes, e.cfg.Limits.LateMemoryBytes)
}

// bounds are those of a call of a hook.
func (e *Engine) bounds(hook string, lower Bounds) Bounds {
	l := &e.cfg.Limits
	most := Bounds{Time: l.CallTime, Fuel: l.Fuel, MemoryBytes: l.MemoryBytes}
	if isLate(hook) {
		most.Time, most.MemoryBytes = l.LateTime, l.LateMemoryBytes
	}
	return Bounds{
		Time: min(cmp.Or(lower.Time, most.Time), most.Time), Fuel: min(cmp.Or(lower.Fuel, most.Fuel), most.Fuel),
		MemoryBytes: min(cmp.Or(lower.MemoryBytes, most.MemoryBytes), most.MemoryBytes),
	}
}

// Close frees what the modules shared.
func (e *Engine) Close(ctx context.Context) error {
	err := e.keeper.Close()
	if e.cache == nil {
		return err
	}
	return errors.Join(err, e.cache.Close(ctx))
}

// random is what one call has of random numbers.
func (e *Engine) random() io.Reader {
	if e.cfg.Seed == nil {
		return crand.Reader
	}
	return rand.NewChaCha8(*e.cfg.Seed)
}

// compileWorkers is how many functions of a module are compiled at once: half of the
// processors, so that there is one for what waits for an answer; and two at least, for
// only then is the time looked at.
func compileWorkers() int { return max(2, runtime.GOMAXPROCS(0)/2) }

// Compile checks a new module and makes it ready to run. A *FaultError says what is
// wrong with it. New modules are compiled one at a time.
func (e *Engine) Compile(ctx context.Context, wasm []byte) (*Module, error) {
	return e.ready(ctx, wasm, e.compile)
}

// Load is Compile for a module that was compiled before: calls wait for it, so it does
// not wait behind new ones.
func (e *Engine) Load(ctx context.Context, wasm []byte) (*Module, error) {
	return e.ready(ctx, wasm, e.load)
}

func (e *Engine) ready(ctx context.Context, wasm []byte, slot chan struct{}) (*Module, error) {
	code, info, err := e.rewritten.module(wasm, &e.rewrite)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(info.Exports, isHook) {
		return nil, &FaultError{What: "the module exports no hook, such as " + abi.Export(abi.HookInbound), Offset: -1}
	}
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	most := e.compileTime(len(wasm))
	m, err := e.module(ctx, code, most, e.cache, info)
	if ofCache(err) { // what it kept can't be used: do without
		m, err = e.module(ctx, code, most, nil, info)
	}
	return m, err
}

// compilePiece is how many bytes of a module may take CompileTime, begun ones included.
const compilePiece = 2 << 20

// compileTime is how long it may take to compile a module of so many bytes.
func (e *Engine) compileTime(size int) time.Duration {
	return e.cfg.Limits.CompileTime * time.Duration(1+size/compilePiece)
}

// module compiles what was rewritten. The cache keeps compiled code by the bytes it was
// compiled from, and by wazero's version: so another version of the rewrite, which
// writes other bytes, never meets code of this one.
func (e *Engine) module(ctx context.Context, code []byte, most time.Duration, cache wazero.CompilationCache, info *rewrite.Info) (*Module, error) {
	// A runtime of its own: closing it frees all that the module had. Compiled code
	// that the cache shares is counted, and freed by Module.Close.
	cfg := wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2).
		WithMemoryLimitPages(uint32(min(e.mostMemory()/rewrite.PageBytes, 65536)))
	if cache != nil {
		cfg = cfg.WithCompilationCache(cache)
	}
	m := &Module{engine: e, runtime: wazero.NewRuntimeWithConfig(ctx, cfg), hooks: e.hooks, wide: int64(info.Wide)}
	m.globals = append([]string{rewrite.Fuel, rewrite.Depth}, info.Globals...)
	err := m.imports(ctx)
	if err == nil && cache != nil {
		err = m.compileShared(ctx, code, most)
	} else if err == nil {
		m.code, err = compileBounded(ctx, m.runtime, code, most)
	}
	if err == nil {
		err = m.prepare(ctx)
	}
	if err != nil {
		_ = m.Close(context.WithoutCancel(ctx)) // it never ran
		return nil, err
	}
	return m, nil
}

// imports makes what a module may import.
func (m *Module) imports(ctx context.Context) error {
	if err := instantiateImports(ctx, m.runtime); err != nil {
		return err
	}
	return instantiateMeter(ctx, m.runtime)
}

// compileShared compiles a module, or takes what was compiled of it before, in memory or on
// disk.
func (m *Module) compileShared(ctx context.Context, code []byte, most time.Duration) error {
	id := idOf(code)
	leave, err := m.engine.turns.take(ctx, id)
	if err != nil {
		return err
	}
	defer leave()
	if err := m.engine.vouch(id); err != nil {
		return err
	}
	m.code, err = compileBounded(ctx, m.runtime, code, most)
	if unwritten(err) { // it is in memory, and found there
		m.code, err = compileBounded(ctx, m.runtime, code, most)
		m.twice = err == nil
	}
	return err
}

// prepare takes the image that calls start from. A module that can't be made ready is
// of no use.
func (m *Module) prepare(ctx context.Context) (err error) {
	m.warms = m.exports(abi.Init)
	m.images.image, err = m.takeImage(ctx, sampleSizes[0])
	if known, failed := errors.AsType[*CallError](err); failed {
		return &FaultError{What: "the module can't be made ready: " + strings.TrimPrefix(known.Error(), failedPrefix), Offset: -1}
	}
	return err
}

// compileBounded compiles what was inspected. What it can't is the module's fault,
// but for a cache that can't be used and a caller that waits no longer.
func compileBounded(ctx context.Context, r wazero.Runtime, code []byte, most time.Duration) (_ wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil { // a compiler meets what it does not know
			err = &FaultError{What: "the module can't be compiled", Offset: -1}
		}
	}()
	timed, cancel := context.WithTimeout(experimental.WithCompilationWorkers(ctx, compileWorkers()), most)
	defer cancel()
	compiled, err := r.CompileModule(timed, code)
	switch {
	case err == nil:
		return compiled, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case ofCache(err):
		return nil, err
	case timed.Err() != nil:
		return nil, &FaultError{What: "the module takes too long to compile", Offset: -1}
	}
	return nil, &FaultError{What: "the module is not valid: " + firstLine(err.Error()), Offset: -1}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

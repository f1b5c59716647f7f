package sandbox

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/centerleap/postern/sdk/abi"
)

// Config of an Engine.
type Config struct {
	Limits   Limits
	CacheDir string // for compiled code, which is run: nobody else may write there; empty: none is kept
	Slots    int    // calls that run at once; default GOMAXPROCS
}

// Engine compiles modules and bounds what runs at once.
type Engine struct {
	cfg     Config
	cache   wazero.CompilationCache // nil without a CacheDir
	compile chan struct{}           // one slot: compiling takes time and memory
	load    chan struct{}           // one slot, for what was compiled before
	slots   chan struct{}           // one for each running call
}

// New makes an Engine. Close it when its modules are closed.
func New(cfg Config) (*Engine, error) {
	if cfg.Limits.ModuleBytes <= 0 || cfg.Limits.MemoryBytes < pageBytes || cfg.Limits.CallTime <= 0 || cfg.Limits.CompileTime <= 0 {
		return nil, errors.New("sandbox: Limits are required")
	}
	if cfg.Slots <= 0 {
		cfg.Slots = runtime.GOMAXPROCS(0)
	}
	e := &Engine{cfg: cfg, compile: make(chan struct{}, 1), load: make(chan struct{}, 1), slots: make(chan struct{}, cfg.Slots)}
	if cfg.CacheDir == "" {
		return e, nil
	}
	err := os.MkdirAll(cfg.CacheDir, 0o700)
	if err == nil {
		e.cache, err = wazero.NewCompilationCacheWithDir(cfg.CacheDir)
	}
	return e, err
}

// Close frees what the modules shared.
func (e *Engine) Close(ctx context.Context) error {
	if e.cache == nil {
		return nil
	}
	return e.cache.Close(ctx)
}

// pageBytes is the step in which memory grows.
const pageBytes = 64 << 10

// compileWorkers is how many functions of a module are compiled at once. Only with
// two or more is the time looked at.
const compileWorkers = 2

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
	if err := inspect(wasm, &e.cfg.Limits); err != nil {
		return nil, err
	}
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m, err := e.module(ctx, wasm, e.cache)
	if err != nil && strings.HasPrefix(err.Error(), cacheFault) { // what it kept can't be used: do without
		m, err = e.module(ctx, wasm, nil)
	}
	return m, err
}

// cacheFault starts wazero's errors about the files of its cache, which are no
// module's fault.
const cacheFault = "compilationcache: "

func (e *Engine) module(ctx context.Context, wasm []byte, cache wazero.CompilationCache) (*Module, error) {
	// A runtime of its own: closing it frees all that the module had. Compiled code
	// that the cache shares is counted, and freed by Module.Close.
	cfg := wazero.NewRuntimeConfig().WithCloseOnContextDone(true).WithCoreFeatures(api.CoreFeaturesV2).
		WithMemoryLimitPages(uint32(min(e.cfg.Limits.MemoryBytes/pageBytes, 65536)))
	if cache != nil {
		cfg = cfg.WithCompilationCache(cache)
	}
	m := &Module{engine: e, runtime: wazero.NewRuntimeWithConfig(ctx, cfg)}
	if err := m.compile(ctx, wasm); err != nil {
		_ = m.Close(context.WithoutCancel(ctx)) // it never ran
		return nil, err
	}
	return m, nil
}

// compile makes the imports, compiles, and holds the module to them.
func (m *Module) compile(ctx context.Context, wasm []byte) (err error) {
	if _, err = wasi_snapshot_preview1.Instantiate(ctx, m.runtime); err != nil {
		return err
	}
	if err = instantiateImports(ctx, m.runtime); err != nil {
		return err
	}
	code, err := bounded(wasm, &m.engine.cfg.Limits)
	if err != nil {
		return err
	}
	if m.code, err = compileBounded(ctx, m.runtime, code, m.engine.cfg.Limits.CompileTime); err != nil {
		return err
	}
	for _, f := range m.code.ImportedFunctions() {
		if err := m.checkImport(f); err != nil {
			return err
		}
	}
	return m.checkExports()
}

// compileBounded compiles what was inspected. What it can't is the module's fault,
// but for a cache that can't be written and a caller that waits no longer.
func compileBounded(ctx context.Context, r wazero.Runtime, code []byte, most time.Duration) (_ wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil { // a compiler meets what it does not know
			err = &FaultError{What: "the module can't be compiled", Offset: -1}
		}
	}()
	timed, cancel := context.WithTimeout(experimental.WithCompilationWorkers(ctx, compileWorkers), most)
	defer cancel()
	compiled, err := r.CompileModule(timed, code)
	_, disk := errors.AsType[syscall.Errno](err)
	switch {
	case err == nil:
		return compiled, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case disk, strings.HasPrefix(err.Error(), cacheFault):
		return nil, err
	case timed.Err() != nil:
		return nil, &FaultError{What: "the module takes too long to compile", Offset: -1}
	}
	return nil, &FaultError{What: "the module is not valid: " + firstLine(err.Error()), Offset: -1}
}

// checkImport refuses a function that the gateway does not offer.
func (m *Module) checkImport(f api.FunctionDefinition) error {
	module, name, _ := f.Import()
	refused := func(why string) error {
		return &FaultError{What: "the import " + quoted([]byte(module+"."+name)) + " " + why, Offset: -1}
	}
	if module != abi.Module && module != wasi_snapshot_preview1.ModuleName {
		return refused("is not offered; there are " + abi.Module + " and " + wasi_snapshot_preview1.ModuleName)
	}
	offered, ok := m.runtime.Module(module).ExportedFunctionDefinitions()[name]
	if !ok {
		return refused("is not offered")
	}
	if !slices.Equal(f.ParamTypes(), offered.ParamTypes()) || !slices.Equal(f.ResultTypes(), offered.ResultTypes()) {
		return refused("has another type: it is " + signature(offered))
	}
	return nil
}

// checkExports wants the memory, and hooks of the right type.
func (m *Module) checkExports() error {
	if _, ok := m.code.ExportedMemories()["memory"]; !ok {
		return &FaultError{What: "the module does not export its memory", Offset: -1}
	}
	functions, found := m.code.ExportedFunctions(), false
	if f, ok := functions[initialize]; ok && (len(f.ParamTypes()) > 0 || len(f.ResultTypes()) > 0) {
		return &FaultError{What: initialize + " must be () -> ()", Offset: -1}
	}
	for _, hook := range abi.Hooks {
		f, ok := functions[abi.Export(hook)]
		if ok && (len(f.ParamTypes()) > 0 || !slices.Equal(f.ResultTypes(), []api.ValueType{api.ValueTypeI32})) {
			return &FaultError{What: abi.Export(hook) + " must be () -> i32", Offset: -1}
		}
		found = found || ok
	}
	if !found {
		return &FaultError{What: "the module exports no hook, such as " + abi.Export(abi.HookInbound), Offset: -1}
	}
	return nil
}

// signature is a function's type for people.
func signature(f api.FunctionDefinition) string {
	names := func(types []api.ValueType) string {
		list := make([]string, len(types))
		for i, t := range types {
			list[i] = api.ValueTypeName(t)
		}
		return "(" + strings.Join(list, ", ") + ")"
	}
	return names(f.ParamTypes()) + " -> " + names(f.ResultTypes())
}

// quoted makes a name of a module fit to be shown.
func quoted(name []byte) string { return strconv.QuoteToASCII(string(name[:min(len(name), 100)])) }

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

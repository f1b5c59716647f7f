package snapshot

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// ways are what every test of a reset is run with.
var ways = []struct {
	name string
	cfg  Config
}{
	{"portable", Config{Portable: true, Check: true}},
	{"copy on write", Config{Check: true}},
}

func newTestKeeper(t testing.TB, cfg Config) *Keeper {
	t.Helper()
	k := New(cfg)
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// plant makes instances of one module, as the pool of plugins/sandbox does.
type plant struct {
	testing.TB
	keeper  *Keeper
	runtime wazero.Runtime
	code    wazero.CompiledModule
	globals []string
	image   *Image
}

// poke is what the import of the test module does; it is found in the context.
type poke func(memory api.Memory, at, v uint32)

type pokeKey struct{}

func newPlant(t testing.TB, k *Keeper, wasm []byte, globals []string) *plant {
	t.Helper()
	ctx := context.Background()
	p := &plant{TB: t, keeper: k, runtime: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(compiled)), globals: globals}
	t.Cleanup(func() {
		if err := p.runtime.Close(ctx); err != nil {
			t.Error(err)
		}
		if p.image != nil {
			if err := p.image.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	wasi_snapshot_preview1.MustInstantiate(ctx, p.runtime)
	_, err := p.runtime.NewHostModuleBuilder("host").NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			ctx.Value(pokeKey{}).(poke)(m.Memory(), uint32(stack[0]), uint32(stack[1]))
		}), []api.ValueType{api.ValueTypeI32, api.ValueTypeI32}, nil).Export("poke").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if p.code, err = p.runtime.CompileModule(ctx, wasm); err != nil {
		t.Fatal(err)
	}
	return p
}

// filled are places of the test module's memory that are not zero in its image, beside
// its segment: runs of zeros lie between them, long and short.
var filled = []uint32{120_000, 250_000, 409_600, 450_000, 491_520, size - 2}

// newTestPlant makes one of the test module, with an image.
func newTestPlant(t testing.TB, cfg Config) *plant {
	t.Helper()
	p := newPlant(t, newTestKeeper(t, cfg), module(), []string{globalName(0), globalName(1), globalName(2), globalName(3)})
	p.renew(filled)
	return p
}

// renew takes an image that has something at some places.
func (p *plant) renew(places []uint32) {
	p.Helper()
	if p.image != nil {
		p.image.Close()
	}
	first := p.bare()
	first.memory.NoteData()
	for i, at := range places {
		first.must("poke", at, uint32(i+1))
	}
	p.take(first)
	first.close()
}

// guest is one instance.
type guest struct {
	*plant
	module    api.Module
	memory    *Memory
	globals   []Global
	functions map[string]api.Function
	stack     [4]uint64
	instance  *Instance // nil before it is attached
}

// bare makes an instance that has no image.
func (p *plant) bare() *guest {
	p.Helper()
	g := &guest{plant: p, functions: map[string]api.Function{}}
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		if g.memory = p.keeper.Memory(most); p.image != nil {
			g.memory.Expect(p.image)
		}
		return g.memory
	}))
	var err error
	g.module, err = p.runtime.InstantiateModule(ctx, p.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		p.Fatal(err)
	}
	for _, name := range p.globals {
		g.globals = append(g.globals, g.module.ExportedGlobal(name).(api.MutableGlobal))
	}
	return g
}

// take makes the image that the next guests have.
func (p *plant) take(g *guest) {
	p.Helper()
	var err error
	if p.image, err = p.keeper.Take(g.memory, g.globals); err != nil {
		p.Fatal(err)
	}
}

// guest makes an instance that has the image's state.
func (p *plant) guest() *guest {
	p.Helper()
	g := p.bare()
	g.attach()
	return g
}

func (g *guest) attach() {
	g.Helper()
	memory := g.module.Memory()
	if more := uint32(g.image.Size())/wasmPage - memory.Size()/wasmPage; more > 0 {
		if _, ok := memory.Grow(more); !ok {
			g.Fatal("the memory can't be as large as the image")
		}
	}
	var err error
	if g.instance, err = g.image.Attach(g.memory, g.globals); err != nil {
		g.Fatal(err)
	}
}

func (g *guest) close() {
	g.Helper()
	if err := g.module.Close(context.Background()); err != nil {
		g.Error(err)
	}
}

// ask calls a function outside of any Run.
func (g *guest) ask(ctx context.Context, name string, args ...uint32) (uint32, error) {
	f := g.functions[name]
	if f == nil {
		f = g.module.ExportedFunction(name)
		g.functions[name] = f
	}
	for i, a := range args {
		g.stack[i] = uint64(a)
	}
	err := f.CallWithStack(ctx, g.stack[:])
	return uint32(g.stack[0]), err
}

// must calls a function that does not trap, and returns its answer.
func (g *guest) must(name string, args ...uint32) uint32 {
	g.Helper()
	v, err := g.ask(context.Background(), name, args...)
	if err != nil {
		g.Fatal(name, err)
	}
	return v
}

// run makes a call that is well, after which all must be as in the image.
func (g *guest) run(call func()) {
	g.Helper()
	if err := g.instance.Run(func() error { call(); return nil }); err != nil {
		g.Fatal(err)
	}
	g.fresh()
}

// fresh compares all of the memory and the globals with the image.
func (g *guest) fresh() {
	g.Helper()
	if !bytes.Equal(g.memory.b, g.image.memory) {
		g.Fatal("the memory is not that of the image")
	}
	for i, v := range g.globals {
		if got, want := v.Get(), g.image.globals[i]; got != want {
			g.Fatalf("global %d is %#x, want %#x", i, got, want)
		}
	}
}

// logs is a log that a test can read.
type logs struct{ bytes.Buffer }

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

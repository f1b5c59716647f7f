package rewrite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

func testConfig() *Config {
	return &Config{
		Limits: Limits{
			ModuleBytes: 16 << 20, Functions: 50_000, Locals: 10_000, FunctionBytes: 128 << 10, Blocks: 20_000,
			MemoryBytes: 32 << 20, StackBytes: 1 << 20, Frames: 10_000,
		},
		Imports: map[string]map[string]Import{"env": {
			"twice": {Params: []byte{i32}, Results: []byte{i32}, Weight: 100},
		}},
		Exports: map[string]Import{"hook": {Results: []byte{i32}}},
	}
}

// mustRewrite rewrites what has to be accepted.
func mustRewrite(t testing.TB, wasm []byte) ([]byte, *Info) {
	t.Helper()
	out, info, err := Module(wasm, testConfig())
	if err != nil {
		t.Fatal(err)
	}
	return out, info
}

var (
	errFuel  = errors.New("fuel")
	errDepth = errors.New("depth")
)

// guest is an instance, rewritten or not.
type guest struct {
	instance api.Module
	slice    int64
	left     int64 // that was not granted yet
	ticks    int
	longest  int64 // that was paid between two checks; with slices of 1
	seen     int64 // what was left of all fuel when it called its import
}

// start instantiates a module. Rewritten ones get fuel in slices.
func start(t testing.TB, wasm []byte, fuel, slice int64) *guest {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2).WithMemoryLimitPages(512))
	t.Cleanup(func() { _ = r.Close(ctx) })
	g := &guest{slice: slice, left: fuel}
	_, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().WithFunc(g.twice).Export("twice").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.NewHostModuleBuilder(Runtime).NewFunctionBuilder().WithFunc(g.tick).Export(Tick).Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	if g.instance, err = r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName("").WithStartFunctions()); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guest) global(name string) api.MutableGlobal {
	return g.instance.ExportedGlobal(name).(api.MutableGlobal)
}

// have is the fuel that is left of a slice.
func (g *guest) have() int64 { return int64(api.DecodeI32(g.global(Fuel).Get())) }

// twice is the import.
func (g *guest) twice(v int32) int32 {
	if g.instance.ExportedGlobal(Fuel) != nil { // it is rewritten
		g.seen = g.left + g.have()
	}
	return 2 * v
}

func (g *guest) tick() {
	g.ticks++
	if api.DecodeI32(g.global(Depth).Get()) < 0 {
		panic(errDepth)
	}
	have := g.have()
	g.longest = max(g.longest, -have)
	for have < 0 && g.left > 0 {
		n := min(g.slice, g.left)
		have, g.left = have+n, g.left-n
	}
	if have < 0 {
		panic(errFuel)
	}
	g.global(Fuel).Set(api.EncodeI32(int32(have)))
}

// call calls a function and describes how it ended.
func (g *guest) call(name string, args ...uint64) ([]uint64, string) {
	if depth, rewritten := g.instance.ExportedGlobal(Depth).(api.MutableGlobal); rewritten {
		depth.Set(1 << 20)
	}
	out, err := g.instance.ExportedFunction(name).Call(context.Background(), args...)
	switch {
	case errors.Is(err, errFuel):
		return nil, "fuel"
	case errors.Is(err, errDepth):
		return nil, "depth"
	case err != nil:
		what, _, _ := strings.Cut(err.Error(), "\n")
		return nil, what
	}
	return out, ""
}

// state is memory and globals in one text.
func (g *guest) state(globals []string) string {
	m := g.instance.Memory()
	all, _ := m.Read(0, m.Size())
	sum := uint64(14695981039346656037) // FNV-1a, to keep faults short
	for _, c := range all {
		sum = (sum ^ uint64(c)) * 1099511628211
	}
	out := fmt.Sprintf("%d bytes %x", len(all), sum)
	for _, name := range globals {
		out += fmt.Sprintf(" %x", g.instance.ExportedGlobal(name).Get())
	}
	return out
}

// same compares results, in which one NaN is like another.
func same(kinds []api.ValueType, a, b []uint64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		switch {
		case x == y:
		case kinds[i] == api.ValueTypeF64 && math.IsNaN(math.Float64frombits(x)) && math.IsNaN(math.Float64frombits(y)):
		case kinds[i] == api.ValueTypeF32 && math.IsNaN(float64(math.Float32frombits(uint32(x)))) && math.IsNaN(float64(math.Float32frombits(uint32(y)))):
		default:
			return false
		}
	}
	return true
}

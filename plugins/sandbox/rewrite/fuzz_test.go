package rewrite

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// A generated module does the same unmodified and rewritten: results, traps, memory and
// globals; and it uses the same fuel in slices of any size.
func FuzzRewrite(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed, uint8(seed*7))
	}
	f.Fuzz(func(t *testing.T, seed uint64, size uint8) {
		wasm := generate(seed, int(size%40))
		out, info, err := Module(wasm, testConfig())
		if err != nil {
			t.Fatalf("what was generated is refused: %v", err)
		}
		const plenty = 1 << 40
		slice := int64(1 + seed%5000)
		plain, changed, again := start(t, wasm, 0, 0), start(t, out, plenty, slice), start(t, out, plenty, 1<<20)
		trapped := false
		for i, name := range info.Exports {
			def := plain.instance.ExportedFunction(name).Definition()
			args := arguments(def.ParamTypes(), seed+uint64(i))
			want, wantFault := plain.call(name, args...)
			got, fault := changed.call(name, args...)
			again.call(name, args...)
			if fault != wantFault || !same(def.ResultTypes(), got, want) {
				t.Fatalf("%s%v: %v %q, want %v %q", name, args, got, fault, want, wantFault)
			}
			if trapped = fault != ""; trapped {
				break // an instance that trapped is not used again
			}
		}
		if got, want := changed.state(nil), plain.state(nil); got != want {
			t.Fatalf("memory %s, want %s", got, want)
		}
		if got, want := changed.state(info.Globals), again.state(info.Globals); got != want {
			t.Fatalf("globals %s, then %s", got, want)
		}
		if a, b := changed.left+changed.have(), again.left+again.have(); a != b && !trapped { // what a function kept in a local is lost
			t.Fatalf("fuel is left: %d, then %d", a, b)
		} else if ran := int64(again.instance.ExportedGlobal(info.Globals[len(info.Globals)-1]).Get()); !trapped && plenty-b < countCost*ran {
			t.Fatalf("fuel %d for %d statements", plenty-b, ran)
		}
	})
}

// arguments are random ones of some types.
func arguments(kinds []api.ValueType, seed uint64) []uint64 {
	r := rand.New(rand.NewPCG(seed, 2))
	args := make([]uint64, len(kinds))
	for i, kind := range kinds {
		switch kind {
		case api.ValueTypeI32:
			args[i] = api.EncodeI32(int32(r.IntN(100) - 20))
		case api.ValueTypeI64:
			args[i] = r.Uint64()
		case api.ValueTypeF32:
			args[i] = api.EncodeF32(float32(r.NormFloat64()))
		default:
			args[i] = api.EncodeF64(r.NormFloat64() * 1000)
		}
	}
	return args
}

// Whatever the bytes: nothing panics, and what is accepted an engine compiles, as it
// came and as it is written.
func FuzzValidate(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(generate(seed, int(seed)))
	}
	for _, b := range []*builder{
		in(num(1), ops(opVector, 0x11, opDrop)).table(0), in(ops(opRefNull, externRef, opDrop)).text(3, "x"),
		(&builder{counted: true}).fn("", "", "", "", num(0), num(0), num(0), ops(opMisc, miscMemoryInit, 0, 0)).text(0, "x").global(v128, 0, append([]byte{opVector, vectorConst}, make([]byte, 16)...)...),
	} {
		f.Add(b.bytes())
	}
	f.Fuzz(validates)
}

// Single bits of generated modules are turned: many are still valid, and then an engine
// agrees. A fuzzer rarely comes past the lengths that surround everything.
func TestTurnedBits(t *testing.T) {
	taken := 0
	for seed := range uint64(30) {
		wasm := generate(seed, 8)
		r := rand.New(rand.NewPCG(seed, 3))
		for range 50 {
			turned := slices.Clone(wasm)
			turned[8+r.IntN(len(wasm)-8)] ^= 1 << r.IntN(8)
			validates(t, turned)
			if _, _, err := Module(turned, testConfig()); err == nil {
				taken++
			}
		}
	}
	if taken < 100 {
		t.Errorf("only %d of 1500 were taken", taken)
	}
	t.Logf("%d of 1500 were taken", taken)
}

// validates is the property of FuzzValidate.
func validates(t *testing.T, wasm []byte) {
	out, _, err := Module(wasm, testConfig())
	if err != nil {
		if _, ok := errors.AsType[*FaultError](err); !ok {
			t.Errorf("%T %v", err, err)
		}
		return
	}
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2).WithMemoryLimitPages(512))
	defer r.Close(ctx)
	if _, err := r.CompileModule(ctx, uncustom(wasm)); err != nil {
		t.Errorf("it is accepted and can't be compiled: %v", err)
	}
	if _, err := r.CompileModule(ctx, out); err != nil {
		t.Errorf("what becomes of it can't be compiled: %v", err)
	}
}

// uncustom leaves out custom sections, which nobody compiles.
func uncustom(wasm []byte) []byte {
	all, err := Sections(wasm)
	if err != nil {
		panic(err) // it was accepted
	}
	out := []byte(Preamble)
	for _, s := range all {
		if s.ID != SectionCustom {
			out = append(out, wasm[s.At:s.End]...)
		}
	}
	return out
}

//go:build unix

package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/plugins/sandbox/snapshot"
	"github.com/centerleap/postern/sdk/abi"
)

// scan sums 8 KiB of memory byte by byte: the loop in which a check costs most.
func scan() []byte {
	a := hook()
	a.code[0] = sized(slices.Concat([]byte{1, 2, 0x7f, 0x03, 0x40, 0x20, 0, 0x2d, 0, 0, 0x20, 1, 0x6a, 0x21, 1}, // locals 0: where, 1: the sum
		[]byte{0x20, 0, 0x41, 1, 0x6a, 0x22, 0}, konst(8192), []byte{0x48, 0x0d, 0, 0x0b, 0x20, 1, 0x0b}))
	return a.bytes()
}

// fibonacci calls itself for the 18th number: the function in which a frame costs most.
func fibonacci() []byte {
	smaller := func(by byte) []byte { return append([]byte{0x20, 0, 0x41, by, 0x6b}, invoke(0)...) }
	return (&assembler{}).fn("", "i:i", []byte{0x20, 0, 0x41, 2, 0x48, 0x04, 0x40, 0x20, 0, 0x0f, 0x0b}, smaller(1), smaller(2), []byte{0x6a}).
		fn("postern_inbound", ":i", konst(18), invoke(0), drop, konst(0)).bytes()
}

// modes are the ways to bound a guest that are compared.
var modes = []string{"none", "deadline", "fuel", "depth"}

// costs are the guests they are compared on. Those of the plans are what the plans want
// five times as fast as with the deadline.
var costs = []struct {
	name, hook string
	batch      int // calls that take milliseconds, and collect Go's garbage now and then
	wasm       func(testing.TB) []byte
}{
	{"scan", abi.HookInbound, 100, func(testing.TB) []byte { return scan() }},
	{"fibonacci", abi.HookInbound, 50, func(testing.TB) []byte { return fibonacci() }},
	{"plans Go pull", abi.HookInbound, 1000, func(t testing.TB) []byte { return realModule(t, plansGuest) }},
	{"plans Go scan", abi.HookOutbound, 200, func(t testing.TB) []byte { return realModule(t, plansGuest) }},
	{"plans Go json", abi.HookThread, 50, func(t testing.TB) []byte { return realModule(t, plansGuest) }},
	{"plans C pull", abi.HookOutbound, 2000, func(t testing.TB) []byte { clang(t); return realModule(t, cGuest) }},
	{"plans C scan", abi.HookInbound, 200, func(t testing.TB) []byte { clang(t); return realModule(t, cGuest) }},
	{"Go imports", abi.HookInbound, 1000, func(t testing.TB) []byte { return realModule(t, goGuest) }},
	{"Go header filter", abi.HookInbound, 1000, func(t testing.TB) []byte { return realModule(t, filterGuest) }},
	{"Go whole event", abi.HookOutbound, 500, func(t testing.TB) []byte { return realModule(t, filterGuest) }},
	{"Go encoding json", abi.HookOutbound, 50, func(t testing.TB) []byte { return realModule(t, goGuest) }},
}

// contest has some functions take turns, a batch of calls each, for as long as the benchmark
// lasts. It returns what a call of each took of the processor, in nanoseconds, round by
// round: what others do on the machine is hardly in that.
func contest(b *testing.B, batch int, runs ...func()) (took [][]float64) {
	b.Helper()
	took = make([][]float64, len(runs))
	for b.Loop() {
		for i, run := range runs {
			began := processorTime(b)
			for range batch {
				run()
			}
			took[i] = append(took[i], float64((processorTime(b)-began).Nanoseconds())/float64(batch))
		}
	}
	return took
}

// processorTime is what the process took of it so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// median is that of some figures.
func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// ratio is the median of the rounds' ratios.
func ratio(of, to []float64) float64 {
	all := make([]float64, len(of))
	for i := range all {
		all[i] = of[i] / max(to[i], 1)
	}
	return median(all)
}

// BenchmarkRewrite runs the same guests without any limit, with wazero's own deadline, and
// rewritten: with fuel, then with depth too. Instances are kept, so that nothing else is
// measured.
func BenchmarkRewrite(b *testing.B) {
	for _, g := range costs {
		b.Run(g.name, func(b *testing.B) {
			var runs []func()
			for _, mode := range modes {
				runs = append(runs, keptInstance(b, g.wasm(b), g.hook, mode))
			}
			took := contest(b, g.batch, runs...)
			for i, mode := range modes {
				b.ReportMetric(median(took[i]), mode+"-ns")
			}
			b.ReportMetric(ratio(took[2], took[0]), "fuel/none")
			b.ReportMetric(ratio(took[3], took[0]), "depth/none")
			b.ReportMetric(ratio(took[1], took[3]), "deadline/depth")
		})
	}
}

// keptInstance readies a module without an Engine, and returns what asks it once.
func keptInstance(b *testing.B, wasm []byte, hook, mode string) func() {
	b.Helper()
	fail := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	l := realLimits()
	l.HostCalls = 1 << 40
	began := time.Now().Add(time.Hour)                                                                                                     // so all slices are quick, and nobody has to read the clock for each call
	c := &call{host: newEventHost(), limits: &l, began: began, most: Bounds{Fuel: l.Fuel, Time: time.Hour}, random: rand.Reader, clock: 1} // a clock at 0 is none to Go
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	b.Cleanup(cancel)
	c.Context = ctx
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2).WithMemoryLimitPages(512).WithCloseOnContextDone(mode == "deadline"))
	b.Cleanup(func() { _ = r.Close(context.Background()) })
	fail(instantiateImports(ctx, r))
	fail(instantiateMeter(ctx, r))
	rewritten := mode == "fuel" || mode == "depth"
	if rewritten {
		e, err := New(Config{Limits: l})
		fail(err)
		if mode == "fuel" {
			e.rewrite.Limits.StackBytes = 0
		}
		wasm, _, err = rewrite.Module(wasm, &e.rewrite)
		fail(err)
	}
	kept, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	fail(err)
	in := &instance{module: kept, of: &Module{}, slice: leastSlice}
	c.names = map[string]string{} // as an instance has them
	if rewritten {
		c.most.Fuel = 1 << 62
		in.globals = []snapshot.Global{kept.ExportedGlobal(rewrite.Fuel).(api.MutableGlobal), kept.ExportedGlobal(rewrite.Depth).(api.MutableGlobal)}
		c.meter.start(in, c)
	}
	if f := kept.ExportedFunction(initialize); f != nil {
		_, err := f.Call(c)
		fail(err)
	}
	f, stack := kept.ExportedFunction(abi.Export(hook)), make([]uint64, 1)
	return func() {
		if rewritten {
			c.meter.start(in, c)
		}
		if err := f.CallWithStack(c, stack); err != nil || stack[0] != 0 {
			b.Fatal(fmt.Errorf("%w, status %d", err, stack[0]))
		}
	}
}

// BenchmarkRewriting is what it takes to validate and rewrite standard Go with JSON.
func BenchmarkRewriting(b *testing.B) {
	wasm := realModule(b, goGuest)
	e, err := New(Config{Limits: realLimits()})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(wasm)))
	b.ReportAllocs()
	for b.Loop() {
		if _, info, err := rewrite.Module(wasm, &e.rewrite); err != nil || info.Functions < 1000 {
			b.Fatal(err)
		}
	}
}

// BenchmarkWholeMemory fills 32 MiB: with a check, and without one, when nobody else
// runs on that thread meanwhile.
func BenchmarkWholeMemory(b *testing.B) {
	a := hook(konst(0), konst(7), konst(32<<20), []byte{0xfc, 11, 0}, konst(0))
	a.memories = [][]byte{append([]byte{0}, binary32(512)...)}
	wasm := a.bytes()
	for _, mode := range []string{"none", "depth"} {
		b.Run(mode, func(b *testing.B) {
			run := keptInstance(b, wasm, abi.HookInbound, mode)
			b.SetBytes(32 << 20)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}

package sandbox

import (
	"bytes"
	"errors"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
)

// worst are modules that a compiler takes longest for, or most memory, and that are still
// taken: each repeats one function until the module or its functions are as many as may be.
func worst() map[string][]byte {
	lim := realLimits()
	full := func(locals int, code ...[]byte) []byte {
		body := slices.Concat(code...)
		a := hook(konst(0)).global()
		one := sized(slices.Concat([]byte{1}, binary32(uint64(locals)), []byte{0x7e}, body, []byte{0x0b}))
		a.fn("", ":")
		for a.code[1] = one; (len(a.code)+1)*len(one) < int(lim.ModuleBytes)*15/16 && len(a.code) < 20_000; {
			a.fn("", ":")
			a.code[len(a.code)-1] = one
		}
		return a.bytes()
	}
	nothing := []byte{0x01} // so that the module does not become too large
	loop := slices.Concat([]byte{0x03, 0x40}, bump, []byte{0x0d, 0, 0x0b})
	return map[string][]byte{
		"loops":           full(1, bytes.Repeat(loop, 3900), bytes.Repeat(nothing, 30_000)),
		"small loops":     full(1, bytes.Repeat(loop, 100), bytes.Repeat(nothing, 800)),
		"straight code":   full(1, bytes.Repeat(slices.Concat(bump, drop), 12_000)),
		"back":            full(1, []byte{0x03, 0x40}, bytes.Repeat([]byte{0x20, 0, 0x50, 0x04, 0x40, 0x0c, 1, 0x0b}, 4900), []byte{0x0b}),
		"operands":        full(1, bytes.Repeat([]byte{0x20, 0, 0x7a}, 4000), bytes.Repeat([]byte{0x02, 0x40, 0x20, 0, 0x50, 0x0d, 0, 0x0b}, 500), bytes.Repeat(drop, 4000)),
		"locals":          full(500, bytes.Repeat([]byte{0x02, 0x40, 0x20, 0, 0x50, 0x0d, 0, 0x20, 1, 0x21, 2, 0x0b}, 800)),
		"small functions": full(1, bump, drop),
	}
}

// BenchmarkWorst compiles the modules that take longest, within the limits: until they
// are refused or ready. It reports by how much memory grew meanwhile.
func BenchmarkWorst(b *testing.B) {
	for name, wasm := range worst() {
		b.Run(name, func(b *testing.B) {
			lim := realLimits()
			lim.CompileTime = 5 * time.Second
			e := engineOf(b, Config{Limits: lim})
			refused := 0.0
			for b.Loop() {
				debug.FreeOSMemory()
				before := resident(b)
				m, err := e.Compile(b.Context(), wasm)
				b.ReportMetric(float64(peak(b)-before)/(1<<20), "MiB")
				if fault, ok := errors.AsType[*rewrite.FaultError](err); ok {
					b.Log(fault)
					refused++
				} else if err != nil {
					b.Fatal(err)
				} else if err := m.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(wasm))/(1<<20), "module-MiB")
			b.ReportMetric(refused, "refused")
		})
	}
}

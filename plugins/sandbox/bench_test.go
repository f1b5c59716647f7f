//go:build unix

package sandbox

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/sdk/abi"
)

// What the runtime promises, measured.

// BenchmarkFresh compares a call on fresh state with one on an instance that is kept and
// leaks its state: both bounded alike, taking turns.
func BenchmarkFresh(b *testing.B) {
	for _, g := range costs {
		b.Run(g.name, func(b *testing.B) {
			wasm := g.wasm(b)
			m, h := compile(b, realEngine(b), wasm), newEventHost()
			b.ReportAllocs()
			took := contest(b, g.batch, keptInstance(b, wasm, g.hook, "depth"), func() {
				if _, err := m.Call(b.Context(), nobody, g.hook, h); err != nil {
					b.Fatal(err)
				}
			})
			b.ReportMetric(median(took[0]), "kept-ns")
			b.ReportMetric(median(took[1]), "fresh-ns")
			b.ReportMetric(ratio(took[1], took[0]), "fresh/kept")
			b.ReportMetric(float64(m.engine.pool.bytes)/float64(os.Getpagesize()), "pages")
		})
	}
}

// BenchmarkReady is what it takes from bytes to the first call: rewriting, compiling or
// loading, and the image.
func BenchmarkReady(b *testing.B) {
	wasm := realModule(b, goGuest)
	for _, way := range []struct{ name, cache string }{{"install", ""}, {"restart", b.TempDir()}} {
		b.Run(way.name, func(b *testing.B) {
			ready := func() {
				e, err := New(Config{Limits: realLimits(), CacheDir: way.cache}) // each with a cache of its own in memory
				if err != nil {
					b.Fatal(err)
				}
				m, err := e.Compile(b.Context(), wasm)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := m.Call(b.Context(), nobody, abi.HookInbound, newEventHost()); err != nil {
					b.Fatal(err)
				}
				if err := m.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
				if err := e.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			if way.cache != "" {
				ready() // the first one fills it
			}
			b.ReportAllocs()
			for b.Loop() {
				ready()
			}
		})
	}
}

// BenchmarkInstance is another instance of a module that is ready, with one call.
func BenchmarkInstance(b *testing.B) {
	m := compile(b, realEngine(b), realModule(b, goGuest))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Call(b.Context(), nobody, abi.HookInbound, newEventHost()); err != nil {
			b.Fatal(err)
		}
		m.engine.pool.drop(m, nil)
	}
}

// BenchmarkInstanceMemory is the memory that another instance takes after a call, as the
// kernel shares it out.
func BenchmarkInstanceMemory(b *testing.B) {
	m := compile(b, realEngine(b), realModule(b, goGuest))
	const many = 30
	for b.Loop() {
		runtime.GC() // or what it frees meanwhile is taken for theirs
		debug.FreeOSMemory()
		before := proportional(b)
		for i := range many {
			if _, err := m.Call(b.Context(), Owner{byte(i), 1}, abi.HookInbound, newEventHost()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(proportional(b)-before)/many, "KiB/instance")
		m.engine.pool.drop(m, nil)
	}
}

// proportional is the process's proportional set size in KiB.
func proportional(b *testing.B) int {
	b.Helper()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		b.Skip(err)
	}
	_, line, _ := strings.Cut(string(text), "\nPss:")
	n, err := strconv.Atoi(strings.Fields(line)[0])
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// largePart has a part of 25 MB, and measures how long the copies of a call take.
type largePart struct {
	fakeHost
	content []byte
	copying time.Duration
}

func (h *largePart) Part(_ int, off int64, p []byte) (int, error) {
	began := time.Now()
	n := copy(p, h.content[off:])
	h.copying += time.Since(began)
	return n, nil
}

// BenchmarkPart copies a part of 25 MB into a module, in one question or in pieces of
// 64 KiB, with the reset after it; the same between two places of Go's heap; and to the
// memory of an instance, which the kernel maps in pages of 4 KiB. copying is the copy into
// the module alone.
func BenchmarkPart(b *testing.B) {
	const size = 25 << 20
	h := &largePart{content: bytes.Repeat([]byte("part"), size/4)}
	memory := [][]byte{append([]byte{0}, binary32(32<<20/rewrite.PageBytes)...)}
	whole := (&assembler{}).imp(abi.Module, "part", "iIii:i").fn("postern_inbound", ":i", konst(0), konst64(0), konst(0), konst(size), invoke(0), drop, konst(0))
	pieces := (&assembler{}).imp(abi.Module, "part", "iIii:i").fn("postern_inbound", ":i", []byte{0x03, 0x40}, konst(0), []byte{0x20, 0, 0xad}, []byte{0x20, 0}, konst(64<<10), invoke(0), drop,
		[]byte{0x20, 0}, konst(64<<10), []byte{0x6a, 0x22, 0}, konst(size), []byte{0x48, 0x0d, 0, 0x0b}, konst(0))
	pieces.code[0] = withLocals(pieces.code[0], 1)
	asks := func(a *assembler) func() {
		a.memories = memory
		m := compile(b, realEngine(b), a.bytes())
		return func() {
			if _, err := m.Call(context.Background(), nobody, abi.HookInbound, h); err != nil {
				b.Fatal(err)
			}
		}
	}
	copies := func(to []byte) func() {
		return func() {
			if copy(to, h.content) != size {
				b.Fatal("short")
			}
		}
	}
	names := []string{"heap", "pages", "whole", "pieces"}
	runs := []func(){copies(make([]byte, size)), copies(mapped(b, memory)), asks(whole), asks(pieces)}
	best, copying := slices.Repeat([]time.Duration{time.Hour}, len(runs)), time.Hour
	b.SetBytes(int64(len(runs)) * size)
	for b.Loop() {
		for i, run := range runs {
			h.copying = 0
			started := time.Now()
			run()
			if best[i] = min(best[i], time.Since(started)); i == 2 {
				copying = min(copying, h.copying)
			}
		}
	}
	for i, name := range names {
		b.ReportMetric(float64(best[i].Microseconds()), name+"-us")
	}
	b.ReportMetric(float64(copying)/float64(best[0]), "copying/heap")
	b.ReportMetric(float64(best[2])/float64(best[0]), "whole/heap")
	b.ReportMetric(float64(best[2])/float64(best[1]), "whole/pages")
	b.ReportMetric(float64(best[3])/float64(best[1]), "pieces/pages")
}

// mapped is the memory of an instance that nobody asks.
func mapped(b *testing.B, memory [][]byte) []byte {
	b.Helper()
	a := hook(konst(0))
	a.memories = memory
	m := compile(b, realEngine(b), a.bytes())
	in, err := m.instance(b.Context(), nobody)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(in.close)
	return in.memory.Reallocate(uint64(in.size()))
}

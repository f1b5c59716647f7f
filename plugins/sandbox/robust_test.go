package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
)

// The numbers are of the list of attacks that the runtime is held to; plugins/robust_test.go
// says where each is.

// Robustness 1: whatever runs on is stopped by fuel, by depth or by its deadline, and
// takes little of the host's memory.
func TestRobustness1Runaways(t *testing.T) {
	twice := append([]byte{0x20, 0, 0x41, 1, 0x6b}, invoke(0)...) // itself, of its argument less 1
	tree := (&assembler{}).
		fn("", "i:", []byte{0x20, 0, 0x45, 0x04, 0x40, 0x0f, 0x0b}, twice, twice). // return at 0
		fn("postern_inbound", ":i", konst(60), invoke(0), konst(0))
	table := hook([]byte{0x20, 0}[:0], konst(0), []byte{0x11, 0, 0}) // itself, from a table
	table.tables = [][]byte{{0x70, 0, 1}}
	table.extra = sectionOf(9, []byte{1, 0, 0x41, 0, 0x0b, 1, 0})
	wide := hook(invoke(0))
	wide.code[0] = sized(slices.Concat([]byte{1, 50, 0x7e}, invoke(0), []byte{0x0b})) // 50 locals of 8 bytes
	// Each number lives on while another function runs, at a place of its own.
	hidden := (&assembler{}).fn("postern_inbound", ":i").fn("", ":i", konst(1))
	numbers := bytes.Repeat(slices.Concat(invoke(1), []byte{0x21, 0}, invoke(1), []byte{0x20, 0, 0x6a, 0x1a}), 5000)
	hidden.code[0] = sized(slices.Concat([]byte{1, 1, 0x7f}, numbers, invoke(0), []byte{0x0b}))
	whole := func(op ...byte) *assembler { // of all memory, again and again
		a := hook(slices.Concat([]byte{0x03, 0x40}, konst(0), konst(0), konst(4<<20), op, []byte{0x0c, 0, 0x0b}), konst(0))
		a.memories = [][]byte{{0, 64}}
		return a
	}
	branches := slices.Concat([]byte{0x03, 0x40, 0x02, 0x40}, bump, []byte{0x0e}, binary32(4000), bytes.Repeat([]byte{0, 1}, 2000), []byte{1, 0x0b, 0x0c, 0, 0x0b})
	storm := hook(branches, konst(0)).global()
	random := (&assembler{}).imp("wasi_snapshot_preview1", "random_get", "ii:i").
		fn("postern_inbound", ":i", []byte{0x03, 0x40}, konst(0), konst(4<<20), invoke(0), drop, []byte{0x0c, 0, 0x0b}, konst(0))
	random.memories = [][]byte{{0, 64}}
	for _, tt := range []struct {
		name string
		a    *assembler
		want string
	}{
		{"an endless loop", hook(forever, konst(0)), ReasonDeadline},
		{"a tree of calls", tree, ReasonDeadline},
		{"recursion", hook(invoke(0)), ReasonDepth},
		{"recursion through a table", table, ReasonDepth},
		{"recursion of wide frames", wide, ReasonDepth},
		{"recursion of frames larger than they look", hidden, ReasonDepth},
		{"a storm of branches", storm, ReasonDeadline},
		{"memory.fill", whole(0xfc, 11, 0), ReasonDeadline},
		{"memory.copy", whole(0xfc, 10, 0, 0), ReasonDeadline},
		{"random numbers", random, ReasonDeadline},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wasm := tt.a.bytes()
			runaway(t, testLimits(), wasm, tt.want)
			if tt.want == ReasonDeadline { // the time would be enough
				lim := testLimits()
				lim.Fuel, lim.CallTime = 2_000_000, time.Hour
				runaway(t, lim, wasm, ReasonFuel)
			}
		})
	}
}

// binary32 is a number in LEB128.
func binary32(n uint64) []byte { return binary.AppendUvarint(nil, n) }

// runaway runs a module that does not end by itself.
func runaway(t *testing.T, lim Limits, wasm []byte, want string) {
	t.Helper()
	e := engineOf(t, Config{Limits: lim})
	m := compile(t, e, wasm)
	before := resident(t)
	used, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{})
	grown := peak(t) - before
	if known, ok := errors.AsType[*CallError](err); !ok || known.Reason != want {
		t.Errorf("%v, want %s", err, want)
	}
	t.Logf("%s: %v, fuel %d, host memory +%d KiB", want, used.Wall.Round(time.Millisecond), used.Fuel, grown>>10)
	if grown -= used.MemoryBytes; grown > 8<<20 && !raceEnabled {
		t.Errorf("the host's memory grew by %d KiB", grown>>10)
	}
	if want == ReasonFuel && (used.Fuel < lim.Fuel || used.Fuel > lim.Fuel+lim.Fuel/10) {
		t.Errorf("it used %d of %d", used.Fuel, lim.Fuel)
	}
}

// resident is what memory the process has, in bytes; from then on peak counts.
func resident(t testing.TB) int64 {
	t.Helper()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // who may not sees less growth
	return peak(t)
}

// peak is the most that it has had, as the kernel counts it; where it does not, that of
// Go.
func peak(t testing.TB) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.Sys)
	}
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	n, err := strconv.ParseInt(strings.Fields(line)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// Robustness 2: memory stops at its cap, and the host's returns.
func TestRobustness2MemoryBombs(t *testing.T) {
	grows := hook(growForever, []byte{0x3f, 0}) // then its pages
	for _, tt := range []struct {
		name string
		wasm func() []byte
		hook string
		want string
	}{
		{"memory.grow", grows.bytes, "inbound", "returned 512"},
		{"Go", func() []byte { return realModule(t, goGuest) }, "thread", "trap"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, lim := realEngine(t), realLimits()
			m := compile(t, e, tt.wasm())
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for range 3 {
				used, err := m.Call(t.Context(), nobody, tt.hook, &fakeHost{})
				if err == nil || !strings.Contains(err.Error(), tt.want) || used.MemoryBytes > lim.MemoryBytes || used.MemoryBytes < lim.MemoryBytes/2 {
					t.Errorf("%v with %d bytes, want %s with at most %d", err, used.MemoryBytes, tt.want, lim.MemoryBytes)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 8<<20 {
				t.Errorf("%d KiB are kept", kept>>10)
			}
		})
	}
}

// Robustness 13: what takes long to compile is given up when nobody waits for it, and
// other modules run meanwhile.
func TestRobustness13CompileBombs(t *testing.T) {
	bomb := hook(konst(0))
	for range 800 {
		bomb.fn("", ":", bytes.Repeat(slices.Concat([]byte{0x03, 0x40}, bump, []byte{0x0d, 0, 0x0b}), 1000))
	}
	bomb.global()
	lim := realLimits()
	e := engineOf(t, Config{Limits: lim})
	m := compile(t, e, hook(konst(0)).bytes())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		bad, err := e.Compile(ctx, bomb.bytes())
		if bad != nil {
			err = errors.Join(errors.New("it was compiled"), bad.Close(context.Background()))
		}
		done <- err
	}()
	for len(e.compile) == 0 { // until it compiles
		runtime.Gosched()
	}
	worst := time.Duration(0)
	for range 100 {
		started := time.Now()
		if _, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{}); err != nil {
			t.Fatal(err)
		}
		worst = max(worst, time.Since(started))
	}
	select {
	case err := <-done:
		t.Fatalf("it ended before anybody gave it up: %v", err)
	default:
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	t.Logf("meanwhile the slowest of 100 calls took %v", worst)
}

// A module that prints the same memory again and again in one question is stopped.
func TestPrintingIsBounded(t *testing.T) {
	vectors := func(n int32) []byte {
		fill := slices.Concat([]byte{0x03, 0x40, 0x23, 0}, konst(0), []byte{0x36, 2, 0, 0x23, 0}, konst(4<<20), []byte{0x36, 2, 4}, // at the counter: 0, 4 MiB
			[]byte{0x23, 0, 0x41, 8, 0x6a, 0x24, 0, 0x23, 0}, konst(8*n), []byte{0x48, 0x0d, 0, 0x0b}) // counter += 8, to 8 n
		a := (&assembler{}).imp("wasi_snapshot_preview1", "fd_write", "iiii:i").global().
			fn("postern_inbound", ":i", fill, konst(1), konst(0), konst(n), konst(8*n), invoke(0))
		a.memories = [][]byte{{0, 64}}
		return a.bytes()
	}
	e := newEngine(t, "")
	for n, want := range map[int32]string{2: "", 500: ReasonHostCalls} {
		_, err := compile(t, e, vectors(n)).Call(t.Context(), nobody, "inbound", &fakeHost{})
		known, ok := errors.AsType[*CallError](err)
		if want == "" && err != nil || want != "" && (!ok || known.Reason != want) {
			t.Errorf("%d buffers: %v, want %q", n, err, want)
		}
	}
}

// Names of functions announce their number too, and are not compiled.
func TestNamesAreLeftOut(t *testing.T) {
	many := binary.AppendUvarint(nil, math.MaxUint32)
	names := sectionOf(rewrite.SectionCustom, append(append(name("name"), 1, byte(len(many))), many...))
	m := compile(t, newEngine(t, ""), append(hook(konst(0)).bytes(), names...))
	if _, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{}); err != nil {
		t.Error(err)
	}
}

// Whoever waits no longer for a module to be compiled gets that as the answer.
func TestCompileCancelled(t *testing.T) {
	e := newEngine(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 8 { // it may get the slot, or not
		if m, err := e.Compile(ctx, hook(konst(0)).bytes()); m != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%v %v", m, err)
		}
	}
}

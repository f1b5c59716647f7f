package sandbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
)

// goGuest is testdata/guest, systemGuest testdata/system, filterGuest testdata/filter,
// plansGuest testdata/plans and reachGuest testdata/reach, each compiled once.
var (
	goGuest     = golang("./testdata/guest")
	systemGuest = golang("./testdata/system")
	filterGuest = golang("./testdata/filter")
	plansGuest  = golang("./testdata/plans")
	reachGuest  = golang("./testdata/reach")
)

func golang(folder string) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) {
		return built(func(out string) *exec.Cmd {
			cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, folder)
			cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
			return cmd
		})
	})
}

// cGuest is testdata/work.c, compiled once.
var cGuest = sync.OnceValues(func() ([]byte, error) {
	return built(func(out string) *exec.Cmd {
		return exec.Command("clang", "--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry", "-o", out, "testdata/work.c")
	})
})

func built(build func(out string) *exec.Cmd) ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	cmd := build(out)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// realModule is one that a compiler wrote.
func realModule(t testing.TB, build func() ([]byte, error)) []byte {
	t.Helper()
	wasm, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// clang skips a test where there is no clang; in CI there has to be one.
func clang(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("clang"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// Modules of real compilers run within what a call may take.
func TestRealModules(t *testing.T) {
	e := realEngine(t)
	host := &fakeHost{}
	t.Run("Go", func(t *testing.T) {
		m := compile(t, e, realModule(t, goGuest))
		for _, hook := range []string{"inbound", "outbound"} {
			first, err := m.Call(t.Context(), nobody, hook, host)
			if err != nil {
				t.Fatalf("%s: %v", hook, err)
			}
			t.Logf("%s: %+v", hook, first)
			if first.Fuel <= 0 || first.Fuel > realLimits().Fuel/4 || first.HostCalls == 0 || first.MemoryBytes == 0 {
				t.Errorf("%s took %+v", hook, first)
			}
		}
	})
	t.Run("SDK", func(t *testing.T) { // what a program does once was done before the image was taken
		m := compile(t, e, realModule(t, filterGuest))
		for _, hook := range []string{"inbound", "outbound"} {
			first, err := m.Call(t.Context(), nobody, hook, newEventHost())
			if err != nil {
				t.Fatalf("%s: %v", hook, err)
			}
			for range 20 {
				if again, err := m.Call(t.Context(), nobody, hook, newEventHost()); err != nil || again.Fuel != first.Fuel || again.MemoryBytes != first.MemoryBytes {
					t.Errorf("%s: %v: %+v, then %+v", hook, err, first, again)
				}
			}
			if m.engine.pool.waits() != 1 || m.images.before != 0 {
				t.Errorf("%s: %d instances wait, and %d images were not enough", hook, m.engine.pool.waits(), m.images.before)
			}
		}
	})
	t.Run("C", func(t *testing.T) {
		clang(t)
		m := compile(t, e, realModule(t, cGuest))
		first, err := m.Call(t.Context(), nobody, "inbound", host)
		if err != nil {
			t.Fatal(err)
		}
		again, err := m.Call(t.Context(), nobody, "inbound", host)
		if err != nil || again.Fuel != first.Fuel {
			t.Errorf("%v: fuel %d, then %d", err, first.Fuel, again.Fuel)
		}
	})
}

// realEngine compiles modules of real compilers once for all tests.
func realEngine(t testing.TB) *Engine {
	t.Helper()
	return engineOf(t, Config{Limits: realLimits(), CacheDir: compiled})
}

// realLimits are those of gateway.LimitTable.
func realLimits() Limits {
	l := testLimits()
	l.Functions, l.Locals, l.MemoryBytes, l.HostCalls, l.Fuel = 50_000, 10_000, 32<<20, 10_000, 200_000_000
	l.CallTime = 20 * l.CallTime // under the race detector
	return l
}

// A module of a real compiler with a few bytes changed, cut out or put in is refused, or
// what becomes of it can be compiled; and nothing panics.
func TestMutatedModules(t *testing.T) {
	e := engineOf(t, Config{Limits: realLimits()})
	original, taken, rounds := realModule(t, goGuest), 0, 60
	if raceEnabled {
		rounds = 16
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range rounds {
		wasm := slices.Clone(original)
		for range 1 + i%3 {
			switch at := r.IntN(len(wasm) - 100); i % 4 {
			case 0:
				wasm[at] ^= 1 << r.IntN(8)
			case 1:
				wasm[at] = byte(r.IntN(256))
			case 2:
				wasm = slices.Delete(wasm, at, at+1+r.IntN(3))
			default:
				wasm = slices.Insert(wasm, at, byte(r.IntN(256)))
			}
		}
		out, _, err := rewrite.Module(wasm, &e.rewrite)
		if err != nil {
			if _, ok := errors.AsType[*FaultError](err); !ok {
				t.Errorf("%T %v", err, err)
			}
			continue
		}
		taken++
		ctx := context.Background()
		engine := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
		if _, err := engine.CompileModule(ctx, out); err != nil {
			t.Errorf("mutation %d is taken, and can't be compiled: %v", i, err)
		}
		if err := engine.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	if taken == 0 {
		t.Error("none was taken")
	}
	t.Logf("%d of %d were taken", taken, rounds)
}

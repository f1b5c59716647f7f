package sandbox

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk/abi"
)

// endless are guests that hold on to their thread as long as they may.
func endless() map[string][]byte {
	again := func(code ...[]byte) []byte {
		a := hook(slices.Concat([]byte{0x03, 0x40}, slices.Concat(code...), []byte{0x0c, 0, 0x0b}), konst(0))
		a.memories = [][]byte{append([]byte{0}, binary32(512)...)}
		return a.bytes()
	}
	random := (&assembler{}).imp(wasiModule, "random_get", "ii:i").
		fn("postern_inbound", ":i", []byte{0x03, 0x40}, konst(0), konst(32<<20), invoke(0), drop, []byte{0x0c, 0, 0x0b}, konst(0))
	random.memories = [][]byte{append([]byte{0}, binary32(512)...)}
	return map[string][]byte{
		"a loop":      hook(forever, konst(0)).bytes(),
		"memory.fill": again(konst(0), konst(1), konst(32<<20), []byte{0xfc, 11, 0}),
		"memory.copy": again(konst(0), konst(16<<20), konst(16<<20), []byte{0xfc, 10, 0, 0}),
		"random_get":  random.bytes(),
	}
}

// BenchmarkStall is what others wait for while a module runs on: everything stops for a
// moment when memory is measured or collected, and that waits for every thread. It
// reports how long those stops took in microseconds, and the same when no module runs:
// on a machine that has other things to do, the longest ones are not the module's.
func BenchmarkStall(b *testing.B) {
	e := engineOf(b, Config{Limits: realLimits()})
	b.Run("nobody", func(b *testing.B) {
		stalls(b, func() error { time.Sleep(100 * time.Millisecond); return nil })
	})
	for name, wasm := range endless() {
		m := compile(b, e, wasm)
		b.Run(name, func(b *testing.B) {
			stalls(b, func() error {
				_, err := m.Call(context.Background(), nobody, abi.HookInbound, &fakeHost{})
				if known, ok := errors.AsType[*CallError](err); !ok || known.Reason != ReasonFuel && known.Reason != ReasonDeadline {
					return errors.Join(errors.New("it ended in another way"), err)
				}
				return nil
			})
		})
	}
}

// stalls measures how long the world takes to stop while something runs.
func stalls(b *testing.B, run func() error) {
	var all []time.Duration
	for b.Loop() {
		done := make(chan error, 1)
		go func() { done <- run() }()
		for ended := false; !ended; {
			started := time.Now()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			all = append(all, time.Since(started))
			select {
			case err := <-done:
				if ended = true; err != nil {
					b.Fatal(err)
				}
			default:
			}
		}
	}
	slices.Sort(all)
	for name, share := range map[string]int{"p50-us": 500, "p99-us": 990, "p99.9-us": 999} {
		b.ReportMetric(float64(all[(len(all)-1)*share/1000].Nanoseconds())/1000, name)
	}
	b.ReportMetric(float64(all[len(all)-1].Nanoseconds())/1000, "worst-us")
}

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
// reports the longest such stop in microseconds, over all calls and, since the machine
// has other things to do as well, in the better half of them; and the same when no
// module runs.
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
	var each []time.Duration
	for b.Loop() {
		done, worst := make(chan error, 1), time.Duration(0)
		go func() { done <- run() }()
		for ended := false; !ended; {
			started := time.Now()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			worst = max(worst, time.Since(started))
			select {
			case err := <-done:
				if ended = true; err != nil {
					b.Fatal(err)
				}
			default:
			}
		}
		each = append(each, worst)
	}
	slices.Sort(each)
	b.ReportMetric(float64(each[len(each)-1].Microseconds()), "worst-us")
	b.ReportMetric(float64(each[len(each)/2].Microseconds()), "median-worst-us")
}

package sandbox

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/centerleap/postern/sdk/abi"
)

// threadTime is what the thread took of a processor so far: what others do on the machine
// is not in it.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // there always is that clock
	}
	return time.Duration(t.Nano())
}

// stretches is the context and the host of a call, and measures how long its thread is the
// module's alone: from one look at the context to the next.
type stretches struct {
	context.Context
	fakeHost
	last time.Duration
	all  []time.Duration
}

// Now is asked first by the modules here.
func (s *stretches) Now() int64 {
	s.last = threadTime()
	return 0
}

// Err is asked for each slice.
func (s *stretches) Err() error {
	now := threadTime()
	s.all = append(s.all, now-s.last)
	s.last = now
	return s.Context.Err()
}

// BenchmarkStretch is how long a module can keep its thread: nobody else gets it, and
// collecting Go's garbage waits for it. It reports the longest time of the processor
// between two looks at the clock, in microseconds, and beside it, taking turns, the same of
// a loop in Go that looks as often.
func BenchmarkStretch(b *testing.B) {
	e := engineOf(b, Config{Limits: realLimits()})
	for name, wasm := range greedy() {
		b.Run(name, func(b *testing.B) {
			m := compile(b, e, wasm)
			var guest, native []time.Duration
			for b.Loop() {
				s := &stretches{Context: b.Context()}
				_, _ = m.Call(s, Owner{}, abi.HookInbound, s) // some end for want of fuel
				m.engine.pool.drop(m, nil)                    // the next one has none of its pages
				guest = append(guest, s.all...)
				runtime.LockOSThread()
				s = &stretches{Context: b.Context(), last: threadTime()}
				for range 1000 {
					for began := time.Now(); time.Since(began) < 50*time.Microsecond; {
					}
					_ = s.Err()
				}
				runtime.UnlockOSThread()
				native = append(native, s.all...)
			}
			slices.Sort(guest)
			slices.Sort(native)
			b.ReportMetric(float64(guest[len(guest)/2].Nanoseconds())/1000, "p50-us")
			b.ReportMetric(float64(guest[len(guest)*999/1000].Nanoseconds())/1000, "p99.9-us")
			b.ReportMetric(float64(guest[len(guest)-1].Nanoseconds())/1000, "longest-us")
			b.ReportMetric(float64(native[len(native)*999/1000].Nanoseconds())/1000, "native-p99.9-us")
			b.ReportMetric(float64(native[len(native)-1].Nanoseconds())/1000, "native-longest-us")
			b.ReportMetric(float64(len(guest))/float64(b.N), "slices/op")
		})
	}
}

package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
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

// Now is asked first and last by the modules here.
func (s *stretches) Now() int64 {
	s.look()
	return 0
}

// Err is asked for each slice.
func (s *stretches) Err() error {
	s.look()
	return s.Context.Err()
}

func (s *stretches) look() {
	now := threadTime()
	if s.last > 0 {
		s.all = append(s.all, now-s.last)
	}
	s.last = now
}

// manyLooks is room for all of a call's: to find more on the way takes milliseconds at times.
const manyLooks = 1 << 17

// BenchmarkStretch is how long a module can keep its thread: nobody else gets it, and
// collecting Go's garbage waits for it. It reports the longest time of the processor
// between two looks at the clock, in microseconds, and beside it, taking turns, the same of
// a loop in Go that looks as often.
func BenchmarkStretch(b *testing.B) {
	e := engineOf(b, Config{Limits: realLimits()})
	guests := map[string][]byte{}
	for _, mib := range []int32{8, 32} {
		for name, wasm := range greedy(mib) {
			if name != "random_get" { // which is Go's code: it can be interrupted
				guests[fmt.Sprintf("%d MiB, %s", mib, name)] = wasm
			}
		}
	}
	for name, wasm := range guests {
		b.Run(name, func(b *testing.B) {
			m := compile(b, e, wasm)
			var guest, native []time.Duration
			for b.Loop() {
				s := &stretches{Context: b.Context(), all: make([]time.Duration, 0, manyLooks)}
				_, _ = m.Call(s, Owner{}, abi.HookInbound, s) // some end for want of fuel
				m.engine.pool.drop(m, nil)                    // the next one has none of its pages
				guest = append(guest, s.all...)
				runtime.LockOSThread()
				s = &stretches{Context: b.Context(), last: threadTime(), all: make([]time.Duration, 0, manyLooks)}
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

// A module that has the kernel find pages all the time is known by that, and has the
// smallest slices from then on, on each instance; one that computes is not.
func TestSlowModules(t *testing.T) {
	e := engineOf(t, Config{Limits: realLimits()})
	for name, slow := range map[string]bool{"a loop": false, "divisions": false, "pages written": true, "pages, no loop": true} {
		m := compile(t, e, greedy(32)[name])
		for range 3 {
			_, _ = m.Call(t.Context(), nobody, abi.HookInbound, &fakeHost{}) // some end for want of fuel
			m.engine.pool.drop(m, nil)
		}
		if m.slow.Load() != slow {
			t.Errorf("%s: slow %v", name, m.slow.Load())
		}
		if !slow {
			continue
		}
		l := &looks{Context: t.Context()}
		used, err := m.Call(l, nobody, abi.HookInbound, &fakeHost{})
		if err != nil || l.n < used.Fuel/(2*leastSlice) {
			t.Errorf("%s: %d looks in %d of fuel, %v", name, l.n, used.Fuel, err)
		}
	}
}

// Copying its data into a new instance of a module does not have its thread find a page for
// each piece of it.
func TestDataIsExpected(t *testing.T) {
	data := bytes.Repeat([]byte("data"), 1<<18)
	a := hook(konst(0)).text(64<<10, string(data))
	a.memories = [][]byte{append([]byte{0}, binary32(20)...)}
	m := compile(t, newEngine(t, ""), a.bytes())
	faults := func() int64 {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
			t.Fatal(err)
		}
		return u.Minflt + u.Majflt
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, expected := range []bool{true, false} {
		memory := m.engine.keeper.Memory(20 << 16)
		if expected {
			memory.Expect(m.images.image.Image)
		}
		to := memory.Reallocate(20 << 16)[64<<10:]
		before := faults()
		copy(to, data)
		took, pages := faults()-before, int64(len(data)/os.Getpagesize())
		if few := took < pages/4; few != expected {
			t.Errorf("copying %d pages took %d faults; expected: %v", pages, took, expected)
		}
		memory.Free()
	}
}

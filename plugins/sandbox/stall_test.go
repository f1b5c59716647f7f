package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk/abi"
)

// greedy are guests with so much memory that make the most of a slice of fuel.
func greedy(mib int32) map[string][]byte {
	const page = 4 << 10
	pages, end := mib<<4, mib<<20
	const many = 1000
	having := func(locals uint64, code ...[]byte) []byte {
		a := (&assembler{}).imp(abi.Module, "now", ":I").imp(wasiModule, "random_get", "ii:i").
			fn("postern_inbound", ":i", invoke(0), drop, slices.Concat(code...), invoke(0), drop, konst(0))
		a.code[0] = withLocals(a.code[0], locals)
		a.memories = [][]byte{append([]byte{0}, binary32(uint64(pages))...)}
		return a.bytes()
	}
	guest := func(code ...[]byte) []byte { return having(2, code...) }
	again := func(code ...[]byte) []byte {
		return slices.Concat([]byte{0x03, 0x40}, slices.Concat(code...), []byte{0x0c, 0, 0x0b})
	}
	local0, tee0 := []byte{0x20, 0}, []byte{0x22, 0}
	to := func(end, step int32, code ...[]byte) []byte { // counts local 0 up
		return slices.Concat([]byte{0x03, 0x40}, slices.Concat(code...), local0, konst(step), []byte{0x6a}, tee0, konst(end), []byte{0x49, 0x0d, 0, 0x0b})
	}
	quick := slices.Concat(to(100_000, 1), konst(0), []byte{0x21, 0}) // for which it gets the largest slices
	walk := func(code ...[]byte) []byte {                             // once over all of memory, by pages
		return slices.Concat(quick, to(end, page, code...))
	}
	var written []byte
	for at := int32(0); at < end; at += page {
		written = append(written, slices.Concat(konst(at), konst(1), []byte{0x36, 2, 0})...)
	}
	skipped, sum := slices.Concat(local0, []byte{0x04, 0x40}), konst(0)
	for n := range uint64(many - 2) {
		skipped = slices.Concat(skipped, konst(int32(n)), binary.AppendUvarint([]byte{0x21}, n+2))
		sum = slices.Concat(sum, binary.AppendUvarint([]byte{0x20}, n+2), []byte{0x6a})
	}
	skipped = append(skipped, 0x0b)
	spread := slices.Concat(local0, konst(1664525), []byte{0x6c}, konst(1013904223), []byte{0x6a}, tee0,
		konst(end-4), []byte{0x71, 0x28, 2, 0}, local0, []byte{0x6a, 0x21, 0})
	return map[string][]byte{
		"a loop":           guest(again()),
		"divisions":        guest(again(konst64(-1), konst64(3), []byte{0x7f, 0x1a})),
		"memory.fill":      guest(again(konst(0), konst(1), konst(end), []byte{0xfc, 11, 0})),
		"memory.copy":      guest(again(konst(0), konst(end/2), konst(end/2), []byte{0xfc, 10, 0, 0})),
		"loads everywhere": guest(again(spread)),
		"pages written":    guest(walk(local0, konst(1), []byte{0x36, 2, 0})),
		"pages, no loop":   guest(quick, written),
		"pages read":       guest(walk([]byte{0x20, 1}, local0, []byte{0x28, 2, 0, 0x6a, 0x21, 1}), konst(0), []byte{0x20, 1, 0x36, 2, 0}), // what nobody uses is not read
		"locals joined": having(many, quick, []byte{0x02, 0x40}, again(skipped, skipped, skipped, []byte{0x20, 1, 0x0d, 1}), []byte{0x0b}, // and used afterwards
			konst(0), sum, []byte{0x36, 2, 0}),
		"random_get": guest(again(konst(0), konst(1<<20), invoke(1), drop)),
	}
}

// looks counts how often a call looks whether it is still wanted.
type looks struct {
	context.Context
	n int64
}

func (l *looks) Err() error {
	l.n++
	return l.Context.Err()
}

// Whatever a module does, it runs no more than two slices of fuel before it lets go of its
// thread: also code without a loop.
func TestSlices(t *testing.T) {
	lim := realLimits()
	lim.Fuel = 1 << 21
	e := engineOf(t, Config{Limits: lim})
	for mib, most := range map[int32]int64{8: mostSlice, 32: mostLarge} {
		for name, wasm := range greedy(mib) {
			t.Run(fmt.Sprintf("%d MiB, %s", mib, name), func(t *testing.T) {
				l := &looks{Context: t.Context()}
				used, err := compile(t, e, wasm).Call(l, nobody, abi.HookInbound, &fakeHost{})
				if known, ok := errors.AsType[*CallError](err); err != nil && (!ok || known.Reason != ReasonFuel) {
					t.Fatal(err)
				}
				if least := used.Fuel / (2 * most); l.n < least || least < 1 {
					t.Errorf("%d looks in %d of fuel, want %d", l.n, used.Fuel, least)
				}
			})
		}
	}
}

// Whose memory has become large gets no large slices any more, from there on.
func TestSlicesOfTheGrown(t *testing.T) {
	const rounds, weight = 100_000, 8
	count := slices.Concat(konst(rounds), []byte{0x21, 0, 0x03, 0x40, 0x20, 0}, konst(1), []byte{0x6b, 0x22, 0, 0x0d, 0, 0x0b})
	grow := slices.Concat(konst(8<<4), []byte{0x40, 0, 0x1a})
	looked := func(code ...[]byte) int64 {
		a := hook(slices.Concat(code...), konst(0))
		a.code[0] = withLocals(a.code[0], 1)
		a.memories = [][]byte{append([]byte{0}, binary32(1)...)}
		l := &looks{Context: t.Context()}
		if _, err := compile(t, engineOf(t, Config{Limits: realLimits()}), a.bytes()).Call(l, nobody, abi.HookInbound, &fakeHost{}); err != nil {
			t.Fatal(err)
		}
		return l.n
	}
	small, grown := looked(count, count), looked(count, grow, count)
	if least := int64(rounds * weight / mostLarge); grown-small < least*3/4 {
		t.Errorf("%d looks with little memory, %d when it has grown on the way", small, grown)
	}
}

// Whose functions have many values gets no large slices: where blocks join they are moved.
func TestSlicesOfTheWide(t *testing.T) {
	lim := realLimits()
	lim.Fuel = 1 << 21
	for _, wide := range []uint64{500, 5000} {
		a := hook(forever, konst(0))
		a.code[0] = withLocals(a.code[0], wide)
		l := &looks{Context: t.Context()}
		used, err := compile(t, engineOf(t, Config{Limits: lim}), a.bytes()).Call(l, nobody, abi.HookInbound, &fakeHost{})
		if known, ok := errors.AsType[*CallError](err); !ok || known.Reason != ReasonFuel {
			t.Fatal(err)
		}
		if least := used.Fuel / max(mostMoved/int64(wide), leastSlice); l.n < least*3/4 {
			t.Errorf("with %d locals it looked %d times, want %d", wide, l.n, least)
		}
	}
}

// Slices grow while they are quick, and are the smallest again when one was not.
func TestPace(t *testing.T) {
	now := time.Duration(0)
	m := meter{in: &instance{of: &Module{}, slice: leastSlice}}
	for _, step := range []struct {
		took time.Duration
		want int64
	}{
		{quickSlice / 2, 2 * leastSlice},
		{quickSlice, 2 * leastSlice},
		{0, mostLarge},
		{0, mostLarge},
		{slowSlice, mostLarge},
		{slowSlice + 1, leastSlice},
		{0, 2 * leastSlice},
	} {
		now += step.took
		if m.pace(now, mostLarge); m.in.slice != step.want {
			t.Errorf("after a slice of %v: %d, want %d", step.took, m.in.slice, step.want)
		}
	}
	for range 10 {
		m.pace(now, mostSlice)
	}
	if m.in.slice != mostSlice {
		t.Errorf("many quick slices with little memory, and then %d", m.in.slice)
	}
	if m.pace(now, mostLarge); m.in.slice != mostLarge {
		t.Errorf("when memory has grown, %d", m.in.slice)
	}
	m.in.slice = 2 * leastSlice
	m.in.of.slow.Store(true)
	if m.pace(now, mostSlice); m.in.slice != 2*leastSlice {
		t.Errorf("slices of a module that is slow grow to %d", m.in.slice)
	}
}

// BenchmarkStall is what others wait for while a module runs on: everything stops for a
// moment when memory is measured or collected, and that waits for every thread. It
// reports how long those stops took in microseconds, and beside it, taking turns, the same
// when no module runs: on a machine that has other things to do, the longest ones are not
// the module's.
func BenchmarkStall(b *testing.B) {
	lim := realLimits()
	lim.CallTime = turn
	e := engineOf(b, Config{Limits: lim})
	for name, wasm := range greedy(32) {
		m := compile(b, e, wasm)
		b.Run(name, func(b *testing.B) {
			var guest, nobodys []time.Duration
			for b.Loop() {
				guest = append(guest, stalls(b, func(until time.Time) error {
					for time.Now().Before(until) {
						_, err := m.Call(context.Background(), nobody, abi.HookInbound, &fakeHost{})
						if known, ok := errors.AsType[*CallError](err); err != nil && (!ok || known.Reason != ReasonFuel && known.Reason != ReasonDeadline) {
							return err
						}
						m.engine.pool.drop(m, nil) // the next one has none of its pages
					}
					return nil
				})...)
				nobodys = append(nobodys, stalls(b, func(until time.Time) error { time.Sleep(time.Until(until)); return nil })...)
			}
			reportStalls(b, "", guest)
			reportStalls(b, "nobody-", nobodys)
		})
	}
}

func reportStalls(b *testing.B, of string, all []time.Duration) {
	b.Helper()
	slices.Sort(all)
	for name, share := range map[string]int{"p50-us": 500, "p99-us": 990, "p99.9-us": 999, "worst-us": 1000} {
		b.ReportMetric(float64(all[(len(all)-1)*share/1000].Nanoseconds())/1000, of+name)
	}
}

// BenchmarkStallData is the same while instances are made of a module that has so many MiB
// of data.
func BenchmarkStallData(b *testing.B) {
	e := engineOf(b, Config{Limits: realLimits()})
	for _, mib := range []int{1, 4, 15} {
		a := hook(konst(0)).text(0, strings.Repeat("data", mib<<18))
		a.memories = [][]byte{append([]byte{0}, binary32(512)...)}
		m := compile(b, e, a.bytes())
		b.Run(fmt.Sprintf("%d MiB", mib), func(b *testing.B) {
			var all []time.Duration
			for b.Loop() {
				all = append(all, stalls(b, func(until time.Time) error {
					for time.Now().Before(until) {
						if _, err := m.Call(context.Background(), nobody, abi.HookInbound, &fakeHost{}); err != nil {
							return err
						}
						m.engine.pool.drop(m, nil)
					}
					return nil
				})...)
			}
			reportStalls(b, "", all)
		})
	}
}

// turn is how long something runs before it is another's turn.
const turn = 100 * time.Millisecond

// stalls measures how long the world takes to stop while something runs for a turn.
func stalls(b *testing.B, run func(until time.Time) error) (all []time.Duration) {
	b.Helper()
	done := make(chan error, 1)
	go func() { done <- run(time.Now().Add(turn)) }()
	for {
		started := time.Now()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		all = append(all, time.Since(started))
		select {
		case err := <-done:
			if err != nil {
				b.Fatal(err)
			}
			return all
		default:
		}
	}
}

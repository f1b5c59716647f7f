package sandbox

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/sdk/abi"
)

var (
	pages = []byte{0x3f, 0}                                        // push memory.size
	less  = func(n int32) []byte { return append(konst(n), 0x6b) } // - n
	grow  = func(n int32) []byte { return slices.Concat(konst(n), []byte{0x40, 0}, drop) }
	when  = func(code ...[]byte) []byte {
		return slices.Concat([]byte{0x04, 0x40}, slices.Concat(code...), []byte{0x0b})
	} // if
	reset = []byte{0x41, 0, 0x24, 0} // global 0 = 0
)

// What a module does before its first call is done once, and every call starts there.
func TestImage(t *testing.T) {
	counted := (&assembler{}).global().fn("_initialize", ":", bump, drop, store(64, 7)).
		fn("postern_inbound", ":i", bump, less(2)).                   // one start, one call
		fn("postern_outbound", ":i", load(64), less(7), store(64, 9)) // as _initialize left it
	both := (&assembler{}).global().fn("_initialize", ":", bump, drop).fn(abi.Init, ":i", bump, less(2)).
		fn("postern_inbound", ":i", bump, less(4)) // it was run again after the warm rounds, and said 1: not taken
	warm := (&assembler{}).global().fn(abi.Init, ":i", reset, konst(0)).
		fn("postern_inbound", ":i", pages, less(5), when(grow(4), bump, drop), pages, less(5)).
		fn("postern_outbound", ":i", []byte{0x23, 0}, pages, less(5), []byte{0x6a}) // larger, and nothing else left
	cold := (&assembler{}).fn("postern_inbound", ":i", pages, less(1), grow(4))
	alone := (&assembler{}).global().fn(abi.Init, ":i", bump, drop, konst(abi.InitOnly)).fn("postern_inbound", ":i", bump, less(2))
	fails := (&assembler{}).fn(abi.Init, ":i", konst(0)).fn("postern_inbound", ":i", pages, less(1), when(unreachable), grow(1), konst(0)).
		fn("postern_outbound", ":i", unreachable)
	for _, tt := range []struct {
		name  string
		a     *assembler
		hooks []string
	}{
		{"what _initialize did", counted, []string{"inbound", "outbound"}},
		{"a warm round that fails is left out", both, nil},
		{"warm rounds", warm, []string{"inbound", "outbound"}},
		{"none if postern_init says so", alone, []string{"inbound"}},
		{"none without postern_init", cold, []string{"inbound"}},
		{"a hook that fails on the sample", fails, []string{"inbound"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := compile(t, newEngine(t, ""), tt.a.bytes())
			for range 3 {
				for _, hook := range tt.hooks {
					if _, err := m.Call(t.Context(), nobody, hook, &fakeHost{}); err != nil {
						t.Errorf("%s: %v", hook, err)
					}
				}
			}
		})
	}
}

// A module that can't be made ready is refused, with the reason.
func TestFaultyStart(t *testing.T) {
	lim := testLimits()
	lim.Fuel = 2_000_000
	e := engineOf(t, Config{Limits: lim})
	exits := (&assembler{}).imp(wasiModule, "proc_exit", "i:").fn("_initialize", ":", konst(0), invoke(0)).fn("postern_inbound", ":i", konst(0))
	for _, tt := range []struct {
		name string
		a    *assembler
		want string
	}{
		{"an endless _initialize", hook(konst(0)).fn("_initialize", ":", forever), "can't be made ready: fuel"},
		{"an endless postern_init", hook(konst(0)).fn(abi.Init, ":i", forever, konst(0)), "can't be made ready: fuel"},
		{"a trap", hook(konst(0)).fn("_initialize", ":", unreachable), "can't be made ready: trap: unreachable"},
		{"a status", hook(konst(0)).fn(abi.Init, ":i", konst(3)), "can't be made ready: status: postern_init returned 3"},
		{"an exit", exits, "can't be made ready: status: it exited with 0"},
		{"data outside of memory", hook(konst(0)).text(65530, "0123456789"), "can't be made ready: start"},
	} {
		m, err := e.Compile(t.Context(), tt.a.bytes())
		if fault, ok := errors.AsType[*FaultError](err); m != nil || !ok || !strings.Contains(fault.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// waits is how many instances wait.
func (p *pool) waits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// The memory of those that wait is bounded with the engine's stacks, which stay as large as
// the deepest call had them.
func TestPoolCountsStacks(t *testing.T) {
	const depth = 5000
	lim := testLimits()
	lim.Frames, lim.StackBytes, lim.IdleBytes = 2*depth, 1<<20, 1<<20
	e := engineOf(t, Config{Limits: lim})
	m := compile(t, e, (&assembler{}).fn("", "i:", []byte{0x20, 0, 0x45}, when([]byte{0x0f}), []byte{0x20, 0}, konst(1), []byte{0x6b}, invoke(0)).
		fn("postern_inbound", ":i", konst(depth), invoke(0), konst(0)).bytes())
	for owner := range byte(10) {
		if _, err := m.Call(t.Context(), Owner{owner}, "inbound", &fakeHost{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := e.pool.waits(); n < 1 || n > 5 {
		t.Errorf("%d instances wait, with %d bytes of stacks and more", n, e.pool.bytes)
	}
}

// Instances are made when they are needed, used again, and freed when nobody comes.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New(Config{Limits: testLimits(), Slots: 3, Check: true, Idle: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		m, err := e.Compile(t.Context(), (&assembler{}).imp(abi.Module, "part", "iIii:i").
			fn("postern_inbound", ":i", konst(0), konst64(0), konst(0), konst(4), invoke(0), drop, konst(0)).
			fn("postern_outbound", ":i", unreachable).bytes())
		if err != nil {
			t.Fatal(err)
		}
		call := func(hook string, h *fakeHost, want string) {
			if _, err := m.Call(context.Background(), nobody, hook, h); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
		goOn := make(chan struct{})
		var calls sync.WaitGroup
		for range 9 {
			calls.Go(func() { call("inbound", &fakeHost{part: func([]byte) { <-goOn }}, "") })
		}
		synctest.Wait()
		for range 9 {
			goOn <- struct{}{}
		}
		calls.Wait()
		want := func(n int) {
			t.Helper()
			synctest.Wait()
			if got := m.engine.pool.waits(); got != n {
				t.Errorf("%d instances wait, want %d", got, n)
			}
		}
		want(3) // as many as slots
		call("outbound", &fakeHost{}, "trap")
		want(2) // one was spoiled
		time.Sleep(30 * time.Second)
		call("inbound", &fakeHost{}, "")
		time.Sleep(31 * time.Second)
		want(1) // the other was not used for a minute
		time.Sleep(time.Minute)
		want(0)
		call("inbound", &fakeHost{}, "")
		want(1)
		if err := errors.Join(m.Close(t.Context()), e.Close(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// No instance is ever asked for two owners, and those that waited longest make room.
func TestOwners(t *testing.T) {
	lim := testLimits()
	lim.IdleBytes = 64 << 10 // two and a half of them
	e := engineOf(t, Config{Limits: lim})
	m := compile(t, e, hook(store(4, 1), store(9000, 1), store(20000, 1), store(30000, 1), konst(0)).bytes()) // four pages, and a stack of 10 KiB
	of := map[*instance]Owner{}
	for i := range 30 {
		owner := Owner{byte(i % 3)}
		if _, err := m.Call(t.Context(), owner, "inbound", &fakeHost{}); err != nil {
			t.Fatal(err)
		}
		bytes := int64(0)
		for _, in := range e.pool.idle {
			if was, known := of[in]; known && was != in.owner {
				t.Errorf("an instance of %v is one of %v", was, in.owner)
			}
			of[in], bytes = in.owner, bytes+in.private()
		}
		if last := e.pool.idle[len(e.pool.idle)-1]; last.owner != owner {
			t.Errorf("call %d ran on an instance of %v, not %v", i, last.owner, owner)
		}
		if bytes > lim.IdleBytes || bytes != e.pool.bytes {
			t.Errorf("%d bytes wait, counted as %d", bytes, e.pool.bytes)
		}
	}
}

// largeEvent answers with an event of some size.
type largeEvent struct {
	fakeHost
	size int
}

func (h *largeEvent) Event() ([]byte, error) { return bytes.Repeat([]byte{'x'}, h.size), nil }

// A module that grows in many calls gets a larger image, until the largest.
func TestLargerImages(t *testing.T) {
	// It takes as many pages as the event is long, if it has not.
	module := (&assembler{}).imp(abi.Module, "event", "ii:i").fn(abi.Init, ":i", konst(0)).
		fn("postern_inbound", ":i", konst(0), konst(0), invoke(0), konst(16), []byte{0x76}, // shifted right
			pages, []byte{0x6b}, []byte{0x22, 0}, konst(0), []byte{0x4a}, when([]byte{0x20, 0, 0x40, 0}, drop), konst(0))
	module.code[1] = sized(append([]byte{1, 1, 0x7f}, module.code[1][2:]...)) // with a local
	m := compile(t, newEngine(t, ""), module.bytes())
	for _, tt := range []struct {
		size, images, waits int
	}{{70 << 10, 0, 1}, {200 << 10, 2, 1}, {3 << 20, 2, 0}} {
		for range 40 {
			if _, err := m.Call(t.Context(), nobody, "inbound", &largeEvent{size: tt.size}); err != nil {
				t.Fatal(err)
			}
		}
		if images, waits := m.images.before, m.engine.pool.waits(); images != tt.images || waits != tt.waits {
			t.Errorf("events of %d bytes: an image was taken again %d times, and %d instances wait; want %d and %d", tt.size, images, waits, tt.images, tt.waits)
		}
	}
}

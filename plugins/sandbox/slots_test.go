package sandbox

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk/abi"
)

// asking is a module that makes a request in its event and tick hooks, and returns the
// handle less 7; its inbound hook does nothing, and its outbound hook runs on.
func asking() []byte {
	ask := [][]byte{konst(0), konst(2), invoke(0), konst(7), {0x6b}}
	return (&assembler{}).text(0, "{}").imp(abi.Module, "http", "ii:i").
		fn("postern_event", ":i", ask...).fn("postern_tick", ":i", ask...).
		fn("postern_inbound", ":i", konst(0)).fn("postern_outbound", ":i", forever, konst(0)).bytes()
}

// While as many modules as may wait for servers, mail is not kept waiting, and the next
// of them waits for its turn.
func TestLateSlots(t *testing.T) {
	lim := testLimits()
	lim.CallTime, lim.LateTime = time.Minute, time.Hour // nothing ends for want of time
	e := engineOf(t, Config{Limits: lim, Slots: 1, LateSlots: 8})
	m := compile(t, e, asking())
	waits, goOn := make(chan struct{}), make(chan struct{})
	slow := &fakeHostSlow{waits: waits, goOn: goOn}
	var calls sync.WaitGroup
	defer calls.Wait()
	var once sync.Once
	release := func() { once.Do(func() { close(goOn) }) }
	defer release()
	for range 8 {
		calls.Go(func() {
			if _, err := m.Call(context.Background(), nobody, abi.HookEvent, slow); err != nil {
				t.Error(err)
			}
		})
	}
	for range 8 { // they all wait at once, on whatever few processors there are
		<-waits
	}
	if n := len(e.slots.work); n != 0 {
		t.Errorf("%d of those who wait hold a slot to work", n)
	}
	for range 3 {
		if _, err := m.Call(t.Context(), nobody, abi.HookInbound, &fakeHost{}); err != nil {
			t.Errorf("mail: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := m.Call(ctx, nobody, abi.HookTick, slow)
	if _, ours := errors.AsType[*HostError](err); !ours {
		t.Errorf("the ninth: %v", err)
	}
	release()
	calls.Wait()
	if _, err := m.Call(t.Context(), nobody, abi.HookTick, &fakeHost{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// fakeHostSlow is a host whose servers answer when they are told to.
type fakeHostSlow struct {
	fakeHost
	waits, goOn chan struct{}
}

func (h *fakeHostSlow) HTTP(context.Context, []byte) (int, error) {
	h.waits <- struct{}{}
	<-h.goOn
	return 7, nil
}

// Modules of late hooks work on no more than half of the processors.
func TestLateWork(t *testing.T) {
	e := engineOf(t, Config{Limits: testLimits()})
	if got, want := cap(e.slots.work), max(1, runtime.GOMAXPROCS(0)/2); got != want {
		t.Errorf("%d may work, want %d", got, want)
	}
	m := compile(t, e, asking())
	for range cap(e.slots.work) {
		e.slots.work <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Call(ctx, nobody, abi.HookEvent, &fakeHost{}); !errors.Is(err, context.Canceled) {
		t.Errorf("event: %v", err)
	}
	if len(e.slots.late) != 0 {
		t.Error("it keeps its slot")
	}
	if _, err := m.Call(t.Context(), nobody, abi.HookInbound, &fakeHost{}); err != nil {
		t.Errorf("mail: %v", err)
	}
}

// A server that does not answer is waited for until the call's time is over, whether the
// host gives up by itself or not.
func TestSlowServer(t *testing.T) {
	lim := testLimits()
	lim.LateTime = 30 * time.Millisecond
	m := compile(t, engineOf(t, Config{Limits: lim}), asking())
	for _, answer := range []error{abi.HostFailure, nil} {
		host := &fakeHost{http: func(ctx context.Context) (int, error) { <-ctx.Done(); return 7, answer }}
		_, err := m.Call(t.Context(), nobody, abi.HookEvent, host)
		if known, ok := errors.AsType[*CallError](err); !ok || known.Reason != ReasonDeadline {
			t.Errorf("%v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	host := &fakeHost{http: func(ctx context.Context) (int, error) { cancel(); <-ctx.Done(); return 0, abi.HostFailure }}
	if _, err := m.Call(ctx, nobody, abi.HookTick, host); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits: %v", err)
	}
	broken := &fakeHost{http: func(context.Context) (int, error) { panic("the host is broken") }}
	_, err := m.Call(t.Context(), nobody, abi.HookTick, broken)
	if _, ours := errors.AsType[*HostError](err); !ours {
		t.Errorf("a host that panics: %v", err)
	}
	if e := m.engine; len(e.slots.late)+len(e.slots.work) != 0 {
		t.Error("slots are lost")
	}
}

// A call has the limits of its hook, or lower ones of its own.
func TestBounds(t *testing.T) {
	lim := testLimits() // 4 MiB
	lim.LateMemoryBytes, lim.LateTime, lim.CallTime = 8<<20, time.Minute, time.Minute
	grows := func(hook string, a *assembler) *assembler {
		return a.fn(abi.Export(hook), ":i", growForever, pages)
	}
	all := grows("tick", grows("event", grows("inbound", &assembler{}))).fn("postern_outbound", ":i", forever, konst(0))
	e := engineOf(t, Config{Limits: lim})
	m := compile(t, e, all.bytes())
	for _, tt := range []struct {
		hook   string
		bounds Bounds
		want   string
	}{
		{"inbound", Bounds{}, "postern_inbound returned 64"},
		{"event", Bounds{}, "postern_event returned 128"},
		{"tick", Bounds{MemoryBytes: 1 << 30}, "postern_tick returned 128"},
		{"event", Bounds{MemoryBytes: 1 << 20}, "postern_event returned 16"},
		{"inbound", Bounds{MemoryBytes: 8 << 20}, "postern_inbound returned 64"},
		{"inbound", Bounds{MemoryBytes: 1}, "postern_inbound returned 1"},
		{"outbound", Bounds{Fuel: 100_000}, "fuel"},
		{"outbound", Bounds{Time: time.Millisecond}, "deadline: it took longer than 1ms"},
	} {
		_, err := m.CallWithin(t.Context(), nobody, tt.hook, &fakeHost{}, tt.bounds)
		if _, blamed := errors.AsType[*CallError](err); !blamed || !holds(err, tt.want) {
			t.Errorf("%s, %+v: %v, want %q", tt.hook, tt.bounds, err, tt.want)
		}
	}
	large := func() *assembler { return grows("event", &assembler{memories: [][]byte{{0, 100}}}) }
	if _, err := compile(t, e, large().bytes()).Call(t.Context(), nobody, "event", &fakeHost{}); !holds(err, "returned 128") {
		t.Errorf("a large one for events: %v", err)
	}
	if _, err := e.Compile(t.Context(), large().fn("postern_inbound", ":i", konst(0)).bytes()); !holds(err, "its memory is too large") {
		t.Errorf("a large one for mail: %v", err)
	}
}

func holds(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

// What the imports with effects are given arrives, and their answers do.
func TestEffects(t *testing.T) {
	key, room := [][]byte{konst(0), konst(3)}, [][]byte{konst(100), konst(64)}
	for _, tt := range []struct {
		fn, sig string
		args    [][]byte
		want    string // what it returns, a 64-bit one shifted right by 32
		told    string
		memory  string
	}{
		{"kv_delete", "ii:i", key, "", "[delete key]", ""},
		{"kv_incr", "iiII:I", slices.Concat(key, [][]byte{konst64(3), konst64(60)}), "returned 3", "[]", ""},
		{"kv_incr", "iiII:I", [][]byte{konst(0), konst(0), konst64(3), konst64(60)}, "returned -1", "[]", ""}, // -3 >> 32
		{"kv_list", "iiiiii:i", slices.Concat(key, [][]byte{konst(1), konst(2)}, room), "returned 11", "[]", "list key ey"},
		{"http", "ii:i", key, "returned 7", "[http key]", ""},
		{"http_read", "iIii:i", append([][]byte{konst(7), konst64(-1)}, room...), "returned 9", "[]", "read 7 -1"},
		{"send", "ii:i", key, "", "[send key]", ""},
		{"thread", "ii:i", room, "returned 11", "[]", `{"count":1}`},
	} {
		a := (&assembler{}).text(0, "key").imp(abi.Module, tt.fn, tt.sig).imp(abi.Module, "verdict", "ii:i")
		code := slices.Concat(tt.args, [][]byte{invoke(0)})
		if strings.HasSuffix(tt.sig, "I") {
			code = append(code, konst64(32), []byte{0x87, 0xa7}) // shifted right, and wrapped
		}
		code = append(code, konst(100), konst(int32(len(tt.memory))), invoke(1), drop)
		host := &fakeHost{}
		_, err := compile(t, newEngine(t, ""), a.fn("postern_event", ":i", code...).bytes()).Call(t.Context(), nobody, "event", host)
		if (err == nil) != (tt.want == "") || err != nil && !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.fn, err, tt.want)
		}
		if fmt.Sprint(host.lines) != tt.told || host.verdict != tt.memory {
			t.Errorf("%s: told %q, answered %q", tt.fn, host.lines, host.verdict)
		}
	}
}

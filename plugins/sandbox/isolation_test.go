package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/plugins/sandbox/snapshot"
	"github.com/centerleap/postern/sdk/abi"
)

// Ways in which a call of the intruder ends.
const (
	endWell = iota
	endTrap
	endLoop
	endGrown
	endHost
	endExit
	endCancelled
	endStatus
	ends
)

// intruder looks at all its memory and its global for what a call before it wrote, and
// says so with its status; then it writes that everywhere, and ends as it is told.
func intruder() *assembler {
	const secret = -1515870811 // 0xa5a5a5a5
	const size = 2 * 64 << 10
	is := func(end int32, code ...[]byte) []byte {
		return slices.Concat([]byte{0x20, 1}, konst(end), []byte{0x46}, when(code...))
	}
	leave := func(status int32) []byte { return append(konst(status), 0x0f) }
	a := (&assembler{}).imp(abi.Module, "event", "ii:i").imp(abi.Module, "part", "iIii:i").imp(wasiModule, "proc_exit", "i:").global()
	a.fn("postern_inbound", ":i",
		[]byte{0x23, 0}, when(leave(101)),
		[]byte{0x03, 0x40, 0x20, 0, 0x28, 2, 0}, konst(secret), []byte{0x46}, when(leave(102)),
		[]byte{0x20, 0, 0x41, 4, 0x6a, 0x22, 0}, konst(size), []byte{0x49, 0x0d, 0, 0x0b},
		konst(0), konst(0), invoke(0), []byte{0x21, 1},
		konst(secret), []byte{0x24, 0}, konst(0), konst(0xa5), konst(size), []byte{0xfc, 11, 0},
		is(endTrap, unreachable), is(endLoop, forever), is(endGrown, grow(1)),
		is(endHost, konst(0), konst64(0), konst(0), konst(96<<10), invoke(1), drop),
		is(endExit, konst(0), invoke(2)), is(endCancelled, forever), is(endStatus, leave(3)),
		konst(0))
	a.code[0] = withLocals(a.code[0], 2)
	a.memories = [][]byte{{0, 2}}
	return a
}

// withLocals gives a function that has none some of type i32.
func withLocals(code []byte, n uint64) []byte {
	for code[0] >= 0x80 { // its size
		code = code[1:]
	}
	return sized(slices.Concat([]byte{1}, binary.AppendUvarint(nil, n), []byte{0x7f}, code[2:]))
}

// intruded is the host of one call.
type intruded struct {
	fakeHost
	end    int
	cancel func()
}

func (h *intruded) Event() ([]byte, error) {
	if h.end == endCancelled {
		h.cancel()
	}
	return make([]byte, h.end), nil
}

// Part answers from another goroutine, as a reader that a pipe feeds does.
func (h *intruded) Part(_ int, _ int64, p []byte) (int, error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range p {
			p[i] = 0xa5
		}
	}()
	<-done
	return len(p), nil
}

// Robustness 7: no call finds anything of another, its own or another owner's, however
// that one ended. After each the memory is compared with the image. In CI there are
// 100,000 calls.
func TestRobustness7Isolation(t *testing.T) {
	lim := testLimits()
	lim.Fuel, lim.CallTime = 3_000_000, time.Minute
	rounds := 3000
	if raceEnabled {
		rounds = 300
	}
	if os.Getenv("CI") == "true" && !raceEnabled {
		rounds = 100_000
	}
	m := compile(t, engineOf(t, Config{Limits: lim}), intruder().bytes())
	r, ended := rand.New(rand.NewPCG(5, 6)), [ends]int{}
	for i := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		h := &intruded{end: endWell, cancel: cancel}
		if r.IntN(4) == 0 {
			h.end = r.IntN(ends)
		}
		_, err := m.Call(ctx, Owner{byte(r.IntN(3))}, "inbound", h)
		cancel()
		if got := howEnded(err); got != [ends]string{"", ReasonTrap, ReasonFuel, "", "", ReasonStatus, "cancelled", ReasonStatus}[h.end] {
			t.Fatalf("call %d, which is to end as %d: %q: %v", i, h.end, got, err)
		}
		if known, ok := errors.AsType[*CallError](err); ok && known.Reason == ReasonStatus && h.end != endStatus && h.end != endExit {
			t.Fatalf("call %d found something: %v", i, err)
		}
		ended[h.end]++
	}
	if slices.Contains(ended[:], 0) {
		t.Errorf("%v calls ended in each way", ended)
	}
}

func howEnded(err error) string {
	if known, ok := errors.AsType[*CallError](err); ok {
		return known.Reason
	}
	if errors.Is(err, context.Canceled) {
		return "cancelled"
	}
	if err != nil {
		return fmt.Sprintf("%T", err)
	}
	return ""
}

// The check that these tests rely on finds a byte that was not put back: here one that
// was written when nobody may.
func TestCheckFinds(t *testing.T) {
	m := compile(t, engineOf(t, Config{Limits: testLimits()}), hook(konst(0)).bytes())
	const page = 4 << 10
	for i := range 15 { // a call during which the thread faults for another reason looks at all pages, and finds it
		in, err := m.instance(t.Context(), nobody)
		if err != nil {
			t.Fatal(err)
		}
		if in.state.Private() == in.size() {
			return // all memory is copied back: there is nothing that could be missed
		}
		in.memory.Reallocate(uint64(in.size()))[i*page+100] = 7
		m.giveBack(in, nil, time.Now())
		_, err = m.Call(t.Context(), nobody, "inbound", &fakeHost{})
		if diff, ok := errors.AsType[*snapshot.DiffError](err); ok && diff.Offset == i*page+100 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("it was never found")
}

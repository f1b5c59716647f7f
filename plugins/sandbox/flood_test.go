package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// floodHost counts what it is told, and keeps nothing.
type floodHost struct {
	fakeHost
	lines, logged, puts, parts int
}

func (h *floodHost) Log(_ int, text string)                    { h.lines++; h.logged += len(text) }
func (h *floodHost) Verdict([]byte) error                      { return abi.TooLarge }
func (h *floodHost) KVPut(string, []byte, int64) error         { h.puts++; return nil }
func (h *floodHost) HTTP(context.Context, []byte) (int, error) { return 7, nil }
func (h *floodHost) Send([]byte) error                         { return abi.OverQuota }
func (h *floodHost) Part(_ int, off int64, p []byte) (int, error) {
	if off == 0 { // and not the next piece of the same question
		h.parts++
	}
	return len(p), nil
}

// Robustness 4: a module that asks for much, or says much, gets an end, and costs the
// host little. What may be asked at all is bounded here, for all imports alike; how many
// answers of servers are kept, TestRobustness9Servers of package plugins says.
func TestRobustness4Floods(t *testing.T) {
	const times = 10_000_000               // far more than a call may ask
	again := func(code ...[]byte) []byte { // global 0 counts
		return slices.Concat([]byte{0x03, 0x40}, slices.Concat(code...), bump, konst(times), []byte{0x48, 0x0d, 0, 0x0b}, konst(0))
	}
	with := func(module, fn, sig string, code ...[]byte) *assembler {
		a := (&assembler{}).imp(module, fn, sig).global().fn("postern_inbound", ":i", again(code...))
		a.memories = [][]byte{{0, 64}}
		return a
	}
	iovec := string(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 4096), 1<<20))
	lim := realLimits()
	for _, tt := range []struct {
		name string
		a    *assembler
		want string
	}{
		{"a gigabyte of log lines", with(abi.Module, "log", "iii:", konst(1), konst(0), konst(1<<20), invoke(0)), ReasonHostCalls},
		{"a gigabyte printed", with(wasiModule, "fd_write", "iiii:i", konst(1), konst(0), konst(1), konst(8), invoke(0), drop).text(0, iovec), ReasonHostCalls},
		{"questions", with(abi.Module, "now", ":I", invoke(0), drop), ReasonHostCalls},
		{"questions of WASI", with(wasiModule, "sched_yield", ":i", invoke(0), drop), ReasonFuel},
		{"values that are put", with(abi.Module, "kv_put", "iiiiI:i", konst(0), konst(8), konst(0), konst(64<<10), konst64(0), invoke(0), drop), ReasonHostCalls},
		{"requests that nobody reads", with(abi.Module, "http", "ii:i", konst(0), konst(64), invoke(0), drop), ReasonHostCalls},
		{"answers", with(abi.Module, "http_read", "iIii:i", konst(7), konst64(0), konst(0), konst(1<<20), invoke(0), drop), ReasonHostCalls},
		{"counters", with(abi.Module, "kv_incr", "iiII:I", konst(0), konst(8), konst64(1), konst64(0), invoke(0), drop), ReasonHostCalls},
		{"lists", with(abi.Module, "kv_list", "iiiiii:i", konst(0), konst(0), konst(0), konst(0), konst(0), konst(1<<20), invoke(0), drop), ReasonHostCalls},
		{"mails", with(abi.Module, "send", "ii:i", konst(0), konst(1<<20), invoke(0), drop), ReasonHostCalls},
		{"parts, whole", with(abi.Module, "part", "iIii:i", konst(0), konst64(0), konst(0), konst(1<<20), invoke(0), drop), ReasonHostCalls},
		{"verdicts of a megabyte", with(abi.Module, "verdict", "ii:i", konst(0), konst(1<<20), invoke(0), drop), ReasonHostCalls},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := engineOf(t, Config{Limits: lim})
			m, h := compile(t, e, tt.a.bytes()), &floodHost{}
			before := resident(t)
			used, err := m.Call(t.Context(), nobody, "inbound", h)
			grown := resident(t) - before - used.MemoryBytes
			known, ok := errors.AsType[*CallError](err)
			if !ok || known.Reason != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if used.HostCalls > lim.HostCalls+1 || used.Fuel > lim.Fuel+lim.Fuel/10 || h.puts+h.parts > int(lim.HostCalls) {
				t.Errorf("%+v; %d values, %d parts", used, h.puts, h.parts)
			}
			if h.lines > int(lim.LogLines) || h.logged > int(lim.LogLines*lim.LogBytes) {
				t.Errorf("%d lines of %d bytes together", h.lines, h.logged)
			}
			if grown > 8<<20 && !raceEnabled {
				t.Errorf("the host's memory grew by %d KiB", grown>>10)
			}
			t.Logf("%v, %+v, host memory +%d KiB", err, used, grown>>10)
		})
	}
}

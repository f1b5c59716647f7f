package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk/abi"
)

// asks is a module that calls one function of WASI with arguments, and returns its errno.
func asks(name string, args ...[]byte) *assembler {
	for _, f := range wasi {
		if f.name == name {
			return (&assembler{}).imp(wasiModule, name, f.sig).fn("postern_inbound", ":i", append(args, invoke(0))...)
		}
	}
	panic(name)
}

// Robustness 6: a module that looks for files, arguments, an environment or a network
// finds none.
func TestRobustness6WASI(t *testing.T) {
	e := engineOf(t, Config{Limits: testLimits()})
	for _, tt := range []struct {
		name string
		a    *assembler
		want string // errno
	}{
		{"the root as it would be opened before", asks("fd_prestat_get", konst(3), konst(64)), "8"},
		{"its name", asks("fd_prestat_dir_name", konst(3), konst(64), konst(8)), "8"},
		{"a path below it", asks("path_open", konst(3), konst(0), konst(0), konst(4), konst(0), konst64(-1), konst64(-1), konst(0), konst(64)), "8"},
		{"a path below standard input", asks("path_open", konst(0), konst(0), konst(0), konst(4), konst(0), konst64(-1), konst64(-1), konst(0), konst(64)), "52"},
		{"a file's state", asks("path_filestat_get", konst(3), konst(0), konst(0), konst(4), konst(64)), "8"},
		{"a link", asks("path_readlink", konst(3), konst(0), konst(4), konst(64), konst(8), konst(80)), "8"},
		{"a folder that is made", asks("path_create_directory", konst(3), konst(0), konst(4)), "8"},
		{"a folder's list", asks("fd_readdir", konst(3), konst(64), konst(64), konst64(0), konst(8)), "8"},
		{"a descriptor that is moved", asks("fd_renumber", konst(1), konst(3)), "52"},
		{"a connection", asks("sock_accept", konst(3), konst(0), konst(64)), "8"},
		{"what it says", asks("sock_recv", konst(4), konst(0), konst(1), konst(0), konst(64), konst(68)), "8"},
		{"a descriptor to wait for", asks("poll_oneoff", konst(0), konst(64), konst(1), konst(128)).text(8, "\x01"), "52"},
		{"two things to wait for", asks("poll_oneoff", konst(0), konst(256), konst(2), konst(512)), "52"},
		{"a signal", asks("proc_raise", konst(9)), "52"},
		{"a clock of the processor", asks("clock_time_get", konst(2), konst64(0), konst(64)), "28"},
		{"output elsewhere", asks("fd_write", konst(3), konst(0), konst(1), konst(64)), "8"},
		{"input elsewhere", asks("fd_read", konst(3), konst(0), konst(1), konst(64)), "8"},
		{"a place in the output", asks("fd_seek", konst(1), konst64(0), konst(1), konst(64)), "70"},
	} {
		_, err := compile(t, e, tt.a.text(4096, "/etc").bytes()).Call(t.Context(), nobody, "inbound", &fakeHost{})
		if err == nil || !strings.HasSuffix(err.Error(), "returned "+tt.want) {
			t.Errorf("%s: %v, want errno %s", tt.name, err, tt.want)
		}
	}
}

// The standard library of Go finds nothing either, and goes on.
func TestRobustness6Go(t *testing.T) {
	lim := realLimits()
	lim.LogLines, lim.LogBytes = 10, 100
	m := compile(t, engineOf(t, Config{Limits: lim, CacheDir: compiled}), realModule(t, systemGuest))
	for range 2 {
		for _, hook := range []string{abi.HookInbound, abi.HookOutbound, abi.HookThread} {
			h := &fakeHost{}
			if _, err := m.Call(t.Context(), nobody, hook, h); err != nil {
				t.Errorf("%s: %v, %q", hook, err, h.lines)
			}
			if want := "[1 out 2 err]"; hook == abi.HookThread && fmt.Sprint(h.lines) != want {
				t.Errorf("%q, want %q", h.lines, want)
			}
		}
	}
}

// No function of WASI lets a module do more than fail, whatever its arguments.
func TestWASIArguments(t *testing.T) {
	e := engineOf(t, Config{Limits: testLimits()})
	for i := range wasi {
		f := &wasi[i]
		in, out, _ := strings.Cut(f.sig, ":")
		for _, v := range []int32{0, 1, 8, 65536 - 8, 65536, -1, -8} {
			var code [][]byte
			for _, c := range in {
				if c == 'I' {
					code = append(code, konst64(int64(v)))
				} else {
					code = append(code, konst(v))
				}
			}
			if code = append(code, invoke(0)); out != "" {
				code = append(code, drop)
			}
			m := compile(t, e, (&assembler{}).imp(wasiModule, f.name, f.sig).fn("postern_inbound", ":i", append(code, konst(0))...).bytes())
			_, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{})
			if _, known := errors.AsType[*CallError](err); err != nil && !known {
				t.Errorf("%s with %d: %T %v", f.name, v, err, err)
			}
		}
	}
}

// told is a module that hands what WASI wrote to 64 as its verdict, n bytes.
func told(n int32, name string, args ...[]byte) *assembler {
	a := asks(name)
	a.types, a.functions, a.code, a.exports, a.imports = nil, nil, nil, nil, nil
	for _, f := range wasi {
		if f.name == name {
			a.imp(wasiModule, name, f.sig)
		}
	}
	return a.imp(abi.Module, "verdict", "ii:i").
		fn("postern_inbound", ":i", slices.Concat(args...), invoke(0), drop, konst(64), konst(n), invoke(1))
}

// The clock of day stands still, the other goes on with the fuel, and sleeping takes no
// time.
func TestClocks(t *testing.T) {
	e := engineOf(t, Config{Limits: testLimits()})
	read := func(a *assembler) uint64 {
		t.Helper()
		h := &fakeHost{}
		if _, err := compile(t, e, a.bytes()).Call(t.Context(), nobody, "inbound", h); err != nil {
			t.Fatal(err)
		}
		return binary.LittleEndian.Uint64([]byte(h.verdict))
	}
	day := told(8, "clock_time_get", konst(0), konst64(1), konst(64))
	if got := read(day); got != 1_700_000_000_123_000_000 {
		t.Errorf("the time of day is %d", got)
	}
	one, more := told(8, "clock_time_get", konst(1), konst64(1), konst(64)), told(8, "clock_time_get", konst(1), konst64(1), konst(64))
	more.code[0] = sized(slices.Concat([]byte{0}, bytes.Repeat([]byte{0x41, 0, 0x1a}, 1000), more.code[0][2:])) // with nothing, often
	if a, b := read(one), read(more); a == 0 || b <= a {
		t.Errorf("the clock shows %d, then %d", a, b)
	}
	timer := append(make([]byte, 24), binary.LittleEndian.AppendUint64(nil, 5e9)...) // five seconds from now
	sleep := (&assembler{}).text(0, string(timer)).imp(wasiModule, "poll_oneoff", "iiii:i").imp(wasiModule, "clock_time_get", "iIi:i").imp(abi.Module, "verdict", "ii:i").
		fn("postern_inbound", ":i", konst(0), konst(256), konst(1), konst(512), invoke(0), drop,
			konst(1), konst64(1), konst(64), invoke(1), drop, konst(64), konst(8), invoke(2))
	if got := read(sleep); got < 5e9 || got > 6e9 {
		t.Errorf("after five seconds of sleep the clock shows %d", got)
	}
}

// Random numbers are new in every call, or with a seed always the same.
func TestRandom(t *testing.T) {
	wasm := told(32, "random_get", konst(64), konst(32)).bytes()
	for _, seed := range []*[32]byte{nil, {1}} {
		m := compile(t, engineOf(t, Config{Limits: testLimits(), Seed: seed}), wasm)
		var said []string
		for range 3 {
			h := &fakeHost{}
			if _, err := m.Call(t.Context(), nobody, "inbound", h); err != nil {
				t.Fatal(err)
			}
			if strings.Count(h.verdict, "\x00") > 8 {
				t.Errorf("%q is not random", h.verdict)
			}
			said = append(said, h.verdict)
		}
		if same := said[0] == said[1] && said[1] == said[2]; same != (seed != nil) {
			t.Errorf("with seed %v: %q", seed, said)
		}
	}
}

// A caller that is gone is not served by functions that take long.
func TestWASIEnds(t *testing.T) {
	iovec := string(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 0), 65536))
	e := engineOf(t, Config{Limits: testLimits()})
	for name, a := range map[string]*assembler{
		"random_get": asks("random_get", konst(0), konst(65536)),
		"fd_write":   asks("fd_write", konst(1), konst(0), konst(1), konst(64)).text(0, iovec),
	} {
		m := compile(t, e, a.bytes())
		ctx, cancel := context.WithCancel(t.Context())
		in, err := m.instance(ctx, nobody)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		in.call = e.newCall(ctx, &fakeHost{}, time.Now(), e.bounds("inbound", Bounds{}))
		spoils, _ := in.ask(&in.call, abi.Export("inbound"))
		if !errors.Is(spoils, context.Canceled) {
			t.Errorf("%s: %v", name, spoils)
		}
		m.giveBack(in, spoils, time.Now())
	}
}

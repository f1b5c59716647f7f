package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
	"github.com/centerleap/postern/sdk/abi"
)

// compiled is where modules of real compilers are compiled to, once for all tests: with
// the race detector it takes many seconds.
var compiled string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "compiled")
	if err != nil {
		panic(err)
	}
	compiled = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// nobody is the Owner where it does not matter.
var nobody Owner

func testLimits() Limits {
	return Limits{
		ModuleBytes: 16 << 20, Functions: 100, Locals: 50, MemoryBytes: 4 << 20, IdleBytes: 64 << 20, HostCalls: 100, LogLines: 3, LogBytes: 8,
		FunctionBytes: 128 << 10, Blocks: 20_000,
		CallTime: 300 * time.Millisecond, CompileTime: time.Minute, Fuel: 1 << 40, StackBytes: 1 << 20, Frames: 10_000,
	}
}

func newEngine(t testing.TB, cacheDir string) *Engine {
	t.Helper()
	return engineOf(t, Config{Limits: testLimits(), CacheDir: cacheDir})
}

// engineOf is an Engine until the test ends. In a test, not in a benchmark, it compares
// each instance with its image after every call.
func engineOf(t testing.TB, cfg Config) *Engine {
	t.Helper()
	_, cfg.Check = t.(*testing.T)
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func compile(t testing.TB, e *Engine, wasm []byte) *Module {
	t.Helper()
	m, err := e.Compile(context.Background(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// fakeHost answers with fixed values and keeps what it was told.
type fakeHost struct {
	err     error // of KVGet
	panics  bool  // in Config
	verdict string
	lines   []string
	put     []byte
	part    func(p []byte)
	http    func(context.Context) (int, error)
}

func (h *fakeHost) Event() ([]byte, error)          { return []byte(`{"v":1}`), nil }
func (h *fakeHost) Get(path string) (string, error) { return "got " + path, nil }
func (h *fakeHost) HeaderCount(string) (int, error) { return 2, nil }
func (h *fakeHost) Now() int64                      { return 1_700_000_000_123 }
func (h *fakeHost) KVGet(string) ([]byte, error)    { return nil, h.err }
func (h *fakeHost) Log(level int, text string) {
	h.lines = append(h.lines, fmt.Sprint(level, " ", text))
}
func (h *fakeHost) Verdict(doc []byte) error                { h.verdict = string(doc); return nil }
func (h *fakeHost) KVPut(_ string, v []byte, _ int64) error { h.put = bytes.Clone(v); return nil }

func (h *fakeHost) KVDelete(key string) error { h.lines = append(h.lines, "delete "+key); return nil }

func (h *fakeHost) Send(doc []byte) error   { h.lines = append(h.lines, "send "+string(doc)); return nil }
func (h *fakeHost) Thread() ([]byte, error) { return []byte(`{"count":1}`), nil }

func (h *fakeHost) KVIncr(key string, delta, ttl int64) (int64, error) {
	if key == "" {
		return 0, abi.BadArgument
	}
	return delta<<32 + ttl, nil
}

func (h *fakeHost) KVList(prefix, cursor string) ([]byte, error) {
	return []byte("list " + prefix + " " + cursor), nil
}

func (h *fakeHost) HTTP(ctx context.Context, req []byte) (int, error) {
	h.lines = append(h.lines, "http "+string(req))
	if h.http != nil {
		return h.http(ctx)
	}
	return 7, nil
}

func (h *fakeHost) HTTPRead(handle int, off int64, p []byte) (int, error) {
	return copy(p, fmt.Sprint("read ", handle, " ", off)), nil
}

func (h *fakeHost) Header(n string, i int) (string, error) {
	if i > 1 {
		return "", abi.Absent
	}
	return fmt.Sprint(n, i), nil
}

func (h *fakeHost) Part(_ int, _ int64, p []byte) (int, error) {
	if h.part != nil {
		h.part(p)
	}
	return copy(p, "part"), nil
}

func (h *fakeHost) Config(string) (string, error) {
	if h.panics {
		panic("the host is broken")
	}
	return "", abi.Absent
}

// hook is a module that answers the inbound hook with some instructions.
func hook(code ...[]byte) *assembler { return (&assembler{}).fn("postern_inbound", ":i", code...) }

// How a call ends is told apart: the module's fault, the host's, the caller's.
func TestCallEnds(t *testing.T) {
	lim := testLimits()
	lim.CallTime *= 100 // nothing else may end a call first, on a busy machine
	patient := engineOf(t, Config{Limits: lim})
	with := func(fn, sig string, code ...[]byte) []byte {
		return (&assembler{}).imp(abi.Module, fn, sig).fn("postern_inbound", ":i", code...).bytes()
	}
	kvGet := func() []byte {
		return with("kv_get", "iiii:i", konst(0), konst(1), konst(0), konst(8), invoke(0))
	}
	for _, tt := range []struct {
		name string
		wasm []byte
		host fakeHost
		want string // reason; "" for none, "host" for a HostError
	}{
		{"decided", hook(konst(0)).bytes(), fakeHost{}, ""},
		{"a status", hook(konst(3)).bytes(), fakeHost{}, ReasonStatus},
		{"a trap", hook(unreachable).bytes(), fakeHost{}, ReasonTrap},
		{"an endless loop", hook(forever, konst(0)).bytes(), fakeHost{}, ReasonDeadline},
		{"endless recursion", hook(invoke(0)).bytes(), fakeHost{}, ReasonDepth},
		{"a memory bomb stops at the cap", hook(growForever, konst(0)).bytes(), fakeHost{}, ""},
		{"an exit", (&assembler{}).imp("wasi_snapshot_preview1", "proc_exit", "i:").fn("postern_inbound", ":i", konst(7), invoke(0), konst(0)).bytes(), fakeHost{}, ReasonStatus},
		{"too many questions", with("now", ":I", []byte{0x03, 0x40}, invoke(0), drop, []byte{0x0c, 0, 0x0b}, konst(0)), fakeHost{}, ReasonHostCalls},
		{"an errno is the module's to handle", kvGet(), fakeHost{err: abi.OverQuota}, ReasonStatus},
		{"a host that fails", kvGet(), fakeHost{err: errors.New("disk")}, "host"},
		{"a host that panics", with("config", "iiii:i", konst(0), konst(1), konst(0), konst(8), invoke(0)), fakeHost{panics: true}, "host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := patient
			if tt.want == ReasonDeadline {
				e = newEngine(t, "")
			}
			m := compile(t, e, tt.wasm)
			for range 2 { // a bad end harms no later call
				_, err := m.Call(t.Context(), nobody, "inbound", &tt.host)
				got := ""
				if known, ok := errors.AsType[*CallError](err); ok {
					got = known.Reason
				} else if _, ok := errors.AsType[*HostError](err); ok {
					got = "host"
				} else if err != nil {
					t.Fatalf("%T %v", err, err)
				}
				if got != tt.want && (got == "" || !strings.Contains(tt.want, got)) {
					t.Errorf("%q (%v), want %q", got, err, tt.want)
				}
			}
		})
	}
}

// Whoever waits no longer gets that as the answer, and the module stops.
func TestCallCancelled(t *testing.T) {
	m := compile(t, newEngine(t, ""), hook(forever, konst(0)).bytes())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := m.Call(ctx, nobody, "inbound", &fakeHost{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// Every call starts from nothing: globals, memory, size of memory.
func TestCallsAreFresh(t *testing.T) {
	wasm := (&assembler{}).global().
		fn("postern_inbound", ":i", bump, konst(-1), []byte{0x6a}).                                            // counter + -1: 0 if fresh
		fn("postern_outbound", ":i", load(64), store(64, 5)).                                                  // what was there
		fn("postern_thread", ":i", []byte{0x3f, 0}, konst(-1), []byte{0x6a}, konst(3), []byte{0x40, 0}, drop). // pages beyond the first
		bytes()
	m := compile(t, newEngine(t, ""), wasm)
	for range 3 {
		for _, hook := range []string{abi.HookInbound, abi.HookOutbound, abi.HookThread} {
			if _, err := m.Call(t.Context(), nobody, hook, &fakeHost{}); err != nil {
				t.Errorf("%s is not fresh: %v", hook, err)
			}
		}
	}
}

// Robustness 3: an import reads and writes the module's memory and nothing else.
func TestRobustness3Pointers(t *testing.T) {
	e := newEngine(t, "")
	const page = 64 << 10
	for n := range imports {
		f := &imports[n]
		params, _ := f.types()
		for i, p := range params {
			if i+1 >= len(params) || p != i32 || params[i+1] != i32 || f.name == "header" && i == 2 || f.name == "header" && i == 1 || f.name == "log" && i == 0 {
				continue // no pointer with its length
			}
			if (f.name == "get" || f.name == "config" || f.name == "kv_get" || f.name == "kv_put" || f.name == "kv_list" || f.name == "header_count") && i%2 == 1 {
				continue
			}
			for _, at := range []struct {
				ptr, n int32
				ok     bool
			}{{0, 8, true}, {page - 8, 8, true}, {page, 0, true}, {page, 1, false}, {page - 7, 8, false}, {-1, 1, false}, {0, -1, false}, {8, math.MaxInt32, false}} {
				var code [][]byte
				for j, q := range params {
					switch {
					case j == i:
						code = append(code, konst(at.ptr))
					case j == i+1:
						code = append(code, konst(at.n))
					case q == i64:
						code = append(code, konst64(0))
					default:
						code = append(code, konst(0))
					}
				}
				if code = append(code, invoke(0)); !strings.HasSuffix(f.sig, ":") {
					code = append(code, drop)
				}
				wasm := (&assembler{}).imp(abi.Module, f.name, f.sig).fn("postern_inbound", ":i", append(code, konst(0))...).bytes()
				_, err := compile(t, e, wasm).Call(t.Context(), nobody, "inbound", &fakeHost{})
				known, bad := errors.AsType[*CallError](err)
				if at.ok && err != nil || !at.ok && (!bad || known.Reason != ReasonPointer) {
					t.Errorf("%s, argument %d: pointer %d, length %d: %v", f.name, i, at.ptr, at.n, err)
				}
			}
		}
	}
}

// What crosses the border arrives whole, cut to the room there is.
func TestImportAnswers(t *testing.T) {
	e := newEngine(t, "")
	host := &fakeHost{}
	wasm := (&assembler{}).text(0, "subject").text(16, `{"action":"x"}`).
		imp(abi.Module, "get", "iiii:i").imp(abi.Module, "verdict", "ii:i").imp(abi.Module, "kv_put", "iiiiI:i").imp(abi.Module, "header", "iiiii:i").
		fn("postern_inbound", ":i",
			konst(0), konst(7), konst(100), konst(6), invoke(0), drop, // "got su" at 100
			konst(100), konst(8), invoke(1), drop, // with two bytes that were never written
			konst(0), konst(7), konst(100), konst(6), konst64(60), invoke(2), drop,
			konst(0), konst(7), konst(5), konst(200), konst(8), invoke(3)). // Absent
		bytes()
	_, err := compile(t, e, wasm).Call(t.Context(), nobody, "inbound", host)
	if err == nil || err.Error() != "the plugin failed: status: postern_inbound returned -1" {
		t.Errorf("%v", err)
	}
	if host.verdict != "got su\x00\x00" || string(host.put) != "got su" {
		t.Errorf("verdict %q, value %q", host.verdict, host.put)
	}
	bad := (&assembler{}).text(0, "\xff\xfe").imp(abi.Module, "get", "iiii:i").fn("postern_inbound", ":i", konst(0), konst(2), konst(9), konst(9), invoke(0)).bytes()
	if _, err := compile(t, e, bad).Call(t.Context(), nobody, "inbound", host); err == nil || !strings.HasSuffix(err.Error(), "returned -3") {
		t.Errorf("a path that is not UTF-8: %v", err)
	}
}

// The log takes some lines of some length from a call, and drops the rest.
func TestLog(t *testing.T) {
	host := &fakeHost{}
	say := append(append(append(konst(1), konst(0)...), konst(20)...), invoke(0)...)
	wasm := (&assembler{}).text(0, "a line that is too long").imp(abi.Module, "log", "iii:").
		fn("postern_inbound", ":i", say, say, say, say, say, konst(0)).bytes()
	if _, err := compile(t, newEngine(t, ""), wasm).Call(t.Context(), nobody, "inbound", host); err != nil {
		t.Fatal(err)
	}
	if want := "[1 a line t 1 a line t 1 a line t]"; fmt.Sprint(host.lines) != want {
		t.Errorf("%q, want %q", host.lines, want)
	}
}

// What is printed becomes lines of the log, as long as they may be.
func TestLineWriter(t *testing.T) {
	host, lim := &fakeHost{}, testLimits()
	w, c := &lineWriter{level: 2}, &call{host: host, limits: &lim}
	for _, s := range []string{"one\ntw", "o\n", strings.Repeat("x", 1000), "\nfour\n"} {
		w.write(c, []byte(s))
	}
	if want := "[2 one 2 two 2 xxxxxxxx]"; fmt.Sprint(host.lines) != want {
		t.Errorf("%q, want %q", host.lines, want)
	}
}

// WASI opens no file and shows no folder.
func TestNoFiles(t *testing.T) {
	e := newEngine(t, "")
	for _, tt := range []struct {
		fn, sig string
		args    [][]byte
		want    string // errno
	}{
		{"path_open", "iiiiiIIii:i", [][]byte{konst(3), konst(0), konst(0), konst(4), konst(0), konst64(-1), konst64(-1), konst(0), konst(64)}, "8"},
		{"fd_prestat_get", "ii:i", [][]byte{konst(3), konst(64)}, "8"},
		{"sock_accept", "iii:i", [][]byte{konst(3), konst(0), konst(64)}, "8"},
	} {
		wasm := (&assembler{}).text(0, "/etc").imp("wasi_snapshot_preview1", tt.fn, tt.sig).
			fn("postern_inbound", ":i", append(tt.args, invoke(0))...).bytes()
		_, err := compile(t, e, wasm).Call(t.Context(), nobody, "inbound", &fakeHost{})
		if err == nil || !strings.HasSuffix(err.Error(), "returned "+tt.want) {
			t.Errorf("%s: %v, want errno %s", tt.fn, err, tt.want)
		}
	}
}

// Robustness 5: a module that can't be run is refused with what is wrong about it.
// TestFaults, TestBombs and FuzzValidate of package rewrite say the rest.
func TestRobustness5Modules(t *testing.T) {
	e := newEngine(t, "")
	good := hook(konst(0)).bytes()
	many := hook(konst(0))
	for range 100 {
		many.fn("", ":")
	}
	imported := func(kind byte, rest ...byte) []byte {
		a := hook(konst(0))
		a.imports = [][]byte{append(append(append(name("env"), name("m")...), kind), rest...)}
		return a.bytes()
	}
	hidden := hook(konst(0))
	hidden.hideMemory = true
	two := hook(konst(0))
	two.memories = [][]byte{{0, 1}, {0, 1}}
	large := hook(konst(0))
	large.memories = [][]byte{{0, 0x80, 2}}
	started := hook(konst(0)).fn("", ":")
	started.extra = sectionOf(8, []byte{1})
	locals := hook(konst(0))
	locals.code[0] = sized([]byte{1, 51, 0x7f, 0x41, 0, 0x0b})
	for _, tt := range []struct {
		name string
		wasm []byte
		want string
	}{
		{"nothing", nil, "no WebAssembly module"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "no WebAssembly module"},
		{"truncated", good[:len(good)-3], "longer than what contains it"},
		{"no hook", (&assembler{}).fn("other", ":i", konst(0)).bytes(), "exports no hook"},
		{"a hook of another type", (&assembler{}).fn("postern_inbound", "i:i", konst(0)).bytes(), "must be () -> (i32)"},
		{"an _initialize of another type", hook(konst(0)).fn("_initialize", ":i", konst(0)).bytes(), "must be () -> ()"},
		{"hidden memory", hidden.bytes(), "does not export its memory"},
		{"two memories", two.bytes(), "too many memories"},
		{"too much memory", large.bytes(), "memory is too large"},
		{"an unknown module", (&assembler{}).imp("env", "exec", ":").fn("postern_inbound", ":i", konst(0)).bytes(), `"env.exec" is not offered`},
		{"an unknown import", (&assembler{}).imp(abi.Module, "exec", ":").fn("postern_inbound", ":i", konst(0)).bytes(), "is not offered"},
		{"an import of another type", (&assembler{}).imp(abi.Module, "now", ":i").fn("postern_inbound", ":i", konst(0)).bytes(), "has another type: it is () -> (i64)"},
		{"an imported table", imported(1, 0x70, 0, 1), "only functions can be imported"},
		{"an imported memory", imported(2, 0, 1), "only functions can be imported"},
		{"an imported global", imported(3, 0x7f, 0), "only functions can be imported"},
		{"a start function", started.bytes(), "start function"},
		{"too many functions", many.bytes(), "too many functions"},
		{"too many locals", locals.bytes(), "too many locals"},
		{"too large", make([]byte, 17<<20), "too large"},
		{"nonsense as code", hook([]byte{0xff}).bytes(), "no such instruction"},
	} {
		m, err := e.Compile(t.Context(), tt.wasm)
		fault, ok := errors.AsType[*FaultError](err)
		if !ok || !strings.Contains(fault.Error(), tt.want) {
			t.Errorf("%s: %v, want a fault with %q", tt.name, err, tt.want)
		}
		if m != nil {
			t.Errorf("%s: there is a module", tt.name)
		}
	}
}

// Closing waits for the calls that run.
func TestCloseWaits(t *testing.T) {
	e := newEngine(t, "")
	m, err := e.Compile(t.Context(), (&assembler{}).imp(abi.Module, "part", "iIii:i").
		fn("postern_inbound", ":i", konst(0), konst64(0), konst(0), konst(4), invoke(0), drop, konst(0)).bytes())
	if err != nil {
		t.Fatal(err)
	}
	running, goOn := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	host := &fakeHost{part: func([]byte) { close(running); <-goOn }}
	go func() {
		_, err := m.Call(context.Background(), nobody, "inbound", host)
		ended <- err
	}()
	<-running
	closed := make(chan error, 1)
	go func() { closed <- m.Close(context.Background()) }()
	select {
	case <-closed:
		t.Error("it closed under a running call")
	case <-time.After(20 * time.Millisecond):
	}
	close(goOn)
	if err := errors.Join(<-ended, <-closed); err != nil {
		t.Error(err)
	}
}

// Compiled code is kept on disk, for its owner alone.
func TestCache(t *testing.T) {
	dir := t.TempDir() + "/cache"
	for range 2 {
		e := newEngine(t, dir)
		if _, err := compile(t, e, hook(konst(0)).bytes()).Call(t.Context(), nobody, "inbound", &fakeHost{}); err != nil {
			t.Error(err)
		}
	}
}

// Modules that share compiled code are closed one by one.
func TestCacheIsShared(t *testing.T) {
	e := newEngine(t, t.TempDir())
	wasm := hook(konst(0)).bytes()
	other, err := e.Compile(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	m := compile(t, e, wasm)
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{}); err != nil {
		t.Error(err)
	}
}

// A cache that is damaged costs time, and is nobody's fault.
func TestDamagedCache(t *testing.T) {
	dir := t.TempDir() + "/cache"
	e := newEngine(t, dir)
	compile(t, e, hook(konst(0)).bytes())
	damaged := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		damaged++
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		raw[len(raw)/2] ^= 0xff
		return os.WriteFile(path, raw[:len(raw)-3], 0o600)
	})
	if err != nil || damaged == 0 {
		t.Fatal(err, damaged)
	}
	if _, err := compile(t, newEngine(t, dir), hook(konst(0)).bytes()).Call(t.Context(), nobody, "inbound", &fakeHost{}); err != nil {
		t.Error(err)
	}
}

// Who gets no slot in time is not to blame.
func TestNoSlot(t *testing.T) {
	e := newEngine(t, "")
	m := compile(t, e, hook(konst(0)).bytes())
	for range cap(e.slots.inline) {
		e.slots.inline <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := m.Call(ctx, nobody, "inbound", &fakeHost{})
	if _, ours := errors.AsType[*HostError](err); !ours {
		t.Errorf("%T %v", err, err)
	}
}

// A module that was compiled before does not wait behind a new one.
func TestLoad(t *testing.T) {
	e := newEngine(t, "")
	e.compile <- struct{}{}
	m, err := e.Load(t.Context(), hook(konst(0)).bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestManifest(t *testing.T) {
	wasm := hook(konst(0)).bytes()
	if _, ok, err := Manifest(wasm); ok || err != nil {
		t.Errorf("a module without: %v %v", ok, err)
	}
	one, err := WithManifest(wasm, []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := WithManifest(one, []byte("second"))
	if err != nil {
		t.Fatal(err)
	}
	if doc, ok, err := Manifest(two); string(doc) != "second" || !ok || err != nil {
		t.Errorf("%q %v %v", doc, ok, err)
	}
	if !bytes.HasPrefix(two, wasm) {
		t.Error("the other sections changed")
	}
	if _, _, err := Manifest(append(two, one[len(wasm):]...)); err == nil {
		t.Error("two manifests are taken")
	}
	compile(t, newEngine(t, ""), two)
}

// Whatever the bytes: a manifest that is put in is read back, and the rest stands.
func FuzzManifest(f *testing.F) {
	f.Add(hook(konst(0)).bytes(), []byte(`{"v":1}`))
	f.Add(hook(konst(0)).text(0, "x").bytes(), []byte(nil))
	f.Add(append(hook(konst(0)).bytes(), sectionOf(rewrite.SectionCustom, name("name"))...), []byte("{}"))
	e := newEngine(f, "")
	f.Fuzz(func(t *testing.T, wasm, doc []byte) {
		_, _, checked := rewrite.Module(wasm, &e.rewrite)
		out, err := WithManifest(wasm, doc)
		if err != nil {
			if checked == nil {
				t.Errorf("it is accepted and can't be given a manifest: %v", err)
			}
			return
		}
		got, ok, err := Manifest(out)
		if !ok || err != nil || !bytes.Equal(got, doc) {
			t.Errorf("%q %v %v, want %q", got, ok, err, doc)
		}
		if again, err := WithManifest(out, doc); err != nil || !bytes.Equal(again, out) {
			t.Errorf("a second time: %v", err)
		}
		if _, _, after := rewrite.Module(out, &e.rewrite); (after == nil) != (checked == nil) {
			t.Errorf("it is taken with %v, then %v", checked, after)
		}
	})
}

func BenchmarkCall(b *testing.B) {
	m := compile(b, newEngine(b, ""), hook(konst(0)).bytes())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Call(b.Context(), nobody, "inbound", &fakeHost{}); err != nil {
			b.Fatal(err)
		}
	}
}

// An instance keeps the names that it asks for, within bounds, and each answer is that
// of the name which was asked for.
func TestNamesAreKept(t *testing.T) {
	const most = keptNames + 8
	a := (&assembler{}).imp(abi.Module, "get", "iiii:i").imp(abi.Module, "verdict", "ii:i").global()
	// From name 0 on: get(100 n, n + 1 bytes, 8000, 200), verdict(8000, that length).
	a.fn("postern_inbound", ":i", []byte{0x03, 0x40, 0x23, 0}, konst(100), []byte{0x6c, 0x23, 0, 0x41, 1, 0x6a}, konst(8000), konst(200), invoke(0),
		[]byte{0x21, 0}, konst(8000), []byte{0x20, 0}, invoke(1), drop, bump, konst(most), []byte{0x48, 0x0d, 0, 0x0b}, konst(0))
	a.code[0] = withLocals(a.code[0], 1)
	for n := range int32(most) {
		a.text(100*n, strings.Repeat(string('A'+n), int(n)+1))
	}
	h := &namesHost{}
	m := compile(t, newEngine(t, ""), a.bytes())
	for range 3 {
		if _, err := m.Call(t.Context(), nobody, abi.HookInbound, h); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.asked) != 3*most || len(h.said) != 3*most {
		t.Fatalf("%d questions, %d answers", len(h.asked), len(h.said))
	}
	for i, name := range h.asked {
		if want := strings.Repeat(string(rune('A'+i%most)), i%most+1); name != want || h.said[i] != "got "+want {
			t.Errorf("question %d: %q, answered %q, want %q", i, name, h.said[i], want)
		}
	}
	in := m.engine.pool.idle[0]
	if len(in.names) != keptNames {
		t.Errorf("%d names are kept, want %d", len(in.names), keptNames)
	}
}

// namesHost keeps what it was asked, and what it was told.
type namesHost struct {
	fakeHost
	asked, said []string
}

func (h *namesHost) Get(path string) (string, error) {
	h.asked = append(h.asked, path)
	return h.fakeHost.Get(path)
}

func (h *namesHost) Verdict(doc []byte) error { h.said = append(h.said, string(doc)); return nil }

// The larger a module, the longer it may take to compile.
func TestCompileTime(t *testing.T) {
	lim := testLimits()
	lim.CompileTime = 5 * time.Second
	e := engineOf(t, Config{Limits: lim})
	for size, want := range map[int]time.Duration{0: 5 * time.Second, 2<<20 - 1: 5 * time.Second, 2 << 20: 10 * time.Second, 16 << 20: 45 * time.Second} {
		if got := e.compileTime(size); got != want {
			t.Errorf("%d bytes: %v, want %v", size, got, want)
		}
	}
}

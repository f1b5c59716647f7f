package conformance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/centerleap/postern/plugins/sandbox"
)

// language is one that there is an SDK for.
type language struct {
	name    string
	folder  string   // of testdata
	sdk     string   // the file that stands beside an author's own; empty: it is imported
	source  string   // the author's own
	env     []string //
	build   []string // a command in the author's folder, as its SDK's README has it; it makes plugin.wasm
	tool    func() string
	command string // what its README calls the tool
	most    int    // bytes of a filter
	once    sync.Once
	ready   *sandbox.Module
	err     error
}

var languages = []language{
	{
		name: "Go", folder: "go", env: []string{"GOOS=wasip1", "GOARCH=wasm", "GOFLAGS="}, tool: func() string { return "go" }, most: 3_000_000,
		build: []string{"build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", "plugin.wasm", "."},
	},
	{
		name: "Rust", folder: "rust", sdk: "../../sdk/rust/postern.rs", source: "plugin.rs", tool: sync.OnceValue(rustc), command: "rustc", most: 100_000,
		build: []string{"--edition", "2021", "--crate-type", "cdylib", "--target", wasm, "-C", "opt-level=s", "-C", "lto", "-C", "panic=abort", "-C", "strip=symbols", "-o", "plugin.wasm", "plugin.rs"},
	},
	{
		name: "C", folder: "c", sdk: "../../sdk/c/postern.h", source: "plugin.c", tool: clang, command: "clang", most: 10_000,
		build: []string{"--target=wasm32", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", "-o", "plugin.wasm", "plugin.c"},
	},
	{
		name: "AssemblyScript", folder: "assemblyscript", sdk: "../../sdk/assemblyscript/postern.ts", source: "plugin.ts", tool: asc, command: "asc", most: 50_000,
		build: []string{"plugin.ts", "-o", "plugin.wasm", "-O", "--runtime", "stub", "--noAssert", "--exportStart", "_initialize", "--use", "abort=postern/abort"},
	},
}

// wasm is what rustc calls the machine that plugins run on.
const wasm = "wasm32-unknown-unknown"

// rustc is one that can build for it: Debian's, if another that comes first can't. The
// linker is its own, or stands beside the programs of lld.
func rustc() string {
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		out, err := exec.Command(name, "--print", "target-libdir", "--target", wasm).Output()
		if err != nil {
			continue
		}
		lib := strings.TrimSpace(string(out))
		if _, err := os.Stat(lib); err != nil {
			continue
		}
		own, _ := filepath.Glob(filepath.Join(lib, "../../*/bin/rust-lld"))
		if _, err := exec.LookPath("rust-lld"); err == nil || len(own) > 0 {
			return name
		}
	}
	return ""
}

// clang is one that has its linker for WebAssembly.
func clang() string {
	for _, name := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(name); err != nil {
			return ""
		}
	}
	return "clang"
}

// asc is the compiler of AssemblyScript, which runs on node.
func asc() string {
	path, err := filepath.Abs("../../.ci/node/node_modules/.bin/asc")
	if err != nil {
		return ""
	}
	for _, name := range []string{"node", path} {
		if _, err := exec.LookPath(name); err != nil {
			return ""
		}
	}
	return path
}

// module is the language's plugin of testdata, built and compiled once. Where there is no
// compiler the test is skipped; in CI there has to be one.
func (l *language) module(t testing.TB) *sandbox.Module {
	t.Helper()
	l.need(t)
	l.once.Do(func() {
		var wasm []byte
		if wasm, l.err = l.player(); l.err == nil {
			l.ready, l.err = engine.Compile(context.Background(), wasm)
		}
	})
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l.ready
}

func (l *language) need(t testing.TB) {
	t.Helper()
	if l.tool() != "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("there is no compiler of %s for WebAssembly: .ci/setup installs it", l.name)
	}
	t.Skipf("there is no compiler of %s for WebAssembly: .ci/setup installs it", l.name)
}

// player builds the language's plugin of testdata.
func (l *language) player() ([]byte, error) {
	folder := filepath.Join("testdata", l.folder)
	if l.sdk == "" {
		return l.built(folder)
	}
	source, err := os.ReadFile(filepath.Join(folder, l.source))
	if err != nil {
		return nil, err
	}
	return l.compile(source)
}

// known are the modules of plugins by what they were built from.
var known sync.Map

// compile builds a plugin of one file as its author would, once.
func (l *language) compile(source []byte) ([]byte, error) {
	key := l.name + string(source)
	if wasm, ok := known.Load(key); ok {
		return wasm.([]byte), nil
	}
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	sdk, err := os.ReadFile(l.sdk)
	if err != nil {
		return nil, err
	}
	for name, text := range map[string][]byte{l.source: source, filepath.Base(l.sdk): sdk} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	wasm, err := l.built(dir)
	if err == nil {
		known.Store(key, wasm)
	}
	return wasm, err
}

// built is what the language's command makes of a folder. A warning is a fault.
func (l *language) built(folder string) ([]byte, error) {
	out := filepath.Join(folder, "plugin.wasm")
	defer os.Remove(out)
	cmd := exec.Command(l.tool(), l.build...)
	cmd.Dir, cmd.Env = folder, slices.Concat(os.Environ(), l.env)
	if text, err := cmd.CombinedOutput(); err != nil || bytes.Contains(text, []byte("warning")) {
		return nil, fmt.Errorf("%s: %w\n%s", l.name, err, text)
	}
	return os.ReadFile(out)
}

func (l *language) close(ctx context.Context) {
	if l.ready != nil {
		if err := l.ready.Close(ctx); err != nil {
			panic(err)
		}
	}
}

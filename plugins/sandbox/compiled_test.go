package sandbox

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A folder that is full, or that somebody cleared, costs that modules are compiled again:
// they run, and what was compiled does not stay in memory.
func TestFolderCantBeWritten(t *testing.T) {
	dir := t.TempDir()
	e := newEngine(t, dir)
	folder, err := filepath.Glob(filepath.Join(dir, "wazero-*"))
	if err != nil || len(folder) != 1 {
		t.Fatalf("%v: there are the folders %v", err, folder)
	}
	wasm := hook(konst(0)).bytes()
	run := func(what string) {
		t.Helper()
		m, err := e.Load(t.Context(), wasm)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if _, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.Remove(folder[0]); err != nil {
		t.Fatal(err)
	}
	run("without a folder")
	if err := os.WriteFile(folder[0], nil, 0o600); err != nil { // nothing can be read there, either
		t.Fatal(err)
	}
	run("with a file in its place")
	if err := os.Remove(folder[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder[0], 0o700); err != nil {
		t.Fatal(err)
	}
	run("with a folder")
	files, err := filepath.Glob(filepath.Join(folder[0], strings.Repeat("?", 64)))
	if err != nil || len(files) != 1 {
		t.Errorf("%v: there are the files %v", err, files)
	}
}

// One module may be compiled for whoever uploads it while it is loaded for mail: both get
// all of it.
func TestCompiledAtOnce(t *testing.T) {
	dir := t.TempDir()
	a := hook(konst(0))
	for n := range 90 {
		a.typ(strings.Repeat("i", n) + ":") // of each type the engine makes code
	}
	wasm := a.bytes()
	for range 20 {
		e := newEngine(t, dir) // with nothing in memory
		var both sync.WaitGroup
		for _, ready := range []func(context.Context, []byte) (*Module, error){e.Compile, e.Load} {
			both.Go(func() {
				m, err := ready(t.Context(), wasm)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{}); err != nil {
					t.Error(err)
				}
				if err := m.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// built is what tests build once, for all of them, in a folder that goes with the
// last.
type built struct {
	dir    string
	make   func(dir string) error
	once   sync.Once
	failed error
}

var (
	theBinary  = &built{make: buildBinary}
	thePlugins = &built{make: buildPlugins}
)

// in returns the folder.
func (b *built) in(t testing.TB) string {
	t.Helper()
	b.once.Do(func() {
		if b.dir, b.failed = os.MkdirTemp("", "postern-built"); b.failed == nil {
			b.failed = b.make(b.dir)
		}
	})
	if b.failed != nil {
		t.Fatal(b.failed)
	}
	return b.dir
}

// cleaned is all tests, and the removal of what they built.
type cleaned struct{ *testing.M }

func (c cleaned) Run() int {
	code := c.M.Run()
	for _, b := range []*built{theBinary, thePlugins} {
		if b.dir != "" {
			_ = os.RemoveAll(b.dir) // of the temporary folder
		}
	}
	return code
}

// binary is postern as a user builds it, without the race detector's memory.
func binary(t testing.TB) string {
	t.Helper()
	return filepath.Join(theBinary.in(t), "postern")
}

func buildBinary(dir string) error {
	return finish(exec.Command("go", "build", "-o", filepath.Join(dir, "postern"), "."))
}

// builtPlugins is the folder with the plugins of examples/plugins: NAME.wasm, and
// NAME.json, its manifest.
func builtPlugins(t testing.TB) string {
	t.Helper()
	return thePlugins.in(t)
}

func buildPlugins(dir string) error {
	sources, err := filepath.Glob("../../examples/plugins/*/main.go")
	if err != nil || len(sources) == 0 {
		return errors.Join(err, errors.New("there are no plugins"))
	}
	for _, main := range sources {
		from := filepath.Dir(main)
		out := filepath.Join(dir, filepath.Base(from))
		build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out+".wasm", ".")
		build.Dir, build.Env = from, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
		if err := finish(build); err != nil {
			return err
		}
		manifest, err := os.ReadFile(filepath.Join(from, "manifest.json"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(out+".json", manifest, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// finish runs a command, and says what it said if it fails.
func finish(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}

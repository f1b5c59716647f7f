package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// builtPlugins is the folder with the plugins of examples/plugins: NAME.wasm, and
// NAME.json, its manifest. They are built once for all tests.
func builtPlugins(t testing.TB) string {
	t.Helper()
	dir, err := buildPlugins()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var buildPlugins = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "plugins")
	if err != nil {
		return "", err
	}
	sources, err := filepath.Glob("../../examples/plugins/*/main.go")
	if err != nil {
		return "", err
	}
	for _, main := range sources {
		from := filepath.Dir(main)
		out := filepath.Join(dir, filepath.Base(from))
		build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out+".wasm", ".")
		build.Dir, build.Stderr = from, os.Stderr
		build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
		if err := build.Run(); err != nil {
			return "", err
		}
		manifest, err := os.ReadFile(filepath.Join(from, "manifest.json"))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(out+".json", manifest, 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
})

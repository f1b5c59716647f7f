package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// language builds a guest of one source file beside its SDK, with the command that the
// SDK's README has.
type language struct {
	source, sdk string
	command     []string
}

// languages are the other ones that there is an SDK for, by their folder in guests.
var languages = map[string]language{
	"c": {"plugin.c", "../../../sdk/c/postern.h", []string{
		"clang", "--target=wasm32", "-std=c11", "-Os", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", "-o", "plugin.wasm", "plugin.c",
	}},
	"rust": {"plugin.rs", "../../../sdk/rust/postern.rs", []string{
		"rustc", "--edition", "2021", "--crate-type", "cdylib", "--target", "wasm32-unknown-unknown", "-C", "opt-level=s", "-C", "lto", "-C", "panic=abort",
		"-C", "strip=symbols", "-o", "plugin.wasm", "plugin.rs",
	}},
	"assemblyscript": {"plugin.ts", "../../../sdk/assemblyscript/postern.ts", []string{
		"asc", "plugin.ts", "-o", "plugin.wasm", "-O", "--runtime", "stub", "--noAssert", "--exportStart", "_initialize", "--use", "abort=postern/abort",
	}},
}

// commands are where else a compiler may be: Debian's for WebAssembly, and what .ci/setup
// installs.
var commands = map[string][]string{
	"rustc": {"/usr/bin/rustc"},
	"asc":   {"../../../.ci/node/node_modules/.bin/asc"},
}

// errNoCompiler leaves a peer out.
var errNoCompiler = errors.New("there is no compiler")

// build makes the guest.
func (l language) build(ctx context.Context, dir, guest string) (wasm []byte, err error) {
	at := filepath.Join(dir, guest)
	if err := os.MkdirAll(at, 0o700); err != nil {
		return nil, err
	}
	for _, from := range []string{l.sdk, filepath.Join("guests", guest, l.source)} {
		text, err := os.ReadFile(from)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(at, filepath.Base(from)), text, 0o600); err != nil {
			return nil, err
		}
	}
	failed := errNoCompiler
	for _, name := range append(commands[l.command[0]], l.command[0]) {
		if path, err := exec.LookPath(name); err != nil {
			continue
		} else if path, err = filepath.Abs(path); err != nil {
			return nil, err
		} else {
			name = path
		}
		cmd := exec.CommandContext(ctx, name, l.command[1:]...)
		cmd.Dir = at
		said, err := cmd.CombinedOutput()
		if err == nil {
			return os.ReadFile(filepath.Join(at, "plugin.wasm"))
		}
		failed = fmt.Errorf("%v: %w\n%s", cmd.Args, err, said)
	}
	return nil, failed
}

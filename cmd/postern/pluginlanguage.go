package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// language is one that plugins are written in.
type language struct {
	name   string // as --lang has it
	source string // the author's file
	sdk    string // the SDK's, which stands beside it, in the folder sdk; Go's is a folder of its own
	needs  string // what builds it
	tool   func(dir string) string
	args   func(out string) []string
	link   func(out string) []string // what makes a module of what it wrote; nil: it is one
	env    []string
}

// rustTarget is what rustc calls the machine that plugins run on.
const rustTarget = "wasm32-unknown-unknown"

// languages are all of them. The commands are those of the SDKs' READMEs, with paths and
// times left out, so that the same source gives the same bytes. C is linked by itself: the
// clang of Debian would else have any wasm-opt that it finds make the module smaller, which
// takes none that copies memory.
var languages = []language{
	{
		name: "go", source: "main.go", needs: "Go (https://go.dev/dl)", tool: onPath("go"), env: []string{"GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "CGO_ENABLED=0"},
		args: func(out string) []string {
			return []string{"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, "."}
		},
	},
	{
		name: "rust", source: "plugin.rs", sdk: "rust/postern.rs", tool: rustc,
		needs: "rustc 1.63 or newer with its library for " + rustTarget + " (rustup target add " + rustTarget + ", or Debian's rustc, libstd-rust-dev-wasm32 and lld)",
		args: func(out string) []string {
			return []string{"--edition", "2021", "--crate-type", "cdylib", "--target", rustTarget, "-C", "opt-level=s", "-C", "lto", "-C", "panic=abort", "-C", "strip=symbols", "-o", out, "plugin.rs"}
		},
	},
	{
		name: "c", source: "plugin.c", sdk: "c/postern.h", needs: "clang 14 or newer, and lld", tool: onPath("clang", "wasm-ld"),
		args: func(out string) []string {
			return []string{"--target=wasm32", "-std=c11", "-Wall", "-Wextra", "-Os", "-mbulk-memory", "-c", "-o", out + ".o", "plugin.c"}
		},
		link: func(out string) []string {
			return []string{"wasm-ld", "--no-entry", "--strip-all", "-o", out, out + ".o"}
		},
	},
	{
		name: "assemblyscript", source: "plugin.ts", sdk: "assemblyscript/postern.ts", needs: "Node.js, and the npm package assemblyscript (npm install, in the plugin's folder)", tool: asc,
		args: func(out string) []string {
			return []string{"plugin.ts", "-o", out, "-O", "--runtime", "stub", "--noAssert", "--exportStart", "_initialize", "--use", "abort=postern/abort"}
		},
	},
}

// languageNamed returns the one that --lang names.
func languageNamed(name string) (*language, error) {
	var names []string
	for i := range languages {
		if languages[i].name == name {
			return &languages[i], nil
		}
		names = append(names, languages[i].name)
	}
	return nil, fmt.Errorf("--lang is one of %s, not %q", strings.Join(names, ", "), name)
}

// languageOf is that of the sources in a folder.
func languageOf(dir string) (*language, error) {
	var sources []string
	for i := range languages {
		l := &languages[i]
		_, err := os.Stat(filepath.Join(dir, l.source))
		if err == nil {
			return l, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		sources = append(sources, l.source)
	}
	return nil, fmt.Errorf("%s holds none of %s: postern plugin new NAME makes a folder to start from", dir, strings.Join(sources, ", "))
}

// compile makes a module of a folder.
func (l *language) compile(ctx context.Context, dir, out string) error {
	tool := l.tool(dir)
	if tool == "" {
		return fmt.Errorf("there is nothing here that builds it: install %s", l.needs)
	}
	env := slices.Concat(os.Environ(), l.env)
	if _, err := os.Stat(filepath.Join(dir, "postern", "go.mod")); err == nil {
		env = append(env, "GOWORK=off") // it stands for itself, wherever it lies
	}
	steps := [][]string{append([]string{tool}, l.args(out)...)}
	if l.link != nil {
		steps = append(steps, l.link(out))
	}
	for _, step := range steps {
		cmd := exec.CommandContext(ctx, step[0], step[1:]...)
		cmd.Dir, cmd.Env = dir, env
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", filepath.Base(step[0]), err, strings.TrimSpace(string(text)))
		}
	}
	return nil
}

// onPath finds a tool that needs others.
func onPath(names ...string) func(string) string {
	return func(string) string {
		for _, name := range names {
			if _, err := exec.LookPath(name); err != nil {
				return ""
			}
		}
		return names[0]
	}
}

// rustc is one that can build for WebAssembly: the system's, if another that comes first
// can't.
func rustc(string) string {
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		lib, err := exec.Command(name, "--print", "target-libdir", "--target", rustTarget).Output()
		if err != nil {
			continue
		}
		if _, err := os.Stat(strings.TrimSpace(string(lib))); err == nil {
			return name
		}
	}
	return ""
}

// asc is the one that npm installed for the folder or one above it, or any.
func asc(dir string) string {
	at, err := filepath.Abs(dir)
	for err == nil {
		tool := filepath.Join(at, "node_modules", ".bin", "asc")
		if _, missing := exec.LookPath(tool); missing == nil {
			return tool
		}
		up := filepath.Dir(at)
		if up == at {
			break
		}
		at = up
	}
	return onPath("asc")(dir)
}

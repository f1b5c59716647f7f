// Package conformance holds the SDKs of all languages to one contract: package abi. Each
// language has a plugin in testdata that does what a script says, in the words of its SDK,
// and each case here is such a script and what has to come of it. So a case is written
// once, and an SDK that says anything else than the others fails.
//
// The plugins run in the real sandbox, on a host that is ours: it answers what a case
// wants, and notes what it was told.
package conformance

import (
	"cmp"
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
	"github.com/centerleap/postern/sdk/abi"
)

// A script is lines of words with tabs between them, each line something to do; $name
// stands for what the configuration says under that name. Words that read, and those that
// may fail, say what came of it in the log: one line each, in level info.
type test struct {
	name    string
	hook    string // default: inbound
	given   func(*host)
	script  string
	says    []string     // what is logged in level info; nil: it does not matter
	verdict *abi.Verdict // nil: it does not matter
	fails   string       // the reason of a sandbox.CallError; empty: it does not fail
	check   func(*testing.T, *host)
}

// run plays all scripts in all languages, each twice: a call sees nothing of one before.
func run(t *testing.T, tests []test) {
	t.Helper()
	for i := range languages {
		l := &languages[i]
		t.Run(l.name, func(t *testing.T) {
			m := l.module(t)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					for range 2 {
						tt.play(t, m)
					}
				})
			}
		})
	}
}

func (tt *test) play(t *testing.T, m *sandbox.Module) {
	t.Helper()
	h := newHost()
	h.config["script"] = tt.script
	if tt.given != nil {
		tt.given(h)
	}
	hook := tt.hook
	if hook == "" {
		hook = abi.HookInbound
	}
	h.event.Hook = hook
	_, err := m.Call(t.Context(), nobody, hook, h)
	if !failedAs(err, tt.fails) {
		t.Errorf("it ended with %v, want %q; it said %v", err, tt.fails, h.lines)
	}
	if got := h.said(levelInfo); tt.says != nil && !slices.Equal(got, tt.says) {
		t.Errorf("said %q, want %q", got, tt.says)
	}
	if tt.verdict != nil {
		want := *tt.verdict
		want.Action = cmp.Or(want.Action, abi.Accept)
		if got, err := h.decided(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: verdict %s, want %+v", err, h.verdict, want)
		}
	}
	if tt.check != nil {
		tt.check(t, h)
	}
}

// lines is a script.
func lines(of ...string) string { return strings.Join(of, "\n") }

var nobody sandbox.Owner

// engine runs them all: with the gateway's limits, but that a case may say more, and is on
// a busy machine. compiled is where it keeps what it compiled, as the gateway of a test may.
var (
	engine   *sandbox.Engine
	compiled string
)

func TestMain(m *testing.M) {
	var err error
	if compiled, err = os.MkdirTemp("", "conformance"); err != nil {
		panic(err)
	}
	l := gateway.DefaultLimits()
	engine, err = sandbox.New(sandbox.Config{CacheDir: compiled, Check: true, Limits: sandbox.Limits{
		ModuleBytes: l.PluginModule, Functions: l.PluginFunctions, Locals: l.PluginLocals, FunctionBytes: l.PluginFunctionBytes, Blocks: l.PluginBlocks,
		MemoryBytes: l.PluginMemory, LateMemoryBytes: l.PluginEventMemory, IdleBytes: l.PluginIdle, HostCalls: l.PluginHostCalls, Fuel: l.PluginFuel,
		StackBytes: l.PluginStack, Frames: l.PluginFrames, LogLines: l.PluginLogLines, LogBytes: 1 << 20, CallTime: time.Minute, CompileTime: 5 * time.Minute,
	}})
	if err != nil {
		panic(err)
	}
	code := m.Run()
	for i := range languages {
		languages[i].close(context.Background())
	}
	if err := engine.Close(context.Background()); err != nil {
		panic(err)
	}
	os.RemoveAll(compiled)
	os.Exit(code)
}

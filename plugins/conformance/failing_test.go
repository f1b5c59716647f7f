package conformance

import (
	"slices"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// A plugin that gives up is a failure, in each hook; what it did until then is not decided.
func TestFailures(t *testing.T) {
	var tests []test
	for _, hook := range abi.Hooks {
		tests = append(tests, test{name: hook, hook: hook, script: lines("accept", "kv_put\tk\tv\t0", "panic\tat its wits' end"), says: []string{"ok"}, fails: "trap status", check: undecided})
	}
	run(t, tests)
}

// A hook that may fail says why; the gateway tries again.
func TestHookErrors(t *testing.T) {
	for _, hook := range []string{abi.HookEvent, abi.HookTick} {
		run(t, []test{{name: hook, hook: hook, script: lines("log\tinfo\tgoing", "fail\tno answer: ü"), says: []string{"going"}, fails: "status", check: func(t *testing.T, h *host) {
			undecided(t, h)
			if !slices.Contains(h.said(levelError), "no answer: ü") {
				t.Errorf("said %v", h.lines)
			}
		}}})
	}
}

func undecided(t *testing.T, h *host) {
	if h.verdict != "" {
		t.Errorf("decided %s", h.verdict)
	}
}

// Each level of the log is its own.
func TestLog(t *testing.T) {
	run(t, []test{{
		name: "levels", script: lines("log\tdebug\ta", "log\tinfo\tb", "log\twarn\tc", "log\terror\td"), says: []string{"b"},
		check: func(t *testing.T, h *host) {
			if want := []line{{levelDebug, "a"}, {levelInfo, "b"}, {levelWarn, "c"}, {levelError, "d"}}; !slices.Equal(h.lines, want) {
				t.Errorf("%v, want %v", h.lines, want)
			}
		},
	}})
}

// What a plugin keeps in a variable is gone when the next call begins.
func TestFreshState(t *testing.T) {
	run(t, []test{
		{name: "first", script: "calls", says: []string{"1"}},
		{name: "twice in a call", script: lines("calls", "calls"), says: []string{"1", "2"}},
		{name: "after a failure", script: lines("calls", "panic\tx"), says: []string{"1"}, fails: "trap status"},
		{name: "then", script: "calls", says: []string{"1"}},
		{name: "in another hook", hook: abi.HookEvent, script: "calls", says: []string{"1"}},
	})
}

// A call may allocate much, again and again: what one leaves is no loss to the next.
func TestAllocation(t *testing.T) {
	run(t, []test{
		{name: "many", script: "alloc\t10000", says: []string{"88890"}},
		{name: "few", script: "alloc\t100", says: []string{"690"}},
		{name: "many again", script: lines("alloc\t5000", "alloc\t5000"), says: []string{"43890", "43890"}},
	})
}

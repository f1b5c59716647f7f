package sdktest

import (
	"slices"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// Result is what a hook decided. Its Want methods fail the test and return the
// Result, so that they chain.
type Result struct {
	Verdict abi.Verdict
	t       testing.TB
	failure string // empty if the hook decided
}

func (r *Result) want(ok bool, what string, got, want any) *Result {
	r.t.Helper()
	if r.failure != "" {
		r.t.Errorf("the hook failed: %s", r.failure)
	} else if !ok {
		r.t.Errorf("%s %q, want %q", what, got, want)
	}
	return r
}

// WantAction wants an action of package abi; accept and allow are also none.
func (r *Result) WantAction(action string) *Result {
	r.t.Helper()
	plain := func(a string) string {
		if a == abi.Accept || a == abi.Allow {
			return ""
		}
		return a
	}
	return r.want(plain(r.Verdict.Action) == plain(action), "action", r.Verdict.Action, action)
}

// WantFolder wants the message to be filed there; empty: where it would go anyway.
func (r *Result) WantFolder(folder string) *Result {
	r.t.Helper()
	return r.want(r.Verdict.Folder == folder, "folder", r.Verdict.Folder, folder)
}

// WantLabel wants a label.
func (r *Result) WantLabel(label string) *Result {
	r.t.Helper()
	return r.want(slices.Contains(r.Verdict.Labels, label), "labels", r.Verdict.Labels, label)
}

// WantJoin wants the message in a conversation; empty: where it would go anyway.
func (r *Result) WantJoin(threadID string) *Result {
	r.t.Helper()
	var got abi.ThreadMove
	if r.Verdict.Thread != nil {
		got = *r.Verdict.Thread
	}
	return r.want(got.ThreadID == threadID && (threadID == "") == (got.Op == ""), "thread", got.Op+" "+got.ThreadID, threadID)
}

// WantNewThread wants the message to start a conversation.
func (r *Result) WantNewThread() *Result {
	r.t.Helper()
	op := ""
	if r.Verdict.Thread != nil {
		op = r.Verdict.Thread.Op
	}
	return r.want(op == "new", "thread", op, "new")
}

// WantFailure wants the hook to fail, so that its failure policy would decide.
func (r *Result) WantFailure() *Result {
	r.t.Helper()
	if r.failure == "" {
		r.t.Errorf("the hook decided %+v, want a failure", r.Verdict)
	}
	return r
}

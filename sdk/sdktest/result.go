package sdktest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/centerleap/postern/sdk/abi"
)

// Result is what a hook decided. Its Want methods fail the test and return the
// Result, so that they chain.
type Result struct {
	Verdict abi.Verdict
	Sent    []abi.Outgoing // by this call

	t       T
	failure string // empty if the hook decided
}

// want fails the test if a hook did not decide, or not as wanted.
func (r *Result) want(ok bool, what string, got, want any) *Result {
	r.t.Helper()
	if r.failure != "" {
		r.t.Errorf("the hook failed: %s", r.failure)
	} else if !ok {
		r.t.Errorf("%s %q, want %q", what, got, want)
	}
	return r
}

// same wants one list to be another, in any order.
func (r *Result) same(what string, got, want []string) *Result {
	r.t.Helper()
	return r.want(slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))), what, got, want)
}

// WantOK wants the hook to have ended well.
func (r *Result) WantOK() *Result {
	r.t.Helper()
	return r.want(true, "", nil, nil)
}

// WantFailure wants the hook to fail, so that its failure policy would decide, or the
// gateway would tell it again. Why it failed contains all of reasons.
func (r *Result) WantFailure(reasons ...string) *Result {
	r.t.Helper()
	if r.failure == "" {
		r.t.Errorf("the hook decided %+v, want a failure", r.Verdict)
	}
	for _, reason := range reasons {
		if r.failure != "" && !strings.Contains(r.failure, reason) {
			r.t.Errorf("the hook failed: %s, want %q", r.failure, reason)
		}
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

// WantReason wants the tenant to be told this, or whoever sent the mail.
func (r *Result) WantReason(text string) *Result {
	r.t.Helper()
	got := r.Verdict.Reason
	if r.Verdict.SMTP != nil && r.Verdict.SMTP.Text != "" {
		got = r.Verdict.SMTP.Text
	}
	return r.want(got == text, "reason", got, text)
}

// WantScore wants the plugin to be so sure.
func (r *Result) WantScore(score float64) *Result {
	r.t.Helper()
	return r.want(r.Verdict.Score == score, "score", fmt.Sprint(r.Verdict.Score), fmt.Sprint(score))
}

// WantSent wants the hook to have sent mail to these, one after the other: of each mail the
// first recipient. None: it sent nothing.
func (r *Result) WantSent(to ...string) *Result {
	r.t.Helper()
	got := []string{}
	for _, m := range r.Sent {
		got = append(got, m.To[0])
	}
	return r.want(slices.Equal(got, to), "sent to", got, to)
}

package conformance

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/centerleap/postern/sdk/abi"
)

func thread(op, id string, with ...string) *abi.Verdict {
	return &abi.Verdict{Thread: &abi.ThreadMove{Op: op, ThreadID: id, With: with}}
}

// Each word of an SDK's verdicts makes the members that the contract has for it.
func TestVerdict(t *testing.T) { run(t, verdicts) }

var newSubject = `a "new" one`

var verdicts = []test{
	{name: "none", script: "", verdict: &abi.Verdict{}},
	{name: "accept", script: "accept", verdict: &abi.Verdict{Action: abi.Accept}},
	{name: "reject", script: "reject\t554\tno", verdict: &abi.Verdict{Action: abi.Reject, SMTP: &abi.SMTP{Code: 554, Text: "no"}}},
	{name: "tempfail", script: "tempfail\tlater", verdict: &abi.Verdict{Action: abi.Tempfail, SMTP: &abi.SMTP{Text: "later"}}},
	{name: "quarantine", script: "quarantine\todd", verdict: &abi.Verdict{Action: abi.Quarantine, Reason: "odd"}},
	{name: "discard", script: "discard", verdict: &abi.Verdict{Action: abi.Discard}},
	{
		name: "where to", script: lines("accept", "folder\tA/Ü", "label\tone", "label\ttwo", "unlabel\tthree", "flag\t\\Seen", "flag\t\\Flagged"),
		verdict: &abi.Verdict{Action: abi.Accept, Folder: "A/Ü", Labels: []string{"one", "two"}, Unlabel: []string{"three"}, Flags: []string{`\Seen`, `\Flagged`}},
	},
	{name: "the last folder counts", script: lines("accept", "folder\ta", "folder\tb"), verdict: &abi.Verdict{Action: abi.Accept, Folder: "b"}},
	{
		name: "redirect", script: lines("redirect\ta@x.example", "redirect\tb@x.example", "keep"),
		verdict: &abi.Verdict{Redirect: []string{"a@x.example", "b@x.example"}, Keep: true},
	},
	{
		name: "reply", script: lines("accept", "reply\tThanks."),
		verdict: &abi.Verdict{Action: abi.Accept, Reply: &abi.Reply{Text: "Thanks."}},
	},
	{
		name: "reply in both forms", script: "reply_html\t<p>Hi</p>\tHi\tRe: x\tbot@example.com",
		verdict: &abi.Verdict{Reply: &abi.Reply{HTML: "<p>Hi</p>", Text: "Hi", Subject: "Re: x", From: "bot@example.com"}},
	},
	{
		name: "final", script: lines("accept", "score\t-2.25", "reason\twhy", "final"),
		verdict: &abi.Verdict{Action: abi.Accept, Score: -2.25, Reason: "why", Final: true},
	},
	{name: "a score that is no binary fraction", script: "score\t4.2", verdict: &abi.Verdict{Score: 4.2}},
	{name: "no score", script: "score\t0", verdict: &abi.Verdict{}},
	{name: "allow", hook: abi.HookOutbound, script: "allow", verdict: &abi.Verdict{Action: abi.Allow}},
	{name: "deny", hook: abi.HookOutbound, script: "deny\tno", verdict: &abi.Verdict{Action: abi.Deny, SMTP: &abi.SMTP{Text: "no"}}},
	{name: "hold", hook: abi.HookOutbound, script: "hold\treview", verdict: &abi.Verdict{Action: abi.Hold, Reason: "review"}},
	{
		name: "edits", hook: abi.HookOutbound,
		script: lines("add_header\tX-A\t1", "set_header\tX-B\t2", "delete_header\tX-C", "body\ttext\t<p>", "tag\tk\tv", "tag\tl\tw", "remove\ta@x.example", "set_subject\t"+newSubject),
		verdict: &abi.Verdict{
			Headers: []abi.HeaderEdit{{Op: "add", Name: "X-A", Value: "1"}, {Op: "set", Name: "X-B", Value: "2"}, {Op: "delete", Name: "X-C"}},
			Body:    &abi.Body{Text: "text", HTML: "<p>"}, Tags: []abi.Tag{{Name: "k", Value: "v"}, {Name: "l", Value: "w"}}, Remove: []string{"a@x.example"}, Subject: &newSubject,
		},
	},
	{name: "join", hook: abi.HookThread, script: "join\tid-1", verdict: thread("join", "id-1")},
	{name: "new", hook: abi.HookThread, script: "new_thread", verdict: thread("new", "")},
	{name: "merge", hook: abi.HookThread, script: "merge\tid-1\tid-2\tid-3", verdict: thread("merge", "id-1", "id-2", "id-3")},
	{name: "split", hook: abi.HookThread, script: "split\tm-1\tm-2", verdict: thread("split", "", "m-1", "m-2")},
	{
		name: "afterwards", hook: abi.HookEvent, script: lines("label\tdone", "label\ttoo", "unlabel\topen", "flag\t\\Answered", "folder\tDone", "reply\tThanks."),
		verdict: &abi.Verdict{Labels: []string{"done", "too"}, Unlabel: []string{"open"}, Flags: []string{`\Answered`}, Folder: "Done", Reply: &abi.Reply{Text: "Thanks."}},
	},
}

// No member of a verdict is without a case above.
func TestVerdictMembers(t *testing.T) {
	for _, member := range reflect.VisibleFields(reflect.TypeFor[abi.Verdict]()) {
		wanted := func(tt test) bool { return !reflect.ValueOf(*tt.verdict).FieldByIndex(member.Index).IsZero() }
		if member.Name != "Hold" && !slices.ContainsFunc(verdicts, wanted) { // that has a test of its own
			t.Errorf("no case has %s", member.Name)
		}
	}
}

// Mail is held until a time, to the second.
func TestHoldUntil(t *testing.T) {
	for _, want := range []string{"1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "2026-11-28T09:05:07Z", "2100-03-01T00:00:00Z", "2399-12-31T12:00:00Z"} {
		at, err := time.Parse(time.RFC3339, want)
		if err != nil {
			t.Fatal(err)
		}
		run(t, []test{{name: want, hook: abi.HookOutbound, script: lines("hold_until\treview\t" + number(at.UnixMilli())), check: func(t *testing.T, h *host) {
			var v abi.Verdict
			if err := json.Unmarshal([]byte(h.verdict), &v); err != nil || v.Hold == nil || v.Action != abi.Hold || v.Reason != "review" {
				t.Fatalf("%v: %s", err, h.verdict)
			}
			if got, err := time.Parse(time.RFC3339, v.Hold.Until); err != nil || !got.Equal(at) {
				t.Errorf("until %s, %v, want %s", v.Hold.Until, err, want)
			}
		}}})
	}
}

// Whatever bytes an author puts into a verdict, the document is JSON in UTF-8.
func TestVerdictUTF8(t *testing.T) {
	given := func(h *host) { h.kv["k"] = []byte("a\xff\xc0\xaf\xed\xa0\x80\xf8b\"\xe2\x82\n\xf0\x9f\x98c\xc3") }
	run(t, []test{{name: "bytes", given: given, script: "reason_kv\tk", check: func(t *testing.T, h *host) {
		var v abi.Verdict
		if err := json.Unmarshal([]byte(h.verdict), &v); err != nil || !utf8.ValidString(h.verdict) || v.Reason == "" {
			t.Errorf("%v: %q", err, h.verdict)
		}
	}}})
}

// A verdict that the gateway does not take is a failure, and the author is told why.
func TestVerdictRefused(t *testing.T) {
	var tests []test
	for _, errno := range errnos {
		tests = append(tests, test{
			name: errno.Error(), given: func(h *host) { h.errnos["verdict"] = errno }, script: "discard", fails: "status",
			check: func(t *testing.T, h *host) {
				if got, want := h.said(levelError), []string{"the verdict is refused: " + errno.Error()}; !reflect.DeepEqual(got, want) {
					t.Errorf("said %q, want %q", got, want)
				}
			},
		})
	}
	run(t, tests)
}

var errnos = []abi.Errno{abi.Absent, abi.Denied, abi.BadArgument, abi.OverQuota, abi.HostFailure, abi.TooLarge}

package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/sdk/abi"
)

// judging is what judges verdicts, and runs nothing.
func judging(lim gateway.Limits) *Plugins {
	return &Plugins{cfg: Config{
		Limits: lim, Log: slog.New(slog.DiscardHandler), ParseAddress: content.ParseAddress,
		CheckHeaders: func(f []gateway.HeaderField) error { return content.CheckHeaders(f, lim) },
	}}
}

var judged = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// judgeAt is a plugin that is asked about a mail of bot@here.example.
func judgeAt(p *Plugins, hook gateway.Hook, grants []string) *guest {
	look := &gateway.Look{
		Account: 1, Mailbox: "bot@here.example", Via: "rest",
		Envelope: gateway.Envelope{ReturnPath: "a@there.example", Recipients: []string{"sales@here.example"}},
	}
	return &guest{plugins: p, view: &view{hook: hook, look: look}, inst: &gateway.Plugin{Grants: grants}, now: judged}
}

// A verdict is held to the ABI, to its hook and to what was granted.
func TestJudge(t *testing.T) {
	lim := gateway.DefaultLimits()
	p := judging(lim)
	const in, out, th = gateway.HookInbound, gateway.HookOutbound, gateway.HookThread
	const id = "01900000-0000-7000-8000-000000000001"
	for _, tt := range []struct {
		hook   gateway.Hook
		grants string
		doc    string
		want   string // the verdict, or the Errno
	}{
		{in, "", `{}`, `{"" 0 "" "" 0 []}`},
		{in, "", `{"action":"accept","unknown":{"a":1}}`, `{"" 0 "" "" 0 []}`},
		{in, "", `{"action":"reject","smtp":{"code":554,"text":"no"},"final":true}`, `{"reject" 554 "no" "" 0 []}`},
		{in, "", `{"action":"tempfail","smtp":{"code":451}}`, `{"tempfail" 451 "" "" 0 []}`},
		{in, "", `{"folder":"inbox","labels":["a"],"flags":["\\seen","\\Flagged"]}`, `{"" 0 "" "INBOX" 5 ["a"]}`},
		{in, "", `{"action":"accept","smtp":{"code":550,"text":"x"}}`, `{"" 0 "" "" 0 []}`},
		{in, "", `{"action":"quarantine","smtp":{"code":550}}`, `{"quarantine" 0 "" "" 0 []}`},
		{in, "discard", `{"action":"discard"}`, `{"discard" 0 "" "" 0 []}`},
		{out, "", `{"action":"deny","smtp":{"text":"no"}}`, `{"deny" 0 "no" "" 0 []}`},
		{out, "", `{"action":"hold"}`, `{"hold" 0 "" "" 0 []}`},
		{out, "headers", `{"headers":[{"op":"add","name":"X-A","value":"1"}]}`, `{"" 0 "" "" 0 []}`},
		{th, "", `{"action":"accept"}`, `{"" 0 "" "" 0 []}`},
		{th, "thread", `{"thread":{"op":"join","thread_id":"` + id + `"}}`, `{"" 0 "" "" 0 []} join ` + id},
		{th, "thread", `{"thread":{"op":"new"}}`, `{"" 0 "" "" 0 []} new`},

		{in, "", ``, "bad"},
		{in, "", `[]`, "bad"},
		{in, "", `{"action":7}`, "bad"},
		{in, "", `{"action":"deny"}`, "bad"},
		{in, "", `{"action":"Accept"}`, "bad"},
		{out, "", `{"action":"reject"}`, "bad"},
		{th, "thread", `{"action":"reject"}`, "bad"},
		{in, "", `{"action":"reject","smtp":{"code":421}}`, "bad"},
		{in, "", `{"action":"reject","smtp":{"code":250}}`, "bad"},
		{in, "", `{"action":"tempfail","smtp":{"code":550}}`, "bad"},
		{in, "", `{"action":"reject","smtp":{"text":"a\r\n250 b"}}`, "bad"},
		{in, "", `{"action":"reject","smtp":{"text":"` + strings.Repeat("x", 401) + `"}}`, "bad"},
		{in, "", `{"folder":"a\u0000b"}`, "bad"},
		{in, "", `{"flags":["\\Deleted"]}`, "bad"},
		{in, "", `{"labels":["two words"]}`, "bad"},
		{in, "", `{"labels":[""]}`, "bad"},
		{in, "", `{"thread":{"op":"new"}}`, "bad"},
		{out, "", `{"labels":["a"]}`, "bad"},
		{out, "headers", `{"headers":[{"op":"add","name":"Subject","value":"1"}]}`, "bad"},
		{out, "headers", `{"headers":[{"op":"add","name":"Message-ID","value":"<a@b>"}]}`, "bad"},
		{out, "", `{"headers":[{"op":"add","name":"X-A","value":"1"}]}`, "denied"},
		{th, "thread", `{"thread":{"op":"join","thread_id":"x"}}`, "bad"},
		{th, "thread", `{"thread":{"op":"merge"}}`, "bad"},
		{out, "", `{"smtp":{"code":550},"unlabel":["a"]}`, "bad"},
		{in, "headers", `{"headers":[{"op":"set","name":"X-A","value":"1"}]}`, "bad"},
		{in, "headers", `{"headers":[{"op":"add","name":"X-A","value":"1\r\nBcc: x"}]}`, "bad"},
		{in, "headers", `{"headers":[{"op":"add","name":"Authentication-Results","value":"dmarc=pass"}]}`, "bad"},
		{in, "headers", `{"headers":[{"op":"add","name":"Received","value":"x"}]}`, "bad"},

		{in, "", `{"action":"discard"}`, "denied"},
		{in, "", `{"headers":[{"op":"add","name":"X-A","value":"1"}]}`, "denied"},
		{th, "", `{"thread":{"op":"new"}}`, "denied"},
	} {
		g := judgeAt(p, tt.hook, strings.Fields(tt.grants))
		v, err := g.judge([]byte(tt.doc))
		got := fmt.Sprintf("{%q %d %q %q %d %q}", v.Action, v.Code, v.Text, v.Folder, v.Flags, v.Labels)
		switch {
		case errors.Is(err, abi.BadArgument):
			got = "bad"
		case errors.Is(err, abi.Denied):
			got = "denied"
		case err != nil:
			got = err.Error()
		case v.Thread.New:
			got += " new"
		case !v.Thread.Join.IsZero():
			got += " join " + v.Thread.Join.String()
		}
		if got != tt.want {
			t.Errorf("%s %s (%s): %s (%v), want %s", tt.hook, tt.doc, tt.grants, got, err, tt.want)
		}
	}
}

// A verdict that is too large is refused, whatever was decided before, and labels over
// the limit cost one line of the log.
func TestVerdictBounds(t *testing.T) {
	lim := gateway.DefaultLimits()
	p := judging(lim)
	g := judgeAt(p, gateway.HookInbound, nil)
	if err := g.Verdict([]byte(`{"action":"reject"}`)); err != nil || g.refused != nil {
		t.Fatal(err, g.refused)
	}
	long := func(of string, n int64) string { return strings.Repeat(of, int(n)) }
	for name, doc := range map[string]string{
		"all of it":       `{"reason":"` + long("x", lim.PluginVerdict) + `"}`,
		"beside its text": `{"reply":{"text":"` + long("x", lim.PluginBody) + `"},"reason":"` + long("x", lim.PluginVerdict) + `"}`,
		"its text":        `{"reply":{"text":"` + long("x", lim.PluginBody) + `","html":"x"}}`,
		"as JSON":         `{"reply":{"text":"` + long(`\u0041`, lim.PluginBody/2) + `"}}`,
		"no JSON":         long("\x00", lim.PluginVerdict+3*lim.PluginBody),
	} {
		g.inst.Grants = []string{abi.PermitReply}
		if err := g.Verdict([]byte(doc)); !errors.Is(err, abi.TooLarge) || g.refused == nil || g.verdict.Reply != nil {
			t.Errorf("too large is %s: %v, %v", name, err, g.refused)
		}
	}
	if err := g.Verdict([]byte(`{"reply":{"html":"` + long(`\"`, lim.PluginBody-100) + `"},"reason":"` + long("x", lim.PluginVerdict-500) + `"}`)); err != nil || int64(len(g.verdict.Reply.HTML)) != lim.PluginBody-100 {
		t.Errorf("as large as may be: %v", err)
	}
	if int64(len(g.reason)) > lim.PluginLogLine {
		t.Errorf("a reason of %d bytes", len(g.reason))
	}
	labels := `{"labels":["l0"`
	for i := range 5000 {
		labels += fmt.Sprintf(`,"l%d"`, i)
	}
	if err := g.Verdict([]byte(labels + `]}`)); err != nil || g.refused != nil || int64(len(g.verdict.Labels)) != lim.Labels || len(g.lines) != 1 {
		t.Errorf("%v %v, %d labels, lines %v", err, g.refused, len(g.verdict.Labels), g.lines)
	}
	for range 5000 {
		g.Log(1, strings.Repeat("x", 5000))
	}
	if int64(len(g.lines)) > lim.PluginLogLines+hostLines || len(g.lines[1].Text) > 2000 {
		t.Errorf("%d lines, one of %d bytes", len(g.lines), len(g.lines[1].Text))
	}
}

// Robustness 10: no verdict puts something into a message, a reply or a folder's name that
// the gateway does not write itself, and none makes it work without end. Whatever was
// said before is no longer meant.
func TestRobustness10Verdicts(t *testing.T) {
	lim := gateway.DefaultLimits()
	p := judging(lim)
	field := func(name, value string) string {
		doc, err := json.Marshal(abi.Verdict{Headers: []abi.HeaderEdit{{Op: "add", Name: name, Value: value}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(doc)
	}
	attacks := map[string]string{
		"10 MB":                     `{"reason":"` + strings.Repeat("x", 10<<20) + `"}`,
		"deep":                      strings.Repeat(`{"a":`, 50_000) + strings.Repeat("}", 50_000),
		"many fields":               `{"headers":[` + strings.Repeat(`{"op":"add","name":"X-A","value":"1"},`, 4000) + `{}]}`,
		"a long field":              field("X-A", strings.Repeat("x", 64<<10)),
		"a long folder":             `{"folder":"` + strings.Repeat("x", 2000) + `"}`,
		"a line in a value":         field("X-A", "1\r\nBcc: x@y.example"),
		"a bare line feed":          field("X-A", "1\nBcc: x@y.example"),
		"a NUL":                     field("X-A", "1\x00"),
		"a line in a name":          field("X-A: 1\r\nBcc", "x"),
		"a colon in a name":         field("X:", "x"),
		"no name":                   field("", "x"),
		"a name that is not ASCII":  field("X-\u00c4", "x"),
		"a second header's end":     field("X-A", "\r\n\r\nbody"),
		"a reply of two lines":      `{"action":"reject","smtp":{"text":"no\r\n250 ok"}}`,
		"a code of another meaning": `{"action":"reject","smtp":{"code":221}}`,
		"a folder of two lines":     `{"folder":"a\r\nb"}`,
		"a folder like all":         `{"folder":"*"}`,
		"a folder like some":        `{"folder":"Lists/%"}`,
		"a folder below nothing":    `{"folder":"/x"}`,
		"a folder with no name":     `{"folder":"INBOX/"}`,
		"a folder with an empty":    `{"folder":"a//b"}`,
		"a label of two words":      `{"labels":["a b"]}`,
		"a label with a line":       `{"labels":["a\n"]}`,
		"deleting":                  `{"flags":["\\Deleted"]}`,
		"an action nobody knows":    `{"action":"forward"}`,
		"an action of another hook": `{"action":"deny"}`,
		"a list":                    `[{"action":"reject"}]`,
		"a text":                    `"reject"`,
		"an action that is a list":  `{"action":["reject"]}`,
		"labels that are a text":    `{"labels":"a"}`,
		"smtp that is a number":     `{"action":"reject","smtp":550}`,
		"a code that is a text":     `{"action":"reject","smtp":{"code":"550"}}`,
		"two documents":             `{"action":"accept"}{"action":"reject"}`,
		"not UTF-8":                 "{\"action\":\"\xff\"}",
		"half of it":                `{"action":"rej`,
	}
	for _, name := range []string{
		"Received", "Return-Path", "Delivered-To", "DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results", "Authentication-Results",
		"Message-ID", "In-Reply-To", "References", "From", "Sender", "To", "Cc", "Bcc", "Date", "Content-Type", "Content-Transfer-Encoding", "MIME-Version", "Resent-From", "received", "rEtUrN-pAtH",
	} {
		attacks["the field "+name] = field(name, "x")
	}
	for name, doc := range attacks {
		g := judgeAt(p, gateway.HookInbound, abi.Permissions)
		if err := g.Verdict([]byte(`{"action":"quarantine","labels":["before"]}`)); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		err := g.Verdict([]byte(doc))
		if _, errno := errors.AsType[abi.Errno](err); !errno || g.refused == nil {
			t.Errorf("%s: it is taken, as %+v (%v)", name, g.verdict, err)
		}
		if took := time.Since(started); took > time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
	}
}

func TestReadManifest(t *testing.T) {
	if m, err := readManifest([]byte(`{"v":1,"name":"a-b.c","version":"1.0+x","hooks":["inbound"],"permissions":["kv"],"priority":-3,"http_hosts":[],"limits":{}}`)); err != nil || m.Priority != -3 {
		t.Errorf("%+v %v", m, err)
	}
	for doc, want := range map[string]string{
		``:                                       "EOF",
		`{}`:                                     "v must be 1",
		`{"v":2,"name":"a","hooks":["inbound"]}`: "v must be 1",
		`{"v":1,"name":"a b","hooks":["inbound"]}`:                                     "name must be",
		`{"v":1,"name":"a","version":"x y","hooks":["inbound"]}`:                       "version must be",
		`{"v":1,"name":"a"}`:                                                           "hooks must name",
		`{"v":1,"name":"a","hooks":["boot"]}`:                                          `no hook "boot"`,
		`{"v":1,"name":"a","hooks":["inbound"],"permissions":["root"]}`:                `no permission "root"`,
		`{"v":1,"name":"a","hooks":["inbound"],"permission":["kv"]}`:                   `unknown field "permission"`,
		`{"v":1,"name":"a","hooks":["inbound"]} {}`:                                    "something behind",
		`{"v":1,"name":"a","hooks":["inbound","inbound"]}`:                             "each once",
		`{"v":1,"name":"a","hooks":["inbound"],"permissions":["kv","raw","kv"]}`:       "each once",
		`{"v":1,"name":"a","hooks":["inbound"],"permissions":[],"permissions":["kv"]}`: `"permissions" twice`,
		`{"v":1,"name":"a","hooks":["inbound"],"Name":"b"}`:                            `"Name" twice`,
	} {
		_, err := readManifest([]byte(doc))
		if gateway.KindOf(err) != gateway.InvalidParameter || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", doc, err, want)
		}
	}
}

// Whatever a plugin says, the gateway gets something it can act on, or an error.
func FuzzJudge(f *testing.F) {
	f.Add(`{"action":"reject","smtp":{"code":550,"text":"x"},"labels":["a"],"headers":[{"op":"add","name":"X","value":"y"}]}`)
	lim := gateway.DefaultLimits()
	p := judging(lim)
	f.Fuzz(func(t *testing.T, doc string) {
		for _, hook := range []gateway.Hook{gateway.HookInbound, gateway.HookOutbound, gateway.HookThread, gateway.HookEvent, gateway.HookTick} {
			g := judgeAt(p, hook, abi.Permissions)
			v, err := g.judge([]byte(doc))
			if err != nil {
				continue
			}
			if v.Reply != nil && (v.Action != gateway.ActionAccept || strings.ContainsAny(v.Reply.From+v.Reply.Subject, "\r\n")) || len(v.Redirect) > 0 && v.Action != gateway.ActionAccept {
				t.Errorf("%q: %+v", doc, v)
			}
			if strings.ContainsAny(v.Text+v.Folder, "\r\n\x00") || v.Code != 0 && (v.Code < 400 || v.Code > 599) {
				t.Errorf("%q: %+v", doc, v)
			}
			for _, l := range v.Labels {
				if !gateway.ValidLabel(l) {
					t.Errorf("%q: label %q", doc, l)
				}
			}
			for _, h := range v.Headers {
				if lines := strings.Count(string(content.Fields([]gateway.HeaderField{h})), "\r\n"); lines == 0 || strings.ContainsAny(h.Value, "\r\n") {
					t.Errorf("%q: header %q", doc, h)
				}
			}
		}
	})
}

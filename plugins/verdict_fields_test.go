package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// show is a verdict in one line: what is not zero.
func show(v *gateway.Verdict) string {
	var out []string
	add := func(name string, is bool, value any) {
		if is {
			out = append(out, fmt.Sprintf("%s=%v", name, value))
		}
	}
	add("action", v.Action != "", v.Action)
	add("folder", v.Folder != "", v.Folder)
	add("labels", len(v.Labels) > 0, v.Labels)
	add("unlabel", len(v.Unlabel) > 0, v.Unlabel)
	add("flags", v.Flags != 0, v.Flags)
	add("redirect", len(v.Redirect) > 0, v.Redirect)
	add("keep", v.Keep, v.Keep)
	add("headers", len(v.Headers) > 0, v.Headers)
	add("edits", len(v.Edits) > 0, v.Edits)
	if v.Subject != nil {
		add("subject", true, *v.Subject)
	}
	if v.Body != nil {
		add("body", true, *v.Body)
	}
	add("tags", len(v.Tags) > 0, v.Tags)
	add("remove", len(v.Remove) > 0, v.Remove)
	add("until", !v.Until.IsZero(), v.Until.Format(time.RFC3339))
	if v.Reply != nil {
		add("reply", true, fmt.Sprint("{", v.Reply.From, " ", v.Reply.Subject, " ", v.Reply.Body, "}"))
	}
	add("join", !v.Thread.Join.IsZero(), v.Thread.Join)
	add("new", v.Thread.New, v.Thread.New)
	add("merge", len(v.Thread.Merge) > 0, len(v.Thread.Merge))
	add("take", len(v.Thread.Take) > 0, len(v.Thread.Take))
	add("score", v.Score != 0, v.Score)
	add("final", v.Final, v.Final)
	return strings.Join(out, " ")
}

// Each field of a verdict is taken where it has a meaning, if it is granted and well made.
func TestJudgeFields(t *testing.T) {
	lim := gateway.DefaultLimits()
	p := judging(lim)
	const in, out, th, ev, tick = gateway.HookInbound, gateway.HookOutbound, gateway.HookThread, gateway.HookEvent, gateway.HookTick
	const a, b = "01900000-0000-7000-8000-00000000000a", "01900000-0000-7000-8000-00000000000b"
	many := func(n int64, each func(i int64) string) string {
		list := make([]string, n)
		for i := range list {
			list[i] = each(int64(i))
		}
		doc, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		return string(doc)
	}
	addr := func(i int64) string { return fmt.Sprintf("a%d@x.example", i) }
	edit := func(op, name, value string) string {
		doc, err := json.Marshal(abi.Verdict{Headers: []abi.HeaderEdit{{Op: op, Name: name, Value: value}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(doc)
	}
	for _, tt := range []struct {
		hook   gateway.Hook
		grants string
		doc    string
		want   string // the verdict, or what the error says behind its Errno: bad, denied or large
	}{
		{in, "", `{"unlabel":["a","a","b"],"score":-2.5,"keep":true}`, `unlabel=[a b] keep=true score=-2.5`},
		{in, "", `{"unlabel":["two words"]}`, "bad: label"},
		{in, "", `{"score":1e7}`, "bad: a score"},
		{in, "", `{"score":-1e300}`, "bad: a score"},
		{out, "", `{"score":3}`, `score=3`},

		{in, "redirect", `{"redirect":["Ops@X.Example","ops@x.example"," b@y.example "],"keep":true}`, `redirect=[Ops@x.example b@y.example] keep=true`},
		{in, "redirect", `{"redirect":` + many(lim.PluginRedirects+1, addr) + `}`, "bad: redirect has 11"},
		{in, "redirect", `{"redirect":["bot@here.example"]}`, "bad: redirect: bot@here.example is where"},
		{in, "redirect", `{"redirect":["SALES@here.example"]}`, "bad: redirect"},
		{in, "redirect", `{"redirect":["a b@x.example"]}`, "bad: redirect"},
		{in, "redirect", `{"redirect":[""]}`, "bad: redirect"},
		{in, "redirect", `{"redirect":["a@x.example>\r\nRCPT TO:<b@x.example"]}`, "bad: redirect"},
		{in, "redirect discard", `{"action":"discard","redirect":["a@x.example"]}`, "bad: redirect together with the action discard"},
		{in, "redirect", `{"action":"reject","redirect":["a@x.example"]}`, "bad: redirect together"},
		{in, "redirect", `{"action":"tempfail","redirect":["a@x.example"]}`, "bad: redirect together"},
		{in, "redirect", `{"action":"quarantine","redirect":["a@x.example"]}`, "bad: redirect together"},
		{in, "reply", `{"redirect":["a@x.example"]}`, "denied: redirect"},
		{out, "redirect", `{"redirect":["a@x.example"]}`, "bad: redirect has no meaning at the outbound hook"},
		{ev, "redirect", `{"redirect":["a@x.example"]}`, "bad: redirect has no meaning at the event hook"},
		{ev, "", `{"keep":true}`, "bad: keep has no meaning"},

		{in, "reply", `{"reply":{"text":"hi","html":"<p>hi","subject":"Re: x","from":"Bot <BOT@HERE.example>"}}`, `reply={"Bot" <BOT@here.example> Re: x {hi <p>hi}}`},
		{ev, "reply", `{"reply":{"text":"hi","from":"sales@here.example"}}`, `reply={sales@here.example  {hi }}`},
		{ev, "reply", `{"reply":{"text":"hi"},"folder":"A","labels":["a"],"unlabel":["b"],"flags":["\\Seen"]}`, `folder=A labels=[a] unlabel=[b] flags=1 reply={  {hi }}`},
		{in, "reply", `{"reply":{}}`, "bad: reply has no text"},
		{in, "reply", `{"reply":{"text":"a\u0000"}}`, "bad: reply has a NUL"},
		{in, "reply", `{"reply":{"text":"hi","subject":"a\r\nBcc: x@y.example"}}`, "bad: reply.subject"},
		{in, "reply", `{"reply":{"text":"hi","subject":"` + strings.Repeat("x", maxSubject+1) + `"}}`, "bad: reply.subject"},
		{in, "reply", `{"reply":{"text":"hi","from":"bot@elsewhere.example"}}`, "bad: reply.from: bot@elsewhere.example is not of"},
		{in, "reply", `{"reply":{"text":"hi","from":"bot@sub.here.example"}}`, "bad: reply.from"},
		{in, "reply", `{"reply":{"text":"hi","from":"bot"}}`, "bad: reply.from"},
		{in, "reply discard", `{"action":"discard","reply":{"text":"hi"}}`, "bad: reply together with the action discard"},
		{in, "reply", `{"action":"reject","reply":{"text":"hi"}}`, "bad: reply together"},
		{in, "", `{"reply":{"text":"hi"}}`, "denied: reply"},
		{out, "reply", `{"reply":{"text":"hi"}}`, "bad: reply has no meaning"},
		{th, "reply", `{"reply":{"text":"hi"}}`, "bad: reply has no meaning"},

		{out, "headers", `{"headers":[{"op":"add","name":"X-A","value":"1"},{"op":"set","name":"X-B","value":"2"},{"op":"delete","name":"X-C","value":"x"}]}`, `headers=[{X-A 1}] edits=[{true X-B 2} {false X-C }]`},
		{out, "headers", edit("set", "Reply-To", "Team <TEAM@X.Example>"), `edits=[{true Reply-To "Team" <TEAM@x.example>}]`},
		{out, "headers", edit("delete", "Reply-To", ""), `edits=[{false Reply-To }]`},
		{out, "headers", edit("add", "Auto-Submitted", "auto-generated"), `headers=[{Auto-Submitted auto-generated}]`},
		{out, "headers", edit("set", "Reply-To", "a@x.example\r\nBcc: b@x.example"), "bad: Reply-To"},
		{out, "headers", edit("set", "Reply-To", "nobody"), "bad: Reply-To"},
		{out, "headers", edit("add", "Auto-Submitted", " No"), "bad: the header field Auto-Submitted"},
		{out, "headers", edit("set", "Auto-Submitted", "auto-replied"), "bad: the header field Auto-Submitted"},
		{out, "headers", edit("delete", "auto-submitted", ""), "bad: the header field auto-submitted"},
		{out, "headers", edit("set", "X-A", "1\r\nBcc: x@y.example"), "bad: "},
		{out, "headers", edit("set", "X A", "1"), "bad: "},
		{out, "headers", edit("rename", "X-A", "1"), "bad: header operation"},
		{out, "headers", `{"headers":[` + strings.Repeat(`{"op":"delete","name":"X-A"},`, int(lim.CustomHeaders)) + `{"op":"delete","name":"Reply-To"}]}`, "bad: 51 header fields"},
		{out, "", edit("delete", "X-A", ""), "denied: headers"},
		{in, "headers", edit("delete", "X-A", ""), "bad: header operation delete"},
		{ev, "headers", edit("add", "X-A", "1"), "bad: headers has no meaning"},

		{out, "body", `{"subject":"","body":{"html":"<p>x"}}`, `subject= body={ <p>x}`},
		{out, "body", `{"subject":"a\nb"}`, "bad: subject"},
		{out, "body", `{"body":{}}`, "bad: body has no text"},
		{out, "headers", `{"subject":"x"}`, "denied: body"},
		{out, "headers", `{"body":{"text":"x"}}`, "denied: body"},
		{in, "body", `{"body":{"text":"x"}}`, "bad: body has no meaning"},
		{in, "body", `{"subject":"x"}`, "bad: subject has no meaning"},

		{out, "", `{"tags":[{"name":"k","value":"v"}]}`, `tags=[{k v}]`},
		{out, "", `{"tags":[{"name":"k k","value":"v"}]}`, "bad: tag"},
		{out, "", `{"tags":[{"name":"","value":"v"}]}`, "bad: tag"},
		{out, "", `{"tags":[` + strings.Repeat(`{"name":"k","value":"v"},`, int(lim.Tags)) + `{"name":"k","value":"v"}]}`, "bad: 21 tags"},
		{in, "", `{"tags":[{"name":"k","value":"v"}]}`, "bad: tags has no meaning"},

		{out, "rcpt", `{"remove":["A@x.example","a@X.example"]}`, `remove=[A@x.example]`},
		{out, "rcpt", `{"remove":["x"]}`, "bad: remove"},
		{out, "rcpt", `{"remove":` + many(lim.RecipientsSubmission+1, addr) + `}`, "bad: remove has 1001"},
		{out, "", `{"remove":["a@x.example"]}`, "denied: rcpt"},
		{in, "rcpt", `{"remove":["a@x.example"]}`, "bad: remove has no meaning"},

		{out, "", `{"action":"hold","hold":{"until":"2026-03-02T13:00:00.5+01:00"}}`, `action=hold until=2026-03-02T12:00:00Z`},
		{out, "", `{"action":"hold","hold":{}}`, `action=hold`},
		{out, "", `{"action":"hold","hold":{"until":"2026-03-01T12:00:00Z"}}`, "bad: hold.until"},
		{out, "", `{"action":"hold","hold":{"until":"2027-03-03T12:00:00Z"}}`, "bad: hold.until"},
		{out, "", `{"action":"hold","hold":{"until":"tomorrow"}}`, "bad: hold.until"},
		{out, "", `{"hold":{"until":"2026-03-02T12:00:00Z"}}`, "bad: hold is for the action hold"},
		{in, "", `{"hold":{}}`, "bad: hold has no meaning"},

		{th, "thread", `{"thread":{"op":"merge","with":["` + a + `","` + b + `","` + a + `"]}}`, `merge=2`},
		{th, "thread", `{"thread":{"op":"merge","thread_id":"` + a + `","with":["` + b + `"]},"final":true}`, `join=` + a + ` merge=1 final=true`},
		{th, "thread", `{"thread":{"op":"split","with":["` + a + `"]}}`, `new=true take=1`},
		{th, "thread", `{"thread":{"op":"split"}}`, "bad: the thread operation split"},
		{th, "thread", `{"thread":{"op":"split","thread_id":"` + a + `","with":["` + b + `"]}}`, "bad: the thread operation split"},
		{th, "thread", `{"thread":{"op":"merge","thread_id":"` + a + `"}}`, "bad: the thread operation merge"},
		{th, "thread", `{"thread":{"op":"new","with":["` + a + `"]}}`, "bad: the thread operation new"},
		{th, "thread", `{"thread":{"op":"new","thread_id":"` + a + `"}}`, "bad: the thread operation new"},
		{th, "thread", `{"thread":{"op":"join"}}`, "bad: to join"},
		{th, "thread", `{"thread":{"op":"join","thread_id":"` + a + `","with":["` + b + `"]}}`, "bad: the thread operation join"},
		{th, "thread", `{"thread":{"op":"merge","with":["x"]}}`, "bad: thread.with"},
		{th, "thread", `{"thread":{"op":"merge","with":` + many(lim.PluginThreadIDs+1, func(int64) string { return a }) + `}}`, "bad: thread.with has 21"},
		{th, "thread", `{"thread":{"op":"drop"}}`, "bad: thread operation"},
		{th, "", `{"thread":{"op":"split","with":["` + a + `"]}}`, "denied: thread"},
		{ev, "thread", `{"thread":{"op":"new"}}`, "bad: thread has no meaning"},
		{th, "", `{"labels":["a"]}`, "bad: labels has no meaning"},
		{th, "", `{"score":1}`, "bad: score has no meaning"},
		{th, "", `{"smtp":{"code":550}}`, "bad: smtp has no meaning"},

		{tick, "", `{"reason":"done"}`, ``},
		{tick, "", `{"action":"accept"}`, ``},
		{tick, "", `{"action":"discard"}`, "bad: the tick hook has no action"},
		{tick, "", `{"labels":["a"]}`, "bad: labels has no meaning"},
		{tick, "", `{"final":true}`, "bad: final has no meaning"},
		{ev, "discard", `{"action":"discard"}`, "bad: the event hook has no action"},
		{ev, "", `{"final":true}`, "bad: final has no meaning"},
		{ev, "", `{"score":1}`, "bad: score has no meaning"},
	} {
		g := judgeAt(p, tt.hook, strings.Fields(tt.grants))
		v, err := g.judge([]byte(tt.doc))
		got, ok := show(&v), err == nil
		for errno, name := range map[abi.Errno]string{abi.BadArgument: "bad: ", abi.Denied: "denied: ", abi.TooLarge: "large: "} {
			if errors.Is(err, errno) {
				_, text, _ := strings.Cut(err.Error(), errno.Error()+": ")
				got = name + text
			}
		}
		if ok && got != tt.want || !ok && (!strings.HasPrefix(got, tt.want) || !strings.Contains(tt.want, ": ")) {
			t.Errorf("%s %.200s (%s): %s (%v), want %s", tt.hook, tt.doc, tt.grants, got, err, tt.want)
		}
	}
}

// What says how a mail came, which it is and whom it is from and for, no plugin changes.
func TestJudgeProtectedFields(t *testing.T) {
	p := judging(gateway.DefaultLimits())
	for _, name := range []string{
		"Received", "DKIM-Signature", "ARC-Seal", "arc-message-signature", "Return-Path", "Authentication-Results", "Message-ID", "In-Reply-To", "References",
		"Bcc", "From", "Sender", "To", "Cc", "Date", "Subject", "MIME-Version", "Content-Type", "content-transfer-encoding", "Delivered-To", "Resent-From", "X-Postern-Redirect",
	} {
		for _, op := range []string{"add", "set", "delete"} {
			for _, hook := range []gateway.Hook{gateway.HookInbound, gateway.HookOutbound} {
				doc, err := json.Marshal(abi.Verdict{Headers: []abi.HeaderEdit{{Op: op, Name: name, Value: "a@x.example"}}})
				if err != nil {
					t.Fatal(err)
				}
				if v, err := judgeAt(p, hook, abi.Permissions).judge(doc); !errors.Is(err, abi.BadArgument) {
					t.Errorf("%s: to %s %s is taken, as %s (%v)", hook, op, name, show(&v), err)
				}
			}
		}
	}
}

// What its sender wrote himself keeps its text, and a domain's plugins may send a mail for
// two on to one of them.
func TestJudgeByLook(t *testing.T) {
	p := judging(gateway.DefaultLimits())
	written := judgeAt(p, gateway.HookOutbound, abi.Permissions)
	written.look.Via = "smtp"
	for _, doc := range []string{`{"subject":"x"}`, `{"body":{"text":"x"}}`} {
		if _, err := written.judge([]byte(doc)); !errors.Is(err, abi.BadArgument) {
			t.Errorf("%s of what came over SMTP: %v", doc, err)
		}
	}
	all := judgeAt(p, gateway.HookInbound, abi.Permissions)
	all.look.Account, all.look.Mailbox = 0, ""
	for _, tt := range []struct {
		rcpt []string
		ok   bool
	}{{[]string{"a@here.example"}, false}, {[]string{"a@here.example", "b@here.example"}, true}} {
		all.look.Envelope.Recipients = tt.rcpt
		if _, err := all.judge([]byte(`{"redirect":["a@here.example"]}`)); (err == nil) != tt.ok {
			t.Errorf("for %v: %v", tt.rcpt, err)
		}
	}
}

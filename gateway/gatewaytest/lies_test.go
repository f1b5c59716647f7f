package gatewaytest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/sdk/abi"
)

// A lie is in each of the texts that a plugin makes up, and must be in nothing else.
const lie = "lie.example"

// liar is a gateway whose mailbox has a plugin that lies, beside somebody else of its
// domain, and another tenant.
type liar struct {
	*outside
	id     string // of the plugin
	n      int    // mails so far
	eve    side
	theirs side
}

func newLiar(t *testing.T) *liar {
	t.Helper()
	l := &liar{outside: newOutside(t, gatewaytest.Limit("plugin_failures_row", "1000"), gatewaytest.Limit("plugin_failures_fifty", "1000"))}
	l.id = verdict(t, l.g, l.g.Keys.Account, map[string]string{"inbound": `{}`, "outbound": `{}`, "thread": `{}`})
	accounts(t, l.g, "eve@demo.localhost")
	l.eve, l.theirs = side{l.g, l.g.Keys.Domain, "eve@demo.localhost"}, newSide(t, l.g, "b.example")
	for _, other := range []side{l.eve, l.theirs} {
		come(t, l.g, "ann@example.org", other.email, "From: ann@example.org\nTo: "+other.email+"\nSubject: mine\nMessage-ID: <"+mineOf(other)+">\n\nmine\n")
		gatewaytest.Eventually(t, "it is there", func() bool { return other.count(t, "INBOX") == 1 })
	}
	return l
}

// mineOf is the Message-ID of the mail of a mailbox.
func mineOf(s side) string { return strings.Replace(s.email, "@", ".mine@", 1) }

// mail is the one mail of a mailbox.
func (s side) mail(t testing.TB) gatewaytest.Answer {
	t.Helper()
	_, a := s.g.Do("GET", "/emails?email="+s.email, s.key, nil)
	list, _ := a["data"].([]any)
	if len(list) != 1 {
		t.Fatalf("%s has %v", s.email, a)
	}
	return list[0].(map[string]any)
}

// others is all that those have whom the plugin is not of.
func (l *liar) others() (all string) {
	l.Helper()
	for _, s := range []side{l.eve, l.theirs} {
		m := s.mail(l)
		for _, path := range []string{"/emails?email=" + s.email, "/emails?folder=Sent&email=" + s.email, "/emails/threads/" + m.Str("thread_id") + "?email=" + s.email, "/folders?email=" + s.email} {
			status, a := l.g.Do("GET", path, s.key, nil)
			all += fmt.Sprintln(path, status, a)
		}
	}
	return all
}

// tells has the plugin say something at a hook, and a mail pass it: what arrived or left,
// as it is kept.
func (l *liar) tells(hook, document string) (email gatewaytest.Answer, whole string) {
	l.Helper()
	say(l, l.g, l.g.Keys.Account, l.id, map[string]string{hook: document})
	l.n++
	subject := fmt.Sprintf("subject%d", l.n)
	id := subject + "@example.org"
	if hook == "outbound" {
		id = send(l, l.g, l.g.Keys.Domain, map[string]any{"from": gatewaytest.Account, "to": "a@example.com", "subject": subject, "text": "x"}).Str("id")
	} else {
		come(l, l.g, "ann@example.org", gatewaytest.Account, "From: ann@example.org\nTo: "+gatewaytest.Account+"\nSubject: "+subject+"\nMessage-ID: <"+subject+"@example.org>\n\nhello\n")
	}
	status, email := l.g.Do("GET", "/emails/"+id+"?email="+gatewaytest.Account, l.g.Keys.Domain, nil)
	if status != 200 {
		l.Fatalf("%s: %d %v", document, status, email)
	}
	return email, raw(l.T, l.g, email.Str("email_id"), gatewaytest.Account)
}

// said are the lines of a plugin's log, the newest first.
func (l *liar) said(id string) (all []string) {
	l.Helper()
	_, a := l.g.Do("GET", "/plugins/"+id+"/logs?limit=10", l.g.Keys.Account, nil)
	list, _ := a["data"].([]any)
	for i := range list {
		all = append(all, a.Str(fmt.Sprintf("data.%d.text", i)))
	}
	return all
}

// protected are fields by which others know what a mail is, and how it came.
var protected = []string{
	"Authentication-Results", "Received", "Received-SPF", "Return-Path", "DKIM-Signature", "ARC-Seal", "ARC-Authentication-Results", "Message-ID", "From", "Sender",
	"To", "Cc", "Bcc", "Date", "Subject", "In-Reply-To", "References", "Delivered-To", "Content-Type", "Resent-From", "X-Postern-Hop",
}

// Whatever a plugin writes into a header, what the gateway found out stays what readers see:
// who wrote, who proved it, which mail it is.
func TestLiesInHeaders(t *testing.T) {
	l := newLiar(t)
	before := l.others()
	honest, _ := l.tells("inbound", `{}`)
	left := 0
	for _, name := range append(slices.Clone(protected), "Reply-To") {
		value := "x@" + lie + "; dkim=pass; dmarc=pass"
		if name == "Reply-To" {
			value = "x@" + lie
		}
		edit := fmt.Sprintf(`{"headers":[{"op":%%q,"name":%q,"value":%q}]}`, name, value)
		email, whole := l.tells("inbound", fmt.Sprintf(edit, "add"))
		if labels(map[string]any(email)) != "[plugin-error]" || strings.Contains(whole, lie) || fmt.Sprint(email["authentication"]) != fmt.Sprint(honest["authentication"]) || email.Str("from") != "ann@example.org" {
			t.Errorf("%s of mail that arrives: %v\n%s", name, email, whole)
		}
		if name == "Reply-To" { // a sender may say where answers go
			continue
		}
		for _, op := range []string{"add", "set", "delete"} {
			email, whole = l.tells("outbound", fmt.Sprintf(edit, op))
			left++
			if carried := took(t, l.mx, left)[left-1].Data; strings.TrimSuffix(whole, "\r\n")+"\r\n" != carried {
				t.Errorf("kept as\n%s\ncarried as\n%s", whole, carried)
			}
			if from := email.Str("from"); strings.Contains(whole, lie) || from != gatewaytest.Account || !strings.Contains(l.said(l.id)[0], "refused") {
				t.Errorf("%s %s of mail that leaves, from %s: %s\n%s", op, name, from, l.said(l.id)[0], whole)
			}
		}
	}
	if after := l.others(); after != before {
		t.Errorf("others had\n%s\nand have\n%s", before, after)
	}
}

// No conversation of somebody else is joined, taken or broken up, whatever ids a plugin
// knows.
func TestLiesInThreads(t *testing.T) {
	l := newLiar(t)
	before := l.others()
	mine, _ := l.tells("inbound", `{}`)
	for _, s := range []side{l.eve, l.theirs} {
		m := s.mail(t)
		for _, document := range []string{
			`{"thread":{"op":"join","thread_id":"` + m.Str("thread_id") + `"}}`,
			`{"thread":{"op":"merge","with":["` + m.Str("thread_id") + `"]}}`,
			`{"thread":{"op":"merge","thread_id":"` + m.Str("thread_id") + `","with":["` + mine.Str("thread_id") + `"]}}`,
			`{"thread":{"op":"merge","thread_id":"` + mine.Str("thread_id") + `","with":["` + m.Str("thread_id") + `"]}}`,
			`{"thread":{"op":"split","with":["` + m.Str("email_id") + `"]}}`,
			`{"thread":{"op":"join","thread_id":"` + m.Str("email_id") + `"}}`,
		} {
			if got, _ := l.tells("thread", document); got.Str("thread_id") == m.Str("thread_id") || got.Str("thread_id") == "" {
				t.Errorf("%s: it is in %s", document, got.Str("thread_id"))
			}
			if after := l.others(); after != before {
				t.Fatalf("%s: others had\n%s\nand have\n%s", document, before, after)
			}
		}
	}
}

// A plugin writes in nobody's name but its mailbox's, and learns of nobody's mail what that
// answers: such mail is not sent, and its log says why.
func TestLiesInMail(t *testing.T) {
	l := newLiar(t)
	before := l.others()
	lies := []string{
		`{"from":"ceo@b.example"}`, `{"from":"bot@b.example"}`, `{"from":"eve@demo.localhost"}`, `{"from":"Bot <eve@demo.localhost>"}`, `{"from":"x@sub.demo.localhost"}`,
		`{"in_reply_to":"` + l.eve.mail(t).Str("email_id") + `"}`, `{"in_reply_to":"` + l.theirs.mail(t).Str("email_id") + `"}`,
	}
	for _, name := range protected {
		if name == "In-Reply-To" || name == "References" { // what a mail answers its author says
			continue
		}
		lies = append(lies, `{"headers":{"`+name+`":"x@`+lie+`"}}`)
	}
	for _, document := range lies {
		whole := `{"to":["a@example.com"],"subject":"from a plugin","text":"` + lie + `",` + document[1:]
		id := installed(t, l.g, l.g.Keys.Account, abi.Manifest{Name: "sender", Hooks: []string{"inbound"}}, hostile.Sends(whole))
		say(t, l.g, l.g.Keys.Account, id, nil)
		l.tells("inbound", `{}`)
		gatewaytest.Eventually(t, document+" is refused", func() bool { return strings.Contains(strings.Join(l.said(id), "\n"), "send") })
		if status, a := l.g.Do("DELETE", "/plugins/"+id, l.g.Keys.Account, nil); status/100 != 2 {
			t.Fatal(status, a)
		}
	}
	if left := slices.Concat(l.mx.Mail(), l.other.Mail()); len(left) != 0 {
		t.Errorf("it left: %v", left)
	}
	for i, s := range []side{l.eve, l.theirs} { // who names another's mail joins no conversation
		whole := `{"to":["a@example.com"],"subject":"Re: mine","text":"x","in_reply_to":"<` + mineOf(s) + `>"}`
		id := installed(t, l.g, l.g.Keys.Account, abi.Manifest{Name: "sender", Hooks: []string{"inbound"}}, hostile.Sends(whole))
		say(t, l.g, l.g.Keys.Account, id, nil)
		l.tells("inbound", `{}`)
		left := fieldOf(took(t, l.mx, i+1)[i].Data, "Message-ID")
		_, a := l.g.Do("GET", "/emails/"+strings.Trim(left, "<>")+"?email="+gatewaytest.Account, l.g.Keys.Domain, nil)
		if thread := a.Str("thread_id"); thread == "" || thread == s.mail(t).Str("thread_id") {
			t.Errorf("%s is in %q", left, thread)
		}
		l.g.Do("DELETE", "/plugins/"+id, l.g.Keys.Account, nil)
	}
	for _, from := range []string{"ceo@b.example", "bot@b.example", "eve@demo.localhost", "Bot <eve@demo.localhost>", "ceo@" + lie} {
		l.tells("inbound", `{"reply":{"text":"`+lie+`","from":"`+from+`"}}`)
		gatewaytest.Eventually(t, "the answer of "+from+" is refused", func() bool { return strings.Contains(strings.Join(l.said(l.id), "\n"), "reply") })
		come(t, l.g, "ann@example.org", gatewaytest.Account, letterFromAnn)
	}
	if after := l.others(); after != before {
		t.Errorf("others had\n%s\nand have\n%s", before, after)
	}
	if left := l.other.Mail(); len(left) != 0 {
		t.Errorf("answers left: %v", left)
	}
}

// Mail that a plugin sends on to another tenant comes to him as any other: past his plugins,
// and proven by nobody.
func TestLiesInRedirects(t *testing.T) {
	l := newLiar(t)
	theirs := verdict(t, l.g, l.theirs.key, map[string]string{"inbound": `{"labels":["looked-at"]}`})
	l.tells("inbound", `{"redirect":["bot@b.example"],"keep":true}`)
	gatewaytest.Eventually(t, "it arrives", func() bool { return l.theirs.count(t, "INBOX") == 2 })
	_, a := l.g.Do("GET", "/emails?email=bot@b.example", l.theirs.key, nil)
	got := gatewaytest.Answer(a["data"].([]any)[0].(map[string]any))
	_, email := l.g.Do("GET", "/emails/"+got.Str("email_id"), l.theirs.key, nil)
	if labels(map[string]any(got)) != "[looked-at]" || email.Str("authentication.reason") == "local" || email.Str("authentication.dmarc") == "pass" {
		t.Errorf("%v", email)
	}
	say(t, l.g, l.theirs.key, theirs, map[string]string{"inbound": `{"action":"reject"}`})
	kept, _ := l.tells("inbound", `{"redirect":["bot@b.example"],"keep":true}`)
	gatewaytest.Eventually(t, "it is refused", func() bool { return slices.Contains(l.events(kept.Str("email_id")), gateway.EventFailed) })
	if n := l.theirs.count(t, "INBOX"); n != 2 {
		t.Errorf("there are %d", n)
	}
}

package gatewaytest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/sdk/abi"
)

// verdict has a plugin of the key's owner, with all permissions, give verdicts: by hook,
// letter for letter.
func verdict(t testing.TB, g *gatewaytest.Gateway, key string, says map[string]string) (id string) {
	t.Helper()
	var hooks []string
	for hook := range says {
		hooks = append(hooks, hook)
	}
	slices.Sort(hooks)
	id = installed(t, g, key, abi.Manifest{Name: "obedient", Hooks: hooks}, hostile.Obedient(hooks...))
	say(t, g, key, id, says)
	return id
}

// installed installs a module for the key's owner, with all permissions.
func installed(t testing.TB, g *gatewaytest.Gateway, key string, m abi.Manifest, wasm []byte) (id string) {
	t.Helper()
	m.V, m.Version, m.Permissions = 1, "1", abi.Permissions
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	status, a := g.Upload("/plugins", key, map[string]string{"wasm": string(wasm), "manifest": string(manifest)})
	if status != 201 {
		t.Fatalf("install: %d %v", status, a)
	}
	return a.Str("id")
}

// say changes the verdicts of a plugin.
func say(t testing.TB, g *gatewaytest.Gateway, key, id string, says map[string]string) {
	t.Helper()
	if status, a := g.Do("PATCH", "/plugins/"+id, key, map[string]any{"status": "enabled", "config": says}); status != 200 {
		t.Fatalf("enable: %d %v", status, a)
	}
}

// accounts makes accounts and returns the key of each.
func accounts(t testing.TB, g *gatewaytest.Gateway, names ...string) (keys []string) {
	t.Helper()
	for _, name := range names {
		if status, a := g.Do("POST", "/accounts", g.Keys.Domain, map[string]any{"email": name}); status != 201 {
			t.Fatalf("account: %d %v", status, a)
		}
		status, a := g.Do("POST", "/api-keys", g.Keys.Domain, map[string]any{"name": name, "permission": "full_access", "email": name})
		if status != 200 && status != 201 {
			t.Fatalf("key: %d %v", status, a)
		}
		keys = append(keys, a.Str("token"))
	}
	return keys
}

// come brings a mail through the MX door.
func come(t testing.TB, g *gatewaytest.Gateway, mailFrom, to, message string) {
	t.Helper()
	chat := g.Dial(t, "mx")
	chat.Script("S: 220 \nC: EHLO client.test\nS~ 250 \nC: MAIL FROM:<" + mailFrom + ">\nS: 250 \nC: RCPT TO:<" + to + ">\nS: 250 \nC: DATA\nS: 354 ")
	chat.Raw(strings.ReplaceAll(strings.ReplaceAll(message, "\r\n", "\n"), "\n", "\r\n") + ".\r\n")
	chat.Script("S: 250 ")
}

const letterFromAnn = "From: Ann <ann@example.org>\nTo: bot@demo.localhost\nSubject: news\nMessage-ID: <news@example.org>\n\nhello\n"

// rawOf is a stored mail as a reader gets it.
func rawOf(t testing.TB, g *gatewaytest.Gateway, a any, email string) string {
	t.Helper()
	resp := g.Send("GET", "/emails/"+gatewaytest.Answer(a.(map[string]any)).Str("email_id")+"/raw?email="+email, g.Keys.Domain, nil)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func labels(a any) string { return fmt.Sprint(a.(map[string]any)["labels"]) }

// A mail that is sent on leaves as it came, to another host and to somebody here, with its
// author's address and a return path of ours; what a host says of it nobody hears, but by
// events. It stays only if that is wanted.
func TestRedirect(t *testing.T) {
	o := newOutside(t)
	accounts(t, o.g, "eve@demo.localhost")
	id := verdict(t, o.g, o.g.Keys.Account, map[string]string{"inbound": `{"redirect":["a@example.com","eve@demo.localhost"],"labels":["seen"],"headers":[{"op":"add","name":"X-Added","value":"1"}]}`})
	come(t, o.g, "ann@example.org", gatewaytest.Account, letterFromAnn)
	got := took(t, o.mx, 1)[0]
	if !strings.HasPrefix(got.From, "b+") || fmt.Sprint(got.To) != "[a@example.com]" {
		t.Errorf("it left from %s to %v", got.From, got.To)
	}
	if !strings.HasPrefix(got.Data, "Delivered-To: bot@demo.localhost\r\nReceived: from client.test ") || !strings.HasSuffix(got.Data, strings.ReplaceAll(letterFromAnn, "\n", "\r\n")) ||
		strings.Contains(got.Data, "X-Added") || strings.Contains(got.Data, "DKIM-Signature") || strings.Contains(got.Data, "Return-Path") {
		t.Errorf("it left as:\n%s", got.Data)
	}
	here := rawOf(t, o.g, inbox(t, o.g, "eve@demo.localhost", 1)[0], "eve@demo.localhost")
	for _, want := range []string{"Return-Path: <ann@example.org>\r\n", "Delivered-To: eve@demo.localhost\r\n", "Delivered-To: bot@demo.localhost\r\n", "spf=", "Received: from localhost (localhost)", "Received: from client.test "} {
		if !strings.Contains(here, want) {
			t.Errorf("without %q it arrived here:\n%s", want, here)
		}
	}
	if strings.Contains(here, `reason="local"`) {
		t.Errorf("what came from outside is called ours:\n%s", here)
	}
	inbox(t, o.g, gatewaytest.Account, 0)

	say(t, o.g, o.g.Keys.Account, id, map[string]string{"inbound": `{"redirect":["a@example.com"],"keep":true,"labels":["seen"]}`})
	o.mx.Answer(answers(map[string]string{"RCPT": "550 5.1.1 nobody"}))
	come(t, o.g, "", gatewaytest.Account, letterFromAnn)
	kept := inbox(t, o.g, gatewaytest.Account, 1)[0]
	email := gatewaytest.Answer(kept.(map[string]any)).Str("email_id")
	gatewaytest.Eventually(t, "it bounces", func() bool { return slices.Contains(o.events(email), "email.bounced") })
	if labels(kept) != "[seen]" {
		t.Errorf("kept: %v", kept)
	}
	if mails := o.mx.Mail(); len(mails) > 2 || len(mails) == 2 && mails[1].From != "" {
		t.Errorf("a null reverse-path left as %+v", mails)
	}
	_, sup := o.g.Do("GET", "/suppressions", o.g.Keys.Domain, nil)
	if all, _ := sup["data"].([]any); len(all) != 0 {
		t.Errorf("a redirect suppresses: %v", sup)
	}
	inbox(t, o.g, "eve@demo.localhost", 1)
	inbox(t, o.g, gatewaytest.Account, 1) // no report
	if n := len(o.other.Mail()); n != 0 {
		t.Errorf("%d mails went to the author", n)
	}
}

// Two who send everything on to each other have it once, where it came for the second time;
// a long row ends, and what went round outside stays.
func TestRedirectCircles(t *testing.T) {
	o := newOutside(t)
	names := []string{gatewaytest.Account}
	for i := range 7 {
		names = append(names, fmt.Sprintf("a%d@demo.localhost", i))
	}
	keys := append([]string{o.g.Keys.Account}, accounts(t, o.g, names[1:]...)...)
	to := func(addr string) map[string]string {
		return map[string]string{"inbound": `{"redirect":["` + addr + `"]}`}
	}
	ids := make([]string, len(names))
	for i := range len(names) - 1 {
		ids[i] = verdict(t, o.g, keys[i], to(names[i+1]))
	}
	come(t, o.g, "ann@example.org", names[0], letterFromAnn)
	if got := inbox(t, o.g, names[5], 1)[0]; labels(got) != "[not-redirected]" { // five hops
		t.Errorf("the end of the row: %v", got)
	}
	say(t, o.g, keys[1], ids[1], to(names[0]))
	come(t, o.g, "ann@example.org", names[0], letterFromAnn)
	if got := inbox(t, o.g, names[0], 1)[0]; labels(got) != "[not-redirected]" {
		t.Errorf("the circle: %v", got)
	}
	say(t, o.g, keys[0], ids[0], to("a@example.com"))
	come(t, o.g, "ann@example.org", names[0], letterFromAnn)
	back := took(t, o.mx, 1)[0]
	come(t, o.g, back.From, "a6@demo.localhost", back.Data) // a host behind sends it on to another
	inbox(t, o.g, "a6@demo.localhost", 1)
	come(t, o.g, "ann@example.org", names[0], back.Data)
	if got := inbox(t, o.g, names[0], 2)[0]; labels(got) != "[not-redirected]" {
		t.Errorf("what came back: %v", got)
	}
	for i := 1; i < 6; i++ {
		want := 0
		if i == 5 {
			want = 1
		}
		inbox(t, o.g, names[i], want)
	}
	if n := len(o.mx.Mail()); n != 1 {
		t.Errorf("%d mails left", n)
	}
}

// A domain's plugin sends a mail for two on once, and what it captures waits as foreign mail
// does.
func TestRedirectOfDomain(t *testing.T) {
	o := newOutside(t)
	accounts(t, o.g, "eve@demo.localhost")
	verdict(t, o.g, o.g.Keys.Domain, map[string]string{"inbound": `{"redirect":["a@example.com","eve@demo.localhost"]}`})
	chat := o.g.Dial(t, "mx")
	chat.Script("S: 220 \nC: EHLO client.test\nS~ 250 \nC: MAIL FROM:<ann@example.org>\nS: 250 \nC: RCPT TO:<bot@demo.localhost>\nS: 250 \nC: RCPT TO:<eve@demo.localhost>\nS: 250 \nC: DATA\nS: 354 ")
	chat.Raw(strings.ReplaceAll(letterFromAnn, "\n", "\r\n") + ".\r\n")
	chat.Script("S: 250 ")
	took(t, o.mx, 1)
	// Eve has her own, and the one that was for the bot, which the plugin is asked about again:
	// it would be sent to her from her.
	inbox(t, o.g, "eve@demo.localhost", 2)
	inbox(t, o.g, gatewaytest.Account, 0)
}

// What a plugin answers goes to the author, from the mailbox; a mail that is answered is
// kept, wherever else it goes.
func TestVerdictReplies(t *testing.T) {
	o := newOutside(t)
	verdict(t, o.g, o.g.Keys.Account, map[string]string{"inbound": `{"reply":{"text":"I am away"},"redirect":["b@example.com"]}`})
	come(t, o.g, "ann@example.org", gatewaytest.Account, letterFromAnn)
	took(t, o.mx, 1)
	got := took(t, o.other, 1)[0]
	for _, want := range []string{"To: <ann@example.org>", "In-Reply-To: <news@example.org>", "Auto-Submitted: auto-replied", "Subject: Re: news", "I am away"} {
		if !strings.Contains(got.Data, want) {
			t.Errorf("without %q: the answer is\n%s", want, got.Data)
		}
	}
	inbox(t, o.g, gatewaytest.Account, 1)
}

// A verdict that lies, or takes what was not granted, changes nothing: its plugin has
// failed, and what is said of that is for its owner.
func TestVerdictsThatLie(t *testing.T) {
	o := newOutside(t)
	id := verdict(t, o.g, o.g.Keys.Account, map[string]string{"inbound": `{}`})
	lies := []string{
		`{"reply":{"text":"hi","from":"ceo@example.com"}}`,
		`{"headers":[{"op":"add","name":"Authentication-Results","value":"localhost; dmarc=pass"}]}`,
		`{"headers":[{"op":"set","name":"From","value":"ceo@example.com"}]}`,
		`{"redirect":["a@example.com\r\nRCPT TO:<b@example.com>"]}`,
		`{"action":"reject","redirect":["a@example.com"]}`,
		`{"thread":{"op":"new"}}`,
		`{"action":"deny"}`,
		`{"tags":[{"name":"k","value":"v"}]}`,
	}
	for i, lie := range lies {
		say(t, o.g, o.g.Keys.Account, id, map[string]string{"inbound": lie})
		come(t, o.g, "ann@example.org", gatewaytest.Account, letterFromAnn)
		got := inbox(t, o.g, gatewaytest.Account, i+1)[0]
		if labels(got) != "[plugin-error]" || !strings.HasPrefix(rawOf(t, o.g, got, gatewaytest.Account), "Return-Path: ") || strings.Contains(rawOf(t, o.g, got, gatewaytest.Account), "ceo@") {
			t.Errorf("%s: %v", lie, got)
		}
		o.later(31e9) // a plugin that fails too often pauses
	}
	if n := len(o.mx.Mail()) + len(o.other.Mail()); n != 0 {
		t.Errorf("%d mails left", n)
	}
}

// Conversations that a plugin merges, and one that it splits, are seen so over REST; those
// of others stay theirs, whatever ids it names.
func TestVerdictThreads(t *testing.T) {
	o := newOutside(t)
	key := o.g.Keys.Account
	id := verdict(t, o.g, key, map[string]string{"thread": `{}`})
	accounts(t, o.g, "eve@demo.localhost")
	n := 0
	arrive := func() (email, thread string) { // another mail of Ann's for the bot
		n++
		subject := fmt.Sprintf("subject%d", n)
		come(t, o.g, "ann@example.org", gatewaytest.Account, "From: ann@example.org\nSubject: "+subject+"\nMessage-ID: <"+subject+"@example.org>\n\nhello\n")
		newest := gatewaytest.Answer(inbox(t, o.g, gatewaytest.Account, n)[0].(map[string]any))
		return newest.Str("email_id"), newest.Str("thread_id")
	}
	threadOf := func(email string) string {
		_, a := o.g.Do("GET", "/emails/"+email, key, nil)
		return a.Str("thread_id")
	}
	come(t, o.g, "ann@example.org", "eve@demo.localhost", letterFromAnn)
	hers := gatewaytest.Answer(inbox(t, o.g, "eve@demo.localhost", 1)[0].(map[string]any))
	one, first := arrive()
	two, second := arrive()

	say(t, o.g, key, id, map[string]string{"thread": `{"thread":{"op":"merge","thread_id":"` + first + `","with":["` + second + `","` + hers.Str("thread_id") + `"]}}`})
	three, third := arrive()
	if third != first || threadOf(two) != first {
		t.Errorf("merged: %s is in %s and %s in %s, want %s", three, third, two, threadOf(two), first)
	}
	if _, a := o.g.Do("GET", "/emails/threads/"+second, key, nil); a.Str("thread_id") != first || a.At("message_count") != 3.0 {
		t.Errorf("the merged one leads to %v", a)
	}

	say(t, o.g, key, id, map[string]string{"thread": `{"thread":{"op":"split","with":["` + two + `","` + hers.Str("email_id") + `"]}}`})
	four, fourth := arrive()
	if fourth == first || threadOf(two) != fourth || threadOf(one) != first || threadOf(three) != first {
		t.Errorf("split: %s is in %s, the others in %s, %s, %s", four, fourth, threadOf(one), threadOf(two), threadOf(three))
	}

	say(t, o.g, key, id, map[string]string{"thread": `{"thread":{"op":"join","thread_id":"` + hers.Str("thread_id") + `"}}`})
	if _, fifth := arrive(); fifth == hers.Str("thread_id") || fifth == first || fifth == fourth {
		t.Errorf("it joined %s", fifth)
	}
	if now := gatewaytest.Answer(inbox(t, o.g, "eve@demo.localhost", 1)[0].(map[string]any)); fmt.Sprint(now) != fmt.Sprint(hers) {
		t.Errorf("hers became %v", now)
	}
	if _, a := o.g.Do("GET", "/emails/threads/"+hers.Str("thread_id")+"?email=eve@demo.localhost", o.g.Keys.Domain, nil); a.At("message_count") != 1.0 {
		t.Errorf("her conversation: %v", a)
	}
}

// Labels of a plugin that another takes away are gone, and its score is added up; what a
// plugin is told of a mail that programs don't answer is the core's word.
func TestVerdictsAddUp(t *testing.T) {
	o := newOutside(t)
	verdict(t, o.g, o.g.Keys.Domain, map[string]string{"inbound": `{"labels":["a","b"],"score":2}`})
	account := verdict(t, o.g, o.g.Keys.Account, map[string]string{"inbound": `{"labels":["c"],"unlabel":["a","none"],"score":1.5,"flags":["\\Flagged"]}`})
	come(t, o.g, "ann@example.org", gatewaytest.Account, letterFromAnn)
	got := inbox(t, o.g, gatewaytest.Account, 1)[0].(map[string]any)
	if labels(got) != "[b c]" || got["is_starred"] != true {
		t.Errorf("%v", got)
	}
	if status, a := o.g.Do("POST", "/plugins/"+account+"/test", o.g.Keys.Account, map[string]any{"hook": "inbound", "email_id": got["email_id"]}); status != 200 || fmt.Sprint(a.At("changes.unlabel")) != "[a none]" || a.At("changes.score") != 1.5 {
		t.Errorf("%d %v", status, a)
	}
}

// Mail from inside that is sent on keeps what its author's domain signed, and is still its
// mail for people here; a host that refuses it is reported to nobody.
func TestRedirectOfOurs(t *testing.T) {
	o := newOutside(t)
	accounts(t, o.g, "eve@demo.localhost")
	verdict(t, o.g, o.g.Keys.Account, map[string]string{"inbound": `{"redirect":["a@example.com","b@example.org","eve@demo.localhost"]}`})
	o.other.Answer(answers(map[string]string{"RCPT": "550 5.1.1 nobody"}))
	send(t, o.g, o.g.Keys.Domain, mail("hello@demo.localhost", gatewaytest.Account, "ours"))
	got := took(t, o.mx, 1)[0]
	if !strings.HasPrefix(got.From, "b+") || !strings.HasPrefix(got.Data, "Delivered-To: bot@demo.localhost\r\n") || !strings.Contains(got.Data, "DKIM-Signature: ") {
		t.Errorf("from %s:\n%s", got.From, got.Data)
	}
	here := rawOf(t, o.g, inbox(t, o.g, "eve@demo.localhost", 1)[0], "eve@demo.localhost")
	if !strings.Contains(here, `dmarc=pass reason="local"`) || strings.Count(here, "DKIM-Signature: ") == 0 {
		t.Errorf("here:\n%s", here)
	}
	gatewaytest.Eventually(t, "the refusal", func() bool { return strings.Contains(o.g.Log.String(), `"state":"bounced"`) })
	inbox(t, o.g, "hello@demo.localhost", 0)
	inbox(t, o.g, gatewaytest.Account, 0)
	if _, a := o.g.Do("GET", "/suppressions", o.g.Keys.Domain, nil); len(a["data"].([]any)) != 0 {
		t.Errorf("suppressed: %v", a)
	}
}

package gatewaytest_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/mailauth"
	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/sdk/abi"
)

// editor is a gateway whose domain has a plugin that changes mail that leaves, and one
// that says after it what it is told.
type editor struct {
	*outside
	first, second string
	keys          map[string]string
	checker       *mailauth.Checker
}

var toldOf = []string{"subject", "text", "header X-Old", "header X-New", "tags.1.name", "envelope.rcpt_to.0", "envelope.rcpt_to.1", "to.0.addr", "cc.0.addr"}

func newEditor(t *testing.T) *editor {
	t.Helper()
	dns := gatewaytest.ServeDNS(t)
	o := &outside{T: t, clock: &movingClock{}, mx: gatewaytest.ServeMX(t)}
	o.clock.set(time.Now())
	o.g = gatewaytest.Start(t, gatewaytest.Clock(o.clock.now), gatewaytest.Hosts(dns, map[string]*gatewaytest.MX{"example.com": o.mx}))
	e := &editor{outside: o, keys: published(t, o.g, dns), checker: checkerAt(t, dns)}
	e.first = installed(t, e.g, e.g.Keys.Domain, abi.Manifest{Name: "first", Hooks: []string{"outbound"}, Priority: 1}, hostile.Obedient("outbound"))
	e.second = installed(t, e.g, e.g.Keys.Domain, abi.Manifest{Name: "second", Hooks: []string{"outbound"}, Priority: 2}, hostile.Teller("outbound", toldOf...))
	say(t, e.g, e.g.Keys.Domain, e.second, nil)
	return e
}

// told is what a plugin was told the last time that it was asked, by its names.
func (e *editor) told(plugin string) map[string]string {
	e.Helper()
	_, a := e.g.Do("GET", "/plugins/"+plugin+"/logs?limit=100", e.g.Keys.Domain, nil)
	var said []string
	for _, l := range a["data"].([]any) { // the newest first
		said = append(said, gatewaytest.Answer(l.(map[string]any)).Str("text"))
		if said[len(said)-1] == toldOf[0] {
			break
		}
	}
	slices.Reverse(said)
	by := make(map[string]string)
	for i, line := range said {
		if slices.Contains(toldOf, line) && i+1 < len(said) && !slices.Contains(toldOf, said[i+1]) {
			by[line] = said[i+1]
		}
	}
	return by
}

// byREST and bySMTP send the same mail to two people elsewhere.
func (e *editor) byREST() (id string, refused int) {
	status, a := e.g.Do("POST", "/emails", e.g.Keys.Domain, map[string]any{
		"from": gatewaytest.Account, "to": "a@example.com", "cc": "b@example.com", "subject": "Hello", "text": "plain", "html": "<p>rich",
		"headers": map[string]string{"X-Old": "1"}, "tags": []map[string]string{{"name": "kind", "value": "x"}},
		"attachments": []map[string]string{{"filename": "a.txt", "content": base64.StdEncoding.EncodeToString([]byte("the file"))}},
	})
	if status != 200 {
		return "", status
	}
	return a.Str("id"), 0
}

const writtenLetter = "From: bot@demo.localhost\r\nTo: a@example.com\r\nCc: b@example.com\r\nSubject: Hello\r\nDate: Thu, 19 Mar 2026 18:00:00 +0000\r\nx-old:   1\r\nX-Keep: a\r\n  b\r\n\r\nplain\r\n"

func (e *editor) bySMTP() (id string, refused int) {
	e.Helper()
	chat := e.g.Dial(e, "submissions")
	chat.Script("S: 220 \nC: EHLO client.example\nS~ 250 \nC: AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00centerleap\x00"+e.g.Keys.Domain)) + "\nS: 235 " +
		"\nC: MAIL FROM:<" + gatewaytest.Account + ">\nS: 250 \nC: RCPT TO:<a@example.com>\nS: 250 \nC: RCPT TO:<b@example.com>\nS: 250 \nC: DATA\nS: 354 ")
	chat.Raw(writtenLetter + ".\r\n")
	line, _ := chat.Line()
	if !strings.HasPrefix(line, "250 ") {
		fmt.Sscanf(line, "%d", &refused)
		return "", refused
	}
	return line[strings.LastIndexByte(line, ' ')+1:], 0
}

// What a plugin changes of mail that leaves is what the next plugin is told, what REST
// shows, and what arrives, with signatures that hold.
func TestOutboundEdits(t *testing.T) {
	e := newEditor(t)
	sent := 0
	for _, tt := range []struct {
		name, says string
		told       map[string]string // besides what it was
		has, not   string            // of what arrives
		shown      [2]string         // path and value at GET /emails/:id
		written    bool              // over SMTP it is as over REST
		to         string            // other than to both
	}{
		{name: "set", says: `{"headers":[{"op":"set","name":"X-Old","value":"zwölf"}]}`, told: map[string]string{"header X-Old": "zwölf"}, has: "X-Old: =?utf-8?q?zw=C3=B6lf?=\r\n", not: "x-old:", shown: [2]string{"headers.X-Old", "zwölf"}, written: true},
		{name: "delete", says: `{"headers":[{"op":"delete","name":"x-OLD"}]}`, told: map[string]string{"header X-Old": ""}, not: "X-Old:", shown: [2]string{"headers.X-Old", ""}, written: true},
		{name: "add", says: `{"headers":[{"op":"add","name":"X-New","value":"2"}]}`, told: map[string]string{"header X-New": "2"}, has: "X-New: 2\r\n", shown: [2]string{"headers.X-New", "2"}, written: true},
		{name: "subject", says: `{"subject":"[checked] Hello"}`, told: map[string]string{"subject": "[checked] Hello"}, has: "Subject: [checked] Hello\r\n", shown: [2]string{"subject", "[checked] Hello"}},
		{name: "body", says: `{"body":{"text":"other words"}}`, told: map[string]string{"text": "other words"}, has: "other words", not: "rich", shown: [2]string{"text", "other words"}},
		{name: "tags", says: `{"tags":[{"name":"checked","value":"yes"}]}`, told: map[string]string{"tags.1.name": "checked"}, has: "Subject: Hello", shown: [2]string{"tags.1.value", "yes"}},
		{name: "remove", says: `{"remove":["A@example.com"]}`, told: map[string]string{"envelope.rcpt_to.0": "b@example.com", "envelope.rcpt_to.1": "", "to.0.addr": ""}, has: "Cc: <b@example.com>\r\n", not: "a@example.com", shown: [2]string{"cc.0", "b@example.com"}, to: "b@example.com"},
	} {
		for door, send := range map[string]func() (string, int){"REST": e.byREST, "SMTP": e.bySMTP} {
			t.Run(tt.name+" over "+door, func(t *testing.T) {
				e.T = t
				if door == "SMTP" && !tt.written {
					return // TestOutboundEditsRefused, TestOutboundEditsOfSMTP
				}
				say(t, e.g, e.g.Keys.Domain, e.first, map[string]string{"outbound": tt.says})
				id, refused := send()
				if refused != 0 {
					t.Fatalf("refused: %d", refused)
				}
				told := e.told(e.second)
				for name, want := range map[string]string{"subject": "Hello", "header X-Old": "1", "envelope.rcpt_to.0": "a@example.com", "envelope.rcpt_to.1": "b@example.com", "to.0.addr": "a@example.com", "cc.0.addr": "b@example.com"} {
					if changed, is := tt.told[name]; is {
						want = changed
					}
					if told[name] != want {
						t.Errorf("%s: the next is told %q, want %q", name, told[name], want)
					}
				}
				for name, want := range tt.told {
					if strings.TrimSpace(told[name]) != want {
						t.Errorf("%s: the next is told %q, want %q", name, told[name], want)
					}
				}
				sent++
				got := took(t, e.mx, sent)[sent-1]
				if to := strings.Join(got.To, " "); tt.to != "" && to != tt.to || tt.to == "" && to != "a@example.com b@example.com" {
					t.Errorf("carried to %s", to)
				}
				if !strings.Contains(got.Data, tt.has) || tt.not != "" && strings.Contains(got.Data, tt.not) {
					t.Errorf("it arrives as\n%s", got.Data)
				}
				verified(t, e.checker, e.keys, got.Data)
				if stored := raw(t, e.g, id, gatewaytest.Account); stored != got.Data {
					t.Errorf("stored is\n%s\narrived\n%s", stored, got.Data)
				}
				if shown := e.shown(id, tt.shown[0]); shown != tt.shown[1] {
					t.Errorf("%s is shown as %q", tt.shown[0], shown)
				}
				if door == "SMTP" {
					e.others(got.Data)
				}
			})
		}
	}
}

// shown is what REST says of an email.
func (e *editor) shown(id, path string) string {
	e.Helper()
	_, a := e.g.Do("GET", "/emails/"+id+"?email="+gatewaytest.Account, e.g.Keys.Domain, nil)
	name, is := strings.CutPrefix(path, "headers.")
	if !is {
		v := a.At(path)
		if v == nil {
			return ""
		}
		return strings.TrimSpace(fmt.Sprint(v))
	}
	for _, h := range a["headers"].([]any) {
		if f := gatewaytest.Answer(h.(map[string]any)); strings.EqualFold(f.Str("name"), name) {
			return f.Str("value")
		}
	}
	return ""
}

// others wants all lines of what was written over SMTP to be there as they were, but the
// one that was changed.
func (e *editor) others(data string) {
	e.Helper()
	for line := range strings.Lines(writtenLetter) {
		if !strings.HasPrefix(line, "x-old:") && !strings.Contains(data, line) {
			e.Errorf("%q is not in\n%s", line, data)
		}
	}
}

// What may not be changed, or leaves nobody, is refused at once: by the failure policy, or
// as what a plugin denies.
func TestOutboundEditsRefused(t *testing.T) {
	e := newEditor(t)
	policy := func(p string) {
		if status, a := e.g.Do("PATCH", "/plugins/"+e.first, e.g.Keys.Domain, map[string]any{"failure_policy": p}); status != 200 {
			t.Fatal(status, a)
		}
	}
	for _, tt := range []struct {
		says       string
		rest, smtp int // with the policy closed; 0: it leaves
	}{
		{`{"subject":"no"}`, 0, 451},
		{`{"body":{"text":"no"}}`, 0, 451},
		{`{"headers":[{"op":"set","name":"Message-ID","value":"<a@b>"}]}`, 503, 451},
		{`{"headers":[{"op":"delete","name":"DKIM-Signature"}]}`, 503, 451},
		{`{"headers":[{"op":"set","name":"From","value":"x@y.test"}]}`, 503, 451},
		{`{"headers":[{"op":"set","name":"X-A","value":"1\r\nBcc: x@y.test"}]}`, 503, 451},
		{`{"remove":["a@example.com","b@example.com"]}`, 403, 550},
	} {
		policy("closed")
		say(t, e.g, e.g.Keys.Domain, e.first, map[string]string{"outbound": tt.says})
		if _, got := e.byREST(); got != tt.rest {
			t.Errorf("%s over REST: %d, want %d", tt.says, got, tt.rest)
		}
		if _, got := e.bySMTP(); got != tt.smtp {
			t.Errorf("%s over SMTP: %d, want %d", tt.says, got, tt.smtp)
		}
	}
	policy("open")
	say(t, e.g, e.g.Keys.Domain, e.first, map[string]string{"outbound": `{"subject":"no","headers":[{"op":"set","name":"X-Old","value":"no"}]}`})
	n := len(took(t, e.mx, 2)) // of what REST let leave
	if _, got := e.bySMTP(); got != 0 {
		t.Errorf("refused although its plugin's policy is open: %d", got)
	}
	if got := took(t, e.mx, n+1)[n]; !strings.HasSuffix(got.Data, writtenLetter) {
		t.Errorf("it arrives as\n%s", got.Data)
	}
}

// Of what was written, tags and recipients change without a byte of it.
func TestOutboundEditsOfSMTP(t *testing.T) {
	e := newEditor(t)
	say(t, e.g, e.g.Keys.Domain, e.first, map[string]string{"outbound": `{"remove":["a@example.com"],"tags":[{"name":"checked","value":"yes"}]}`})
	id, refused := e.bySMTP()
	got := took(t, e.mx, 1)[0]
	if refused != 0 || strings.Join(got.To, " ") != "b@example.com" || !strings.HasSuffix(got.Data, writtenLetter) || e.shown(id, "tags.0.value") != "yes" {
		t.Errorf("%d, to %v as\n%s", refused, got.To, got.Data)
	}
	verified(t, e.checker, e.keys, got.Data)
	if told := e.told(e.second); told["envelope.rcpt_to.0"] != "b@example.com" || told["envelope.rcpt_to.1"] != "" || told["to.0.addr"] != "a@example.com" {
		t.Errorf("the next is told %v", told)
	}
}

// What a plugin holds until a time is shown as that, and leaves then.
func TestHoldsUntil(t *testing.T) {
	e := newEditor(t)
	until := e.clock.now().Add(time.Hour).UTC().Format(time.RFC3339)
	say(t, e.g, e.g.Keys.Domain, e.first, map[string]string{"outbound": `{"action":"hold","hold":{"until":"` + until + `"}}`})
	id, refused := e.byREST()
	if got := e.shown(id, "last_event") + e.shown(id, "events.0.reason") + e.shown(id, "events.0.until"); refused != 0 || got != "heldplugin"+until {
		t.Errorf("%d, shown as %s", refused, got)
	}
	_, q := e.g.Do("GET", "/queue?email_id="+id, e.g.Keys.Domain, nil)
	if q.Str("data.0.reason") != "plugin" || q.Str("data.0.held_until") != until || q.Str("data.0.next_at") != until {
		t.Errorf("the queue shows %v", q)
	}
	e.later(59 * time.Minute)
	if n := len(e.mx.Mail()); n != 0 {
		t.Errorf("%d mails before it", n)
	}
	e.later(2 * time.Minute)
	took(t, e.mx, 1)
	e.wait(id, "delivered")
}

// What a domain's plugin adds to mail that arrives, those of the account are told; and
// what was added to mail of the same gateway when it left.
func TestInboundAdds(t *testing.T) {
	e := newEditor(t)
	say(t, e.g, e.g.Keys.Domain, e.first, map[string]string{"outbound": `{"headers":[{"op":"add","name":"X-New","value":"left"}]}`})
	domain := installed(t, e.g, e.g.Keys.Domain, abi.Manifest{Name: "adds", Hooks: []string{"inbound"}}, hostile.Obedient("inbound"))
	say(t, e.g, e.g.Keys.Domain, domain, map[string]string{"inbound": `{"headers":[{"op":"add","name":"X-Old","value":"arrived"}],"labels":["a","b"],"score":2}`})
	tells := installed(t, e.g, e.g.Keys.Account, abi.Manifest{Name: "tells", Hooks: []string{"inbound"}, Priority: 2}, hostile.Teller("inbound", append(toldOf, "labels.1", "score")...))
	say(t, e.g, e.g.Keys.Account, tells, nil)
	hears := installed(t, e.g, e.g.Keys.Account, abi.Manifest{Name: "hears", Hooks: []string{"event"}}, hostile.Teller("event", toldOf...))
	say(t, e.g, e.g.Keys.Account, hears, nil)
	send(t, e.g, e.g.Keys.Domain, map[string]any{"from": "ann@demo.localhost", "to": gatewaytest.Account, "subject": "inside", "text": "x"})
	at := inbox(t, e.g, gatewaytest.Account, 1)[0]
	told := e.told(tells)
	if told["header X-New"] != "left" || told["header X-Old"] != "arrived" || told["subject"] != "inside" {
		t.Errorf("the account's plugin is told %v", told)
	}
	if whole := rawOf(t, e.g, at, gatewaytest.Account); strings.Count(whole, "X-Old: arrived") != 1 || strings.Count(whole, "X-New: left") != 1 {
		t.Errorf("it is kept as\n%s", whole)
	}
	gatewaytest.Eventually(t, "the event hook is told of the fields that were added", func() bool {
		told := e.told(hears)
		return told["header X-New"] == "left" && told["header X-Old"] == "arrived"
	})
	come(t, e.g, "ann@example.org", gatewaytest.Account, letterFromAnn)
	inbox(t, e.g, gatewaytest.Account, 2)
	if told := e.told(tells); told["header X-New"] != "" || told["header X-Old"] != "arrived" {
		t.Errorf("of mail from outside the account's plugin is told %v", told)
	}
}

// A draft is changed when it is sent, like what is sent at once; its file stays.
func TestDraftEdits(t *testing.T) {
	e := newEditor(t)
	_, a := e.g.Do("POST", "/emails", e.g.Keys.Domain, map[string]any{
		"from": gatewaytest.Account, "to": "a@example.com", "cc": "b@example.com", "subject": "Hello", "text": "plain", "draft": true, "headers": map[string]string{"X-Old": "1"},
		"attachments": []map[string]string{{"filename": "a.txt", "content": base64.StdEncoding.EncodeToString([]byte("the file"))}},
	})
	id := a.Str("id")
	say(t, e.g, e.g.Keys.Domain, e.first, map[string]string{"outbound": `{"subject":"Checked","body":{"html":"<p>other words"},"remove":["b@example.com"],"headers":[{"op":"set","name":"X-Old","value":"2"}]}`})
	if status, a := e.g.Do("POST", "/emails/"+id+"/send", e.g.Keys.Domain, nil); status != 200 || a.Str("id") != id {
		t.Fatalf("send: %d %v", status, a)
	}
	got := took(t, e.mx, 1)[0]
	verified(t, e.checker, e.keys, got.Data)
	for _, want := range []string{"Subject: Checked\r\n", "other words", "X-Old: 2\r\n", base64.StdEncoding.EncodeToString([]byte("the file"))} {
		if !strings.Contains(got.Data, want) {
			t.Errorf("%q is not in\n%s", want, got.Data)
		}
	}
	if strings.Contains(got.Data, "b@example.com") || strings.Contains(got.Data, "plain\r\n") || raw(t, e.g, id, gatewaytest.Account) != got.Data {
		t.Errorf("it arrives as\n%s", got.Data)
	}
	if told := e.told(e.second); told["subject"] != "Checked" || told["header X-Old"] != "2" || strings.TrimSpace(told["text"]) != "other words" {
		t.Errorf("the next is told %v", told)
	}
	if shown := e.shown(id, "folder") + e.shown(id, "attachments.0.filename"); shown != "Senta.txt" {
		t.Errorf("it is in %s", shown)
	}
}

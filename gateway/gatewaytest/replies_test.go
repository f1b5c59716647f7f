package gatewaytest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/sdk/abi"
)

// install puts a module at work for the inbound hook of a mailbox.
func install(t *testing.T, g *gatewaytest.Gateway, key, email string, wasm []byte) {
	t.Helper()
	manifest, err := json.Marshal(abi.Manifest{V: 1, Name: "bot", Version: "1", Hooks: []string{"inbound"}, Permissions: hostile.Permissions})
	if err != nil {
		t.Fatal(err)
	}
	status, a := g.Upload("/plugins?email="+email, key, map[string]string{"wasm": string(wasm), "manifest": string(manifest)})
	if status != 201 {
		t.Fatalf("install: %d %v", status, a)
	}
	if status, a := g.Do("PATCH", "/plugins/"+a.Str("id")+"?email="+email, key, map[string]any{"status": "enabled"}); status != 200 {
		t.Fatalf("enable: %d %v", status, a)
	}
}

// side is a mailbox on a gateway, with the key of its domain.
type side struct {
	g          *gatewaytest.Gateway
	key, email string
}

func newSide(t *testing.T, g *gatewaytest.Gateway, domain string) side {
	t.Helper()
	s := side{g: g, email: "bot@" + domain}
	for _, step := range []struct {
		path string
		body map[string]any
	}{
		{"/domains", map[string]any{"name": domain, "verified": true}},
		{"/accounts", map[string]any{"email": s.email}},
		{"/api-keys", map[string]any{"domain": domain}},
	} {
		status, a := g.Do("POST", step.path, g.Keys.Admin, step.body)
		if status != 201 {
			t.Fatalf("%s: %d %v", step.path, status, a)
		}
		s.key = a.Str("token")
	}
	return s
}

// count is how many mails stand in a folder.
func (s side) count(t *testing.T, folder string) int {
	t.Helper()
	status, a := s.g.Do("GET", "/emails?email="+s.email+"&folder="+folder+"&limit=100", s.key, nil)
	if status != 200 {
		t.Fatalf("list: %d %v", status, a)
	}
	list, _ := a["data"].([]any)
	return len(list)
}

// quiet reports whether nothing of a plugin waits, nor any delivery.
func (s side) quiet(t *testing.T) bool {
	t.Helper()
	status, a := s.g.Do("GET", "/queue?limit=1", s.key, nil)
	if status != 200 {
		t.Fatalf("queue: %d %v", status, a)
	}
	list, _ := a["data"].([]any)
	return len(list) == 0
}

// pairs are two mailboxes: on one gateway and in one domain, or each on its own.
func pairs(t *testing.T, options ...gatewaytest.Option) map[string]func(t *testing.T) (a, b side) {
	const limits = "20000"
	options = append([]gatewaytest.Option{gatewaytest.Limit("plugin_millis", limits), gatewaytest.Limit("plugin_message_millis", limits)}, options...)
	return map[string]func(t *testing.T) (a, b side){
		"one domain": func(t *testing.T) (a, b side) {
			g := gatewaytest.Start(t, options...)
			a = side{g, g.Keys.Domain, gatewaytest.Account}
			b = side{g, g.Keys.Domain, "bob@" + gatewaytest.Domain}
			if status, answer := g.Do("POST", "/accounts", g.Keys.Domain, map[string]any{"email": b.email}); status != 201 {
				t.Fatalf("%d %v", status, answer)
			}
			return a, b
		},
		"two domains": func(t *testing.T) (a, b side) {
			g := gatewaytest.Start(t, options...)
			return newSide(t, g, "a.example"), newSide(t, g, "b.example")
		},
		"two gateways": func(t *testing.T) (a, b side) {
			dns, toA, toB := gatewaytest.ServeDNS(t), gatewaytest.NewForward(t), gatewaytest.NewForward(t)
			hosts := map[string]*gatewaytest.MX{"a.example": {Addr: toA.Addr}, "b.example": {Addr: toB.Addr}}
			one := gatewaytest.Start(t, append(options, gatewaytest.Hosts(dns, map[string]*gatewaytest.MX{"b.example": hosts["b.example"]}))...)
			two := gatewaytest.Start(t, append(options, gatewaytest.Hosts(dns, map[string]*gatewaytest.MX{"a.example": hosts["a.example"]}))...)
			toA.Leads(one.Addr("mx"))
			toB.Leads(two.Addr("mx"))
			a, b = newSide(t, one, "a.example"), newSide(t, two, "b.example")
			publish(t, one, dns, "a.example") // so that authors are proven: the envelope's address takes bounces alone
			publish(t, two, dns, "b.example")
			return a, b
		},
	}
}

// writes has a mailbox write to the other one, and waits until that has the mail.
func (s side) writes(t *testing.T, to side) {
	t.Helper()
	before := to.count(t, "INBOX")
	status, a := s.g.Do("POST", "/emails", s.key, map[string]any{"from": s.email, "to": []string{to.email}, "subject": "hello", "text": "hello"})
	if status != 200 {
		t.Fatalf("send: %d %v", status, a)
	}
	gatewaytest.Eventually(t, "the mail arrives", func() bool { return to.count(t, "INBOX") > before })
}

// Two mailboxes whose plugins answer everything don't answer each other without end: a
// program's answer gets none. One letter leads to one answer, wherever the two are.
func TestRobustness10Replies(t *testing.T) {
	for name, start := range pairs(t) {
		t.Run(name, func(t *testing.T) {
			a, b := start(t)
			bot := hostile.Says(`{"reply":{"text":"thank you"}}`)
			install(t, a.g, a.key, a.email, bot)
			install(t, b.g, b.key, b.email, bot)
			a.writes(t, b)
			gatewaytest.Eventually(t, "the letter is answered", func() bool { return a.count(t, "INBOX") == 1 })
			gatewaytest.Eventually(t, "the answer is not", func() bool {
				return strings.Contains(lines(t, a), "no reply: it has the null reverse-path") && a.quiet(t) && b.quiet(t)
			})
			a.writes(t, b) // the same sender again
			gatewaytest.Eventually(t, "the second letter is not", func() bool {
				return strings.Contains(lines(t, b), "its sender was answered less than 4 hours ago") && a.quiet(t) && b.quiet(t)
			})
			if in, out := a.count(t, "INBOX"), b.count(t, "Sent"); in != 1 || out != 1 || a.count(t, "Sent") != 2 || b.count(t, "INBOX") != 2 {
				t.Errorf("%d answers came of %d", in, out)
			}
			rows(t, b, "reply", 200)
		})
	}
}

// rows wants a row of the log about what a plugin did.
func rows(t *testing.T, s side, method string, want int) {
	t.Helper()
	status, a := s.g.Do("GET", "/logs?protocol=plugin&limit=100", s.key, nil)
	if status != 200 {
		t.Fatalf("logs: %d %v", status, a)
	}
	list, _ := a["data"].([]any)
	for i := range list {
		at := fmt.Sprintf("data.%d.", i)
		if a.Str(at+"method") == method && a.At(at+"response_status") == float64(want) && a.Str(at+"endpoint") == "bot" && a.Str(at+"email_id") != "" {
			return
		}
	}
	t.Errorf("no row of a %s with %d: %v", method, want, a)
}

// lines is what the plugin of a mailbox has said.
func lines(t *testing.T, s side) string {
	t.Helper()
	_, all := s.g.Do("GET", "/plugins?email="+s.email, s.key, nil)
	id := all.Str("data.0.id")
	status, a := s.g.Do("GET", "/plugins/"+id+"/logs?email="+s.email+"&limit=100", s.key, nil)
	if status != 200 {
		t.Fatalf("lines: %d %v", status, a)
	}
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Two plugins that send to each other whatever comes stop at once where the gateway knows
// whose mail it is; else they go on, so often an hour and no more.
func TestRobustness10Sends(t *testing.T) {
	for name, start := range pairs(t, gatewaytest.Limit("plugin_sends_hour", "5")) {
		t.Run(name, func(t *testing.T) {
			a, b := start(t)
			install(t, a.g, a.key, a.email, hostile.Sends(`{"to":["`+b.email+`"],"subject":"again","text":"x"}`))
			install(t, b.g, b.key, b.email, hostile.Sends(`{"to":["`+a.email+`"],"subject":"again","text":"x"}`))
			a.writes(t, b)
			sentA, sentB := 1, 1 // the letter, and what came of it: no mail of a plugin leads to another
			if a.g != b.g {      // which nobody can know of mail from elsewhere
				sentA, sentB = 6, 5
			}
			gatewaytest.Eventually(t, "both have sent what they may", func() bool { return a.count(t, "Sent") == sentA && b.count(t, "Sent") == sentB })
			gatewaytest.Eventually(t, "the next one is not", func() bool {
				if a.g == b.g {
					return a.count(t, "INBOX") == 1 && strings.Contains(lines(t, a), "the mail of a plugin leads to no other")
				}
				return strings.Contains(b.g.Log.String(), "plugin_emails") && a.quiet(t) && b.quiet(t)
			})
			if inA, inB := a.count(t, "Sent"), b.count(t, "Sent"); inA != sentA || inB != sentB {
				t.Errorf("%d and %d were sent, want %d and %d", inA, inB, sentA, sentB)
			}
			rows(t, b, "send", 200)
		})
	}
}

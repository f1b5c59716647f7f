package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// allLate is a manifest of the puppet with the hooks that nobody waits for.
func allLate(name string) string {
	return fmt.Sprintf(`{"v":1,"name":%q,"version":"1","hooks":["event","tick"],"permissions":["reply","send","kv"],"events":["email.received","email.delivered"],"tick_seconds":3600}`, name)
}

// What a plugin would do about an event, or in its turn, is told, and not done.
func TestPluginTestLater(t *testing.T) {
	c := newClient(t, withPlugins()...)
	key := c.g.Keys.Account
	id := c.push(201, "/plugins", key, withManifest(t, allLate("p")), "application/wasm").Str("id")
	c.receives("told seen", gatewaytest.Account)
	mail := c.newest(gatewaytest.Account, "INBOX")
	c.do(200, "PATCH", "/emails/"+mail, key, `{"add_labels":["here"],"folder":"Archive"}`)
	c.do(200, "PATCH", "/plugins/"+id, key, `{"config":{"tock":"yes"}}`)
	path := "/plugins/" + id + "/test"
	for _, tt := range []struct {
		body string
		want map[string]string
	}{
		{`{"hook":"event","email_id":"` + mail + `"}`, map[string]string{
			"verdict.action": "accept", "changes.labels": "[seen]", "changes.reply.text": "marked", "logs.0.text": "email.received in Archive with here", "error": "<nil>",
		}},
		{`{"hook":"event","email_id":"` + mail + `","event":"email.delivered"}`, map[string]string{"logs.0.text": "email.delivered in Archive with here"}},
		{`{"hook":"event","sample":"personal"}`, map[string]string{"logs.0.text": "dry-run email.received 1", "changes.labels": "[n1]"}},
		{`{"hook":"event","raw":"Subject: told error\n\nx"}`, map[string]string{"verdict.action": "accept", "logs.1.text": "as it was told"}},
		{`{"hook":"tick"}`, map[string]string{
			"logs.0.text": "turn 1 of demo.localhost, before it none", "sends.0.from": "bot@demo.localhost", "sends.0.to": "[ops@demo.localhost]", "sends.0.subject": "tick",
			"sends.0.text": "tock", "error": "<nil>",
		}},
	} {
		a := c.do(200, "POST", path, key, tt.body)
		for at, want := range tt.want {
			if got := fmt.Sprint(a.At(at)); got != want {
				t.Errorf("%s: %s is %s, want %s\n%v", tt.body, at, got, want, a)
			}
		}
	}
	if a := c.do(200, "POST", path, key, `{"hook":"event","raw":"Subject: told error\n\nx"}`); a.Str("error") == "" {
		t.Errorf("%v", a)
	}
	for _, tt := range []struct{ body, field string }{
		{`{"hook":"tick","sample":"personal"}`, "email_id"},
		{`{"hook":"event","sample":"personal","event":"email.x"}`, "event"},
		{`{"hook":"tick","event":"email.received"}`, "event"},
		{`{"hook":"event"}`, "email_id"},
		{`{"hook":"inbound","sample":"personal","event":"x"}`, "event"},
		{`{"hook":"thread","sample":"personal"}`, "hook"},
	} {
		if a := c.do(422, "POST", path, key, tt.body); a.Str("errors.0.path") != tt.field {
			t.Errorf("%s: %v", tt.body, a)
		}
	}
	if a := c.do(200, "GET", "/emails?folder=Sent", key, nil); a.At("total") != 0.0 {
		t.Errorf("something was sent: %v", a)
	}
	if a := c.do(200, "GET", "/emails/"+mail, key, nil); fmt.Sprint(a.At("labels")) != "[here]" {
		t.Errorf("something was marked: %v", a)
	}
}

// What a plugin was told of afterwards is in the trace of the mail, and can be replayed.
func TestTraceOfEvent(t *testing.T) {
	c := newClient(t, withPlugins()...)
	key := c.g.Keys.Account
	id := c.push(201, "/plugins", key, withManifest(t, allLate("p")), "application/wasm").Str("id")
	c.do(200, "PATCH", "/plugins/"+id, key, `{"status":"enabled"}`)
	c.receives("told seen", gatewaytest.Account)
	mail := c.newest(gatewaytest.Account, "INBOX")
	var all []string
	gatewaytest.Eventually(t, "the plugin is told", func() bool {
		all = c.trace(mail, key)
		return strings.HasPrefix(all[len(all)-1], "event account p accept")
	})
	if n := len(all); all[n-1] != "event account p accept <nil> [seen] [map[level:info text:email.received in INBOX with ]] false" || all[n-2] != "stored INBOX [seen]" {
		t.Errorf("%q", all)
	}
	gatewaytest.Eventually(t, "the log has a line of the event, and one of no hook: it may not answer what names nobody", func() bool {
		logs := c.do(200, "GET", "/plugins/"+id+"/logs", key, nil)
		hooks := []string{fmt.Sprint(logs.At("data.0.hook")), fmt.Sprint(logs.At("data.1.hook"))}
		return slices.Contains(hooks, "event") && slices.Contains(hooks, "<nil>")
	})
	a := c.do(200, "POST", "/plugins/"+id+"/replay", key, `{"hook":"event","last":10}`)
	if a.At("asked") != 1.0 || a.At("unknown") != 0.0 || a.At("differs") != 0.0 || fmt.Sprint(a.At("now.actions")) != "map[accept:1]" {
		t.Errorf("%v", a)
	}
}

// What a plugin sends on and keeps shows how the journey goes.
func TestTraceOfRedirect(t *testing.T) {
	mx, dns := gatewaytest.ServeMX(t), gatewaytest.ServeDNS(t)
	c := newClient(t, append(withPlugins(), gatewaytest.Hosts(dns, map[string]*gatewaytest.MX{"example.com": mx}))...)
	key := c.g.Keys.Account
	manifest := `{"v":1,"name":"p","version":"1","hooks":["inbound"],"permissions":["redirect"]}`
	id := c.push(201, "/plugins", key, withManifest(t, manifest), "application/wasm").Str("id")
	c.do(200, "PATCH", "/plugins/"+id, key, `{"status":"enabled"}`)
	c.receives("send-on x@example.com", gatewaytest.Account)
	mail := c.newest(gatewaytest.Account, "INBOX")
	var all []string
	gatewaytest.Eventually(t, "it is sent on", func() bool {
		all = c.trace(mail, key)
		return strings.HasPrefix(all[len(all)-1], "attempt delivered")
	})
	a := c.do(200, "GET", "/emails/"+mail+"/trace", key, nil)
	step := a.At("data.4")
	if s := gatewaytest.Answer(step.(map[string]any)); fmt.Sprint(s.At("plugin.changes.redirect")) != "[x@example.com]" || s.At("plugin.changes.keep") != true {
		t.Errorf("%v", step)
	}
	if last := all[len(all)-1]; last != "attempt delivered <nil> 1 mx.example.com 250 2.0.0 queued" || len(mx.Mail()) != 1 {
		t.Errorf("%q", all)
	}
}

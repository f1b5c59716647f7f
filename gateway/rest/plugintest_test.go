package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// all is a manifest of the puppet with all hooks and permissions.
func all(name, version string) string {
	return fmt.Sprintf(`{"v":1,"name":%q,"version":%q,"hooks":["inbound","outbound","thread"],"permissions":["discard","headers","thread","raw","kv"]}`, name, version)
}

// raw is a message with a subject.
func raw(subject string) string {
	return "From: Ann <ann@elsewhere.example>\nTo: bot@demo.localhost\nSubject: " + subject + "\n\nbody\n"
}

// A plugin that is not asked yet says what it would do about text, a sample and stored
// mail, by each form of its id; nothing of it is done.
func TestPluginTest(t *testing.T) {
	c := newClient(t, withPlugins()...)
	key := c.g.Keys.Account
	id := c.push(201, "/plugins", key, withManifest(t, all("p", "1")), "application/wasm").Str("id")
	c.do(200, "PATCH", "/plugins/"+id, key, `{"config":{"label":"seen"}}`)
	path := "/plugins/" + id + "/test"
	try := func(hook, subject string) gatewaytest.Answer {
		t.Helper()
		return c.do(200, "POST", path, key, map[string]any{"hook": hook, "raw": raw(subject)})
	}
	for _, tt := range []struct{ hook, subject, at, want string }{
		{"inbound", "nothing", "verdict.action", "accept"},
		{"inbound", "reject not wanted", "verdict.action", "reject"},
		{"inbound", "reject not wanted", "verdict.text", "not wanted"},
		{"inbound", "reject not wanted", "verdict.code", "554"},
		{"inbound", "label", "changes.labels", "[seen]"},
		{"inbound", "final", "verdict.final", "true"},
		{"inbound", "quarantine odd", "changes.folder", "Junk"},
		{"inbound", "header it was here", "changes.headers", "[map[name:X-Puppet value:it was here]]"},
		{"inbound", "count", "kv_writes.0.key", "count"},
		{"inbound", "say warning hear", "logs", "[map[level:warning text:hear]]"},
		{"inbound", "dry", "changes.labels", "[dry-true]"},
		{"inbound", "panic now", "verdict.action", "accept"},
		{"inbound", "panic now", "changes.labels", "[plugin-error]"},
		{"outbound", "nothing", "verdict.action", "allow"},
		{"outbound", "deny no", "verdict.action", "deny"},
		{"outbound", "hold wait", "verdict.reason", "wait"},
		{"thread", "apart", "changes.thread.op", "new"},
	} {
		a := try(tt.hook, tt.subject)
		if got := fmt.Sprint(a.At(tt.at)); got != tt.want || a.At("dry_run") != true || a.At("host_calls").(float64) < 1 || a.At("duration_us").(float64) <= 0 || a.At("fuel").(float64) < 1000 || a.At("memory_bytes").(float64) < 64<<10 {
			t.Errorf("%s, %s: %s is %s, want %s: %v", tt.hook, tt.subject, tt.at, got, tt.want, a)
		}
		if failed := strings.HasPrefix(tt.subject, "panic"); failed != strings.Contains(a.Str("error"), "trap") {
			t.Errorf("%s: %v", tt.subject, a)
		}
	}
	if a := c.do(200, "POST", path, key, `{"hook":"inbound","sample":"newsletter"}`); a.Str("verdict.action") != "accept" {
		t.Errorf("%v", a)
	}
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("subject", "look"))
	gatewaytest.Eventually(t, "the email", func() bool {
		_, a := c.g.Do("GET", "/emails", key, nil)
		return a.At("total") == 1.0
	})
	item := c.do(200, "GET", "/emails", key, nil)
	for _, id := range []any{item.Str("data.0.email_id"), item.Str("data.0.message_id"), fmt.Sprint(item.At("data.0.uid"))} {
		a := c.do(200, "POST", path, key, map[string]any{"hook": "inbound", "email_id": id})
		if said := fmt.Sprint(a.At("logs")); !strings.Contains(said, "mail to bot@demo.localhost from hello@demo.localhost") || !strings.Contains(said, "raw true") {
			t.Errorf("%v: %v", id, a)
		}
	}
	if a := c.do(200, "POST", path, key, map[string]any{"hook": "thread", "raw": raw("join " + item.Str("data.0.thread_id"))}); a.Str("changes.thread.thread_id") != item.Str("data.0.thread_id") {
		t.Errorf("%v", a)
	}
	// Nothing was done: the email is as it was, nothing is sent, said or remembered.
	if after := c.do(200, "GET", "/emails", key, nil); fmt.Sprint(after) != fmt.Sprint(item) || c.sent(key, gatewaytest.Account) != 0 {
		t.Errorf("%v\nbecame %v", item, after)
	}
	if lines := said(c.do(200, "GET", "/plugins/"+id+"/logs", key, nil)); len(lines) != 0 {
		t.Errorf("it said %q", lines)
	}
	c.do(200, "PATCH", "/plugins/"+id, key, `{"status":"enabled"}`)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("subject", "count"))
	gatewaytest.Eventually(t, "the first count", func() bool {
		_, a := c.g.Do("GET", "/emails", key, nil)
		return fmt.Sprint(a.At("data.0.labels")) == "[n1]"
	})
	if a := try("inbound", "count"); fmt.Sprint(a.At("changes.labels")) != "[n2]" {
		t.Errorf("it does not see what it remembers: %v", a)
	}
	if a := try("inbound", "count"); fmt.Sprint(a.At("changes.labels")) != "[n2]" {
		t.Errorf("a trial is remembered: %v", a)
	}
}

// A kept version is tried before it is gone back to; what makes no sense is refused, and
// so is foreign mail.
func TestPluginTestRefusals(t *testing.T) {
	c := newClient(t, withPlugins()...)
	key := c.g.Keys.Account
	id := c.push(201, "/plugins", key, withManifest(t, all("p", "1")), "application/wasm").Str("id")
	path := "/plugins/" + id + "/test"
	two := strings.Replace(all("p", "2"), `"inbound","outbound",`, "", 1)
	c.push(200, "/plugins/"+id+"/code", key, withManifest(t, two), "application/wasm")
	c.do(422, "POST", path, key, `{"hook":"inbound","sample":"personal"}`)
	if a := c.do(200, "POST", path, key, `{"hook":"inbound","sample":"personal","version":"1"}`); a.Str("version") != "1" {
		t.Errorf("%v", a)
	}
	c.do(201, "POST", "/accounts", c.g.Keys.Domain, `{"email":"eve@demo.localhost"}`)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("to", "eve@demo.localhost"))
	gatewaytest.Eventually(t, "the neighbour's email", func() bool {
		_, a := c.g.Do("GET", "/emails?email=eve@demo.localhost", c.g.Keys.Domain, nil)
		return a.At("total") == 1.0
	})
	foreign := c.do(200, "GET", "/emails?email=eve@demo.localhost", c.g.Keys.Domain, nil)
	for _, tt := range []struct {
		want        int
		body, field string
	}{
		{422, `{"sample":"personal"}`, "hook"},
		{422, `{"hook":"thread"}`, "email_id"},
		{422, `{"hook":"thread","sample":"personal","raw":"x"}`, "email_id"},
		{422, `{"hook":"thread","sample":"x"}`, "sample"},
		{422, `{"hook":"tick"}`, "hook"},
		{422, `{"hook":"thread","sample":"personal","version":"9"}`, "version"},
		{404, `{"hook":"thread","email_id":"999"}`, ""},
		{404, `{"hook":"thread","email_id":"1","folder":"Nowhere"}`, "folder"},
		{404, `{"hook":"thread","email_id":"` + foreign.Str("data.0.email_id") + `"}`, ""},
		{404, `{"hook":"thread","email_id":"` + foreign.Str("data.0.message_id") + `"}`, ""},
		{413, `{"hook":"thread","raw":"` + strings.Repeat("x", 1<<20) + `"}`, ""},
	} {
		if a := c.do(tt.want, "POST", path, key, tt.body); a.Str("errors.0.path") != tt.field {
			t.Errorf("%.80s: %v", tt.body, a)
		}
	}
	c.do(404, "POST", "/plugins/"+gateway.ID{1}.String()+"/test", key, `{"hook":"thread","sample":"personal"}`)
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range doc.Components.Schemas["PluginTest"].Value.Properties["sample"].Value.Enum {
		c.do(200, "POST", path, key, map[string]any{"hook": "thread", "sample": name})
		c.do(200, "POST", path, key, map[string]any{"hook": "thread", "sample": name, "version": "1"})
	}
	if names := doc.Components.Schemas["PluginTest"].Value.Properties["sample"].Value.Enum; !slices.Contains(names, any("personal")) || len(names) != 4 {
		t.Errorf("%v", names)
	}
}

// A plugin that loops is stopped, as in the mail path, and so is one that floods.
func TestPluginTestBounds(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("plugin_fuel", "20000000"))...)
	id := c.push(201, "/plugins", c.g.Keys.Domain, withManifest(t, all("p", "1")), "application/wasm").Str("id")
	c.do(200, "PATCH", "/plugins/"+id, c.g.Keys.Domain, `{"failure_policy":"closed"}`)
	a := c.do(200, "POST", "/plugins/"+id+"/test", c.g.Keys.Domain, map[string]any{"hook": "inbound", "raw": raw("loop")})
	if !strings.Contains(a.Str("error"), "fuel") || a.Str("verdict.action") != "tempfail" {
		t.Errorf("%v", a)
	}
}

// A secret is for the plugin alone: it is set and removed, and never shown.
func TestPluginSecrets(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("plugin_config", "40"))...)
	key := c.g.Keys.Account
	id := c.push(201, "/plugins", key, withManifest(t, all("p", "1")), "application/wasm").Str("id")
	path := "/plugins/" + id
	change := func(want int, body, names string) {
		t.Helper()
		a := c.do(want, "PATCH", path, key, body)
		if got := fmt.Sprint(a.At("secret_names")); want == 200 && got != names || strings.Contains(fmt.Sprint(a), "hush") {
			t.Errorf("%s: %v", body, a)
		}
	}
	labels := func() string {
		t.Helper()
		return fmt.Sprint(c.do(200, "POST", path+"/test", key, map[string]any{"hook": "inbound", "raw": raw("label")}).At("changes.labels"))
	}
	change(200, `{"config":{"other":"1"},"secrets":{"label":"hush","b":"hush2"}}`, "[b label]")
	if got := labels(); got != "[hush]" {
		t.Errorf("the plugin sees %s", got)
	}
	change(200, `{"secrets":{"b":null}}`, "[label]")
	change(422, `{"config":{"label":"1"}}`, "")
	change(422, `{"secrets":{"other":"1"}}`, "")
	change(413, `{"secrets":{"b":"`+strings.Repeat("x", 40)+`"}}`, "")
	change(200, `{"priority":3}`, "[label]")
	c.g.Restart()
	if got := labels(); got != "[hush]" {
		t.Errorf("after a restart the plugin sees %s", got)
	}
	change(200, `{"secrets":{"label":null},"config":{"label":"seen"}}`, "[]")
	if got := labels(); got != "[seen]" {
		t.Errorf("the plugin sees %s", got)
	}
	if a := c.do(200, "GET", path, key, nil); a.At("limits.memory_bytes") != float64(32<<20) || a.At("limits.timeout_ms") != 20000.0 {
		t.Errorf("%v", a)
	}
	if strings.Contains(c.g.Log.String(), "hush") {
		t.Error("a secret is in the process log")
	}
}

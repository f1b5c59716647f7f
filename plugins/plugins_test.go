package plugins_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// puppet is the module of testdata/puppet, built once.
var puppet = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "puppet")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "puppet.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./testdata/puppet")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	return os.ReadFile(out)
})

// compiled is where the puppet is compiled to, once for all tests: with the race
// detector it takes many seconds.
var compiled string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "compiled")
	if err != nil {
		panic(err)
	}
	compiled = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// tenant is a caller with a key.
type tenant struct {
	*testing.T
	g   *gatewaytest.Gateway
	key string
}

// start runs a gateway whose plugins have time enough on a busy machine.
func start(t *testing.T, options ...gatewaytest.Option) *tenant {
	t.Helper()
	patient := []gatewaytest.Option{gatewaytest.Limit("plugin_millis", "20000"), gatewaytest.Limit("plugin_message_millis", "60000"), gatewaytest.Limit("plugin_compile_seconds", "120"), gatewaytest.Setting("plugins.cache", compiled)}
	g := gatewaytest.Start(t, append(patient, options...)...)
	return &tenant{t, g, g.Keys.Domain}
}

// upload sends a form to a path, and returns status and answer.
func (c *tenant) upload(path string, parts map[string]string) (int, gatewaytest.Answer) {
	c.Helper()
	return c.g.Upload(path, c.key, parts)
}

// install installs and enables the puppet under a name, with a change as it is told
// to PATCH, and returns its id. query says for whom.
func (c *tenant) install(name, query string, change map[string]any) string {
	c.Helper()
	wasm, err := puppet()
	if err != nil {
		c.Fatal(err)
	}
	status, a := c.upload("/plugins"+query, map[string]string{
		"wasm":     string(wasm),
		"manifest": fmt.Sprintf(`{"v":1,"name":%q,"version":"1","hooks":["inbound","outbound","thread"],"permissions":["discard","headers","thread","raw","kv"]}`, name),
	})
	if status != 201 || a.Str("status") != "disabled" {
		c.Fatalf("install: %d %v", status, a)
	}
	id := a.Str("id")
	if change == nil {
		change = map[string]any{}
	}
	change["status"] = "enabled"
	if status, a := c.g.Do("PATCH", "/plugins/"+id, c.key, change); status != 200 || a.Str("status") != "enabled" {
		c.Fatalf("enable: %d %v", status, a)
	}
	return id
}

// account makes an account of the tenant's domain.
func (c *tenant) account(email string) {
	c.Helper()
	if status, a := c.g.Do("POST", "/accounts", c.key, map[string]any{"email": email}); status != 201 {
		c.Fatal(status, a)
	}
}

// arrive delivers mail with a subject; it returns the reply's code and text.
func (c *tenant) arrive(subject string, recipients ...string) (int, string) {
	c.Helper()
	if recipients == nil {
		recipients = []string{gatewaytest.Account}
	}
	raw := "From: Ann <ann@elsewhere.example>\r\nSubject: " + subject + "\r\nX-Two: one\r\nX-Two: =?utf-8?q?zw=C3=B6lf?=\r\n\r\nbody\r\n"
	err := c.g.Receiver.Receive(c.Context(), gateway.Envelope{
		ReturnPath: "ann@elsewhere.example", Recipients: recipients, RemoteIP: "192.0.2.1", Helo: "peer.example",
	}, strings.NewReader(raw))
	if err == nil {
		return 250, ""
	}
	e := gateway.AsError(err)
	if e.Code != 0 {
		return e.Code, e.Message
	}
	return e.Kind.Reply().SMTP, e.Message
}

// folder lists "subject [labels]" of a folder, newest first.
func (c *tenant) folder(email, name string) (out []string) {
	c.Helper()
	for page := 1; ; page++ {
		status, a := c.g.Do("GET", fmt.Sprintf("/emails?folder=%s&email=%s&limit=100&page=%d", name, email, page), c.g.Keys.Domain, nil)
		if status != 200 {
			return out
		}
		for _, one := range a["data"].([]any) {
			m := gatewaytest.Answer(one.(map[string]any))
			out = append(out, fmt.Sprint(m.Str("subject"), " ", m.At("labels")))
		}
		if a.At("has_more") != true {
			return out
		}
	}
}

// said lists "level: text" of a plugin's log, oldest first.
func (c *tenant) said(id string) (out []string) {
	c.Helper()
	status, a := c.g.Do("GET", "/plugins/"+id+"/logs?limit=100&domain=demo.localhost", c.g.Keys.Admin, nil)
	if status != 200 {
		c.Fatal(status, a)
	}
	for _, one := range a["data"].([]any) {
		l := gatewaytest.Answer(one.(map[string]any))
		out = append(out, l.Str("level")+": "+l.Str("text"))
	}
	slices.Reverse(out)
	return out
}

func (c *tenant) want(what string, got, want any) {
	c.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.Errorf("%s: %v, want %v", what, got, want)
	}
}

// What a plugin decides about arriving mail is what its sender hears, and where it
// goes.
func TestInbound(t *testing.T) {
	c := start(t)
	c.install("puppet", "", map[string]any{"config": map[string]string{"label": "seen-by-puppet"}})
	for _, tt := range []struct {
		subject string
		code    int
		text    string
		folder  string
		listed  string
	}{
		{"nothing", 250, "", "INBOX", "nothing []"},
		{"label", 250, "", "INBOX", "label [seen-by-puppet]"},
		{"reject not wanted", 554, "not wanted", "INBOX", ""},
		{"tempfail busy", 451, "busy", "INBOX", ""},
		{"quarantine odd", 250, "", "Junk", "quarantine odd [quarantined]"},
		{"discard", 250, "", "INBOX", ""},
	} {
		code, text := c.arrive(tt.subject)
		if code != tt.code || text != tt.text {
			t.Errorf("%s: %d %q, want %d %q", tt.subject, code, text, tt.code, tt.text)
		}
		if got := c.folder(gatewaytest.Account, tt.folder); tt.listed != "" && (len(got) == 0 || got[0] != tt.listed) || tt.listed == "" && strings.Contains(fmt.Sprint(got), tt.subject) {
			t.Errorf("%s: %s holds %v", tt.subject, tt.folder, got)
		}
	}
	c.arrive("header it was here")
	_, a := c.g.Do("GET", "/emails?email="+gatewaytest.Account, c.key, nil)
	raw := c.g.Send("GET", "/emails/"+a.Str("data.0.email_id")+"/raw", c.key, nil)
	defer raw.Body.Close()
	text, _ := io.ReadAll(raw.Body)
	if !strings.Contains(string(text), "\r\nX-Puppet: it was here\r\nFrom: Ann") {
		t.Errorf("the stored copy:\n%s", text)
	}
}

// What a plugin decides about leaving mail is told at once.
func TestOutbound(t *testing.T) {
	c := start(t)
	c.install("puppet", "", nil)
	send := func(subject string) (int, gatewaytest.Answer) {
		return c.g.Do("POST", "/emails", c.key, map[string]any{"from": gatewaytest.Account, "to": "hello@demo.localhost", "subject": subject, "text": "x"})
	}
	if status, a := send("deny not this"); status != 403 || a.Str("name") != "plugin_rejected" || a.Str("message") != "not this" {
		t.Errorf("%d %v", status, a)
	}
	c.want("Sent", c.folder(gatewaytest.Account, "Sent"), []string(nil))
	status, a := send("hold for review")
	if status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	if _, a := c.g.Do("GET", "/emails/"+a.Str("id"), c.key, nil); a.Str("last_event") != "held" {
		t.Errorf("held mail: %v", a)
	}
}

// A plugin that fails is answered for by its policy, and its tenant reads why.
func TestFailurePolicy(t *testing.T) {
	c := start(t, gatewaytest.Limit("plugin_millis", "2000"))
	id := c.install("puppet", "", nil)
	for _, tt := range []struct {
		policy, subject string
		code            int
		folder, listed  string
	}{
		{"open", "panic one", 250, "INBOX", "panic one [plugin-error]"},
		{"closed", "panic two", 451, "INBOX", "panic one [plugin-error]"},
		{"quarantine", "panic three", 250, "Junk", "panic three [quarantined]"},
		{"open", "loop", 250, "INBOX", "loop [plugin-error]"},
	} {
		if status, a := c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"failure_policy": tt.policy}); status != 200 {
			t.Fatal(status, a)
		}
		if code, text := c.arrive(tt.subject); code != tt.code {
			t.Errorf("%s, %s: %d %s", tt.policy, tt.subject, code, text)
		}
		if got := c.folder(gatewaytest.Account, tt.folder); len(got) == 0 || got[0] != tt.listed {
			t.Errorf("%s, %s: %s holds %v", tt.policy, tt.subject, tt.folder, got)
		}
	}
	gatewaytest.Eventually(t, "the log tells the failures", func() bool {
		_, a := c.g.Do("GET", "/logs?protocol=plugin&limit=10", c.key, nil)
		all := fmt.Sprint(a)
		return strings.Contains(all, "trap") && strings.Contains(all, "fuel") && strings.Contains(all, "plugin_failed") && !strings.Contains(all, "panic: one")
	})
	if said := fmt.Sprint(c.said(id)); !strings.Contains(said, "panic: one") || !strings.Contains(said, "error: the plugin failed: fuel") {
		t.Errorf("it said %q", said)
	}
	c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"failure_policy": "closed"})
	if status, a := c.g.Do("POST", "/emails", c.key, map[string]any{"from": gatewaytest.Account, "to": "x@demo.localhost", "subject": "panic", "text": "x"}); status != 503 {
		t.Errorf("sending past a closed plugin that fails: %d %v", status, a)
	}
}

// A plugin that fails again and again is not asked any more: its policy answers at once,
// its tenant sees it, and may switch it on again.
func TestPause(t *testing.T) {
	c := start(t)
	id := c.install("puppet", "", map[string]any{"config": map[string]string{"label": "asked"}})
	for range 5 {
		c.arrive("panic")
	}
	c.arrive("label")
	c.want("labels", c.folder(gatewaytest.Account, "INBOX")[0], "label [plugin-error]")
	_, a := c.g.Do("GET", "/plugins/"+id, c.key, nil)
	c.want("paused", fmt.Sprint(a.Str("status"), a.At("stats.calls"), a.At("stats.errors"), a.At("stats.timeouts"), a.Str("stats.last_error")), "quarantined11 5 0the plugin failed: trap: unreachable")
	gatewaytest.Eventually(t, "the log tells it", func() bool {
		_, a := c.g.Do("GET", "/logs?protocol=plugin&limit=10", c.key, nil)
		return strings.Contains(fmt.Sprint(a), "plugin_paused")
	})
	if said := fmt.Sprint(c.said(id)); !strings.Contains(said, "error: it failed too often") {
		t.Errorf("it said %q", said)
	}
	c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"status": "enabled"})
	c.arrive("label")
	c.want("labels", c.folder(gatewaytest.Account, "INBOX")[0], "label [asked]")
	_, a = c.g.Do("GET", "/plugins/"+id, c.key, nil)
	c.want("asked again", fmt.Sprint(a.Str("status"), a.At("stats.calls")), "enabled13")
}

// The domain is asked before the account, each by priority and name; a final
// verdict is the last.
func TestChain(t *testing.T) {
	c := start(t)
	label := func(l string) map[string]string { return map[string]string{"label": l} }
	c.install("z", "", map[string]any{"config": label("domain-z"), "priority": -1})
	c.install("a", "", map[string]any{"config": label("domain-a")})
	c.install("a", "?email="+gatewaytest.Account, map[string]any{"config": label("account-a")})
	c.arrive("label")
	c.want("labels", c.folder(gatewaytest.Account, "INBOX"), []string{"label [domain-z domain-a account-a]"})
	c.arrive("final")
	c.want("labels", c.folder(gatewaytest.Account, "INBOX")[0], "final [domain-z]")
}

// Of several recipients each has its own plugins; the sender hears a refusal only if
// nobody takes the mail.
func TestRecipients(t *testing.T) {
	c := start(t)
	const other = "eve@demo.localhost"
	c.account(other)
	c.install("bot", "?email="+gatewaytest.Account, map[string]any{"config": map[string]string{"only": "reject"}})
	if code, _ := c.arrive("to both", gatewaytest.Account, other); code != 250 {
		t.Errorf("one takes it: %d", code)
	}
	c.want("the one who refuses", c.folder(gatewaytest.Account, "Junk"), []string{"to both [rejected-by-plugin]"})
	c.want("the other one", c.folder(other, "INBOX"), []string{"to both []"})
	c.install("eve", "?email="+other, map[string]any{"config": map[string]string{"only": "tempfail"}})
	if code, _ := c.arrive("to both again", gatewaytest.Account, other); code != 451 {
		t.Errorf("nobody takes it: %d", code)
	}
	c.want("the other one", c.folder(other, "INBOX"), []string{"to both []"})
}

// A temporary failure stays one, whatever a plugin before it said; and what an
// account's plugin sees of the envelope is its own.
func TestRefusalsAreTheirOwn(t *testing.T) {
	c := start(t)
	c.install("a", "", map[string]any{"config": map[string]string{"only": "quarantine"}})
	c.install("b", "", map[string]any{"config": map[string]string{"only": "tempfail"}})
	if code, text := c.arrive("x later"); code != 451 || text != "later" {
		t.Errorf("%d %s", code, text)
	}
}

// The envelope that the plugin of one recipient sees names nobody else.
func TestOtherRecipients(t *testing.T) {
	c := start(t)
	const other = "eve@demo.localhost"
	c.account(other)
	id := c.install("bot", "?email="+gatewaytest.Account, map[string]any{"config": map[string]string{"only": "envelope"}})
	c.arrive("x", other, gatewaytest.Account)
	c.want("what it saw", c.said(id), "[info: to bot@demo.localhost .]")
}

// Every mail is the first one that an instance sees: none was asked about a sample.
func TestNobodyWasAskedBefore(t *testing.T) {
	c := start(t)
	c.install("puppet", "", nil)
	for range 3 {
		c.arrive("asked")
	}
	c.want("each time", c.folder(gatewaytest.Account, "INBOX"), []string{"asked [asked-1]", "asked [asked-1]", "asked [asked-1]"})
}

// The KV lasts: over messages, refusals and restarts; not over a failure; within its
// quotas; and each installation has its own.
func TestKV(t *testing.T) {
	c := start(t, gatewaytest.Limit("plugin_write_bytes", "10000"))
	id := c.install("puppet", "", nil)
	c.install("twin", "?email="+gatewaytest.Account, nil)
	newest := func() string { return c.folder(gatewaytest.Account, "INBOX")[0] }
	c.arrive("count")
	c.want("first, with one label from both", newest(), "count [n1]")
	if code, text := c.arrive("count-reject"); code != 550 || text != "number 2" {
		t.Errorf("%d %s", code, text)
	}
	c.arrive("panic")
	c.g.Restart()
	c.arrive("count")
	c.want("after a refusal, a failure and a restart", newest(), "count [n3 n2]")
	c.arrive("fill")
	c.want("a message's quota is shared", newest(), "fill [filled-9 filled-0]")
	if status, a := c.g.Do("DELETE", "/plugins/"+id, c.key, nil); status != 200 {
		t.Fatal(status, a)
	}
	c.arrive("count")
	c.want("after its twin is gone", newest(), "count [n3]")
	c.install("puppet", "", nil)
	c.arrive("count")
	c.want("installed anew", newest(), "count [n1 n4]")
}

// What a plugin sees is the message, the envelope and nothing of others.
func TestWhatAPluginSees(t *testing.T) {
	c := start(t)
	id := c.install("puppet", "?email="+gatewaytest.Account, nil)
	c.arrive("look")
	want := []string{
		`info: mail to bot@demo.localhost from ann@elsewhere.example 0 none body`,
		`info: part "body\r\n"`, `info: part 7: there is no such thing`, `info: raw true`, `info: fields one zwölf 2 .`,
	}
	if got := c.said(id); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"grants": []string{"kv"}})
	c.arrive("look")
	want[3] = `info: raw false: the plugin was not granted this`
	if got := c.said(id)[len(want):]; !slices.Equal(got, want) {
		t.Errorf("without the permission raw: %q\nwant %q", got, want)
	}
}

// New code, changes and deletion take effect between messages: none is refused or
// marked because of them.
func TestSwap(t *testing.T) {
	c := start(t)
	c.install("puppet", "", map[string]any{"config": map[string]string{"label": "asked"}})
	wasm, err := puppet()
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for range 3 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if code, text := c.arrive("label"); code != 250 {
					t.Errorf("%d %s", code, text)
					return
				}
			}
		})
	}
	var id string
	for i := range 6 {
		manifest := fmt.Sprintf(`{"v":1,"name":"puppet","version":"%d","hooks":["inbound"]}`, i+2)
		status, a := c.upload("/plugins", map[string]string{"wasm": string(wasm), "manifest": manifest})
		if status != 200 || a.Str("status") != "enabled" {
			t.Errorf("version %d: %d %v", i, status, a)
		}
		id = a.Str("id")
		c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"priority": i})
	}
	c.g.Do("DELETE", "/plugins/"+id, c.key, nil)
	close(stop)
	senders.Wait()
	for _, mail := range c.folder(gatewaytest.Account, "INBOX") {
		if mail != "label [asked]" && mail != "label []" {
			t.Errorf("there is %q", mail)
		}
	}
}

// A thread hook moves a message; what it may not, it may not.
func TestThreadHook(t *testing.T) {
	c := start(t)
	id := c.install("puppet", "", nil)
	thread := func() string {
		_, a := c.g.Do("GET", "/emails?email="+gatewaytest.Account, c.key, nil)
		return a.Str("data.0.thread_id")
	}
	c.arrive("first")
	first := thread()
	c.arrive("join " + first)
	c.want("joined", thread(), first)
	c.arrive("join 01900000-0000-7000-8000-000000000001")
	if got := thread(); got == first {
		t.Error("joining nothing joins something")
	}
	c.g.Do("PATCH", "/plugins/"+id, c.key, map[string]any{"grants": []string{}})
	c.arrive("join " + first)
	if got := thread(); got == first {
		t.Error("it moves threads without the permission")
	}
}

// An upload that is none is refused with what is wrong, and leaves nothing.
func TestUploads(t *testing.T) {
	c := start(t)
	wasm, err := puppet()
	if err != nil {
		t.Fatal(err)
	}
	const manifest = `{"v":1,"name":"x","hooks":["inbound"]}`
	for _, tt := range []struct {
		name   string
		parts  map[string]string
		status int
		want   string
	}{
		{"no module", map[string]string{"manifest": manifest}, 422, "the module is missing"},
		{"no manifest", map[string]string{"wasm": string(wasm)}, 422, "no manifest in it"},
		{"not wasm", map[string]string{"wasm": "MZ", "manifest": manifest}, 422, "no WebAssembly module"},
		{"truncated", map[string]string{"wasm": string(wasm[:len(wasm)/2]), "manifest": manifest}, 422, "at byte"},
		{"an unknown hook", map[string]string{"wasm": string(wasm), "manifest": `{"v":1,"name":"x","hooks":["boot"]}`}, 422, "no hook"},
		{"an unknown part", map[string]string{"wasm": string(wasm), "manifest": manifest, "more": "x"}, 422, "not known"},
		{"grants that are none", map[string]string{"wasm": string(wasm), "manifest": manifest, "grants": "all"}, 422, "JSON list"},
		{"more than it asks for", map[string]string{"wasm": string(wasm), "manifest": manifest, "grants": `["kv"]`}, 422, "does not ask"},
		{"too large", map[string]string{"wasm": strings.Repeat("x", 16<<20+1), "manifest": manifest}, 413, "more than"},
	} {
		if status, a := c.upload("/plugins", tt.parts); status != tt.status || !strings.Contains(a.Str("message"), tt.want) {
			t.Errorf("%s: %d %v", tt.name, status, a)
		}
	}
	if _, a := c.g.Do("GET", "/plugins", c.key, nil); len(a["data"].([]any)) != 0 {
		t.Errorf("something is installed: %v", a)
	}
	if status, a := c.upload("/plugins", map[string]string{"wasm": string(wasm), "manifest": manifest}); status != 201 {
		t.Errorf("%d %v", status, a)
	}
	if status, a := c.upload("/plugins", map[string]string{"wasm": string(wasm), "manifest": manifest}); status != 200 {
		t.Errorf("the same again: %d %v", status, a)
	}
}

// No key reaches another tenant's plugins, and no plugin another tenant's mail.
func TestWalls(t *testing.T) {
	c := start(t)
	if status, a := c.g.Do("POST", "/domains", c.g.Keys.Admin, map[string]any{"name": "rival.example", "verified": true}); status != 201 {
		t.Fatal(status, a)
	}
	c.g.Do("POST", "/accounts", c.g.Keys.Admin, map[string]any{"email": "spy@rival.example"})
	c.account("eve@demo.localhost")
	keyFor := func(body map[string]any) string {
		_, a := c.g.Do("POST", "/api-keys", c.g.Keys.Admin, body)
		return a.Str("token")
	}
	id := c.install("puppet", "?email="+gatewaytest.Account, map[string]any{"config": map[string]string{"only": "label", "label": "secret-setting"}})
	ofDomain := c.install("wide", "", nil)
	for who, key := range map[string]string{
		"rival": keyFor(map[string]any{"domain": "rival.example"}), "spy": keyFor(map[string]any{"email": "spy@rival.example"}),
		"neighbour": keyFor(map[string]any{"email": "eve@demo.localhost"}), "nobody": "",
	} {
		want := 404
		if key == "" {
			want = 401
		}
		for _, plugin := range []string{id, ofDomain} {
			for _, method := range []string{"GET", "PATCH", "DELETE"} {
				if status, a := c.g.Do(method, "/plugins/"+plugin, key, map[string]any{"status": "disabled"}); status != want {
					t.Errorf("%s, %s: %d %v", who, method, status, a)
				}
			}
		}
		if _, a := c.g.Do("GET", "/plugins", key, nil); strings.Contains(fmt.Sprint(a), "secret-setting") {
			t.Errorf("%s sees %v", who, a)
		}
		stranger := &tenant{t, c.g, key}
		if status, _ := stranger.upload("/plugins?email="+gatewaytest.Account, map[string]string{"wasm": "x"}); status != 403 && status != 401 {
			t.Errorf("%s uploads into another's mailbox: %d", who, status)
		}
	}
	if status, a := c.g.Do("GET", "/plugins", c.g.Keys.SendOnly, nil); status != 403 {
		t.Errorf("a send-only key: %d %v", status, a)
	}
	c.arrive("x", "spy@rival.example")
	_, a := c.g.Do("GET", "/emails?email=spy@rival.example", c.g.Keys.Admin, nil)
	if a.At("total") != 1.0 || strings.Contains(fmt.Sprint(a), "secret-setting") {
		t.Errorf("the rival's mail: %v", a)
	}
	c.arrive("x", "eve@demo.localhost")
	c.want("the neighbour's mail", c.folder("eve@demo.localhost", "INBOX"), []string{"x []"})
}

// Without uploads only the operator installs.
func TestNoUploads(t *testing.T) {
	c := start(t, gatewaytest.Setting("plugins.uploads", "false"))
	wasm, err := puppet()
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{"wasm": string(wasm), "manifest": `{"v":1,"name":"x","hooks":["inbound"]}`}
	if status, a := c.upload("/plugins", parts); status != 403 || a.Str("name") != "restricted_api_key" {
		t.Errorf("a tenant: %d %v", status, a)
	}
	c.key = c.g.Keys.Admin
	if status, a := c.upload("/plugins?domain=demo.localhost", parts); status != 201 {
		t.Errorf("the operator: %d %v", status, a)
	}
}

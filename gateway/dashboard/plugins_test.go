package dashboard_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// puppet is the module of plugins/testdata/puppet, which does what a subject says; built
// once.
var puppet = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "puppet")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "puppet.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "../../plugins/testdata/puppet")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		return text, err
	}
	return os.ReadFile(out)
})

// withPlugins starts a gateway that gives plugins time enough on a busy machine.
func withPlugins(t *testing.T) *gatewaytest.Gateway {
	return gatewaytest.Start(t, gatewaytest.Limit("plugin_millis", "20000"), gatewaytest.Limit("plugin_message_millis", "60000"), gatewaytest.Limit("plugin_compile_seconds", "120"))
}

// upload sends a form with files, which stand by their names.
func (b *browser) upload(path string, parts map[string]string) answer {
	b.t.Helper()
	body, contentType := gatewaytest.Form(parts)
	r, err := http.NewRequest("POST", b.g.URL+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Cookie", b.cookie)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{b.g.Log, resp.StatusCode, resp.Header.Get("Location"), resp.Header, string(raw)}
}

// modulePart is the puppet under a manifest.
func modulePart(t *testing.T, manifest string) map[string]string {
	t.Helper()
	wasm, err := puppet()
	if err != nil {
		t.Fatalf("%v: %s", err, wasm)
	}
	return map[string]string{"wasm": string(wasm), "manifest": manifest}
}

const puppetOne = `{"v":1,"name":"puppet","version":"1","hooks":["inbound","outbound"],"permissions":["headers"]}`

// From a file to mail that it decides about: uploaded, looked at, allowed, tried, enabled,
// given new code, and taken back.
func TestPluginPages(t *testing.T) {
	g := withPlugins(t)
	b := signedIn(t, g, g.Keys.Domain)
	list := "/ui/domains/" + gatewaytest.Domain + "/plugins"
	b.get(list).wants(t, 200, "There is no plugin yet", "multipart/form-data")
	b.upload(list, map[string]string{"wasm": "nonsense", "manifest": puppetOne}).wants(t, 422, `role="alert"`)
	b.upload(list, map[string]string{"manifest": puppetOne}).wants(t, 422, "choose the file")
	a := b.upload(list, modulePart(t, puppetOne))
	if a.status != http.StatusSeeOther || !strings.HasSuffix(a.location, "/permissions") {
		t.Fatalf("%d %q\n%s", a.status, a.location, a.body)
	}
	base := strings.TrimSuffix(a.location, "/permissions")
	b.get(a.location).wants(t, 200, "is installed", "headers", "not allowed")
	if _, p := g.Do("GET", "/plugins", g.Keys.Domain, nil); len(p.At("data.0.grants").([]any)) != 0 || p.Str("data.0.status") != "disabled" {
		t.Errorf("what nobody allowed: %v, %s", p.At("data.0.grants"), p.Str("data.0.status"))
	}
	b.post(base+"/permissions", "grant", "http").wants(t, 422, `role="alert"`)
	b.post(base+"/permissions", "grant", "headers").wants(t, http.StatusSeeOther)
	b.get(base+"/permissions").wants(t, 200, `value="headers" checked`)

	raw := "From: a@x.example\nTo: " + gatewaytest.Account + "\nSubject: reject 550 not today\n\nHello <b>there</b>\n"
	try := b.post(base+"/test", "hook", "inbound", "raw", raw, "version", "1").wants(t, 200, "Version 1", "reject", "Fuel", "Subject: reject 550")
	if strings.Contains(try.body, "<b>there</b>") {
		t.Error("text of a message is markup of the page")
	}
	b.post(base+"/test", "hook", "inbound", "id", "1", "version", "1").wants(t, 422, `role="alert"`)
	b.post(base+"/test", "hook", "inbound", "version", "1").wants(t, 422, "name a stored message")
	b.post(base+"/test", "hook", "inbound", "sample", "personal", "version", "9").wants(t, 422, "no version")
	b.post(base, "do", "enable").wants(t, http.StatusSeeOther)
	b.get(base).wants(t, 200, "enabled", "Asked at", "inbound, outbound")

	two := b.upload(base+"/code", modulePart(t, strings.Replace(strings.Replace(puppetOne, `"version":"1"`, `"version":"2"`, 1), `["headers"]`, `["headers","body"]`, 1)))
	if two.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", two.status, two.body)
	}
	b.get(base+"/permissions").wants(t, 200, "new code", "body", "not allowed", `value="headers" checked`)
	b.post(base+"/test", "hook", "outbound", "sample", "personal", "version", "2", "against", "1").wants(t, 200, "Version 1", "Version 2")
	versions := b.get(base+"/versions").wants(t, 200, "active", "<del>body</del>")
	former := regexp.MustCompile(`name="version" value="([0-9a-f]{64})"`).FindStringSubmatch(versions.body)
	b.post(base+"/versions", "version", former[1]).wants(t, http.StatusSeeOther)
	b.get(base).wants(t, 200, `<span class="help">1</span>`)
	b.post(base+"/versions", "version", strings.Repeat("0", 64)).wants(t, 422, `role="alert"`)

	b.post(base+"/settings", "failure", "closed", "priority", "7", "config", "folder = News\nkeep=a,b", "secret_name", "token", "secret_value", "hush").wants(t, http.StatusSeeOther)
	if page := b.get(base+"/settings").wants(t, 200, "folder = News", "keep = a,b", "token", `value="7"`, `value="closed" selected`); strings.Contains(page.body, "hush") {
		t.Error("a secret is shown")
	}
	b.post(base+"/settings", "failure", "closed", "priority", "7", "config", "nonsense").wants(t, 422, "nonsense", `role="alert"`)
	b.post(base+"/settings", "failure", "never", "priority", "7").wants(t, 422, `role="alert"`)
	b.get(base+"/log?level=loud").wants(t, 422)
	b.get(base+"/log").wants(t, 200, "Log")
	b.get(base+"/failures").wants(t, 200, "There is none")
	b.post(base+"/failures", "failure", "1", "do", "retry").wants(t, 404)
	b.get(base+"/delete").wants(t, 200, "Delete puppet?")
	b.post(base+"/delete").wants(t, http.StatusSeeOther)
	b.get(list).wants(t, 200, "There is no plugin yet", "is deleted")
	b.get(base).wants(t, 404)
}

// The order is changed by buttons, of the domain's plugins and of an account's apart.
func TestPluginOrder(t *testing.T) {
	g := withPlugins(t)
	b := signedIn(t, g, g.Keys.Domain)
	list := "/ui/domains/" + gatewaytest.Domain + "/plugins"
	paths := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		a := b.upload(list, modulePart(t, strings.Replace(puppetOne, "puppet", name, 1)))
		if paths[name] = strings.TrimSuffix(a.location, "/permissions"); a.status != http.StatusSeeOther {
			t.Fatalf("%d\n%s", a.status, a.body)
		}
	}
	order := func() (names string) {
		_, all := g.Do("GET", "/plugins", g.Keys.Domain, nil)
		for _, p := range all.At("data").([]any) {
			names += p.(map[string]any)["name"].(string)
		}
		return names
	}
	for _, step := range []struct{ name, to, want string }{
		{"c", "earlier", "acb"}, {"c", "earlier", "cab"}, {"c", "earlier", "cab"}, {"b", "later", "cab"}, {"c", "later", "acb"},
	} {
		b.post(paths[step.name]+"/order", "to", step.to).wants(t, http.StatusSeeOther)
		if got := order(); got != step.want {
			t.Fatalf("%s %s: %s, not %s", step.name, step.to, got, step.want)
		}
	}
}

// A replay asks about mail that is here, and tells where it would be decided otherwise.
func TestPluginReplayPage(t *testing.T) {
	g := withPlugins(t)
	for _, subject := range []string{"hello", "reject 550 no"} {
		g.Do("POST", "/emails", g.Keys.Domain, `{"from":"x@`+gatewaytest.Domain+`","to":"`+gatewaytest.Account+`","subject":"`+subject+`","text":"t"}`)
	}
	gatewaytest.Eventually(t, "both have come", func() bool {
		_, all := g.Do("GET", "/emails?email="+gatewaytest.Account, g.Keys.Domain, nil)
		return all.At("total") == float64(2)
	})
	b := signedIn(t, g, g.Keys.Domain)
	a := b.upload("/ui/domains/"+gatewaytest.Domain+"/plugins", modulePart(t, puppetOne))
	base := strings.TrimSuffix(a.location, "/permissions")
	b.get(base+"/replay").wants(t, 200, "Ask again", `value="100"`)
	b.post(base+"/replay", "hook", "inbound", "version", "1", "last", "10", "email", gatewaytest.Account).wants(t, 200, "2 messages", "reject", "accept")
	for _, last := range []string{"0", "x", "99999999"} {
		b.post(base+"/replay", "hook", "inbound", "version", "1", "last", last).wants(t, 422, `role="alert"`)
	}
}

// Nobody reaches a plugin of another domain, nor a key of an account its domain's.
func TestPluginWalls(t *testing.T) {
	g := withPlugins(t)
	g.Do("POST", "/domains", g.Keys.Admin, `{"name":"other.localhost","verified":true}`)
	operator := signedIn(t, g, g.Keys.Admin)
	theirs := operator.upload("/ui/domains/other.localhost/plugins", modulePart(t, strings.Replace(puppetOne, "puppet", "secret-plugin", 1)))
	tenant, owner := signedIn(t, g, g.Keys.Domain), signedIn(t, g, g.Keys.Account)
	list := "/ui/domains/" + gatewaytest.Domain + "/plugins"
	domains := tenant.upload(list, modulePart(t, strings.Replace(puppetOne, "puppet", "secret-plugin", 1)))
	own := owner.upload(list, modulePart(t, strings.Replace(puppetOne, "puppet", "mine", 1)))
	for _, a := range []answer{theirs, domains, own} {
		if a.status != http.StatusSeeOther {
			t.Fatalf("%d\n%s", a.status, a.body)
		}
	}
	base := func(a answer) string { return strings.TrimSuffix(a.location, "/permissions") }
	tenant.get(list).wants(t, 200, "secret-plugin is installed") // of its own; said once
	owner.get(base(own)).wants(t, 200, "mine", gatewaytest.Account)
	if a := owner.get(list).wants(t, 200, "mine"); strings.Contains(a.body, "secret-plugin") {
		t.Error("an account sees its domain's plugins")
	}
	foreign := list + base(theirs)[strings.LastIndexByte(base(theirs), '/'):]
	for _, c := range []struct {
		b    *browser
		path string
	}{{tenant, base(theirs)}, {tenant, foreign}, {owner, base(domains)}, {owner, foreign}} {
		for _, page := range []string{"", "/permissions", "/settings", "/versions", "/log", "/failures", "/test", "/replay", "/delete"} {
			if a := c.b.get(c.path + page); a.status != 404 || strings.Contains(a.body, "secret-plugin") {
				t.Errorf("GET %s: %d", c.path+page, a.status)
			}
		}
		for _, page := range []string{"", "/order", "/permissions", "/settings", "/versions", "/failures", "/test", "/replay", "/delete"} {
			if a := c.b.post(c.path+page, "do", "enable", "priority", "1", "failure", "open", "version", "1", "hook", "inbound", "sample", "personal", "last", "1"); a.status != 404 {
				t.Errorf("POST %s: %d", c.path+page, a.status)
			}
		}
		if a := c.b.upload(c.path+"/code", map[string]string{"wasm": "x", "manifest": puppetOne}); a.status != 404 {
			t.Errorf("upload to %s: %d", c.path, a.status)
		}
	}
}

package dashboard_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// browser keeps its cookie and tells where a form came from, as browsers do. It
// follows no redirect by itself.
type browser struct {
	t      testing.TB
	g      *gatewaytest.Gateway
	cookie string
	header map[string]string
}

func newBrowser(t testing.TB, g *gatewaytest.Gateway) *browser {
	return &browser{t: t, g: g, header: map[string]string{"Sec-Fetch-Site": "same-origin"}}
}

// answer is a page as it came.
type answer struct {
	log      *gatewaytest.Log
	status   int
	location string
	header   http.Header
	body     string
}

func (b *browser) send(method, path string, form url.Values) answer {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, b.g.URL+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.cookie != "" {
		r.Header.Set("Cookie", b.cookie)
	}
	for name, value := range b.header {
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		b.cookie = c.Name + "=" + c.Value
	}
	return answer{b.g.Log, resp.StatusCode, resp.Header.Get("Location"), resp.Header, string(raw)}
}

func (b *browser) get(path string) answer { b.t.Helper(); return b.send("GET", path, nil) }

func (b *browser) post(path string, fields ...string) answer {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.send("POST", path, form)
}

// signedIn is a browser that has shown a key.
func signedIn(t testing.TB, g *gatewaytest.Gateway, key string) *browser {
	t.Helper()
	b := newBrowser(t, g)
	if a := b.post("/ui/sign-in", "key", key); a.status != http.StatusSeeOther || a.location != "/ui/" {
		t.Fatalf("sign-in: %d %q\n%s", a.status, a.location, a.body)
	}
	return b
}

// wants fails unless a page has a status and every text.
func (a answer) wants(t testing.TB, status int, texts ...string) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, not %d\n%s\n%s", a.status, status, a.body, lastOf(a.log.String()))
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("%q is missing in\n%s", text, a.body)
		}
	}
	return a
}

// lastOf is the end of a log.
func lastOf(log string) string { return log[max(0, len(log)-2000):] }

// once is the one-use id of a form.
func (a answer) once(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`name="once" value="([^"]+)"`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("there is no one-use id in\n%s", a.body)
	}
	return m[1]
}

func TestSignIn(t *testing.T) {
	g := gatewaytest.Start(t)
	b := newBrowser(t, g)
	if a := b.get("/ui/domains?after=x"); a.status != http.StatusSeeOther || a.location != "/ui/sign-in?next="+url.QueryEscape("/ui/domains?after=x") {
		t.Errorf("without a sign-in: %d %q", a.status, a.location)
	}
	for key, want := range map[string]int{"": 401, "bm_live_" + strings.Repeat("0", 40): 401, "nonsense": 401, g.Keys.SendOnly: 403} {
		if a := b.post("/ui/sign-in", "key", key); a.status != want || b.cookie != "" || !strings.Contains(a.body, `role="alert"`) {
			t.Errorf("key %.12q: %d %q\n%s", key, a.status, b.cookie, a.body)
		}
	}
	for next, want := range map[string]string{
		"/ui/domains?after=x": "/ui/domains?after=x", "//evil.example/ui/": "/ui/", "https://evil.example/ui/": "/ui/", "/emails": "/ui/", `/ui/\evil.example`: "/ui/", "": "/ui/",
	} {
		if a := b.post("/ui/sign-in", "key", g.Keys.Domain, "next", next); a.status != http.StatusSeeOther || a.location != want {
			t.Errorf("next %q leads to %d %q", next, a.status, a.location)
		}
	}
	a := b.get("/ui/").wants(t, 200, "Overview", "Signed in with")
	if strings.Contains(a.body, g.Keys.Domain) {
		t.Error("a page shows the key that was signed in with")
	}
	b.post("/ui/sign-out")
	b.get("/ui/").wants(t, http.StatusSeeOther)
}

// Whoever tries keys is in the log, unknown ones as well; HEAD answers as GET does.
func TestFailedSignInIsLogged(t *testing.T) {
	g := gatewaytest.Start(t)
	b := newBrowser(t, g)
	b.post("/ui/sign-in", "key", "bm_live_"+strings.Repeat("0", 40)).wants(t, 401)
	gatewaytest.Eventually(t, "the failure is in the log", func() bool {
		_, log := g.Do("GET", "/logs?protocol=dashboard", g.Keys.Admin, nil)
		return log.Str("data.0.endpoint") == "/ui/sign-in" && log.Str("data.0.error") == "invalid_api_key"
	})
	b.send("HEAD", "/ui/sign-in", nil).wants(t, 200)
}

// The cookie is one of this host alone, out of reach of scripts and other sites; it is
// not in what the server keeps.
func TestCookie(t *testing.T) {
	g := gatewaytest.Start(t)
	a := newBrowser(t, g).post("/ui/sign-in", "key", g.Keys.Domain)
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"__Host-postern=", "; path=/", "; HttpOnly", "; secure", "; SameSite=Strict"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("%q is missing in %q", want, cookie)
		}
	}
	if strings.Contains(cookie, "domain=") {
		t.Errorf("%q names a domain", cookie)
	}
}

// The session is the key's: it ends with it, at once and everywhere.
func TestSignInDiesWithItsKey(t *testing.T) {
	g := gatewaytest.Start(t)
	_, k := g.Do("POST", "/api-keys", g.Keys.Domain, `{"name":"short-lived"}`)
	one, two := signedIn(t, g, k.Str("token")), signedIn(t, g, k.Str("token"))
	one.get("/ui/domains").wants(t, 200)
	two.get("/ui/domains").wants(t, 200)
	g.Do("DELETE", "/api-keys/"+k.Str("id"), g.Keys.Domain, nil)
	one.get("/ui/domains").wants(t, http.StatusSeeOther)
	two.get("/ui/domains").wants(t, http.StatusSeeOther)
	if a := one.post("/ui/sign-in", "key", k.Str("token")); a.status != 401 {
		t.Errorf("a revoked key: %d", a.status)
	}
}

func TestSignOutEverywhere(t *testing.T) {
	g := gatewaytest.Start(t)
	one, two, other := signedIn(t, g, g.Keys.Domain), signedIn(t, g, g.Keys.Domain), signedIn(t, g, g.Keys.Account)
	one.post("/ui/sign-out", "everywhere", "1")
	two.get("/ui/").wants(t, http.StatusSeeOther)
	other.get("/ui/").wants(t, 200)
}

// The link of quickstart leads in once; to look at it uses nothing up.
func TestLink(t *testing.T) {
	g := gatewaytest.Start(t)
	path := strings.TrimPrefix(g.Web, g.URL)
	b := newBrowser(t, g)
	b.get(path).wants(t, 200, "signs you in once")
	b.get(path).wants(t, 200)
	if a := b.post(path); a.status != http.StatusSeeOther || a.location != "/ui/" {
		t.Fatalf("%d %q\n%s", a.status, a.location, a.body)
	}
	b.get("/ui/keys").wants(t, 200, "Instance keys")
	newBrowser(t, g).post(path).wants(t, 410, "was used")
	newBrowser(t, g).post("/ui/link/"+strings.Repeat("A", 43)).wants(t, 410)
}

// No other site sends our forms, and no other name leads here.
func TestOtherSites(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	keys := func() int {
		_, all := g.Do("GET", "/api-keys", g.Keys.Domain, nil)
		return len(all.At("data").([]any))
	}
	before := keys()
	form := b.get("/ui/domains/" + gatewaytest.Domain + "/keys/new")
	for _, header := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Origin": "https://evil.example"},
		{"Origin": "null"},
		{"Host": "evil.example", "Sec-Fetch-Site": "same-origin"},
		{"Host": "demo.localhost.evil.example"},
	} {
		b.header = header
		a := b.post("/ui/domains/"+gatewaytest.Domain+"/keys/new", "once", form.once(t), "name", "forged", "permission", "full_access")
		if a.status != 403 && a.status != 400 {
			t.Errorf("%v: %d", header, a.status)
		}
	}
	if after := keys(); after != before {
		t.Errorf("%d keys were made", after-before)
	}
	b.header = map[string]string{"Host": "evil.example"}
	b.get("/ui/sign-in").wants(t, 403)
}

// Every answer carries the policy, errors and files as well.
func TestHeaders(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	for _, path := range []string{"/ui/", "/ui/sign-in", "/ui/nowhere", "/ui/domains", "/ui/static/postern.css", "/ui/domains/other.example"} {
		a := b.get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if !strings.Contains(a.header.Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, a.header.Get(name))
			}
		}
		if policy := a.header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "trusted-types 'none'") {
			t.Errorf("%s: %q", path, policy)
		}
	}
}

// A key is made, shown once, and revoked; the page loaded again makes no second one.
func TestKeys(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	base := "/ui/domains/" + gatewaytest.Domain
	for _, list := range []string{base + "/keys", base + "/accounts/" + gatewaytest.Account + "/keys"} {
		form := b.get(list+"/new").wants(t, 200, "Full Access", "Send Only")
		fields := []string{"once", form.once(t), "name", "for <tests>", "permission", "send_only", "expires", "30"}
		done := b.post(list+"/new", fields...).wants(t, 200, "Copy it now", "Send Only", "export CENTERLEAP_API_KEY=bm_live_")
		token := regexp.MustCompile(`bm_live_[0-9a-f]{40}`).FindString(done.body)
		if status, a := g.Do("POST", "/emails", token, `{"from":"`+gatewaytest.Account+`","to":"`+gatewaytest.Account+`","subject":"x","text":"y"}`); status != 200 {
			t.Fatalf("the key does not send: %d %v", status, a)
		}
		again := b.post(list+"/new", fields...)
		if again.status != http.StatusSeeOther || strings.Contains(again.body, token) {
			t.Errorf("loaded again: %d", again.status)
		}
		page := b.get(list).wants(t, 200, "for &lt;tests&gt;", "That form has made the key", "Send Only")
		if strings.Contains(page.body, token) {
			t.Error("the list shows the key")
		}
		revoke := regexp.MustCompile(`/ui/keys/[0-9a-f-]{36}/revoke`).FindString(page.body)
		gatewaytest.Eventually(t, "the use of the key is shown", func() bool { return strings.Contains(b.get(revoke).body, "just now") })
		b.get(revoke).wants(t, 200, "Revoke this key?", token[:12], "for &lt;tests&gt;")
		b.post(revoke).wants(t, http.StatusSeeOther)
		b.get(list).wants(t, 200, "is revoked", "revoked 20")
		if status, _ := g.Do("POST", "/emails", token, `{}`); status != 401 {
			t.Errorf("after the revocation: %d", status)
		}
	}
	for name, fields := range map[string][]string{
		"date":       {"permission", "full_access", "expires", "date", "date", "tomorrow"},
		"expires":    {"permission", "full_access", "expires", "-1"},
		"past":       {"permission", "full_access", "expires", "date", "date", "2001-01-01"},
		"permission": {"permission", "everything"},
		"name":       {"permission", "full_access", "name", strings.Repeat("x", 201)},
	} {
		form := b.get(base + "/keys/new")
		a := b.post(base+"/keys/new", append(fields, "once", form.once(t))...)
		if a.status != 422 || !strings.Contains(a.body, `role="alert"`) {
			t.Errorf("%s: %d\n%s", name, a.status, a.body)
		}
	}
}

// What a key may not see is not there: neither by its own name nor in a list.
func TestWalls(t *testing.T) {
	g := gatewaytest.Start(t)
	g.Do("POST", "/domains", g.Keys.Admin, `{"name":"other.localhost","verified":true}`)
	g.Do("POST", "/accounts", g.Keys.Admin, `{"email":"secret@other.localhost"}`)
	_, theirs := g.Do("POST", "/api-keys", g.Keys.Admin, `{"name":"theirs","domain":"other.localhost"}`)
	_, sibling := g.Do("POST", "/api-keys", g.Keys.Domain, `{"name":"of the domain"}`)
	for name, c := range map[string]struct {
		key   string
		paths []string
	}{
		"domain": {g.Keys.Domain, []string{
			"/ui/domains/other.localhost", "/ui/domains/other.localhost/keys", "/ui/domains/other.localhost/keys/new", "/ui/domains/other.localhost/zone", "/ui/domains/other.localhost/accounts",
			"/ui/domains/other.localhost/accounts/secret@other.localhost", "/ui/domains/" + gatewaytest.Domain + "/accounts/secret@other.localhost",
			"/ui/domains/" + gatewaytest.Domain + "/accounts/secret@other.localhost/keys", "/ui/keys", "/ui/keys/new", "/ui/keys/" + theirs.Str("id") + "/revoke",
		}},
		"account": {g.Keys.Account, []string{
			"/ui/domains/" + gatewaytest.Domain, "/ui/domains/" + gatewaytest.Domain + "/keys", "/ui/keys", "/ui/keys/" + sibling.Str("id") + "/revoke", "/ui/domains/other.localhost/accounts",
		}},
	} {
		b := signedIn(t, g, c.key)
		for _, path := range c.paths {
			if a := b.get(path); a.status != 404 || strings.Contains(a.body, "secret") || strings.Contains(a.body, "theirs") {
				t.Errorf("%s: GET %s: %d", name, path, a.status)
			}
			if a := b.post(path, "once", "x", "permission", "full_access"); a.status != 404 {
				t.Errorf("%s: POST %s: %d", name, path, a.status)
			}
		}
		for _, path := range []string{"/ui/", "/ui/domains", "/ui/domains/" + gatewaytest.Domain + "/accounts"} {
			if a := b.get(path).wants(t, 200); strings.Contains(a.body, "other.localhost") {
				t.Errorf("%s: %s names another domain", name, path)
			}
		}
	}
}

package dashboard_test

import (
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/dashboard"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// place is a domain with one of everything; each object bears the domain's mark where
// somebody chose its name.
type place struct {
	domain, email, mark string
	ids                 map[string]string // by the name of its parameter in a route's path
	account             string            // the account's key
	tenant              string            // the domain's key
}

// furnish makes a place.
func furnish(t *testing.T, g *gatewaytest.Gateway, domain, email, mark string) *place {
	t.Helper()
	p := &place{domain: domain, email: email, mark: mark, ids: map[string]string{"domain": domain, "email": email}}
	do := func(method, path, key string, body any) gatewaytest.Answer {
		t.Helper()
		status, a := g.Do(method, path, key, body)
		if status >= 300 {
			t.Fatalf("%s %s: %d %v", method, path, status, a)
		}
		return a
	}
	if status, _ := g.Do("GET", "/domains/"+domain, g.Keys.Admin, nil); status == 404 {
		do("POST", "/domains", g.Keys.Admin, map[string]any{"name": domain, "verified": true})
	}
	if status, _ := g.Do("GET", "/accounts/"+email, g.Keys.Admin, nil); status == 404 {
		do("POST", "/accounts", g.Keys.Admin, map[string]any{"email": email, "name": mark})
	}
	key := do("POST", "/api-keys", g.Keys.Admin, map[string]any{"domain": domain, "name": mark + "-tenant"})
	p.ids["key"], p.tenant = key.Str("id"), key.Str("token")
	p.account = do("POST", "/api-keys", g.Keys.Admin, map[string]any{"email": email, "name": mark + "-owner"}).Str("token")
	do("POST", "/suppressions", p.tenant, map[string]any{"email": mark + "@gone.example"})

	sink := newReceiver(t)
	hook := do("POST", "/webhooks", p.tenant, map[string]any{"endpoint": sink.URL + "/" + mark, "events": []string{"email.received"}})
	p.ids["webhook"] = hook.Str("id")
	b := signedIn(t, g, p.tenant)
	module := b.upload("/ui/domains/"+domain+"/plugins", modulePart(t, strings.Replace(puppetOne, "puppet", mark+"-plugin", 1)))
	p.ids["plugin"] = regexp.MustCompile(`[0-9a-f-]{36}`).FindString(module.location)
	b.get(module.location) // the notice is told once, here

	p.ids["message"] = arrives(t, g, email, "From: Ann <ann@elsewhere.example>\nSubject: "+mark+" is the subject\nMessage-ID: <"+mark+"@elsewhere.example>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B",
		"--B\nContent-Type: text/html\n\n<p>"+mark+" <a href=\"https://"+mark+".example/\">link</a></p>\n--B\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename="+mark+".bin\n\n"+mark+"\n--B--\n")
	mail := do("GET", "/emails/"+p.ids["message"]+"?email="+email, p.account, nil)
	p.ids["thread"], p.ids["file"] = mail.Str("thread_id"), mail.Str("attachments.0.id")
	do("POST", "/emails", p.account, map[string]any{"from": email, "to": mark + "@elsewhere.example", "subject": mark + " leaves", "text": mark})
	p.ids["delivery"] = do("GET", "/queue", p.tenant, nil).Str("data.0.id")
	gatewaytest.Eventually(t, "the webhook was told", func() bool {
		p.ids["event"] = do("GET", "/webhooks/"+p.ids["webhook"]+"/events", p.tenant, nil).Str("data.0.id")
		return p.ids["event"] != ""
	})
	return p
}

// parameter finds the next parameter of a path.
var parameter = regexp.MustCompile(`:([a-z]+)`)

// at is a route's path with this place's own names in it; of id, the page says which.
func (p *place) at(t *testing.T, path string) string {
	t.Helper()
	return parameter.ReplaceAllStringFunc(path, func(name string) string {
		name = name[1:]
		if name == "id" {
			if name = "message"; strings.Contains(path, "/queue/") {
				name = "delivery"
			}
		}
		value, ok := p.ids[name]
		if !ok {
			t.Errorf("%s: no place has a %s: furnish makes one", path, name)
		}
		return value
	})
}

// mixed is a path of this place's domain and account with another's objects in it.
func (p *place) mixed(t *testing.T, path string, other *place) string {
	t.Helper()
	own := place{ids: maps.Clone(other.ids)}
	own.ids["domain"], own.ids["email"] = p.domain, p.email
	return own.at(t, path)
}

// Every page and every form, asked by everybody whose business it is not: it is not
// there, or one has to sign in, and nothing of another's is in the answer.
func TestNoPageShowsAnother(t *testing.T) {
	g := withPlugins(t)
	theirs := furnish(t, g, "theirs.localhost", "desk@theirs.localhost", "verysecret")
	ours := furnish(t, g, gatewaytest.Domain, gatewaytest.Account, "ourown")
	g.Do("POST", "/accounts", g.Keys.Admin, `{"email":"sibling@theirs.localhost"}`)
	_, sibling := g.Do("POST", "/api-keys", g.Keys.Admin, `{"email":"sibling@theirs.localhost","name":"sibling"}`)
	_, sendOnly := g.Do("POST", "/api-keys", g.Keys.Admin, `{"domain":"theirs.localhost","permission":"send_only","name":"sender"}`)
	if a := newBrowser(t, g).post("/ui/sign-in", "key", sendOnly.Str("token")); a.status != 403 {
		t.Errorf("a send-only key signs in: %d", a.status)
	}
	_, before := g.Do("GET", "/api-keys", theirs.tenant, nil)
	callers := map[string]*browser{
		"another domain": signedIn(t, g, ours.tenant), "another domain's account": signedIn(t, g, ours.account),
		"a sibling": signedIn(t, g, sibling.Str("token")), "nobody": newBrowser(t, g),
	}
	form := []string{"once", "x", "permission", "full_access", "do", "delete", "to", "later", "hook", "inbound", "sample", "personal", "version", "1", "last", "1", "failure", "1", "priority", "1", "text", "x", "delivery", theirs.ids["delivery"], "id", theirs.ids["message"], "endpoint", "http://127.0.0.1:1/"}
	for _, page := range dashboard.Pages() {
		if page.Open {
			continue
		}
		paths := []string{theirs.at(t, page.Path)}
		if strings.Contains(page.Path, ":") {
			paths = append(paths, ours.mixed(t, page.Path, theirs))
		}
		for who, b := range callers {
			for i, path := range paths {
				if i > 0 && strings.HasSuffix(page.Path, "/live/events") {
					continue // its own stream, which has no end: TestLiveStream
				}
				if who == "a sibling" && (i > 0 || !strings.Contains(page.Path, ":email")) {
					continue // its domain's pages show it less than all; TestAccountKey
				}
				var a answer
				if page.Method == "POST" {
					a = b.post(path, form...)
				} else {
					a = b.get(path)
				}
				own := i == 0 && !strings.Contains(page.Path, ":") || i > 0 && path == ours.at(t, page.Path)
				switch {
				case strings.Contains(a.body, theirs.mark):
					t.Errorf("%s: %s %s shows another's: %d", who, page.Method, path, a.status)
				case who == "nobody" && (a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/ui/sign-in")):
					t.Errorf("nobody: %s %s: %d %q", page.Method, path, a.status, a.location)
				case who != "nobody" && !own && a.status != http.StatusNotFound:
					t.Errorf("%s: %s %s: %d\n%s", who, page.Method, path, a.status, lastOf(a.body))
				}
				if strings.HasSuffix(page.Path, "/sign-out") && who != "nobody" {
					b.post("/ui/sign-in", "key", map[string]string{"another domain": ours.tenant, "another domain's account": ours.account, "a sibling": sibling.Str("token")}[who])
				}
			}
		}
	}
	_, after := g.Do("GET", "/api-keys", theirs.tenant, nil)
	if b, a := len(before.At("data").([]any)), len(after.At("data").([]any)); a != b {
		t.Errorf("there were %d keys, and are %d", b, a)
	}
	for _, path := range []string{"/plugins/" + theirs.ids["plugin"], "/webhooks/" + theirs.ids["webhook"], "/queue/" + theirs.ids["delivery"], "/emails/" + theirs.ids["message"] + "?email=" + theirs.email} {
		if status, _ := g.Do("GET", path, theirs.tenant, nil); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

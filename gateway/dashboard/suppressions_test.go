package dashboard_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

const suppressionsOf = "/ui/domains/" + gatewaytest.Domain + "/suppressions"

// An address is added and removed by hand; mistakes are shown beside the form.
func TestSuppressions(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	b.get(suppressionsOf).wants(t, 200, "No address is suppressed")
	b.post(suppressionsOf, "email", "not an address").wants(t, 422, `role="alert"`, `value="not an address"`)
	b.post(suppressionsOf, "email", "Gone@Elsewhere.example").wants(t, 303)
	page := b.get(suppressionsOf).wants(t, 200, "Nothing is sent to gone@elsewhere.example any more.", "added by hand")
	b.post(suppressionsOf, "email", "gone@elsewhere.example").wants(t, 303)
	b.get(suppressionsOf).wants(t, 200, "was suppressed before")
	b.get(suppressionsOf+"?origin=bounce").wants(t, 200, "No address is suppressed for that")
	b.get(suppressionsOf+"?origin=spite").wants(t, 422)
	b.get(suppressionsOf+"?after=x").wants(t, 422)
	id := regexp.MustCompile(`name="id" value="([0-9a-f-]{36})"`).FindStringSubmatch(page.body)[1]
	b.post(suppressionsOf+"/remove", "id", id).wants(t, 303)
	b.get(suppressionsOf).wants(t, 200, "Mail to gone@elsewhere.example is sent again.", "No address is suppressed")
	b.post(suppressionsOf+"/remove", "id", id).wants(t, 404, `role="alert"`)
}

// A host that refuses an address for good has it suppressed, and what it said is shown
// with its class, in both lists.
func TestBounces(t *testing.T) {
	mx := gatewaytest.ServeMX(t)
	mx.Answer(func(command string) string {
		if strings.HasPrefix(command, "RCPT") {
			return "550 5.1.1 nobody <of> that name"
		}
		return ""
	})
	g := gatewaytest.Start(t, gatewaytest.Hosts(gatewaytest.ServeDNS(t), map[string]*gatewaytest.MX{"example.com": mx}))
	b := signedIn(t, g, g.Keys.Domain)
	bounces := "/ui/domains/" + gatewaytest.Domain + "/bounces"
	b.get(bounces).wants(t, 200, "Nothing came back")
	send(t, g, g.Keys.Domain, "gone@example.com")
	send(t, g, g.Keys.Domain, gatewaytest.Account)
	gatewaytest.Eventually(t, "it came back", func() bool { return strings.Contains(b.get(suppressionsOf).body, "gone@example.com") })
	b.get(suppressionsOf).wants(t, 200, "hard bounce, address", "<code>5.1.1</code>", "550 5.1.1 nobody &lt;of&gt; that name", "/emails/")
	page := b.get(bounces).wants(t, 200, "bounced", "<code>5.1.1</code>", "550 5.1.1 nobody &lt;of&gt; that name", "example.com", "/emails/")
	if n := page.rows(); n != 1 {
		t.Errorf("%d rows came back", n)
	}
	b.get(bounces+"?after=x").wants(t, 422)
}

// The lists go on page by page.
func TestSuppressionPages(t *testing.T) {
	g := gatewaytest.Start(t)
	for i := range 51 {
		g.Do("POST", "/suppressions", g.Keys.Domain, `{"email":"a`+strings.Repeat("a", i)+`@x.test"}`)
	}
	b := signedIn(t, g, g.Keys.Domain)
	page := b.get(suppressionsOf+"?origin=manual").wants(t, 200)
	next := regexp.MustCompile(`<a href="(\?[^"]+)" rel="next">`).FindStringSubmatch(page.body)
	if next == nil {
		t.Fatal("there is no next page")
	}
	last := b.get(suppressionsOf+strings.ReplaceAll(next[1], "&amp;", "&")).wants(t, 200, ">a@x.test<")
	if n := strings.Count(last.body, `name="id"`); n != 1 || strings.Contains(last.body, `rel="next"`) {
		t.Errorf("the last page has %d addresses", n)
	}
}

// Nobody sees whom another domain suppresses, or changes it.
func TestSuppressionWalls(t *testing.T) {
	g := gatewaytest.Start(t)
	g.Do("POST", "/domains", g.Keys.Admin, `{"name":"other.localhost","verified":true}`)
	_, theirs := g.Do("POST", "/api-keys", g.Keys.Admin, `{"name":"theirs","domain":"other.localhost"}`)
	_, sup := g.Do("POST", "/suppressions", g.Keys.Domain, `{"email":"secret@elsewhere.example"}`)
	for name, key := range map[string]string{"another domain": theirs.Str("token"), "an account": g.Keys.Account} {
		b := signedIn(t, g, key)
		for _, path := range []string{suppressionsOf, "/ui/domains/" + gatewaytest.Domain + "/bounces"} {
			if a := b.get(path); a.status != 404 || strings.Contains(a.body, "secret") {
				t.Errorf("%s: %s: %d", name, path, a.status)
			}
		}
		for _, path := range []string{suppressionsOf, suppressionsOf + "/remove", "/ui/domains/other.localhost/suppressions/remove"} {
			b.post(path, "id", sup.Str("id"), "email", "x@y.test").wants(t, 404)
		}
	}
	if status, _ := g.Do("GET", "/suppressions/"+sup.Str("id"), g.Keys.Domain, nil); status != 200 {
		t.Error("it is gone")
	}
}

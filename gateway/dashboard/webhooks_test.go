package dashboard_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// receiver answers with a status that a test may change, and counts.
type receiver struct {
	*httptest.Server
	status atomic.Int64
	asked  atomic.Int64
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.status.Store(200)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		_, _ = io.Copy(io.Discard, in.Body)
		r.asked.Add(1)
		w.WriteHeader(int(r.status.Load()))
		_, _ = io.WriteString(w, "<b>seen</b>")
	}))
	t.Cleanup(r.Close)
	return r
}

// A webhook is added, tested, told of mail, asked again, changed, and deleted.
func TestWebhookPages(t *testing.T) {
	g, r := gatewaytest.Start(t), newReceiver(t)
	b := signedIn(t, g, g.Keys.Domain)
	base := "/ui/domains/" + gatewaytest.Domain + "/webhooks"
	b.get(base).wants(t, 200, "There is no webhook yet", "email.received")
	b.post(base, "endpoint", "ftp://x", "event", "email.received").wants(t, 422, `role="alert"`, "ftp://x")
	b.post(base, "endpoint", r.URL, "event", "email.never").wants(t, 422, `role="alert"`)
	a := b.post(base, "endpoint", r.URL, "event", "email.received", "email", gatewaytest.Account)
	if a.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", a.status, a.body)
	}
	page := b.get(a.location).wants(t, 200, r.URL, gatewaytest.Account, "It was told nothing yet", "not shown")
	if strings.Contains(page.body, "whsec_") {
		t.Error("the secret is shown before anybody asks")
	}
	secret := func() string {
		return regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`).FindString(b.post(a.location, "do", "reveal").wants(t, 200).body)
	}
	first := secret()
	b.post(a.location, "do", "rotate").wants(t, http.StatusSeeOther)
	if second := secret(); first == "" || second == first {
		t.Errorf("%q, then %q", first, second)
	}
	b.post(a.location, "do", "test").wants(t, 200, "The test", "200", "&lt;b&gt;seen&lt;/b&gt;")

	r.status.Store(503)
	g.Do("POST", "/emails", g.Keys.Domain, `{"from":"x@`+gatewaytest.Domain+`","to":"`+gatewaytest.Account+`","subject":"s","text":"t"}`)
	gatewaytest.Eventually(t, "a failure is shown", func() bool { return strings.Contains(b.get(a.location).body, "pending") })
	told := regexp.MustCompile(regexp.QuoteMeta(a.location) + `/events/evt_[0-9a-f]+`).FindString(b.get(a.location).body)
	b.get(told).wants(t, 200, "email.received", "pending", "503")
	r.status.Store(200)
	b.post(told).wants(t, http.StatusSeeOther)
	gatewaytest.Eventually(t, "it is taken", func() bool { return strings.Contains(b.get(told).body, "delivered") })
	b.get(base+"/"+strings.Repeat("0", 8)).wants(t, 404)
	b.get(told+"0").wants(t, 404)

	b.post(a.location, "do", "disable").wants(t, http.StatusSeeOther)
	b.get(base).wants(t, 200, "disabled")
	b.post(a.location, "do", "enable").wants(t, http.StatusSeeOther)
	b.post(a.location, "endpoint", r.URL+"/other", "event", "email.bounced", "event", "email.sent").wants(t, http.StatusSeeOther)
	b.get(base).wants(t, 200, "/other", "<td>2</td>")
	b.post(a.location, "endpoint", "", "event", "email.bounced").wants(t, 422, `role="alert"`)
	b.get(a.location+"/delete").wants(t, 200, "Delete this webhook?", "/other")
	b.post(a.location+"/delete").wants(t, http.StatusSeeOther)
	b.get(base).wants(t, 200, "is deleted", "There is no webhook yet")
}

// The instance has webhooks of its own, which no domain sees; and those of a domain are
// on its pages alone.
func TestWebhookWalls(t *testing.T) {
	g, r := gatewaytest.Start(t), newReceiver(t)
	operator, tenant, owner := signedIn(t, g, g.Keys.Admin), signedIn(t, g, g.Keys.Domain), signedIn(t, g, g.Keys.Account)
	base := "/ui/domains/" + gatewaytest.Domain + "/webhooks"
	whole := operator.post("/ui/webhooks", "endpoint", r.URL+"/secret", "event", "domain.created")
	operator.get(whole.location).wants(t, 200, "the instance", "domain.created")
	of := tenant.post(base, "endpoint", r.URL+"/tenant", "event", "email.received")
	mine := owner.post(base, "endpoint", r.URL+"/owner", "event", "email.received")
	for _, a := range []answer{whole, of, mine} {
		if a.status != http.StatusSeeOther {
			t.Fatalf("%d\n%s", a.status, a.body)
		}
	}
	tenant.get(base).wants(t, 200, "/tenant", "/owner")
	operator.get(base).wants(t, 200, "/tenant", "/owner")
	if a := owner.get(base).wants(t, 200, "/owner"); strings.Contains(a.body, "/tenant") {
		t.Error("an account sees its domain's webhooks")
	}
	if a := operator.get("/ui/webhooks").wants(t, 200, "/secret"); strings.Contains(a.body, "/tenant") {
		t.Error("a domain's webhook is among the instance's")
	}
	id := func(a answer) string { return a.location[strings.LastIndexByte(a.location, '/'):] }
	for name, c := range map[string]struct {
		b    *browser
		path string
	}{
		"tenant, instance's list":  {tenant, "/ui/webhooks"},
		"tenant, instance's":       {tenant, whole.location},
		"tenant, by its own page":  {tenant, base + id(whole)},
		"owner, of the domain":     {owner, of.location},
		"operator, of a domain":    {operator, "/ui/webhooks" + id(of)},
		"operator, instance's, by": {operator, base + id(whole)},
	} {
		for _, path := range []string{c.path, c.path + "/delete"} {
			if a := c.b.get(path); a.status != 404 || strings.Contains(a.body, r.URL) {
				t.Errorf("%s: %s: %d", name, path, a.status)
			}
		}
		if a := c.b.post(c.path, "do", "reveal"); a.status != 404 || strings.Contains(a.body, "whsec_") {
			t.Errorf("%s: reveal: %d", name, a.status)
		}
	}
}

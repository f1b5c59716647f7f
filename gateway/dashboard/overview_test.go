package dashboard_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// send sends a mail within the domain, or out of it.
func send(t *testing.T, g *gatewaytest.Gateway, key, to string) {
	t.Helper()
	status, a := g.Do("POST", "/emails", key, fmt.Sprintf(`{"from":%q,"to":%q,"subject":"Hello","text":"It works."}`, gatewaytest.Account, to))
	if status != 200 {
		t.Fatalf("%d %v", status, a)
	}
}

// tile is a number of the overview.
func (a answer) tile(t *testing.T, name string) string {
	t.Helper()
	m := regexp.MustCompile(`<dt>` + name + `</dt><dd>(\d+)`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no %s in\n%s", name, a.body)
	}
	return m[1]
}

// The overview counts what happened, each domain its own, and the instance all.
func TestOverview(t *testing.T) {
	g := gatewaytest.Start(t)
	g.Do("POST", "/domains", g.Keys.Admin, `{"name":"other.localhost","verified":true}`)
	_, theirs := g.Do("POST", "/api-keys", g.Keys.Admin, `{"name":"theirs","domain":"other.localhost"}`)
	ours, other, admin := signedIn(t, g, g.Keys.Domain), signedIn(t, g, theirs.Str("token")), signedIn(t, g, g.Keys.Admin)

	send(t, g, g.Keys.Domain, gatewaytest.Account)
	send(t, g, g.Keys.Domain, "nobody@"+gatewaytest.Domain)
	send(t, g, g.Keys.Domain, "somebody@elsewhere.example")
	want := map[string]string{"Sent": "3", "Delivered": "1", "Failed": "1", "Waiting for other hosts": "1"}
	none := map[string]string{"Received": "0", "Sent": "0", "Delivered": "0", "Failed": "0", "Waiting for other hosts": "0"}
	gatewaytest.Eventually(t, "all is counted", func() bool {
		page := ours.get("/ui/")
		return page.tile(t, "Delivered") == "1" && page.tile(t, "Failed") == "1"
	})
	for name, c := range map[string]struct {
		b    *browser
		path string
		want map[string]string
	}{
		"the domain":                 {ours, "/ui/", want},
		"the domain, under its name": {ours, "/ui/domains/" + gatewaytest.Domain + "/overview", want},
		"the operator looks at it":   {admin, "/ui/domains/" + gatewaytest.Domain + "/overview", want},
		"the instance":               {admin, "/ui/", want},
		"another domain":             {other, "/ui/", none},
	} {
		page := c.b.get(c.path).wants(t, 200, "By the hour, UTC", "Health", `<script type="module" src="/ui/static/chart.js?v=`)
		for tile, n := range c.want {
			if got := page.tile(t, tile); got != n {
				t.Errorf("%s: %s is %s, want %s", name, tile, got, n)
			}
		}
		if rows := strings.Count(page.body, `<tr><th scope="row"><time`); rows != 24 {
			t.Errorf("%s: %d hours", name, rows)
		}
		if !strings.Contains(page.body, `<td class="num">`+c.want["Sent"]+`</td>`) {
			t.Errorf("%s: the table has no hour in which %s were sent", name, c.want["Sent"])
		}
	}
	if page := other.get("/ui/"); strings.Contains(page.body, gatewaytest.Domain) {
		t.Error("another domain is named")
	}
	other.get("/ui/domains/"+gatewaytest.Domain+"/overview").wants(t, 404)
	admin.get("/ui/").wants(t, 200, "Domains, last 24 hours", gatewaytest.Domain, "other.localhost")
}

// An account's key sees its folders and its own hour, and nothing of the domain.
func TestOverviewOfAccount(t *testing.T) {
	g := gatewaytest.Start(t)
	send(t, g, g.Keys.Account, gatewaytest.Account)
	b := signedIn(t, g, g.Keys.Account)
	page := b.get("/ui/").wants(t, 200, gatewaytest.Account, "INBOX", "1 of 1000")
	for _, not := range []string{"By the hour", "Waiting", "Health", "Getting started"} {
		if strings.Contains(page.body, not) {
			t.Errorf("%q is shown", not)
		}
	}
	b.get("/ui/domains/"+gatewaytest.Domain+"/overview").wants(t, 404)
}

// A new domain is told what it still needs, until it has all of it.
func TestGettingStarted(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	done := func() int {
		return strings.Count(b.get("/ui/").wants(t, 200, "Getting started").body, `<li><span class="mark good">done`)
	}
	if n := done(); n != 2 { // quickstart verifies the domain and makes an account
		t.Errorf("%d steps are done at the start", n)
	}
	send(t, g, g.Keys.SendOnly, gatewaytest.Account)
	gatewaytest.Eventually(t, "two more steps are done", func() bool { return done() == 4 })
	b.get("/ui/").wants(t, 200, `<span class="mark wait">to do</span> <a href="/ui/domains/`+gatewaytest.Domain+`/plugins">`)
	admin := signedIn(t, g, g.Keys.Admin)
	if a := admin.get("/ui/"); strings.Contains(a.body, "Getting started") {
		t.Error("the operator is told to add a domain, though there is one")
	}
}

// What is not ours is what README.md says it is.
func TestVendored(t *testing.T) {
	table, err := os.ReadFile("static/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("static/vendor/*")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		if name := filepath.Base(file); name != "README.md" && !strings.Contains(string(table), "| "+name+" | npm uplot 1.6.32, ") || name != "README.md" && !strings.Contains(string(table), hex.EncodeToString(sum[:])) {
			t.Errorf("%s is not as README.md says", name)
		}
	}
}

package dashboard_test

import (
	"encoding/csv"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

const activityOf = "/ui/domains/" + gatewaytest.Domain + "/activity"

// rows counts the lines of the log on a page.
func (a answer) rows() int { return strings.Count(a.body, `<tr>`) - strings.Count(a.body, `<thead>`) }

// Each use of a key leaves a row, and the filters find it.
func TestActivity(t *testing.T) {
	g := gatewaytest.Start(t)
	send(t, g, g.Keys.SendOnly, gatewaytest.Account)
	send(t, g, g.Keys.Account, gatewaytest.Account)
	if status, _ := g.Do("POST", "/emails", g.Keys.SendOnly, `{"from":"x@other.example","to":"a@b.test","subject":"x","text":"y"}`); status != 403 {
		t.Fatalf("%d", status)
	}
	b := signedIn(t, g, g.Keys.Domain)
	page := b.get(activityOf).wants(t, 200, "POST /emails", "domain not authorized", g.Keys.SendOnly[:12], "127.0.0.1", `title="20`)
	key := regexp.MustCompile(`<option value="([0-9a-f-]{36})">` + g.Keys.SendOnly[:12]).FindStringSubmatch(page.body)
	if key == nil {
		t.Fatalf("no choice of keys in\n%s", page.body)
	}
	hour := time.Now().UTC().Add(-time.Hour).Format("2006-01-02T15:04")
	for query, want := range map[string]int{
		"status=403": 1, "status=200&protocol=rest": 2, "protocol=imap": 0, "key_id=" + key[1]: 2, "key_id=" + key[1] + "&status=200": 1,
		"email=" + gatewaytest.Account + "&status=200": 2, "since=" + hour + "&status=403": 1, "until=" + hour: 0, "since=2026-01-01T00:00:00Z&status=403": 1,
	} {
		if got := b.get(activityOf+"?"+query).wants(t, 200).rows(); got != want {
			t.Errorf("%s: %d rows, want %d", query, got, want)
		}
	}
	b.get(activityOf+"?protocol=imap").wants(t, 200, "No row matches")
	for _, query := range []string{"status=7", "since=yesterday", "protocol=pop", "key_id=x", "email=nobody@" + gatewaytest.Domain, "email=secret@other.localhost"} {
		a := b.get(activityOf + "?" + query)
		if a.status != 422 && a.status != 404 || !strings.Contains(a.body, `role="alert"`) {
			t.Errorf("%s: %d, the page does not say what is wrong", query, a.status)
		}
	}
}

// The rows are there as a file too, and go on page by page.
func TestActivityPagesAndCSV(t *testing.T) {
	g := gatewaytest.Start(t)
	for range 52 {
		g.Do("GET", "/emails/none", g.Keys.Account, nil)
	}
	b := signedIn(t, g, g.Keys.Domain)
	page := b.get(activityOf+"?status=404").wants(t, 200, "These rows as CSV")
	next := regexp.MustCompile(`<a href="(\?[^"]+)" rel="next">`).FindStringSubmatch(page.body)
	if page.rows() != 50 || next == nil {
		t.Fatalf("%d rows, next %q", page.rows(), next)
	}
	if last := b.get(activityOf + strings.ReplaceAll(next[1], "&amp;", "&")); last.rows() != 2 || strings.Contains(last.body, `rel="next"`) {
		t.Errorf("the last page has %d rows", last.rows())
	}
	file := regexp.MustCompile(`href="([^"]+/activity/csv\?[^"]*)"`).FindStringSubmatch(page.body)
	if file == nil {
		t.Fatal("no file")
	}
	a := b.get(strings.ReplaceAll(file[1], "&amp;", "&"))
	table, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(table) != 53 || table[0][0] != "id" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") || !strings.Contains(a.header.Get("Content-Disposition"), "attachment") || a.header.Get("X-Has-More") != "false" {
		t.Errorf("%d rows, %v, %v", len(table), err, a.header)
	}
	b.get(activityOf+"/csv?status=7").wants(t, 422)
}

// Of a key people see its hour against the limit, its last use, its rows and its mail.
func TestActivityOfKeys(t *testing.T) {
	g := gatewaytest.Start(t)
	_, k := g.Do("POST", "/api-keys", g.Keys.Domain, `{"name":"for <mail>","permission":"send_only"}`)
	send(t, g, k.Str("token"), gatewaytest.Account)
	send(t, g, k.Str("token"), gatewaytest.Account)
	b := signedIn(t, g, g.Keys.Domain)
	b.get(activityOf+"/keys/"+k.Str("id")).wants(t, 200)
	gatewaytest.Eventually(t, "its use is shown", func() bool {
		return strings.Contains(b.get(activityOf+"/keys/"+k.Str("id")).body, "just now")
	})
	b.get(activityOf+"/keys").wants(t, 200, "for &lt;mail&gt;", "2 of 1000 <meter", "/activity/keys/"+k.Str("id"))
	page := b.get(activityOf+"/keys/"+k.Str("id")).wants(t, 200, "2 of 1000", "Hello", gatewaytest.Account, "POST /emails", "Send Only", "/keys/"+k.Str("id")+"/revoke")
	if n := strings.Count(page.body, ">Hello</a>"); n != 2 {
		t.Errorf("%d emails are shown", n)
	}
	b.get(activityOf+"?key_id="+k.Str("id")).wants(t, 200, "POST /emails")
	email := regexp.MustCompile(`/ui/domains/[^/]+/emails/[0-9a-f-]{36}`).FindString(page.body)
	if a := b.get(email); a.status != 303 || !strings.HasPrefix(a.location, "/ui/domains/"+gatewaytest.Domain+"/accounts/"+url.PathEscape(gatewaytest.Account)+"/messages/") {
		t.Errorf("%d %q", a.status, a.location)
	}
	b.get("/ui/domains/"+gatewaytest.Domain+"/emails/nonsense").wants(t, 404)
	b.get(activityOf+"/keys/nonsense").wants(t, 404)
}

// A log shows what is in the key's scope, and nothing of others.
func TestActivityWalls(t *testing.T) {
	g := gatewaytest.Start(t)
	g.Do("POST", "/domains", g.Keys.Admin, `{"name":"other.localhost","verified":true}`)
	_, theirs := g.Do("POST", "/api-keys", g.Keys.Admin, `{"name":"theirs","domain":"other.localhost"}`)
	_, sibling := g.Do("POST", "/api-keys", g.Keys.Domain, `{"name":"of the domain"}`)
	send(t, g, sibling.Str("token"), gatewaytest.Account)
	g.Do("GET", "/emails/none", g.Keys.Account, nil)
	_, all := g.Do("GET", "/logs?status=200", g.Keys.Domain, nil)
	email := all.Str("data.0.email_id")
	other, account, admin := signedIn(t, g, theirs.Str("token")), signedIn(t, g, g.Keys.Account), signedIn(t, g, g.Keys.Admin)
	for _, path := range []string{activityOf, activityOf + "/csv", activityOf + "/keys", activityOf + "/keys/" + sibling.Str("id"), "/ui/domains/other.localhost/activity/keys/" + sibling.Str("id"), "/ui/domains/" + gatewaytest.Domain + "/emails/" + email, "/ui/domains/other.localhost/emails/" + email, "/ui/activity", "/ui/activity/csv"} {
		if a := other.get(path); a.status != 404 || strings.Contains(a.body, gatewaytest.Account) {
			t.Errorf("another domain: %s: %d", path, a.status)
		}
	}
	if a := other.get("/ui/domains/other.localhost/activity").wants(t, 200); strings.Contains(a.body, "POST /emails") {
		t.Error("another domain sees what was sent")
	}
	if a := account.get(activityOf).wants(t, 200, "404"); strings.Contains(a.body, sibling.Str("prefix")) {
		t.Error("an account sees what the domain's key did")
	}
	if a := account.get(activityOf+"/keys").wants(t, 200); strings.Contains(a.body, "of the domain") {
		t.Error("an account sees the domain's keys")
	}
	account.get(activityOf+"/keys/"+sibling.Str("id")).wants(t, 404)
	newBrowser(t, g).post("/ui/sign-in", "key", "bm_live_"+strings.Repeat("0", 40))
	g.Do("GET", "/emails", "bm_live_"+strings.Repeat("0", 40), nil)
	admin.get("/ui/activity").wants(t, 200, "Activity of the instance", "invalid api key", "unknown")
	admin.get(activityOf).wants(t, 200, "POST /emails")
	admin.get("/ui/activity/csv").wants(t, 200, "invalid_api_key")
}

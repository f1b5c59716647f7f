package dashboard_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/dashboard"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// A name that anybody may choose stands on pages as text, whatever is in it.
func TestNamesAreText(t *testing.T) {
	g := gatewaytest.Start(t)
	const name = `"'><script>alert(1)</script>{{.}}`
	g.Do("PATCH", "/accounts/"+gatewaytest.Account, g.Keys.Domain, map[string]any{"name": name})
	if status, a := g.Do("POST", "/api-keys", g.Keys.Domain, map[string]any{"name": name}); status >= 300 {
		t.Fatalf("%d %v", status, a)
	}
	id := arrives(t, g, gatewaytest.Account, "From: "+`"<script>alert(1)</script>" <ann@elsewhere.example>`+"\nSubject: "+name+"\nMessage-ID: <x@elsewhere.example>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B",
		"--B\nContent-Type: text/html\n\n<p><a href=\"javascript:alert(1)\">one</a><a href=\"data:text/html,x\">two</a></p>\n--B\nContent-Type: text/plain\nContent-Disposition: attachment; filename=\"<script>alert(1)</script>.txt\"\n\nx\n--B--\n")
	b := signedIn(t, g, g.Keys.Domain)
	account := "/ui/domains/" + gatewaytest.Domain + "/accounts/" + gatewaytest.Account
	message := account + "/messages/" + id
	b.header["User-Agent"] = name
	b.post(message, "do", "star")
	b.post(message, "do", name)
	for _, path := range []string{
		"/ui/domains/" + gatewaytest.Domain + "/accounts", account, account + "/keys", "/ui/domains/" + gatewaytest.Domain + "/keys", "/ui/domains/" + gatewaytest.Domain + "/activity",
		account + "/messages", account + "/threads", message, message + "/html", message + "/text", message + "/headers", message + "/raw", message + "/attachments", message + "/trace",
		account + "/messages?q=" + url.QueryEscape(name), account + "/messages?folder=" + url.QueryEscape(name), "/ui/sign-in?next=" + url.QueryEscape("/ui/"+name),
		"/ui/domains/" + gatewaytest.Domain + "/queue?site=" + url.QueryEscape(name), "/ui/domains/" + url.PathEscape(name), "/ui/" + url.PathEscape(name),
	} {
		a := b.get(path)
		if strings.Contains(a.body, "<script>alert") || strings.Contains(strings.ToLower(a.body), `href="javascript:`) || strings.Contains(a.body, `href="data:`) || a.status >= 500 {
			t.Errorf("%s: %d\n%s", path, a.status, a.body)
		}
	}
}

// Whatever a path is, the answer is a page or a way to one of ours.
func TestPathTricks(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	for _, path := range []string{
		"/ui/%2e%2e/domains", "/ui//evil.example/", "/ui/%2f%2fevil.example", "/ui/%00", "/ui/domains/%00", "/ui/domains/%0d%0aSet-Cookie:%20x=y", "/ui/domains/%", "/ui/static/%2e%2e/pages/layout.html",
		"/ui/static/../../routes.go", "/UI/domains", "/ui/domains/" + strings.Repeat("a", 8000), "/ui/sign-in?next=%2fui%2f%0d%0aSet-Cookie:%20x=y", "/ui/domains/" + gatewaytest.Domain + "%2fkeys",
	} {
		r, err := http.NewRequest("GET", g.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = path
		r.Header.Set("Cookie", b.cookie)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Errorf("%.40s: %v", path, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode >= 500 || resp.Header.Get("Set-Cookie") != "" || resp.Header.Get("Location") != "" && !strings.HasPrefix(resp.Header.Get("Location"), "/ui/") {
			t.Errorf("%.40s: %d %v", path, resp.StatusCode, resp.Header)
		}
	}
}

// A cookie that a browser was given by somebody else, or that was signed out, is nobody's.
func TestSessionFixation(t *testing.T) {
	g := gatewaytest.Start(t)
	b := newBrowser(t, g)
	b.cookie = "__Host-postern=chosen-by-somebody-else"
	planted := b.cookie
	b.post("/ui/sign-in", "key", g.Keys.Domain).wants(t, http.StatusSeeOther)
	first := b.cookie
	b.post("/ui/sign-in", "key", g.Keys.Domain).wants(t, http.StatusSeeOther)
	second := b.cookie
	b.post("/ui/sign-out")
	for name, cookie := range map[string]string{"planted": planted, "of the sign-in before": first, "signed out": second, "none": "__Host-postern="} {
		b.cookie = cookie
		if a := b.get("/ui/domains"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/ui/sign-in") {
			t.Errorf("%s: %d %q", name, a.status, a.location)
		}
	}
}

// A page number that nobody reaches is refused, not reckoned with.
func TestFarPages(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Account)
	id := arrives(t, g, gatewaytest.Account, "From: ann@elsewhere.example\nSubject: far\nMessage-ID: <far@elsewhere.example>", "x\n")
	_, mail := g.Do("GET", "/emails/"+id, g.Keys.Account, nil)
	account := "/ui/domains/" + gatewaytest.Domain + "/accounts/" + gatewaytest.Account
	for _, list := range []string{"/messages", "/threads", "/threads/" + mail.Str("thread_id")} {
		for _, page := range []string{"9223372036854775807", "461168601842738791", "-1"} {
			if a := b.get(account + list + "?page=" + page); a.status >= 500 || a.status == 200 && strings.Contains(a.body, "far@") {
				t.Errorf("%s, page %s: %d\n%s", list, page, a.status, a.body)
			}
		}
	}
}

// A form that is sent as it was shown changes no setting, whatever is in its value.
func TestSettingsStayAsTheyAre(t *testing.T) {
	want := map[string]string{"path": `C:\new\road`, "lines": "one\ntwo\r\nthree", "both": "\\\n\\n\\\\", "equal": "a = b", "empty": ""}
	got, err := dashboard.Settings(want)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%q became %q, %v", want, got, err)
	}
}

// The index of an account is made again under the name that it has.
func TestIndexOfAnOddName(t *testing.T) {
	g := gatewaytest.Start(t)
	g.Do("POST", "/accounts", g.Keys.Admin, `{"email":"a&b@`+gatewaytest.Domain+`"}`)
	b := signedIn(t, g, g.Keys.Admin)
	a := b.post("/ui/system/search", "email", "a&b@"+gatewaytest.Domain).wants(t, http.StatusSeeOther)
	b.get(a.location).wants(t, 200, "a&amp;b@"+gatewaytest.Domain)
}

// The one-use id of a form is one of ours: we keep nothing long that a browser makes up.
func TestOnceIsOurs(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	list := "/ui/domains/" + gatewaytest.Domain + "/keys"
	b.post(list+"/new", "once", strings.Repeat("x", 1000), "name", "made-up", "permission", "full_access").wants(t, http.StatusSeeOther)
	if a := b.get(list).wants(t, 200); strings.Contains(a.body, "made-up") {
		t.Error("a key was made by a form with an id that is none")
	}
}

// A stream that is asked for by HEAD, which has no body, holds no place.
func TestHeadHoldsNoStream(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("streams_per_key", "2"))
	b := signedIn(t, g, g.Keys.Domain)
	path := "/ui/domains/" + gatewaytest.Domain + "/live/events"
	for range 5 {
		gatewaytest.Eventually(t, "a place is free", func() bool { return b.send("HEAD", path, nil).status == http.StatusOK })
	}
}

// Of many that follow a link at the same time, one gets in.
func TestLinkRace(t *testing.T) {
	g := gatewaytest.Start(t)
	got := make(chan int, 20)
	for range cap(got) {
		go func() {
			r, _ := http.NewRequest("POST", g.Web, strings.NewReader(""))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				got <- 0
				return
			}
			resp.Body.Close()
			got <- resp.StatusCode
		}()
	}
	in := 0
	for range cap(got) {
		switch status := <-got; status {
		case http.StatusSeeOther:
			in++
		case http.StatusGone:
		default:
			t.Errorf("status %d", status)
		}
	}
	if in != 1 {
		t.Errorf("%d got in", in)
	}
}

package rest_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// linked sends a file to the account and returns the received email's id, the
// path of its attachments, and the list of them as key sees it.
func (c *client) linked(key string) (id, path string, list gatewaytest.Answer) {
	c.Helper()
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("attachments", one("filename", "a.html", "content_type", "text/html", "content", []byte("<p>0123456789"))))
	gatewaytest.Eventually(c.T, "the email has arrived", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.At("total") != 0.0
	})
	id = c.do(200, "GET", "/emails", c.g.Keys.Account, nil).Str("data.0.email_id")
	path = "/emails/" + id + "/attachments"
	return id, path, c.do(200, "GET", path, key, nil)
}

// file asks for a link as anybody may: without a key.
func (c *client) file(url string, fields ...string) (*http.Response, string) {
	c.Helper()
	path, ours := strings.CutPrefix(url, c.g.URL)
	if !ours {
		c.Fatalf("%s is not of %s", url, c.g.URL)
	}
	return c.ask("GET", path, "", "", append([]string{"Authorization", ""}, fields...)...)
}

func TestLinks(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(clock.now))
	_, path, list := c.linked(c.g.Keys.Account)
	url := list.Str("data.0.download_url")
	if expires, err := time.Parse(time.RFC3339, list.Str("data.0.expires_at")); err != nil || expires.Sub(clock.now()) > time.Hour || expires.Sub(clock.now()) < 59*time.Minute {
		t.Errorf("expires_at: %v, %v", expires, err)
	}
	resp, body := c.file(url)
	h := resp.Header
	if resp.StatusCode != 200 || body != "<p>0123456789" || h.Get("Content-Type") != "application/octet-stream" || h.Get("X-Content-Type-Options") != "nosniff" ||
		h.Get("Content-Disposition") != `attachment; filename=a.html` || h.Get("Cache-Control") != "private, no-cache" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d %q %v", resp.StatusCode, body, h)
	}
	etag := h.Get("ETag")
	for _, tt := range []struct {
		name   string
		fields []string
		status int
		want   string
	}{
		{"a range", []string{"Range", "bytes=3-5"}, 206, "012"},
		{"outside", []string{"Range", "bytes=100-"}, 416, ""},
		{"a range of the same", []string{"Range", "bytes=3-5", "If-Range", etag}, 206, "012"},
		{"a range of another", []string{"Range", "bytes=3-5", "If-Range", `"x"`}, 200, body},
		{"known", []string{"If-None-Match", etag}, 304, ""},
		{"known among others", []string{"If-None-Match", `"x", W/` + etag}, 304, ""},
		{"unknown", []string{"If-None-Match", `"x"`}, 200, body},
	} {
		if resp, got := c.file(url, tt.fields...); resp.StatusCode != tt.status || tt.status < 400 && got != tt.want {
			t.Errorf("%s: %d %q", tt.name, resp.StatusCode, got)
		}
	}
	if resp := c.g.Send("HEAD", strings.TrimPrefix(url, c.g.URL), "", nil); resp.StatusCode != 200 || resp.ContentLength != int64(len(body)) {
		t.Errorf("HEAD: %d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
	one := path + "/" + list.Str("data.0.id")
	for accept, json := range map[string]bool{
		"application/json": true, "application/json;q=0.9": true, "*/*": false, "application/json, text/plain, */*": false, "text/html": false,
	} {
		resp, raw := c.ask("GET", one, c.g.Keys.Account, "", "Accept", accept)
		if got := strings.HasPrefix(raw, "{"); resp.StatusCode != 200 || got != json || resp.Header.Get("Vary") != "Accept" {
			t.Errorf("Accept %s: %d %s", accept, resp.StatusCode, raw)
		}
		if json {
			a := decode(t, []byte(raw))
			if _, body := c.file(a.Str("download_url")); body != "<p>0123456789" || a.Str("filename") != "a.html" || a.Str("expires_at") == "" {
				t.Errorf("Accept %s: %v", accept, a)
			}
		}
	}
	if _, raw := c.ask("GET", path, c.g.Keys.Account, "", "X-Forwarded-Host", "evil.test", "X-Forwarded-Proto", "https"); strings.Contains(raw, "evil") || strings.Contains(raw, "https://") {
		t.Errorf("anybody says where links lead: %s", raw)
	}
	gatewaytest.Eventually(t, "the log has the downloads", func() bool {
		_, a := c.g.Do("GET", "/logs", c.g.Keys.Domain, nil)
		rows := fmt.Sprint(a["data"])
		return strings.Contains(rows, "/files/:token") && !strings.Contains(rows, url[len(url)-20:])
	})
}

// A link ends after its hour, with its email, and with its key; a change of a
// single character makes it none.
func TestLinkEnds(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(clock.now))
	made := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, map[string]any{"name": "brief", "expires_at": clock.now().Add(10 * time.Minute).Format(time.RFC3339)})
	revoked := c.do(201, "POST", "/api-keys", c.g.Keys.Account, `{"name":"revoked"}`)
	id, path, list := c.linked(c.g.Keys.Account)
	link := func(key, query string) string {
		t.Helper()
		return strings.TrimPrefix(c.do(200, "GET", path+query, key, nil).Str("data.0.download_url"), c.g.URL)
	}
	lasting, brief, ended, admin := strings.TrimPrefix(list.Str("data.0.download_url"), c.g.URL), link(made.Str("token"), ""), link(revoked.Str("token"), ""), link(c.g.Keys.Admin, "?domain=demo.localhost")
	for _, url := range []string{lasting, brief, ended, admin} {
		c.do(200, "GET", url, "", nil)
	}
	for i := len("/files/"); i < len(lasting); i++ {
		other := byte('A')
		if lasting[i] == other {
			other = 'B'
		}
		c.do(404, "GET", lasting[:i]+string(other)+lasting[i+1:], "", nil)
	}
	c.do(404, "GET", "/files/x", "", nil)
	c.do(404, "GET", "/files/"+strings.Repeat("A", 3000), "", nil)
	c.do(200, "DELETE", "/api-keys/"+revoked.Str("id"), c.g.Keys.Account, nil)
	c.do(404, "GET", ended, "", nil)
	clock.add(10 * time.Minute)
	c.do(404, "GET", brief, "", nil)
	c.g.Restart()
	c.do(200, "GET", lasting, "", nil) // the secret is kept
	clock.add(50 * time.Minute)
	if e := c.do(410, "GET", lasting, "", nil); e.Str("name") != "gone" {
		t.Errorf("%v", e)
	}
	fresh := link(c.g.Keys.Account, "")
	c.do(200, "DELETE", "/emails/"+id+"?permanent=true", c.g.Keys.Account, nil)
	c.do(404, "GET", fresh, "", nil)
}

// Behind a proxy the operator says what links begin with.
func TestLinkBase(t *testing.T) {
	c := newClient(t, gatewaytest.Setting("rest.url", "https://mail.example.com/api"))
	_, _, list := c.linked(c.g.Keys.Account)
	token, ok := strings.CutPrefix(list.Str("data.0.download_url"), "https://mail.example.com/api/files/")
	if !ok {
		t.Errorf("%v", list)
	}
	c.do(200, "GET", "/files/"+token, "", nil)
}

// A link is used at the cost of the key it was given to.
func TestLinkCounts(t *testing.T) {
	c := newClient(t)
	_, _, list := c.linked(c.g.Keys.Account)
	path := strings.TrimPrefix(list.Str("data.0.download_url"), c.g.URL)
	c.g.Restart(gatewaytest.Limit("requests_read", "2"))
	c.do(200, "GET", path, "", nil)
	c.do(200, "GET", path, "", nil)
	if a := c.do(429, "GET", path, "", nil); a.Str("limit") != "requests" {
		t.Errorf("%v", a)
	}
	c.do(429, "GET", "/emails", c.g.Keys.Account, nil)
	c.do(404, "GET", "/files/none", "", nil) // which is nobody's
}

// A Host that is none does not get into a link.
func TestLinkHost(t *testing.T) {
	c := newClient(t)
	_, path, _ := c.linked(c.g.Keys.Account)
	for host, want := range map[string]string{"mail.example:8080": "http://mail.example:8080/files/", `evil"><b>`: "/files/"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, host, c.g.Keys.Account)
		got, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(got), `"download_url":"`+want) {
			t.Errorf("Host %q: %s, %v", host, got, err)
		}
	}
}

package dashboard_test

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// wire sends the start of a request with a body that never ends, and returns the status
// that it gets all the same.
func wire(t *testing.T, g *gatewaytest.Gateway, path, cookie, media, begin string) int {
	t.Helper()
	host := strings.TrimPrefix(g.URL, "http://")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", path, host, cookie, media, int64(1)<<40, begin)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("%s: no answer before the end of the body: %v", path, err)
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// A body is not read before it is known who sends it and whether anybody wants it: not
// into memory, nor, as a form with files easily is, onto the disk.
func TestBodyOfAStrangerIsNotRead(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	const form, files = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	start := "--b\r\nContent-Disposition: form-data; name=\"wasm\"; filename=\"x\"\r\n\r\n" + strings.Repeat("x", 100<<10)
	domain := "/ui/domains/" + gatewaytest.Domain
	for _, c := range []struct {
		name, path, cookie, media string
		want                      int
	}{
		{"a module from nobody", domain + "/plugins", "", files, http.StatusSeeOther},
		{"a form from nobody", domain + "/keys/new", "", form, http.StatusSeeOther},
		{"files to sign in with", "/ui/sign-in", "", files, http.StatusUnsupportedMediaType},
		{"files where no form has one", domain + "/keys/new", b.cookie, files, http.StatusUnsupportedMediaType},
		{"a long key", "/ui/sign-in", "", form, http.StatusRequestEntityTooLarge},
		{"a page that is not there", "/ui/nowhere", "", form, http.StatusNotFound},
		{"another's domain", "/ui/domains/other.localhost/keys/new", b.cookie, form, http.StatusNotFound},
		{"a module without a key, by REST", "/plugins", "", files, http.StatusUnauthorized},
	} {
		if got := wire(t, g, c.path, c.cookie, c.media, start); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// What a form of a module may have beside it is bounded: in bytes, its names too, and in
// parts. One that ends early is none.
func TestUploadBounds(t *testing.T) {
	g := withPlugins(t)
	b := signedIn(t, g, g.Keys.Domain)
	list := "/ui/domains/" + gatewaytest.Domain + "/plugins"
	whole := modulePart(t, puppetOne)
	with := func(name, value string) map[string]string {
		parts := map[string]string{name: value}
		maps.Copy(parts, whole)
		return parts
	}
	many := map[string]string{}
	for i := range 1000 {
		many[fmt.Sprint("n", i)] = ""
	}
	for name, c := range map[string]struct {
		parts map[string]string
		want  int
	}{
		"long field": {with("x", strings.Repeat("x", 256<<10)), 413},
		"long name":  {with(strings.Repeat("x", 256<<10), ""), 413},
		"many parts": {many, 413},
		"not UTF-8":  {with("name", "\xff"), 400},
	} {
		if a := b.upload(list, c.parts); a.status != c.want {
			t.Errorf("%s: %d, want %d\n%s", name, a.status, c.want, a.body)
		}
	}
	r, _ := http.NewRequest("POST", g.URL+list, strings.NewReader("no part"))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	r.Header.Set("Cookie", b.cookie)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != 400 {
		t.Errorf("a form that ends early: %d", resp.StatusCode)
	}
}

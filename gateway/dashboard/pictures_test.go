package dashboard_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// dot is a PNG of one pixel.
const dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

// elsewhere is a server that mail names; it keeps what it was asked.
type elsewhere struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
}

func newElsewhere(t *testing.T) *elsewhere {
	e := &elsewhere{}
	png, err := base64.StdEncoding.DecodeString(dot)
	if err != nil {
		t.Fatal(err)
	}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.asked = append(e.asked, r)
		e.mu.Unlock()
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Set-Cookie", "who=you")
		switch r.URL.Path {
		case "/svg":
			w.Header().Set("Content-Type", "image/svg+xml")
			_, _ = io.WriteString(w, `<svg xmlns="http://www.w3.org/2000/svg"><script>x()</script></svg>`)
		case "/html":
			_, _ = io.WriteString(w, "<!doctype html><script>x()</script>")
		case "/large":
			_, _ = w.Write(append(png, make([]byte, 2000)...))
		case "/gone":
			w.WriteHeader(404)
		default:
			_, _ = w.Write(png)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *elsewhere) requests() []*http.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*http.Request(nil), e.asked...)
}

// allow lets the gateway reach the server although it is on this machine.
func (e *elsewhere) allow() gatewaytest.Option {
	return gatewaytest.Setting("http.allow", strings.TrimPrefix(e.URL, "http://"))
}

// htmlMail is a message of HTML alone.
func htmlMail(t *testing.T, g *gatewaytest.Gateway, html string) string {
	t.Helper()
	return arrives(t, g, gatewaytest.Account, "From: shop@elsewhere.example\nSubject: Sale\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8", html)
}

var pictureOf = regexp.MustCompile(`/ui/pictures/[A-Za-z0-9_-]+`)

// The HTML of a mail stands in a frame, sanitised and held by a policy of its own; what it
// links to and names elsewhere the page around it says.
func TestMessageHTML(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Account)
	id := arrives(t, g, gatewaytest.Account, "From: shop@elsewhere.example\nSubject: Sale\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=B",
		`--B
Content-Type: text/html

<p onclick="x()">Look <a href="https://evil.example/x">www.shop.example</a></p><script>x()</script><p style="display:none">unseen</p>
<img src="cid:logo"><img src="https://t.example/1.gif"><img src="https://t.example/2.gif">
--B
Content-Type: image/png
Content-ID: <logo>
Content-Transfer-Encoding: base64

`+dot+"\n--B--\n")
	at := mailOf + "/messages/" + id
	page := b.get(at).wants(t, 200, `<iframe class="mail" sandbox=""`, `src="`+at+`/html?folder=INBOX"`, "2 remote images are not loaded", "another site than it says", "https://evil.example/x", "A style hides some of its text")
	if policy := page.header.Get("Content-Security-Policy"); strings.Contains(page.body, "onclick") || strings.Contains(policy, "unsafe") {
		t.Errorf("the page around it: %q", policy)
	}
	frame := b.get(at+"/html?folder=INBOX").wants(t, 200, "data:image/png;base64,"+dot[:20], `rel="noreferrer noopener"`, "<p>Look ")
	if strings.Contains(frame.body, "script") || strings.Contains(frame.body, "onclick") || strings.Contains(frame.body, "t.example") {
		t.Errorf("the frame holds\n%s", frame.body)
	}
	policy := frame.header.Get("Content-Security-Policy")
	for _, want := range []string{"sandbox;", "default-src 'none'", "frame-ancestors 'self'", "form-action 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%q is missing in %q", want, policy)
		}
	}
	if strings.Contains(policy, "script") || strings.Contains(policy, "allow-") || !strings.HasSuffix(policy, "img-src data:") {
		t.Errorf("the policy %q", policy)
	}
	b.get(at+"?images=1").wants(t, 200, "Without them", `/html?folder=INBOX&amp;images=1"`)
	if loaded := b.get(at + "/html?images=1"); len(pictureOf.FindAllString(loaded.body, -1)) != 2 || strings.Contains(loaded.body, "t.example") {
		t.Errorf("with images the frame holds\n%s", loaded.body)
	}
}

// An image elsewhere is loaded for who asked, out of a frame that has no cookie, and only
// if it is an image.
func TestPictures(t *testing.T) {
	e := newElsewhere(t)
	g := gatewaytest.Start(t, e.allow(), gatewaytest.Limit("remote_image", "1000"))
	b := signedIn(t, g, g.Keys.Account)
	tests := []struct {
		name, src string
		status    int
	}{
		{"an image", e.URL + "/png?who=bot", 200},
		{"code that is called an image", e.URL + "/svg", 415},
		{"a page that is called an image", e.URL + "/html", 415},
		{"too large", e.URL + "/large", 413},
		{"not there", e.URL + "/gone", 503},
		{"this machine", "http://127.0.0.1:1/", 422},
		{"the inside of a network", "https://10.0.0.1/x.png", 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := mailOf + "/messages/" + htmlMail(t, g, `<img src="`+tt.src+`">`)
			before := len(e.requests())
			b.get(at + "/html")
			if n := len(e.requests()) - before; n != 0 {
				t.Fatalf("%d requests although nobody asked for images", n)
			}
			path := pictureOf.FindString(b.get(at + "/html?images=1").body)
			a := newBrowser(t, g).get(path).wants(t, tt.status)
			if tt.status == 200 && (a.header.Get("Content-Type") != "image/png" || !strings.HasPrefix(a.body, "\x89PNG") || a.header.Get("Cross-Origin-Resource-Policy") != "cross-origin" ||
				a.header.Get("Cache-Control") != "no-store" || a.header.Get("Set-Cookie") != "") {
				t.Errorf("the image has %v", a.header)
			}
		})
	}
	for _, r := range e.requests() {
		if r.Header.Get("Cookie") != "" || r.Header.Get("Referer") != "" || r.Header.Get("Authorization") != "" || r.Header.Get("User-Agent") != "Postern" {
			t.Errorf("who sent the mail learns %v", r.Header)
		}
	}
}

// The name of an image is ours to make, and good for a sign-in and a few minutes.
func TestPictureNames(t *testing.T) {
	e := newElsewhere(t)
	var mu sync.Mutex
	now := time.Now()
	g := gatewaytest.Start(t, e.allow(), gatewaytest.Clock(func() time.Time { mu.Lock(); defer mu.Unlock(); return now }))
	b := signedIn(t, g, g.Keys.Account)
	at := mailOf + "/messages/" + htmlMail(t, g, `<img src="`+e.URL+`/x.png"><img src="`+e.URL+"/"+strings.Repeat("x", 2000)+`">`)
	names := pictureOf.FindAllString(b.get(at+"/html?images=1").body, -1)
	if len(names) != 1 {
		t.Fatalf("names %q: an address that is too long has none", names)
	}
	anybody := newBrowser(t, g)
	anybody.get(names[0]).wants(t, 200)
	forged := []byte(names[0])
	forged[len(forged)-5] ^= 1
	for _, name := range []string{string(forged), "/ui/pictures/x", "/ui/pictures/" + strings.Repeat("A", 100), "/ui/pictures/" + base64.RawURLEncoding.EncodeToString([]byte(e.URL))} {
		anybody.get(name).wants(t, 404)
	}
	mu.Lock()
	now = now.Add(11 * time.Minute)
	mu.Unlock()
	anybody.get(names[0]).wants(t, 404)
	later := pictureOf.FindString(b.get(at + "/html?images=1").body)
	anybody.get(later).wants(t, 200)
	b.post("/ui/sign-out")
	anybody.get(later).wants(t, 404, "signed out")
	if n := len(e.requests()); n != 2 {
		t.Errorf("%d requests", n)
	}
}

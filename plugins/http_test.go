package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/safehttp"
	"github.com/centerleap/postern/sdk/abi"
)

// client is the Web that a gateway has.
type client struct{ *safehttp.Client }

func (c client) Do(ctx context.Context, r *WebRequest, most int64) (WebAnswer, error) {
	a, err := c.Client.Do(ctx, r.Method, r.URL, r.Header, r.Body, most)
	return WebAnswer{a.Status, a.Header, a.Body}, err
}

// asker is a call of a plugin that may ask some hosts.
func asker(t *testing.T, cfg safehttp.Config, hosts ...string) *guest {
	t.Helper()
	web, err := safehttp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &guest{
		ctx: t.Context(), plugins: &Plugins{cfg: Config{Limits: gateway.DefaultLimits(), Web: client{web}}},
		inst: &gateway.Plugin{Grants: []string{abi.PermitHTTP}, PluginReach: gateway.PluginReach{HTTPHosts: hosts}},
		view: &view{hook: gateway.HookEvent, look: &gateway.Look{}},
	}
}

// ask makes a request of a document, and returns the answer's body.
func (g *guest) ask(doc string) (head, body string, err error) {
	n, err := g.HTTP(g.ctx, []byte(doc))
	if err != nil {
		return "", "", err
	}
	read := func(off int64) string {
		p := make([]byte, 64<<10)
		n, err := g.HTTPRead(n, off, p)
		if err != nil {
			return err.Error()
		}
		return string(p[:n])
	}
	return read(-1), read(0), nil
}

func get(u string) string { return `{"url":` + quoted(u) + `}` }

func quoted(s string) string {
	doc, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(doc)
}

// serve is a server of this machine; hits counts who came.
func serve(t *testing.T, h http.HandlerFunc) (at string, hits *atomic.Int64) {
	t.Helper()
	hits = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), hits
}

// A plugin's request arrives as it said it, and it reads the answer piece by piece.
func TestHTTP(t *testing.T) {
	at, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Seen", fmt.Sprint(r.Method, " ", r.URL.RequestURI(), " ", r.Header["X-A"], " ", r.ContentLength))
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(append([]byte("you said "), body...))
	})
	g := asker(t, safehttp.Config{AllowLoopback: true}, at)
	head, body, err := g.ask(`{"method":"POST","url":"http://` + at + `/p?q=1#f","headers":[["X-A","1"],["x-a","2 ü"]],"body":"hello"}`)
	var h abi.HTTPResponse
	if err != nil || json.Unmarshal([]byte(head), &h) != nil || body != "you said hello" {
		t.Fatalf("%s %s %v", head, body, err)
	}
	if h.Status != 418 || h.Size != 14 || !strings.Contains(fmt.Sprint(h.Headers), "[X-Seen POST /p?q=1 [1 2 ü] 5]") {
		t.Errorf("%+v", h)
	}
	if _, body, err := g.ask(`{"method":"PUT","url":"http://` + at + `","body_base64":"AP8="}`); body != "you said \x00\xff" || err != nil {
		t.Errorf("%q %v", body, err)
	}
	p := make([]byte, 4)
	for _, tt := range []struct {
		handle int
		off    int64
		want   string
		n      int
		err    error
	}{{1, 4, "said", 4, nil}, {1, 13, "o", 1, nil}, {1, 14, "", 0, nil}, {1, 1 << 62, "", 0, nil}, {1, -1, `{"st`, len(head), nil}, {1, -2, "", 0, abi.BadArgument}, {0, 0, "", 0, abi.BadArgument}, {3, 0, "", 0, abi.BadArgument}, {-1 << 31, 0, "", 0, abi.BadArgument}} {
		clear(p)
		n, err := g.HTTPRead(tt.handle, tt.off, p)
		if n != tt.n || strings.TrimRight(string(p), "\x00") != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%d at %d: %d %q %v", tt.handle, tt.off, n, p, err)
		}
	}
}

// Who may not ask does not, and what is not said clearly is not asked.
func TestHTTPRefused(t *testing.T) {
	at, hits := serve(t, func(http.ResponseWriter, *http.Request) {})
	for name, change := range map[string]func(*guest){
		"without the permission": func(g *guest) { g.inst.Grants = nil },
		"while mail waits":       func(g *guest) { g.hook = gateway.HookInbound },
		"while a client waits":   func(g *guest) { g.hook = gateway.HookOutbound },
		"at the thread hook":     func(g *guest) { g.hook = gateway.HookThread },
		"in a dry run":           func(g *guest) { g.look.DryRun = true },
		"without a client":       func(g *guest) { g.plugins.cfg.Web = nil },
		"without hosts":          func(g *guest) { g.inst.HTTPHosts = nil },
	} {
		g := asker(t, safehttp.Config{AllowLoopback: true}, at)
		change(g)
		if _, _, err := g.ask(get("http://" + at)); !errors.Is(err, abi.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g := asker(t, safehttp.Config{AllowLoopback: true}, at)
	field := func(name, value string) string {
		return `{"url":"http://` + at + `","headers":[[` + quoted(name) + `,` + quoted(value) + `]]}`
	}
	for _, doc := range []string{
		"", "null", "5", "[]", `{}`, `{"url":5}`, get("http://"+at) + "{}", `{"url":"http://` + at + `","uri":"x"}`, `{"url":"http://` + at + `","URL":"http://x"}`,
		`{"url":"http://` + at + `","method":"get"}`, `{"url":"http://` + at + `","method":"CONNECT"}`, `{"url":"http://` + at + `","method":"GET / HTTP/1.1\r\nX: y"}`,
		`{"url":"http://` + at + `","body":"a","body_base64":"YQ=="}`, `{"url":"http://` + at + `","body_base64":"!"}`,
		field("Host", "inside"), field("host", "inside"), field("Content-Length", "5"), field("Transfer-Encoding", "chunked"), field("Connection", "close"), field("Upgrade", "h2c"),
		field("Proxy-Authorization", "x"), field("TE", "trailers"), field("Trailer", "X"), field("Expect", "100-continue"),
		field("X-A", "b\r\nHost: inside"), field("X-A", "b\nc"), field("X-A", "b\x00"), field("X-A\r\nHost", "x"), field("X A", "x"), field("", "x"), field("X:", "x"),
		`{"url":"http://` + at + `","headers":[` + strings.TrimSuffix(strings.Repeat(`["X-A","b"],`, 51), ",") + `]}`,
		get("http://" + at + "/\r\nX: y"), get("http://" + at + " "), get("//" + at), get(at), get("http:" + at), get("ftp://" + at), get("file:///etc/passwd"), get("gopher://" + at),
		get("http://user@" + at), get("http://user:word@" + at), get("http://" + at + "@evil.example"), get("http://@" + at), get("http:///x"), get("http://" + at + ":80"), get("http://127.0.0.1:"),
	} {
		if _, _, err := g.ask(doc); !errors.Is(err, abi.BadArgument) && !errors.Is(err, abi.Denied) {
			t.Errorf("%.100q: %v", doc, err)
		}
	}
	if _, _, err := g.ask(strings.Repeat(" ", 1<<20) + get("http://"+at)); !errors.Is(err, abi.TooLarge) {
		t.Errorf("a long request: %v", err)
	}
	if hits.Load() != 0 || g.asked != 0 {
		t.Errorf("%d requests arrived, %d counted", hits.Load(), g.asked)
	}
}

// turns answers each look-up with the next of its addresses, and then the last again.
type turns struct {
	answers []string
	asked   atomic.Int64
}

func (n *turns) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	i := min(int(n.asked.Add(1)), len(n.answers)) - 1
	return []netip.Addr{netip.MustParseAddr(n.answers[i])}, nil
}

// Robustness 9: nothing that a plugin asks for reaches a host that its manifest does not
// name, or the inside of the operator's network; and no server fills memory or holds a
// call beyond its time.
func TestRobustness9HTTP(t *testing.T) {
	inside, hits := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret")) })
	_, port, err := net.SplitHostPort(inside)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("a redirect off the list", func(t *testing.T) {
		at, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+inside+"/x", http.StatusFound)
		})
		g := asker(t, safehttp.Config{AllowLoopback: true}, at)
		head, body, err := g.ask(get("http://" + at))
		if err != nil || !strings.Contains(head, `"status":302`) || !strings.Contains(head, inside) || strings.Contains(body, "secret") {
			t.Errorf("%s %s %v", head, body, err)
		}
		if _, _, err := g.ask(get("http://" + inside + "/x")); !errors.Is(err, abi.Denied) {
			t.Errorf("asked itself: %v", err)
		}
	})
	t.Run("other ways to write it", func(t *testing.T) {
		g := asker(t, safehttp.Config{AllowLoopback: true}, "api.example.com", "*.example.org", "127.0.0.1:1")
		for _, u := range []string{
			"http://" + inside, "http://127.1:" + port, "http://2130706433:" + port, "http://0x7f000001:" + port, "http://0177.0.0.1:" + port, "http://127.0.0.1.:" + port,
			"http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://[::ffff:7f00:1]:" + port, "http://[::1]:" + port, "http://[0:0:0:0:0:0:0:1]:" + port,
			"http://127.0.0.1%2f.example.org:" + port, "http://api.example.com@" + inside, "http://" + inside + "#api.example.com", "http://" + inside + "?.example.org", `http://api.example.com\@` + inside,
			"http://example.org", "http://api.example.com.evil.example", "http://evil.example/api.example.com", "http://１２７.0.0.1:" + port, "http://①②⑦.⓪.⓪.①:" + port,
			"http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[fe80::1%25lo]/", "http://api.example.com:8080", "http://xn--.example.org",
		} {
			if _, _, err := g.ask(get(u)); !errors.Is(err, abi.BadArgument) && !errors.Is(err, abi.Denied) {
				t.Errorf("%s: %v", u, err)
			}
		}
	})
	t.Run("names and addresses that are inside", func(t *testing.T) {
		for _, tt := range []struct {
			url, host string
			answers   []string
		}{
			{"https://api.example.com:" + port, "api.example.com:" + port, []string{"127.0.0.1"}},
			{"https://api.example.com:" + port, "api.example.com:" + port, []string{"::ffff:127.0.0.1"}},
			{"https://api.example.com", "*.example.com", []string{"169.254.169.254"}},
			{"https://api.example.com", "api.example.com", []string{"10.0.0.1"}},
			{"https://api.example.com", "api.example.com", []string{"fd00::1"}},
			{"https://api.example.com", "api.example.com", []string{"::ffff:169.254.169.254"}},
			{"https://127.0.0.1:" + port, "127.0.0.1:" + port, nil},
			{"https://[::1]:" + port, "[::1]:" + port, nil},
			{"https://169.254.169.254", "169.254.169.254", nil},
			{"https://[fe80::1]", "[fe80::1]", nil},
			{"http://api.example.com", "api.example.com", []string{"1.1.1.1"}}, // not without TLS
		} {
			g := asker(t, safehttp.Config{Resolver: &turns{answers: tt.answers}}, tt.host)
			if _, _, err := g.ask(get(tt.url)); !errors.Is(err, abi.Denied) && !errors.Is(err, abi.BadArgument) {
				t.Errorf("%s at %v: %v", tt.url, tt.answers, err)
			}
		}
	})
	t.Run("a name that points elsewhere the second time", func(t *testing.T) {
		dns := &turns{answers: []string{"127.0.0.1", "1.1.1.1"}}
		g := asker(t, safehttp.Config{Resolver: dns}, "api.example.com:"+port)
		if _, _, err := g.ask(get("https://api.example.com:" + port)); !errors.Is(err, abi.Denied) || dns.asked.Load() != 1 {
			t.Errorf("%v, looked up %d times", err, dns.asked.Load())
		}
	})
	if hits.Load() != 0 {
		t.Errorf("%d requests came inside", hits.Load())
	}
}

// Robustness 9, and 4: of servers that say too much, or nothing.
func TestRobustness9Servers(t *testing.T) {
	block, begun := make([]byte, 64<<10), make(chan struct{}, 1)
	at, hits := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			for r.Context().Err() == nil {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		case "/exact", "/over":
			n := 1 << 20
			if r.URL.Path == "/over" {
				n++
			}
			_, _ = w.Write(make([]byte, n))
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("not unpacked"))
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("x", 256<<10))
		case "/silent":
			<-r.Context().Done()
		case "/slow": // it begins, and never ends
			_, _ = w.Write(block)
			w.(http.Flusher).Flush()
			begun <- struct{}{}
			<-r.Context().Done()
		}
	})
	ask := func(path string) (string, string, error) {
		g := asker(t, safehttp.Config{AllowLoopback: true}, at)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		switch path { // the call's time is over
		case "/silent":
			go cancel()
		case "/slow":
			go func() { <-begun; cancel() }()
		}
		g.ctx = ctx
		return g.ask(get("http://" + at + path))
	}
	for path, want := range map[string]error{
		"/bomb": abi.TooLarge, "/over": abi.TooLarge, "/exact": nil, "/gzip": nil, "/header": abi.HostFailure, "/silent": abi.HostFailure, "/slow": abi.HostFailure,
	} {
		if _, body, err := ask(path); !errors.Is(err, want) || path == "/gzip" && body != "not unpacked" {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	hits.Store(0)
	g := asker(t, safehttp.Config{AllowLoopback: true}, at)
	got := map[error]int{}
	for range 10_000 {
		_, err := g.HTTP(g.ctx, []byte(get("http://"+at)))
		got[err]++
	}
	if got[nil] != 10 || got[abi.OverQuota] != 9990 || hits.Load() != 10 || len(g.answers) != 10 {
		t.Errorf("%v, %d requests, %d answers kept", got, hits.Load(), len(g.answers))
	}
	said := 0
	for _, l := range g.lines {
		said += len(l.Text)
	}
	if int64(len(g.lines)) > g.plugins.cfg.Limits.PluginLogLines+hostLines {
		t.Errorf("%d lines of %d bytes", len(g.lines), said)
	}
}

// Whatever a URL looks like, what is asked has a host that the manifest names.
func FuzzTarget(f *testing.F) {
	for _, u := range []string{"https://api.example.com/x", "http://a.b.example.org:8443/?q", "https://api.example.com@evil.example", "https://[::1]:80/", "https://API.example.com.", "https://bücher.example.org"} {
		f.Add(u)
	}
	g := &guest{inst: &gateway.Plugin{PluginReach: gateway.PluginReach{HTTPHosts: []string{"api.example.com", "*.example.org:8443"}}}}
	f.Fuzz(func(t *testing.T, raw string) {
		to, err := g.target(raw)
		if err != nil {
			return
		}
		u, err := url.Parse(to)
		if err != nil || u.User != nil || u.Host != "api.example.com" && (!strings.HasSuffix(u.Host, ".example.org:8443") || strings.Count(u.Host, ":") != 1) {
			t.Errorf("%q becomes %q", raw, to)
		}
	})
}

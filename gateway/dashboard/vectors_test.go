package dashboard_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// beacon in a script tells that it runs.
const beacon = `new Image().src='URL'`

// vectors are ways in which a mail makes a browser ask for URL, so that its sender learns
// that it is read, or worse. A browser that is shown the mail as it is does so for all but
// the quiet ones: those some browsers or versions fall for, and others not.
var vectors = []struct {
	name, html string
	quiet      bool
}{
	{name: "script", html: `<script>` + beacon + `</script>`},
	{name: "script elsewhere", html: `<script src="URL"></script>`},
	{name: "handler of an image", html: `<img src="data:," onerror="` + beacon + `">`},
	{name: "handler of the body", html: `<body onload="` + beacon + `">`},
	{name: "handler of a field", html: `<input autofocus onfocus="` + beacon + `">`},
	{name: "handler of details", html: `<details open ontoggle="` + beacon + `"><summary>x</summary></details>`},
	{name: "svg handler", html: `<svg onload="` + beacon + `"></svg>`},
	{name: "svg script", html: `<svg><script>` + beacon + `</script></svg>`},
	{name: "svg image", html: `<svg><image href="URL" width="9" height="9"/></svg>`},
	{name: "frame with its document", html: `<iframe srcdoc="<script>` + beacon + `</script>"></iframe>`},
	{name: "frame of a script", html: `<iframe src="javascript:parent.` + beacon + `"></iframe>`, quiet: true},
	{name: "frame elsewhere", html: `<iframe src="URL"></iframe>`},
	{name: "mutation through math", html: `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=&quot;` + beacon + `&quot;&gt;">`, quiet: true},
	{name: "mutation through noscript", html: `<noscript><p title="</noscript><img src=x onerror=&quot;` + beacon + `&quot;>"></noscript>`, quiet: true},
	{name: "object", html: `<object data="URL"></object>`},
	{name: "embed", html: `<embed src="URL">`},
	{name: "refresh", html: `<meta http-equiv="refresh" content="0;url=URL">`},
	{name: "style import", html: `<style>@import url(URL);</style>`},
	{name: "style sheet background", html: `<style>p{background:url(URL)}</style><p>x</p>`},
	{name: "style background", html: `<p style="background-image:url(URL)">x</p>`},
	{name: "style of a list", html: `<ul style="list-style-image:url(URL)"><li>x</li></ul>`},
	{name: "font", html: `<style>@font-face{font-family:f;src:url(URL)}p{font-family:f}</style><p>x</p>`},
	{name: "style sheet elsewhere", html: `<link rel="stylesheet" href="URL">`},
	{name: "prefetch", html: `<link rel="prefetch" href="URL">`, quiet: true},
	{name: "image", html: `<img src="URL">`},
	{name: "image of many sizes", html: `<img srcset="URL 1x, URL 2x">`},
	{name: "picture", html: `<picture><source srcset="URL"><img alt="x"></picture>`},
	{name: "image of a field", html: `<input type="image" src="URL">`},
	{name: "background of a table", html: `<table background="URL"><tr><td>x</td></tr></table>`},
	{name: "poster", html: `<video poster="URL"></video>`},
	{name: "sound", html: `<audio src="URL" preload="auto"></audio>`},
	{name: "form that sends itself", html: `<form id="f" action="URL"><input name="a" value="b" autofocus onfocus="this.form.submit()"></form>`},
	{name: "base", html: `<base href="URL/"><img src="x">`},
}

// hits is who a mail would tell.
type hits struct {
	*httptest.Server
	mu  sync.Mutex
	all map[string]int // by path
}

func newHits(t *testing.T) *hits {
	h := &hits{all: make(map[string]int)}
	h.Server = httptest.NewServer(http.HandlerFunc(h.answer))
	t.Cleanup(h.Close)
	return h
}

// answer counts, and at /raw/N serves a mail as no mail reader should.
func (h *hits) answer(w http.ResponseWriter, r *http.Request) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	number, _, _ := strings.Cut(rest, "/")
	if kind == "raw" {
		var n int
		_, _ = fmt.Sscan(number, &n)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html>"+h.vector("control", n)+`<img src="`+h.URL+"/pace/"+number+`">`)
		return
	}
	h.mu.Lock()
	h.all[kind+" "+number]++
	h.mu.Unlock()
}

// vector is one of them that tells /kind/n.
func (h *hits) vector(kind string, n int) string {
	return strings.ReplaceAll(vectors[n].html, "URL", fmt.Sprintf("%s/%s/%d", h.URL, kind, n))
}

func (h *hits) count(kind string, n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[fmt.Sprint(kind, " ", n)]
}

// No mail makes a browser ask anybody for anything: not in the frame of its page, not with
// images loaded (the gateway reaches no such address), not opened alone. The control is
// the same mail as it came, opened after it: once that has told who sent it, the others,
// which are open still, would have as well.
func TestChromiumMailTellsNobody(t *testing.T) {
	h := newHits(t)
	g := gatewaytest.Start(t)
	kinds := []struct{ name, path string }{{"frame", "?x=1"}, {"images", "?images=1"}, {"alone", "/html"}}
	first := newChromium(t, g)
	first.signIn(g.Keys.Account)
	tabs := []*chromium{first}
	for range kinds {
		tabs = append(tabs, first.tab())
	}
	told := 0
	for n, v := range vectors {
		for i, k := range kinds {
			id := htmlMail(t, g, "<p>Before.</p>"+h.vector(k.name, n)+"<p>After.</p>")
			tabs[i].open(mailOf + "/messages/" + id + k.path)
		}
		tabs[len(kinds)].open(fmt.Sprintf("%s/raw/%d", h.URL, n))
		gatewaytest.Eventually(t, v.name+" is loaded without protection", func() bool {
			return h.count("control", n) > 0 || v.quiet && h.count("pace", n) > 0
		})
		if h.count("control", n) > 0 {
			told++
		}
		for _, k := range kinds {
			if c := h.count(k.name, n); c > 0 {
				t.Errorf("%s, %s: %d hits", v.name, k.name, c)
			}
		}
	}
	for n, v := range vectors { // what came late
		for _, k := range kinds {
			if c := h.count(k.name, n); c > 0 {
				t.Errorf("%s, %s: %d hits in the end", v.name, k.name, c)
			}
		}
	}
	t.Logf("%d of %d told without protection", told, len(vectors))
}

// The policy holds by itself: mail that nobody has sanitised, in the frame's policy alone,
// tells nobody either. So each of the two walls is shown to stand.
func TestChromiumPolicyHoldsAlone(t *testing.T) {
	h := newHits(t)
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Account)
	policy := b.get(mailOf + "/messages/" + htmlMail(t, g, "x") + "/html").header.Get("Content-Security-Policy")
	raw := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscan(strings.TrimPrefix(r.URL.Path, "/"), &n)
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html>"+h.vector("held", n))
	}))
	defer raw.Close()
	held := newChromium(t, g)
	control := held.tab()
	for n, v := range vectors {
		held.open(fmt.Sprintf("%s/%d", raw.URL, n))
		control.open(fmt.Sprintf("%s/raw/%d", h.URL, n))
		gatewaytest.Eventually(t, v.name+" is loaded without protection", func() bool {
			return h.count("control", n) > 0 || v.quiet && h.count("pace", n) > 0
		})
	}
	for n, v := range vectors {
		if c := h.count("held", n); c > 0 {
			t.Errorf("%s: %d hits", v.name, c)
		}
	}
}

// An image elsewhere that its reader asks for is seen in the frame, through the gateway.
func TestChromiumShowsRemoteImages(t *testing.T) {
	e := newElsewhere(t)
	g := gatewaytest.Start(t, e.allow())
	c := newChromium(t, g)
	c.signIn(g.Keys.Account)
	at := mailOf + "/messages/" + htmlMail(t, g, `<p>Hello</p><img src="`+e.URL+`/x.png" alt="x">`)
	c.open(at)
	c.wants("1 remote image is not loaded")
	if n := len(e.requests()); n != 0 {
		t.Fatalf("%d requests although nobody asked for images", n)
	}
	c.follow("Load remote images")
	gatewaytest.Eventually(t, "the frame loads the image", func() bool { return len(e.requests()) == 1 })
	c.open(at + "/html?images=1")
	if width := eval[int](c, "document.images[0].naturalWidth"); width != 1 {
		t.Errorf("the image is %d wide", width)
	}
	for _, r := range e.requests() {
		if r.UserAgent() != "Postern" || r.Header.Get("Referer") != "" {
			t.Errorf("the browser itself asked: %v", r.Header)
		}
	}
}

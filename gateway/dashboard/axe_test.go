package dashboard_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/centerleap/postern/gateway/dashboard"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// axeSource is axe-core, which looks at pages as those do who can't.
func axeSource(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../.ci/node/node_modules/axe-core/axe.min.js")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip("axe-core is not installed: .ci/setup does it")
	}
	return string(raw)
}

// watch notes what the browser's policies stop, and what fails in a script.
const watch = `self.complaints = [];
addEventListener("securitypolicyviolation", (e) => complaints.push(e.violatedDirective + " " + e.blockedURI + " " + e.sample), true);
addEventListener("error", (e) => complaints.push("error " + e.message), true);
addEventListener("unhandledrejection", (e) => complaints.push("rejected " + e.reason));`

// watched is a browser whose pages complain to us.
func (c *chromium) watched() *chromium {
	c.t.Helper()
	c.do("watch", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch})
		return err
	}))
	return c
}

// theme is light or dark.
func (c *chromium) theme(name string) {
	c.t.Helper()
	c.do(name, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}

// scripts switches JavaScript on or off.
func (c *chromium) scripts(on bool) {
	c.t.Helper()
	c.do("scripts", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
}

// shot keeps a picture of the page in a folder that git ignores.
func (c *chromium) shot(name string) {
	c.t.Helper()
	picture, err := chromedp.Run(c.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		c.t.Errorf("picture of %s: %v", name, err)
		return
	}
	dir := filepath.Join("testdata", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, strings.NewReplacer("/", "_", "@", "-", "?", "_").Replace(name)+".png"), picture, 0o644); err != nil {
		c.t.Error(err)
	}
}

// examined is what axe finds on the page, with the elements.
func (c *chromium) examined(axe string) (found []string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, chromiumPatience)
	defer cancel()
	raw, err := chromedp.Run(ctx, chromedp.Evaluate[string](axe+`
;axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations.map((v) => v.id + ": " + v.help + "  " + v.nodes.map((n) => n.html).join("  "))))`, chromedp.EvalAwaitPromise))
	if err != nil {
		c.t.Fatalf("axe: %v", err)
	}
	if err := json.Unmarshal([]byte(raw), &found); err != nil {
		c.t.Fatal(err)
	}
	return found
}

// Every page of the table, in both themes: axe finds nothing, no policy stops anything,
// no script fails, and a narrow screen need not be scrolled sideways.
func TestEveryPageIsAccessible(t *testing.T) {
	axe := axeSource(t)
	g := withPlugins(t)
	p := furnish(t, g, gatewaytest.Domain, gatewaytest.Account, "shown")
	c := newChromium(t, g).watched()
	g.Do("POST", "/webhooks", g.Keys.Admin, `{"endpoint":"http://127.0.0.1:1/","events":["domain.created"]}`)
	_, hooks := g.Do("GET", "/webhooks", g.Keys.Admin, nil)
	instanceHook := hooks.Str("data.0.id")
	c.open("/ui/sign-in")
	for _, theme := range []string{"light", "dark"} {
		c.theme(theme)
		c.open("/ui/sign-in")
		for _, fault := range c.examined(axe) {
			t.Errorf("%s /ui/sign-in: %s", theme, fault)
		}
	}
	if eval[bool](c, `document.querySelector("label").remove(), true`); len(c.examined(axe)) == 0 {
		t.Fatal("a field without a label is no fault: nothing is examined")
	}
	c.signIn(g.Keys.Admin)
	for _, page := range dashboard.Pages() {
		if page.Method != "GET" || page.Open || !isPage(page.Path) {
			continue
		}
		path := p.at(t, page.Path)
		if strings.HasPrefix(page.Path, "/ui/webhooks/:webhook") {
			if strings.Contains(page.Path, ":event") {
				continue // no domain came or went; the page of a domain's event is the same template
			}
			path = strings.Replace(page.Path, ":webhook", instanceHook, 1)
		}
		for _, theme := range []string{"light", "dark"} {
			c.theme(theme)
			c.open(path)
			if status := eval[string](c, `(document.querySelector("main h1") || {}).textContent || ""`); status == "" || strings.Contains(status, "There is no such page") || strings.Contains(status, "did not work") {
				t.Errorf("%s: %q", path, eval[string](c, "document.body.innerText"))
				break
			}
			if n := eval[int](c, `document.querySelectorAll("h1").length`); n != 1 {
				t.Errorf("%s: %d headings of the first level", path, n)
			}
			for _, complaint := range eval[[]string](c, "complaints") {
				t.Errorf("%s: %s", path, complaint)
			}
			for _, fault := range c.examined(axe) {
				t.Errorf("%s %s: %s", theme, path, fault)
			}
			c.shot(theme + page.Path)
		}
		c.do("narrow", chromedp.EmulateViewport(360, 740))
		wide := func() int { return eval[int](c, "document.documentElement.scrollWidth") }
		for began := time.Now(); wide() > 360 && time.Since(began) < chromiumPatience; { // a chart is drawn anew a moment later
			time.Sleep(20 * time.Millisecond)
		}
		if n := wide(); n > 360 {
			t.Errorf("%s: %d pixels wide on a screen of 360", path, n)
		}
		c.do("wide", chromedp.EmulateViewport(1280, 900))
	}
}

// isPage reports whether a route answers with a page, and not with a file or a stream.
func isPage(path string) bool {
	for _, end := range []string{"/zone", "/source", "/html", "/attachments/:file", "/pictures/:picture", "/events", "/csv"} {
		if strings.HasSuffix(path, end) {
			return false
		}
	}
	return true
}

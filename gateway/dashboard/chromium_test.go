package dashboard_test

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// chromium is a tab of a real browser.
type chromium struct {
	t    *testing.T
	base string // of what paths lead to
	ctx  context.Context
}

// chromiumPatience is how long a browser may take over one step. It is no measure of
// anything: the machine may be busy.
const chromiumPatience = 60 * time.Second

// browserPath is where a browser is. Without one a test is skipped, but not in CI.
func browserPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no Chromium on PATH")
	}
	t.Skip("there is no Chromium on PATH: apt-get install chromium")
	return ""
}

// newChromium starts a browser that ends with its test.
func newChromium(t *testing.T, g *gatewaytest.Gateway) *chromium {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(browserPath(t)), chromedp.NoSandbox, chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	return newTab(ctx, t, g.URL)
}

// newTab is a tab of its own of a browser.
func newTab(ctx context.Context, t *testing.T, base string) *chromium {
	t.Helper()
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // a context with a timeout would end the tab with it
		t.Fatal(err)
	}
	return &chromium{t, base, ctx}
}

// tab opens another tab, with the same cookies.
func (c *chromium) tab() *chromium { c.t.Helper(); return newTab(c.ctx, c.t, c.base) }

// do takes steps; what says which.
func (c *chromium) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, chromiumPatience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

// open goes to a path, or to a whole address, and waits until all is loaded.
func (c *chromium) open(path string) {
	c.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = c.base + path
	}
	c.do("open "+path, chromedp.Navigate(path))
}

// click presses what a selector finds and waits for the page that follows.
func (c *chromium) click(selector string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, chromiumPatience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(selector)); err != nil {
		c.t.Fatalf("click %s: %v", selector, err)
	}
}

// follow presses the link of a text.
func (c *chromium) follow(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, chromiumPatience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.Search(`//a[normalize-space()="`+text+`"]`))); err != nil {
		c.t.Fatalf("follow %q: %v", text, err)
	}
}

// fill types into a field.
func (c *chromium) fill(selector, text string) {
	c.t.Helper()
	c.do("fill "+selector, chromedp.SendKeys(selector, text))
}

// wants fails unless people see every text on the page.
func (c *chromium) wants(texts ...string) {
	c.t.Helper()
	seen := eval[string](c, "document.body.innerText")
	for _, text := range texts {
		if !strings.Contains(seen, text) {
			c.t.Errorf("%q is not to be seen in\n%s", text, seen)
		}
	}
}

// eval is the value of an expression on the page.
func eval[T any](c *chromium, expression string) T {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, chromiumPatience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		c.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// signIn shows a key.
func (c *chromium) signIn(key string) {
	c.t.Helper()
	c.open("/ui/sign-in")
	c.fill("#key", key)
	c.click("button.main")
	c.wants("Overview", "Signed in with")
}

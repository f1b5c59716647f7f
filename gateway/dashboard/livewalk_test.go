package dashboard_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// shows waits until people see every text on a page that changes by itself.
func (c *chromium) shows(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		gatewaytest.Eventually(c.t, "the page shows "+text, func() bool {
			return strings.Contains(eval[string](c, `(document.body || {innerText: ""}).innerText`), text)
		})
	}
}

// Two tabs of a browser share the one stream that its key may have; when the one that
// reads it leaves, the other goes on.
func TestWalkLive(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("streams_per_key", "1"))
	one := newChromium(t, g).watched()
	one.signIn(g.Keys.Domain)
	one.follow("Live")
	one.shows("Live: what happens appears here.")
	two := one.tab().watched()
	two.open(liveOf)
	send(t, g, g.Keys.Domain, gatewaytest.Account)
	one.shows("email.received", "email.delivered", "INBOX")
	two.shows("Live, over the stream of another tab.", "email.received", "email.delivered", "INBOX")

	one.follow("Overview")
	two.shows("Live: what happens appears here.")
	g.Do("POST", "/suppressions", g.Keys.Domain, `{"email":"first@elsewhere.example"}`)
	two.shows("suppression.added", "first@elsewhere.example")
	two.do("pause", chromedp.Click("[data-pause]"))
	two.shows("Paused.", "Go on")
	g.Do("POST", "/suppressions", g.Keys.Domain, `{"email":"second@elsewhere.example"}`)
	two.do("go on", chromedp.Click("[data-pause]"))
	two.shows("second@elsewhere.example", "Live: what happens appears here.")
	shown := eval[string](two, `document.querySelector("[data-live]").innerText`)
	for _, once := range []string{"first@", "second@", "email.received"} {
		if n := strings.Count(shown, once); n != 1 {
			t.Errorf("%s is shown %d times in\n%s", once, n, shown)
		}
	}
	if first := eval[string](two, `document.querySelector("[data-live] tbody tr").innerText`); !strings.Contains(first, "second@") {
		t.Errorf("the newest is %q", first)
	}
	two.click(`[data-live] tbody a`)
	two.shows("Hello")
	for _, c := range []*chromium{one, two} {
		for _, complaint := range eval[[]string](c, "complaints") {
			t.Error(complaint)
		}
	}
}

// The chart is drawn from the table, which people may open; without scripts it is open.
func TestWalkOverview(t *testing.T) {
	g := gatewaytest.Start(t)
	send(t, g, g.Keys.Domain, gatewaytest.Account)
	withAndWithout(t, g, func(t *testing.T, c *chromium) {
		c.signIn(g.Keys.Domain)
		drawn := eval[int](c, `document.querySelectorAll("[data-chart]:not([hidden]) canvas").length`)
		open := eval[bool](c, `document.querySelector("details.numbers").open`)
		if strings.Contains(t.Name(), "without") != open || open == (drawn == 1) {
			t.Errorf("%d charts, the table is open: %v", drawn, open)
		}
		c.wants("Received", "Getting started", "Health")
	})
}

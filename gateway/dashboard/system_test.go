package dashboard_test

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// The operator sees how the gateway is, where it listens, and every limit.
func TestSystem(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("tags", "7"))
	b := signedIn(t, g, g.Keys.Admin)
	page := b.get("/ui/system").wants(t, 200, gatewaytest.Version, "Store", "takes mail and changes", "postern backup create")
	for _, door := range []string{"rest", "submission", "mx", "imaps"} {
		if !strings.Contains(page.body, `<th scope="row">`+door+`</th><td><code>`+g.Addr(door)+`</code>`) {
			t.Errorf("%s is not shown on %s", door, g.Addr(door))
		}
	}
	limits := b.get("/ui/system/limits").wants(t, 200, `<code>tags</code></th><td class="num">7 <span class="mark wait">set</span></td><td class="num">20</td>`)
	for _, l := range gateway.LimitTable {
		if !strings.Contains(limits.body, "<code>"+l.Name+"</code>") {
			t.Errorf("%s is not shown", l.Name)
		}
	}
}

// Real mail leaves only when the operator says so twice.
func TestGoLive(t *testing.T) {
	mx := gatewaytest.ServeMX(t)
	g := gatewaytest.Start(t, gatewaytest.Hosts(gatewaytest.ServeDNS(t), map[string]*gatewaytest.MX{"example.com": mx}), gatewaytest.Setting("delivery.mode", "capture"))
	b := signedIn(t, g, g.Keys.Admin)
	b.get("/ui/system").wants(t, 200, "kept here until an operator releases it")
	b.get("/ui/system/delivery").wants(t, 200, `value="capture" checked`, "I am sure")
	for name, c := range map[string]struct {
		fields []string
		says   string
	}{
		"not sure":           {[]string{"mode", "direct"}, "Say that you are sure"},
		"no such mode":       {[]string{"mode", "pigeon", "sure", "1"}, "capture, direct or relay"},
		"no smart host":      {[]string{"mode", "relay", "sure", "1"}, "needs a smart host"},
		"nothing was chosen": {[]string{"sure", "1"}, "capture, direct or relay"},
	} {
		t.Run(name, func(t *testing.T) { b.post("/ui/system/delivery", c.fields...).wants(t, 422, c.says, `role="alert"`) })
	}
	send(t, g, g.Keys.Domain, "early@example.com")
	b.post("/ui/system/delivery", "mode", "direct", "sure", "1").wants(t, 303)
	b.get("/ui/system").wants(t, 200, "Delivery is now: direct.", "mail to other hosts goes to them")
	send(t, g, g.Keys.Domain, "late@example.com")
	gatewaytest.Eventually(t, "mail leaves", func() bool { return len(mx.Mail()) == 1 })
	if to := mx.Mail()[0].To; len(to) != 1 || !strings.Contains(to[0], "late@example.com") {
		t.Errorf("it went to %v", to)
	}
}

// The index is shown and made again, of all accounts or of one.
func TestSearchIndexPage(t *testing.T) {
	g := gatewaytest.Start(t)
	for range 3 {
		send(t, g, g.Keys.Domain, gatewaytest.Account)
	}
	b := signedIn(t, g, g.Keys.Admin)
	full := func(path string) func() bool {
		return func() bool { return strings.Contains(b.get(path).wants(t, 200).body, "</progress> 6 of 6") }
	}
	gatewaytest.Eventually(t, "the index has all", full("/ui/system/search"))
	one := "/ui/system/search?email=" + gatewaytest.Account
	b.get(one).wants(t, 200, "Search index of "+gatewaytest.Account, "</progress> 6 of 6", "Make it again for "+gatewaytest.Account)
	for _, fields := range [][]string{{"email", gatewaytest.Account}, {"email", ""}} {
		b.post("/ui/system/search", fields...).wants(t, 303)
		b.get(one).wants(t, 200, "The index is being made again.")
		gatewaytest.Eventually(t, "it was made again", full(one))
	}
	b.get("/ui/system/search?email=nobody@demo.localhost").wants(t, 404, `role="alert"`)
	b.post("/ui/system/search", "email", "nobody@demo.localhost").wants(t, 404, `role="alert"`)
}

// The instance is its operator's alone.
func TestSystemWalls(t *testing.T) {
	g := gatewaytest.Start(t)
	for name, key := range map[string]string{"a domain": g.Keys.Domain, "an account": g.Keys.Account} {
		b := signedIn(t, g, key)
		for _, path := range []string{"/ui/system", "/ui/system/delivery", "/ui/system/search", "/ui/system/limits"} {
			if a := b.get(path); a.status != 404 || strings.Contains(a.body, gatewaytest.Version) {
				t.Errorf("%s: GET %s: %d", name, path, a.status)
			}
			if a := b.post(path, "mode", "direct", "sure", "1"); a.status != 404 {
				t.Errorf("%s: POST %s: %d", name, path, a.status)
			}
		}
	}
}

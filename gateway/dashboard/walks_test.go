package dashboard_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/centerleap/postern/gateway/dashboard"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// withAndWithout walks twice: with scripts, and with scripts switched off.
func withAndWithout(t *testing.T, g *gatewaytest.Gateway, walk func(t *testing.T, c *chromium)) {
	for name, on := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			c := newChromium(t, g).watched()
			c.scripts(on)
			walk(t, c)
			if on {
				for _, complaint := range eval[[]string](c, "complaints") {
					t.Error(complaint)
				}
			}
		})
	}
}

// makeKey fills in the form of a new key and returns the key that the next page shows.
func (c *chromium) makeKey(name, permission string) string {
	c.t.Helper()
	c.follow("Create Key")
	c.wants("Full Access", "Send Only", "Ends")
	c.fill("#name", name)
	c.choose(`input[name=permission][value=` + permission + `]`)
	c.click("main form button.main")
	c.wants("Your API key", "Copy it now", name)
	return eval[string](c, `document.querySelector("#token").textContent`)
}

// choose presses what leads to no other page.
func (c *chromium) choose(selector string) {
	c.t.Helper()
	c.do("click "+selector, chromedp.Click(selector))
}

// sends reports the status of a send with a key.
func sends(g *gatewaytest.Gateway, key string) int {
	status, _ := g.Do("POST", "/emails", key, map[string]any{"from": gatewaytest.Account, "to": "desk@elsewhere.example", "subject": "Walked", "text": "x"})
	return status
}

// The guide: Dashboard, Domains, a verified domain, API Keys, a permission, Create Key;
// then it sends, its use is seen, it is revoked, and nothing is accepted from it.
func TestWalkDomainKey(t *testing.T) {
	g := gatewaytest.Start(t)
	withAndWithout(t, g, func(t *testing.T, c *chromium) {
		c.signIn(g.Keys.Domain)
		c.follow("Domains")
		c.wants("demo.localhost", "verified")
		c.click(`main tbody a`)
		c.wants("DNS records", "SPF", "DKIM", "MX")
		c.follow("API Keys")
		key := c.makeKey("walked", "send_only")
		if !strings.HasPrefix(key, "bm_live_") {
			t.Fatalf("the page shows %q", key)
		}
		if status := sends(g, key); status != 200 {
			t.Fatalf("the new key sends with %d", status)
		}
		c.follow("I have copied it")
		c.wants("walked", "Send Only", key[:12])
		if strings.Contains(eval[string](c, "document.documentElement.outerHTML"), key) {
			t.Error("the list has the key in it")
		}
		gatewaytest.Eventually(t, "its use is shown", func() bool {
			c.open("/ui/domains/" + gatewaytest.Domain + "/keys")
			row := eval[string](c, `document.querySelector("main tbody tr").innerText`)
			return strings.Contains(row, "1 of 1000") && strings.Contains(row, "just now")
		})
		c.follow("Activity")
		c.wants("POST", "/emails", key[:12])
		c.click(`nav.tabs a[href$="/activity/keys"]`)
		c.wants("walked", "1 of 1000", "just now")
		c.follow("walked")
		c.wants("walked", "/emails")
		c.open("/ui/domains/" + gatewaytest.Domain + "/keys")
		c.click(`main tbody tr:first-child a[href$="/revoke"]`)
		c.wants("Revoke this key?", "walked", key[:12], "just now")
		c.click("main button.danger")
		c.wants("is revoked", "revoked 20")
		if status := sends(g, key); status != 401 {
			t.Errorf("the revoked key gets %d", status)
		}
	})
}

// The guide: Dashboard, Email Accounts, the settings of one, API Keys, Create Key.
func TestWalkAccountKey(t *testing.T) {
	g := gatewaytest.Start(t)
	withAndWithout(t, g, func(t *testing.T, c *chromium) {
		c.signIn(g.Keys.Account)
		c.follow("Email Accounts")
		c.click(`main tbody tr:first-child td:last-child a`)
		c.follow("API Keys")
		key := c.makeKey("of the account", "full_access")
		if status, _ := g.Do("GET", "/emails", key, nil); status != 200 {
			t.Errorf("the new key reads with %d", status)
		}
		if status, _ := g.Do("GET", "/domains/"+gatewaytest.Domain, key, nil); status == 200 {
			t.Error("an account's key sees the domain")
		}
	})
}

// A module is uploaded, looked at, allowed, tried, enabled, replaced and taken back.
func TestWalkPlugin(t *testing.T) {
	g := withPlugins(t)
	dir := t.TempDir()
	for name, part := range map[string]string{
		"one.json": puppetOne, "two.json": strings.Replace(puppetOne, `"version":"1"`, `"version":"2"`, 1), "puppet.wasm": modulePart(t, puppetOne)["wasm"],
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(part), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := func(c *chromium, manifest string) {
		c.do("choose files", chromedp.SetUploadFiles("#wasm", []string{filepath.Join(dir, "puppet.wasm")}), chromedp.SetUploadFiles("#manifest", []string{filepath.Join(dir, manifest)}))
		c.click(`main form[enctype] button.main`)
	}
	withAndWithout(t, g, func(t *testing.T, c *chromium) {
		c.signIn(g.Keys.Domain)
		c.follow("Plugins")
		files(c, "one.json")
		c.wants("puppet", "is installed", "headers", "not allowed")
		c.choose("#grant-headers")
		c.click(`main form[action$="/permissions"] button`)
		c.wants("allowed", "It is allowed what is checked")
		c.follow("Test")
		c.fill("#raw", "Subject: reject 550 no\n\nHello")
		c.do("no sample", chromedp.SetValue("#sample", ""))
		c.click(`main form[action$="/test"] button`)
		c.wants("Version 1", "Decision: reject", "Fuel", "Subject: reject 550 no", "Hello")
		c.click(`nav.tabs a`)
		c.click(`main button[value="enable"]`)
		c.wants("enabled", "It is asked from the next message on")
		c.follow("Versions")
		files(c, "two.json")
		c.wants("new code", "2")
		c.follow("Versions")
		c.click(`main form[action$="/versions"] button`)
		c.wants("That version runs from the next message on")
		if _, all := g.Do("GET", "/plugins", g.Keys.Domain, nil); all.Str("data.0.version") != "1" || all.Str("data.0.status") != "enabled" {
			t.Errorf("after the way back: %s, %s", all.Str("data.0.version"), all.Str("data.0.status"))
		}
		c.click(`nav.tabs a`)
		c.click(`main a[href$="/delete"]`)
		c.click("main button.danger")
		c.wants("There is no plugin yet")
	})
}

// All that people do can be done by keyboard, and they see where they are.
func TestKeyboard(t *testing.T) {
	g := gatewaytest.Start(t)
	c := newChromium(t, g)
	c.signIn(g.Keys.Domain)
	c.open("/ui/domains/" + gatewaytest.Domain + "/keys")
	wanted := eval[int](c, `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")].filter((e) => e.checkVisibility()).length`)
	seen := map[string]bool{}
	for range wanted + 2 {
		c.do("tab", chromedp.KeyEvent("\t"))
		at := eval[string](c, `(() => { const e = document.activeElement; if (e === document.body) return "";
			const s = getComputedStyle(e); const all = [...document.querySelectorAll("*")];
			return (s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2 ? "no outline: " : "") + all.indexOf(e) + " " + e.outerHTML.slice(0, 80); })()`)
		if strings.HasPrefix(at, "no outline") {
			t.Error(at)
		}
		if at != "" {
			seen[at] = true
		}
	}
	if len(seen) < wanted {
		t.Errorf("the keyboard reaches %d of %d", len(seen), wanted)
	}
}

// What we wrote of JavaScript is small, and no page loads anything from elsewhere.
func TestWeight(t *testing.T) {
	total := 0
	err := fs.WalkDir(dashboard.Static, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(dashboard.Static, path)
		if strings.HasSuffix(path, ".js") && !strings.Contains(path, "vendor") {
			total += len(raw)
		}
		for _, outside := range []string{`src="http`, `href="http`, `url(http`, `import("http`, `from "http`, "innerHTML", "insertAdjacentHTML", " style=", "<script>"} {
			if !strings.Contains(path, "vendor") && strings.Contains(string(raw), outside) {
				t.Errorf("%s: %s", path, outside)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d bytes of JavaScript", total); total > 120_000 {
		t.Errorf("%d bytes of JavaScript", total)
	}
}

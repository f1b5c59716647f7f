package rest_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// q looks into whole texts and shows where its words are, and finds an email as soon
// as it is there.
func TestWords(t *testing.T) {
	clock := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	c := newClient(t, gatewaytest.Clock(clock.now))
	filler := strings.Repeat("filler ", 100)
	c.arrive(clock,
		email("subject", "one", "from", "Ann <ann@demo.localhost>", "text", filler+"a needle in\nthe haystack "+filler),
		email("subject", "two needles", "from", "bob@demo.localhost", "text", "short"),
		email("subject", "three", "from", "bob@demo.localhost", "text", "plain", "html", "<p>a hidden <i>pin</i></p>"),
		email("subject", "four", "from", "carol@demo.localhost", "text", "東京都庁 <b>ÅNGSTRÖM</b> & more"),
	)
	rows := []struct{ q, want, snippet, hit string }{
		{"needle", "two needles one", "short", ""},
		{"Needl", "two needles one", "short", ""},
		{"needle haystack", "one", "…filler filler filler filler filler filler a needle in the haystack " + strings.TrimSpace(strings.Repeat("filler ", 13)) + "…", "needle"},
		{`"needle in the haystack"`, "one", "…filler filler filler filler filler filler a needle in the haystack " + strings.TrimSpace(strings.Repeat("filler ", 13)) + "…", "needle in the haystack"},
		{`"haystack needle"`, "", "", ""},
		{"bob@ short", "two needles", "short", "short"},
		{"pin", "three", "plain", ""},
		{"京都", "four", "東京都庁 <b>ÅNGSTRÖM</b> & more", "京都"},
		{"ångström", "four", "東京都庁 <b>ÅNGSTRÖM</b> & more", "ÅNGSTRÖM"},
		{"nothing", "", "", ""},
		{"subject: needles", "", "", ""}, // names of fields are no words of an email
		{`"from: bob"`, "", "", ""},
	}
	for _, known := range []string{"at once", "by the index"} {
		if known == "by the index" {
			gatewaytest.Eventually(t, "the index knows all", func() bool {
				return c.do(200, "GET", "/search?email="+gatewaytest.Account, c.g.Keys.Admin, nil).At("behind") == 0.0
			})
		}
		for _, tt := range rows {
			a := c.do(200, "GET", "/emails?q="+url.QueryEscape(tt.q), c.g.Keys.Account, nil)
			text := a.Str("data.0.snippet.text")
			if subjects(a) != tt.want || text != tt.snippet {
				t.Errorf("%s, %s: %q, %q, want %q, %q", known, tt.q, subjects(a), text, tt.want, tt.snippet)
			}
			start, ok := a.At("data.0.snippet.hits.0.start").(float64)
			if ok != (tt.hit != "") {
				t.Errorf("%s, %s: hits %v", known, tt.q, a.At("data.0.snippet.hits"))
			} else if ok {
				end, _ := a.At("data.0.snippet.hits.0.end").(float64)
				if got := string([]rune(text)[int(start):int(end)]); got != tt.hit {
					t.Errorf("%s, %s: hit %q, want %q", known, tt.q, got, tt.hit)
				}
			}
		}
	}
	if a := c.do(200, "GET", "/emails?from=ann", c.g.Keys.Account, nil); a.At("data.0.snippet") != nil {
		t.Errorf("without q: %v", a.At("data.0.snippet"))
	}
	if a := c.do(200, "GET", "/emails/threads?q=haystack", c.g.Keys.Account, nil); subjects(a) != "one" {
		t.Errorf("conversations: %q", subjects(a))
	}
	c.do(422, "GET", `/emails?q="+"`, c.g.Keys.Account, nil)
	c.do(422, "GET", `/emails/threads?q=""`, c.g.Keys.Account, nil)
	// Words of another tenant, and of another account, are never found.
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"other.localhost","verified":true}`)
	other := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain":"other.localhost"}`).Str("token")
	c.do(200, "POST", "/emails", other, email("subject", "theirs", "from", "eve@other.localhost", "to", "eve@other.localhost", "text", "secretword"))
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("subject", "carol's", "from", "carol@demo.localhost", "to", "carol@demo.localhost", "text", "secretword"))
	gatewaytest.Eventually(t, "both arrive", func() bool {
		_, a := c.g.Do("GET", "/emails?email=eve@other.localhost&q=secretword", other, nil)
		_, b := c.g.Do("GET", "/emails?email=carol@demo.localhost&q=secretword", c.g.Keys.Domain, nil)
		return subjects(a) == "theirs" && subjects(b) == "carol's"
	})
	for _, path := range []string{"/emails?q=secretword", "/emails/threads?q=secretword", "/emails?q=secretword&email=" + gatewaytest.Account} {
		if a := c.do(200, "GET", path, c.g.Keys.Account, nil); subjects(a) != "" {
			t.Errorf("%s: %q", path, subjects(a))
		}
	}
	c.do(403, "GET", "/emails?q=secretword&email=carol@demo.localhost", c.g.Keys.Account, nil)
	c.do(403, "GET", "/emails?q=secretword&email=eve@other.localhost", c.g.Keys.Domain, nil)
}

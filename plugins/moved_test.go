package plugins_test

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// person moves the only mail of a folder to another one.
func (c *tenant) person(from, to string) {
	c.Helper()
	_, a := c.g.Do("GET", "/emails?folder="+from+"&email="+gatewaytest.Account, c.key, nil)
	path := "/emails/" + a.Str("data.0.email_id") + "?email=" + gatewaytest.Account
	if status, a := c.g.Do("PATCH", path, c.key, map[string]any{"folder": to}); status != 200 {
		c.Fatal(status, a)
	}
}

// A plugin is told once of each move that a person makes, and where the mail is then; it is
// not told of those that plugins make.
func TestEventHookMoves(t *testing.T) {
	c := start(t)
	witness := c.late("witness", map[string]any{"hooks": []string{"event"}, "events": []string{"email.moved"}}, nil)
	c.listener("mover", "", `{"folder":"Elsewhere"}`, "email.moved")
	c.arrive("mail")
	c.person("INBOX", "Junk")
	elsewhere := func() bool { return len(c.folder(gatewaytest.Account, "Elsewhere")) == 1 }
	gatewaytest.Eventually(t, "the mover moves it on", elsewhere)
	c.person("Elsewhere", "Archive")
	gatewaytest.Eventually(t, "and again", elsewhere)
	gatewaytest.Eventually(t, "the witness is told", func() bool { return len(c.said(witness)) >= 2 })
	c.g.Restart() // which ends what is under way
	for _, line := range c.said(witness) {
		if !strings.HasSuffix(line, " email.moved 1") {
			t.Errorf("it was told %q", line)
		}
	}
	c.want("times told", len(c.said(witness)), 2)
}

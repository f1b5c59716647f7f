package gatewaytest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// An account that is full says so at every door, in its way; the others go on, and
// after deleting there is room.
func TestQuota(t *testing.T) {
	g := gatewaytest.Start(t)
	send(t, g, g.Keys.Domain, mail("ann@demo.localhost", gatewaytest.Account, "Before"))
	inbox(t, g, gatewaytest.Account, 1)
	_, a := g.Do("GET", "/accounts/"+gatewaytest.Account, g.Keys.Account, nil)
	used := int(a.At("used_bytes").(float64))
	quota := func(bytes int) {
		t.Helper()
		if status, a := g.Do("PATCH", "/accounts/"+gatewaytest.Account, g.Keys.Domain, map[string]any{"quota_bytes": bytes}); status != 200 {
			t.Fatalf("%d %v", status, a)
		}
	}
	quota(used + 10) // not full, but with no room for a message
	status, a := g.Do("POST", "/emails", g.Keys.Account, mail(gatewaytest.Account, "ann@demo.localhost", "From it"))
	if status != 422 || a.Str("name") != "quota_exceeded" {
		t.Errorf("sending: %d %v", status, a)
	}
	arrive := func(rcpt, data string) {
		t.Helper()
		g.Dial(t, "mx").Script(`
		S: 220
		C: EHLO client.example
		S~ 250 \w
		C: MAIL FROM:<x@client.example>
		S: 250
		C: RCPT TO:<` + gatewaytest.Account + `>
		S: ` + rcpt + data)
	}
	const body = "\nC: DATA\nS: 354\nC: Subject: during\nC:\nC: text\nC: .\nS: "
	arrive("250", body+"552 5.2.2")
	login := fmt.Sprintf("S: \\* OK\nC: a LOGIN %s %s\nS~ a OK\n", gatewaytest.Account, g.Keys.Account)
	imap := g.Dial(t, "imaps")
	imap.Script(login + "C: b APPEND INBOX {17+}\nC: Subject: x\nC:\nC: x\nC:\nS~ b NO \\[OVERQUOTA\\]")
	quota(used - 1)
	arrive("552 5.2.2", "\nC: RCPT TO:<ann@demo.localhost>\nS: 250")
	imap.Script("C: c SELECT INBOX\nS~ c OK\nC: d COPY 1 Archive\nS~ d NO \\[OVERQUOTA\\]\nC: e MOVE 1 Trash\nS~ e OK")

	// Mail from inside fails for it alone.
	sent := send(t, g, g.Keys.Domain, map[string]any{"from": "eve@demo.localhost", "to": []string{gatewaytest.Account, "ann@demo.localhost"}, "subject": "To both", "text": "x"})
	gatewaytest.Eventually(t, "one of two fails", func() bool {
		_, a := g.Do("GET", "/emails/"+sent.Str("id"), g.Keys.Domain, nil)
		fates := map[string]string{a.Str("events.0.recipient"): a.Str("events.0.type"), a.Str("events.1.recipient"): a.Str("events.1.type")}
		return strings.HasSuffix(fates[gatewaytest.Account], "failed") && strings.HasSuffix(fates["ann@demo.localhost"], "delivered")
	})
	imap.Script("C: f SELECT Trash\nS~ f OK\nC: g STORE 1 +FLAGS (\\Deleted)\nS~ g OK\nC: h EXPUNGE\nS~ h OK")
	quota(1000)
	arrive("250", body+"250")
	inbox(t, g, gatewaytest.Account, 1)
	_, a = g.Do("GET", "/accounts/"+gatewaytest.Account, g.Keys.Account, nil)
	_, items := g.Do("GET", "/emails", g.Keys.Account, nil)
	if a.At("used_bytes") != items.At("data.0.size") {
		t.Errorf("%v bytes, the one message has %v", a.At("used_bytes"), items.At("data.0.size"))
	}
}

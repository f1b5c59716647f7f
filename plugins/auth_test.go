package plugins_test

import (
	"io"
	"log"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// A plugin is told what was found out about the sender and what comes of it, and has the
// last word: mail that DMARC would put into Junk goes where it says.
func TestAuth(t *testing.T) {
	dns, err := mockdns.NewServerWithLogger(map[string]mockdns.Zone{
		"elsewhere.example.":        {TXT: []string{"v=spf1 -all"}},
		"_dmarc.elsewhere.example.": {TXT: []string{"v=DMARC1; p=reject"}},
	}, log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dns.Close() })
	c := start(t, gatewaytest.Setting("dns.servers", dns.LocalAddr().String()))
	c.arrive("before")
	id := c.install("puppet", "", nil)
	for _, subject := range []string{"nothing", "auth INBOX", "auth News", "auth"} {
		if code, text := c.arrive(subject); code != 250 {
			t.Errorf("%s: %d %s", subject, code, text)
		}
	}
	for folder, want := range map[string][]string{
		"INBOX": {"auth INBOX []"}, "News": {"auth News []"}, "Junk": {"auth []", "nothing []", "before []"},
	} {
		c.want(folder, c.folder(gatewaytest.Account, folder), want)
	}
	// A field that pretends to be ours is not for plugins either; another's is.
	env := gateway.Envelope{ReturnPath: "ann@elsewhere.example", Recipients: []string{gatewaytest.Account}, RemoteIP: "192.0.2.1", Helo: "peer.example"}
	forged := "Authentication-Results: localhost; dmarc=pass\r\nAuthentication-Results: else.example; dmarc=pass\r\nFrom: ann@elsewhere.example\r\nSubject: auth\r\n\r\n"
	if err := c.g.Receiver.Receive(t.Context(), env, strings.NewReader(forged)); err != nil {
		t.Fatal(err)
	}
	told, fields := "info: fail none fail false quarantine", "info: 0 0"
	want := []string{told, fields, told, fields, told, fields, told, "info: 1 1"}
	gatewaytest.Eventually(t, "the lines are written", func() bool { return len(c.said(id)) == len(want) })
	c.want("what the plugin is told", c.said(id), want)
}

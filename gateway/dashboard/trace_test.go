package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// What became of a sent message is on its trace, attempt by attempt, in the words of the
// host that was asked.
func TestTraceOfSentMail(t *testing.T) {
	mx := gatewaytest.ServeMX(t)
	mx.Answer(func(command string) string {
		if strings.HasPrefix(command, "RCPT") && strings.Contains(command, "nobody") {
			return "550 5.1.1 <nobody> is unknown"
		}
		return ""
	})
	g := gatewaytest.Start(t, gatewaytest.Hosts(gatewaytest.ServeDNS(t), map[string]*gatewaytest.MX{"example.com": mx}))
	b := signedIn(t, g, g.Keys.Domain)
	status, sent := g.Do("POST", "/emails", g.Keys.Domain, `{"from":"`+gatewaytest.Account+`","to":["ann@example.com","nobody@example.com"],"subject":"pears","text":"x"}`)
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, sent)
	}
	at := mailOf + "/messages/" + sent.Str("id") + "/trace"
	gatewaytest.Eventually(t, "both deliveries end", func() bool {
		body := b.get(at).body
		return strings.Contains(body, `<dt>ann@example.com</dt><dd><span class="mark good">delivered</span>`) && strings.Contains(body, `<dt>nobody@example.com</dt><dd><span class="mark bad">`)
	})
	b.get(at).wants(t, 200, "Sent by "+gatewaytest.Account, "Stored in Sent", "Attempt 1 to deliver to ann@example.com", "Attempt 1 to deliver to nobody@example.com", "550 5.1.1 &lt;nobody&gt; is unknown", "<dt>Host</dt>")
}

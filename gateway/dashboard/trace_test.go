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

// What a plugin said, logged and took is on the trace of the message, with the way to ask
// it again.
func TestTraceOfAPlugin(t *testing.T) {
	g := withPlugins(t)
	b := signedIn(t, g, g.Keys.Domain)
	list := "/ui/domains/" + gatewaytest.Domain + "/plugins"
	if a := b.upload(list, modulePart(t, puppetOne)); a.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", a.status, a.body)
	}
	_, all := g.Do("GET", "/plugins", g.Keys.Domain, nil)
	id := all.Str("data.0.id")
	g.Do("PATCH", "/plugins/"+id, g.Keys.Domain, `{"status":"enabled"}`)
	message := note(t, g, "say warning it is late")
	b.get(mailOf+"/messages/"+message+"/trace").wants(t, 200, "Plugins asked</dt><dd>1, ", "was asked, hook inbound", `<span class="mark good">accept</span>`, "1 line of its log", "</span> it is late", "<meter", "host call", list+"/"+id, "/test?email=")
	b.get(list+"/"+id+"/test?email="+gatewaytest.Account+"&id="+message).wants(t, 200, message)
	// An account's key sees that the plugin was asked, not what its log says of others' mail.
	account := signedIn(t, g, g.Keys.Account).get(mailOf+"/messages/"+message+"/trace").wants(t, 200, "was asked, hook inbound")
	if strings.Contains(account.body, "lines of its log") || strings.Contains(account.body, "line of its log") {
		t.Error("an account's key reads the log of the domain's plugin")
	}
}

// Who knows an id finds the page of its message.
func TestFindMessage(t *testing.T) {
	g := gatewaytest.Start(t)
	id := note(t, g, "pears")
	for _, key := range []string{g.Keys.Domain, g.Keys.Account, g.Keys.Admin} {
		b := signedIn(t, g, key)
		if a := b.get("/ui/domains/" + gatewaytest.Domain + "/emails/" + id); a.status != http.StatusSeeOther || a.location != mailOf+"/messages/"+id {
			t.Errorf("%d %q", a.status, a.location)
		}
		b.get("/ui/domains/"+gatewaytest.Domain+"/emails/x").wants(t, 404)
	}
}

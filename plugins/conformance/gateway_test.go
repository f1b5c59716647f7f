package conformance

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// The filter of each README, uploaded with its manifest and switched on as it says there,
// files mail that arrives.
func TestGateway(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("plugin_millis", "20000"), gatewaytest.Limit("plugin_message_millis", "60000"), gatewaytest.Limit("plugin_compile_seconds", "120"),
		gatewaytest.Setting("plugins.cache", compiled))
	for i := range languages {
		l := &languages[i]
		t.Run(l.name, func(t *testing.T) {
			wasm, manifest := l.filter(t)
			id := upload(t, g, wasm, manifest)
			if status, a := g.Do("PATCH", "/plugins/"+id, g.Keys.Domain, map[string]any{"status": "enabled", "failure_policy": "closed"}); status != 200 {
				t.Fatal(status, a)
			}
			subject := "News in " + l.name
			err := g.Receiver.Receive(t.Context(), gateway.Envelope{ReturnPath: "ann@elsewhere.example", Recipients: []string{gatewaytest.Account}, RemoteIP: "192.0.2.1", Helo: "peer.example"},
				strings.NewReader("From: Ann <ann@elsewhere.example>\r\nSubject: "+subject+"\r\nList-Unsubscribe: <mailto:no@elsewhere.example>\r\n\r\nNews.\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			status, a := g.Do("GET", "/emails?folder=Newsletters&label=bulk&email="+gatewaytest.Account, g.Keys.Domain, nil)
			if status != 200 || a.Str("data.0.subject") != subject {
				t.Errorf("%d %v, want %q", status, a, subject)
			}
			if status, a := g.Do("DELETE", "/plugins/"+id, g.Keys.Domain, nil); status != 200 {
				t.Error(status, a)
			}
		})
	}
}

// upload installs a plugin, and returns its id.
func upload(t *testing.T, g *gatewaytest.Gateway, wasm []byte, manifest string) string {
	t.Helper()
	status, a := g.Upload("/plugins", g.Keys.Domain, map[string]string{"wasm": string(wasm), "manifest": manifest})
	if status != 201 {
		t.Fatal(status, a)
	}
	return a.Str("id")
}

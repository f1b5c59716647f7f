package plugins_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// BenchmarkInbound delivers a mail of 20 KB through the whole inbound flow: without
// plugins, and with one and three that each look at it and let it pass, written in Go or
// by hand.
func BenchmarkInbound(b *testing.B) {
	wasm, err := puppet()
	if err != nil {
		b.Fatal(err)
	}
	raw := "From: Ann <ann@elsewhere.example>\r\nSubject: nothing\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 20_000/78)
	for _, with := range []struct {
		name    string
		plugins int
		wasm    string
	}{{"no plugin", 0, ""}, {"1 of Go", 1, string(wasm)}, {"3 of Go", 3, string(wasm)}, {"3 by hand", 3, labeller("x")}} {
		b.Run(with.name, func(b *testing.B) {
			g := gatewaytest.Start(b, gatewaytest.Setting("plugins.cache", compiled))
			for i := range with.plugins {
				enable(b, g, fmt.Sprint("p", i), with.wasm)
			}
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				err := g.Receiver.Receive(b.Context(), gateway.Envelope{
					ReturnPath: "ann@elsewhere.example", Recipients: []string{gatewaytest.Account}, RemoteIP: "192.0.2.1", Helo: "peer.example",
				}, strings.NewReader(raw))
				if err != nil {
					b.Fatal(err)
				}
			}
			_, a := g.Do("GET", "/plugins", g.Keys.Domain, nil)
			for _, one := range a["data"].([]any) {
				if p := gatewaytest.Answer(one.(map[string]any)); p.At("stats.errors") != 0.0 || p.At("stats.calls") == 0.0 {
					b.Fatalf("a plugin did %v", p.At("stats"))
				}
			}
		})
	}
}

// enable installs a module and switches it on.
func enable(b *testing.B, g *gatewaytest.Gateway, name, wasm string) {
	b.Helper()
	parts := map[string]string{"wasm": wasm, "manifest": fmt.Sprintf(`{"v":1,"name":%q,"hooks":["inbound"]}`, name)}
	status, a := g.Upload("/plugins", g.Keys.Domain, parts)
	if status != 201 {
		b.Fatalf("install: %d %v", status, a)
	}
	g.Do("PATCH", "/plugins/"+a.Str("id"), g.Keys.Domain, map[string]any{"status": "enabled"})
}

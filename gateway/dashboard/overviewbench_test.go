package dashboard_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// What the first page takes at the server with 100,000 messages stored, all of them of
// this hour; the first one after a start reads what was counted, and counts the rest.
func BenchmarkFirstPage(b *testing.B) {
	const messages = 100_000
	g := gatewaytest.Start(b)
	fill(b, g, messages)
	for _, who := range []string{"domain", "instance", "account"} {
		b.Run(who, func(b *testing.B) {
			g.Restart()
			key := map[string]string{"domain": g.Keys.Domain, "instance": g.Keys.Admin, "account": g.Keys.Account}[who]
			page := signedIn(b, g, key)
			began := time.Now()
			first := page.get("/ui/")
			took := time.Since(began)
			b.ResetTimer()
			for b.Loop() {
				first = page.get("/ui/")
			}
			b.ReportMetric(float64(took.Milliseconds()), "ms-after-start")
			if first.wants(b, 200, "Overview"); !strings.Contains(first.body, fmt.Sprint(messages)) {
				b.Fatal("not all is counted")
			}
		})
	}
}

// fill has an account receive n messages.
func fill(b *testing.B, g *gatewaytest.Gateway, n int) {
	b.Helper()
	var all sync.WaitGroup
	const senders = 64
	for s := range senders {
		all.Go(func() {
			for i := s; i < n; i += senders {
				raw := fmt.Sprintf("From: Ann <ann@elsewhere.example>\r\nTo: %s\r\nSubject: number %d\r\nMessage-ID: <%d@elsewhere.example>\r\n\r\nWords.\r\n", gatewaytest.Account, i, i)
				err := g.Receiver.Receive(b.Context(), gateway.Envelope{
					ReturnPath: "ann@elsewhere.example", Recipients: []string{gatewaytest.Account}, RemoteIP: "2001:db8::1", Helo: "peer.example", Protocol: "ESMTPS",
				}, strings.NewReader(raw))
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

package serve

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/inbound"
)

// Whatever the client's address looks like, there is an answer, in inbound's words.
func TestChecker(t *testing.T) {
	cfg := LocalDefaults()
	c, err := (&Gateway{cfg: cfg, log: slog.New(slog.DiscardHandler)}).checker()
	if err != nil {
		t.Fatal(err)
	}
	const claim = "Authentication-Results: localhost; dmarc=pass\r\n"
	for _, ip := range []string{"192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "fe80::1%eth0", "", "nonsense"} {
		got, err := c.Check(t.Context(), gateway.Envelope{RemoteIP: ip, ReturnPath: "a@a.test"}, strings.NewReader(claim+"X: y\r\n"+claim+"\r\nhello"))
		if err != nil {
			t.Errorf("%q: %v", ip, err)
			continue
		}
		n := int64(len(claim))
		if want := []inbound.Span{{Start: 0, End: n}, {Start: n + 6, End: 2*n + 6}}; !slices.Equal(got.Claims, want) {
			t.Errorf("%q: claims %v, want %v", ip, got.Claims, want)
		}
		if got.Auth.DMARC != (gateway.AuthResult{Result: "none", Reason: "no resolver"}) || !strings.HasPrefix(string(got.Field), "Authentication-Results: localhost;\r\n\t") {
			t.Errorf("%q: %+v, %s", ip, got.Auth, got.Field)
		}
	}
}

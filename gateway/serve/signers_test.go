package serve

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Parsed keys are remembered for so many domains, and no longer than they are the
// domain's keys.
func TestSigners(t *testing.T) {
	made := make(map[gateway.DomainID][]gateway.SigningKey)
	newKey := func(d gateway.DomainID, selector string) {
		t.Helper()
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		made[d] = []gateway.SigningKey{{Selector: selector, Algorithm: "ed25519", Private: gateway.Secret(der)}}
	}
	s := newSigners(func(_ context.Context, _ gateway.Scope, d *gateway.Domain) ([]gateway.SigningKey, error) {
		return made[d.ID], nil
	}, gateway.DefaultLimits(), time.Now)
	sign := func(d gateway.DomainID) string {
		t.Helper()
		name := fmt.Sprintf("d%d.test", d)
		out, err := s.Sign(t.Context(), gateway.Scope{}, &gateway.Domain{ID: d, Name: name}, false, strings.NewReader("From: a@"+name+"\r\n\r\nx\r\n"))
		if err != nil || !strings.Contains(string(out), "d="+name+";") {
			t.Fatalf("%s: %s, %v", name, out, err)
		}
		return string(out)
	}
	newKey(1, "first")
	sign(1)
	parsed := s.kept(1, made[1])
	if sign(1); parsed == nil || s.kept(1, made[1]) != parsed {
		t.Error("parsed again")
	}
	newKey(1, "first") // of the same name
	if out := sign(1); !strings.Contains(out, "s=first;") || s.kept(1, made[1]) == parsed {
		t.Error("signed with a key that is not the domain's any more")
	}
	newKey(1, "second")
	if out := sign(1); !strings.Contains(out, "s=second;") {
		t.Errorf("after a change: %s", out)
	}
	for d := gateway.DomainID(2); d < signersKept+5; d++ {
		newKey(d, "s")
		sign(d)
		sign(2)
	}
	if n := s.order.Len(); n != signersKept || len(s.by) != n {
		t.Errorf("%d signers, %d by domain, want %d", n, len(s.by), signersKept)
	}
	if s.kept(1, made[1]) != nil || s.kept(2, made[2]) == nil {
		t.Error("what was used last is gone, or what was not is there")
	}
	made[3] = nil
	if _, err := s.Sign(t.Context(), gateway.Scope{}, &gateway.Domain{ID: 3, Name: "d3.test"}, false, strings.NewReader("From: a@d3.test\r\n\r\n")); err == nil {
		t.Error("signed without a key")
	}
}

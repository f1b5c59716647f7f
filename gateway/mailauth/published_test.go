package mailauth

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// A key is ours in whatever form a domain publishes it; any other is not, and says why.
func TestHasKey(t *testing.T) {
	c := checkerOf(t, nil, gateway.DefaultLimits())
	short, long := keysOf()[0], keysOf()[1]
	for _, tt := range []struct {
		name, txt string
		key       gateway.SigningKey
		want      string
	}{
		{"RSA", keyRecord(long), long, ""},
		{"Ed25519", keyRecord(short), short, ""},
		{"with spaces, without what is usual", "p = " + strings.ReplaceAll(strings.SplitN(keyRecord(long), "p=", 2)[1], "A", "A \t"), long, ""},
		{"with flags", keyRecord(short) + "; t=s; n=of the mail gateway", short, ""},
		{"the other algorithm", keyRecord(long), short, errOther.Error()},
		{"revoked", "v=DKIM1; k=rsa; p=", long, errRevoked.Error()},
		{"another key", "v=DKIM1; k=ed25519; p=" + strings.Repeat("A", 43) + "=", short, errForeign.Error()},
		{"cut", keyRecord(long)[:255], long, errKey.Error()},
		{"something else", "v=spf1 -all", long, errKey.Error()},
	} {
		got := ""
		if err := c.HasKey(tt.txt, tt.key); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What is published is read as it is for arriving mail.
func TestPublished(t *testing.T) {
	c := checker(t, dnsOf("a.test TXT v=spf1 mx -all", "b.test FAIL", "c.test TXT v=spf1 include:b.test"))
	for domain, want := range map[string]string{"a.test": Fail, "b.test": TempError, "c.test": TempError, "d.test": None} {
		if got, reason := c.SPF(t.Context(), netip.MustParseAddr("192.0.2.1"), "mail.test", domain); got != want || reason == "" {
			t.Errorf("SPF of %s: %s %q, want %s", domain, got, reason, want)
		}
	}
	for txt, want := range map[string]bool{"v=spf1": true, "V=SPF1 -all": true, "v=spf10 -all": false, "x v=spf1": false} {
		if got := c.IsSPF(txt); got != want {
			t.Errorf("IsSPF(%q) = %t", txt, got)
		}
	}
	for txt, want := range map[string][2]bool{
		"v=DMARC1; p=none": {true, true}, "v=DMARC1; p=REJECT; rua=mailto:x@a.test": {true, true}, "v=DMARC1": {true, false},
		"v=DMARC1; p=maybe": {true, false}, "v=DMARC1; p=none; sp=x": {true, false}, "p=none; v=DMARC1": {false, false}, "v=dmarc1; p=none": {false, false},
	} {
		if is, valid := c.IsDMARC(txt); is != want[0] || valid != want[1] {
			t.Errorf("IsDMARC(%q) = %t, %t, want %v", txt, is, valid, want)
		}
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// A text of any length and with any character comes out of a zone file as it went in.
func TestZoneText(t *testing.T) {
	for _, want := range []string{"v=spf1 mx -all", strings.Repeat("0123456789", 51) + "end", `a "quote" and a \ and ; (x)`, strings.Repeat(`"`, 300)} {
		r := domainRecord{Name: "_x.a.example", Type: "TXT", Value: want}
		rr, err := dns.NewRR(r.zoneLine())
		if err != nil {
			t.Errorf("%q: %v", want, err)
			continue
		}
		txt := rr.(*dns.TXT)
		got := ""
		for _, s := range txt.Txt {
			if s = unescaped(s); len(s) > 255 {
				t.Errorf("a string of %d bytes", len(s))
			}
			got += s
		}
		if got != want || rr.Header().Name != "_x.a.example." {
			t.Errorf("%s: %q, want %q", rr.Header().Name, got, want)
		}
	}
}

// unescaped is a string of the library without its escapes.
func unescaped(s string) string { return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(s) }

// nameserverKey is where a script has its DNS server.
type nameserverKey struct{}

// nameserver runs a DNS server on loopback, which gateways started afterwards ask.
func nameserver(ts *testscript.TestScript, _ bool, _ []string) {
	d := gatewaytest.NewDNS(scriptFailer{ts})
	ts.Defer(d.Close)
	*ts.Value(nameserverKey{}).(**gatewaytest.DNS) = d
	ts.Setenv("POSTERN_DNS_SERVERS", d.Addr)
}

// publish FILE adds the lines of a zone file to what the DNS server has.
func publish(ts *testscript.TestScript, _ bool, args []string) {
	(*ts.Value(nameserverKey{}).(**gatewaytest.DNS)).Publish(ts.ReadFile(args[0]))
}

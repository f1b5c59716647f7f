package resolve

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/centerleap/postern/gateway"
)

// Whatever a packet holds, what is read of it keeps to the question and to the bounds.
func FuzzReply(f *testing.F) {
	for _, of := range []uint16{dns.TypeTXT, dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeCNAME} {
		ask := request(question{"a.test", of})
		for _, m := range []*dns.Msg{
			records(ask, good, "a.test. 60 A 192.0.2.1", "a.test. 60 AAAA 2001:db8::1", "a.test. 60 MX 10 b.test.", "a.test. 60 PTR c.test."),
			records(ask, "a.test. 60 CNAME b.test.", `b.test. 60 TXT "\000\255\"\\"`), rcode(ask, dns.RcodeServerFailure, 6), truncated(ask),
		} {
			m.Id = 7
			f.Add(of, wire(m)[0])
		}
	}
	f.Fuzz(func(t *testing.T, of uint16, packet []byte) {
		ask := request(question{"a.test", of})
		ask.Id = 7
		msg, err := parse(packet, ask)
		if err != nil {
			return
		}
		lim := gateway.DefaultLimits()
		aliases := lim.DNSAliases
		rep, next := read(question{"a.test", of}, msg, &aliases, lim.DNSRecords)
		n := int64(len(rep.texts) + len(rep.mx) + len(rep.addrs) + len(rep.hosts))
		if n > lim.DNSRecords || n > 0 && rep.class != Found || rep.class != Found && rep.err == nil || n == 0 && rep.class == Found && next == "" {
			t.Errorf("%+v, %q", rep, next)
		}
		if rep.ttl < 0 || rep.ttl > gateway.DNSKept || aliases < -1 {
			t.Errorf("ttl %s, %d aliases left", rep.ttl, aliases)
		}
		for _, h := range append(rep.hosts, next) {
			if again, err := clean(h); h != "" && (err != nil || again != h) {
				t.Errorf("%q is no clean name", h)
			}
		}
	})
}

// The bytes of a text come through the library as they are.
func FuzzText(f *testing.F) {
	f.Add("v=DKIM1; p=abc")
	f.Add("\x00\\\"\xff 065\\065")
	f.Add(strings.Repeat("\\", 300))
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4000 {
			return
		}
		packet := txt(s)
		msg := new(dns.Msg)
		if err := msg.Unpack(packet); err != nil {
			t.Fatal(err)
		}
		if got := text(msg.Answer[0].(*dns.TXT).Txt); got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// txt writes a message with one TXT record by hand.
func txt(s string) []byte {
	var data []byte
	for first := true; first || s != ""; first = false {
		n := min(255, len(s))
		data = append(append(data, byte(n)), s[:n]...)
		s = s[n:]
	}
	head := []byte{0, 7, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 'a', 0, 0, 16, 0, 1, 0, 0, 0, 60}
	return append(append(head, byte(len(data)>>8), byte(len(data))), data...)
}

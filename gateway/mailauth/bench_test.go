package mailauth

import (
	"context"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

var twentyKB = strings.Repeat("A line of a mail, as they are: some seventy characters of text in it.\r\n", 290)

// BenchmarkCheck is a mail with one signature, all answers remembered; and one where
// nobody is asked.
func BenchmarkCheck(b *testing.B) {
	asking := checker(b, dnsOf("a.test TXT v=spf1 ip4:192.0.2.1 -all", "_dmarc.a.test TXT v=DMARC1; p=reject"))
	for name, bb := range map[string]struct {
		checker *Checker
		text    string
		want    string
	}{
		"6KB":           {asking, twentyKB[:6000], Pass},
		"20KB":          {asking, twentyKB, Pass},
		"6KBNoResolver": {checkerOf(b, nil, gateway.DefaultLimits()), twentyKB[:6000], None},
	} {
		m := byHand(b, mail1+bb.text+"\r\n", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.test; s=long; h=From:To:Subject:Date; bh=BH; b=;", signer(b, "rsa"))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(m)))
			b.ReportAllocs()
			for b.Loop() {
				res, err := bb.checker.Check(context.Background(), Input{IP: client, HELO: "c.test", MailFrom: "ann@a.test", AuthservID: "mx.test", Message: strings.NewReader(m)})
				if a := res.Auth(); err != nil || a.DMARC.Result != bb.want || a.DKIM.Result != bb.want || a.SPF.Result != bb.want {
					b.Fatalf("%+v, %v", res, err)
				}
			}
		})
	}
}

// BenchmarkSign makes both signatures.
func BenchmarkSign(b *testing.B) {
	s, err := NewSigner(SignerConfig{Domain: "a.test", Keys: keysOf(), Limits: gateway.DefaultLimits()})
	if err != nil {
		b.Fatal(err)
	}
	for name, message := range map[string]string{"20KB": mail1 + twentyKB, "25MB": mail1 + strings.Repeat(twentyKB, 1200)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				fields, err := s.Sign(strings.NewReader(message))
				if err != nil || strings.Count(string(fields), "DKIM-Signature") != 2 {
					b.Fatalf("%s, %v", fields, err)
				}
			}
		})
	}
}

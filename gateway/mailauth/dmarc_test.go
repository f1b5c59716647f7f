package mailauth

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

func TestRecord(t *testing.T) {
	tests := []struct {
		txt  string
		ok   bool
		want record
	}{
		{"v=DMARC1; p=reject", true, record{p: Reject, psd: 'u'}},
		{"v = DMARC1 ;p = Quarantine; SP=none ;np=REJECT; adkim=s; aspf=S; t=Y; psd=n;", true, record{p: Quarantine, sp: DoNothing, np: Reject, strictDKIM: true, strictSPF: true, test: true, psd: 'n'}},
		{"v=DMARC1;p=none;psd=y", true, record{p: DoNothing, psd: 'y'}},
		{"v=DMARC1; psd=x; adkim=x; t=x; p=none", true, record{p: DoNothing, psd: 'u'}},
		{"v=DMARC1; p=reject; p=none", true, record{p: Reject, psd: 'u'}},
		{"v=DMARC1; unknown=x; pct=50; p=reject; ri=1", true, record{p: Reject, psd: 'u'}},
		{"v=DMARC1; junk; =; p=reject", true, record{p: Reject, psd: 'u'}},
		{"v=DMARC1", true, record{broken: true, psd: 'u'}},
		{"v=DMARC1; p=", true, record{broken: true, psd: 'u'}},
		{"v=DMARC1; p=rejects; rua=mailto:x@a.test", true, record{broken: true, wantsReports: true, psd: 'u'}},
		{"v=DMARC1; p=reject; sp=x", true, record{p: Reject, broken: true, psd: 'u'}},
		{"v=DMARC1; rua=ftp, nonsense, https://a.test/x!10m", true, record{broken: true, wantsReports: true, psd: 'u'}},
		{"v=DMARC1; rua=,:,x:", true, record{broken: true, psd: 'u'}},
		{"v=dmarc1; p=reject", false, record{}},
		{"v=DMARC2; p=reject", false, record{}},
		{"v=DMARC1 p=reject", false, record{}},
		{"p=reject; v=DMARC1", false, record{}},
		{" v=DMARC1; p=reject", false, record{}},
		{"v=spf1 -all", false, record{}},
		{"", false, record{}},
	}
	for _, tt := range tests {
		if got, ok := parseRecord(tt.txt); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %+v, %t", tt.txt, got, ok)
		}
	}
}

// RFC 9989 section 4.10 lists what is asked for a long name.
func TestSteps(t *testing.T) {
	for domain, want := range map[string]string{
		"com":                "com",
		"a.mail.example.com": "a.mail.example.com mail.example.com example.com com",
		"1.2.3.4.5.6.7.8":    "1.2.3.4.5.6.7.8 2.3.4.5.6.7.8 3.4.5.6.7.8 4.5.6.7.8 5.6.7.8 6.7.8 7.8 8",
		"a.b.c.d.e.f.g.h.i.j.mail.example.com": "a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com h.i.j.mail.example.com " +
			"i.j.mail.example.com j.mail.example.com mail.example.com example.com com",
	} {
		if got := steps(domain); !slices.Equal(got, strings.Fields(want)) || len(got) > 8 {
			t.Errorf("%s: %q", domain, got)
		}
	}
}

// texts answers TXT alone, and counts.
type texts struct {
	silent
	of    map[string]string
	asked *[]string
}

func (x texts) TXT(_ context.Context, name string) resolve.Answer[string] {
	if x.asked != nil {
		*x.asked = append(*x.asked, name)
	}
	switch txt, ok := x.of[name]; {
	case txt == "TEMPORARY":
		return resolve.Answer[string]{Class: resolve.Temporary}
	case txt == "BOGUS":
		return resolve.Answer[string]{Class: resolve.Bogus}
	case ok:
		return resolve.Answer[string]{Records: strings.Split(txt, "|")}
	}
	return resolve.Answer[string]{Class: resolve.NXDomain}
}

// The walks of RFC 9989: its examples in appendix B.4 and section 4.10.2, and what its
// rules say of others.
func TestWalk(t *testing.T) {
	zone := map[string]string{
		"_dmarc.example.com": "v=DMARC1; p=none", "_dmarc.signing.example.com": "v=DMARC1; p=none",
		"_dmarc.bank.example": "v=DMARC1; p=reject; psd=y", "_dmarc.giant.bank.example": "v=DMARC1; p=none",
		"_dmarc.mail.own.example.com": "v=DMARC1; p=none; psd=n", "_dmarc.two.test": "v=DMARC1; p=none|v=DMARC1; p=reject",
		"_dmarc.other.test": "v=DMARC1; p=none|v=spf1 -all", "_dmarc.x.mega.bank.example": "v=DMARC1; p=none",
		"_dmarc.fails.test": "TEMPORARY", "_dmarc.below.fails.test": "v=DMARC1; p=reject",
	}
	tests := []struct{ domain, org, policy string }{
		{"example.com", "example.com", "example.com"},
		{"signing.example.com", "example.com", "signing.example.com"},
		{"a.b.c.d.e.f.g.h.i.j.k.example.com", "example.com", "example.com"},
		{"giant.bank.example", "giant.bank.example", "giant.bank.example"},
		{"mail.giant.bank.example", "giant.bank.example", "giant.bank.example"},
		{"mail.mega.bank.example", "mega.bank.example", "bank.example"},
		{"a.x.mega.bank.example", "mega.bank.example", "bank.example"},
		{"bank.example", "bank.example", "bank.example"},
		{"a.mail.own.example.com", "mail.own.example.com", "mail.own.example.com"},
		{"own.example.com", "example.com", "example.com"},
		{"two.test", "two.test", ""},
		{"other.test", "other.test", "other.test"},
		{"none.test", "none.test", ""},
		{"below.fails.test", "below.fails.test", "below.fails.test"},
	}
	c := checkerOf(t, texts{of: zone}, gateway.DefaultLimits())
	for _, tt := range tests {
		w := c.walkFrom(t.Context(), tt.domain)
		p, _ := w.policy()
		if w.organization() != tt.org || p.domain != tt.policy || (w.class == resolve.Found) == strings.Contains(tt.domain, "fails") {
			t.Errorf("%s: %s of %s, %s", tt.domain, p.domain, w.organization(), w.class)
		}
	}
}

// evaluate is the DMARC of a mail from a domain, of which the rest is known.
func evaluate(t *testing.T, c *Checker, from string, res *Result) DMARC {
	t.Helper()
	head, err := split([]byte("From: x <x@"+from+">\r\n"), gateway.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	who := authorsOf(head)
	found := c.discover(t.Context(), &wait, who.domains)
	wait.Wait()
	return c.dmarc(t.Context(), res, who, found)
}

// What is authenticated, what is published, and what comes of both.
func TestEvaluate(t *testing.T) {
	zones := dnsOf(
		"_dmarc.relaxed.test TXT v=DMARC1; p=reject", "_dmarc.strict.test TXT v=DMARC1; p=reject; adkim=s; aspf=s",
		"_dmarc.sub.test TXT v=DMARC1; p=none; sp=quarantine; np=reject", "is.sub.test A 192.0.2.1",
		"_dmarc.own.sub.test TXT v=DMARC1; p=quarantine; sp=reject; t=y", "_dmarc.test.test TXT v=DMARC1; p=reject; t=y",
		"_dmarc.pub.test TXT v=DMARC1; p=none; np=reject; psd=y", "shop.pub.test A 192.0.2.1",
		"_dmarc.broken.test TXT v=DMARC1; p=x", "_dmarc.reports.test TXT v=DMARC1; p=x; rua=mailto:r@a.test",
		"_dmarc.apart.relaxed.test TXT v=DMARC1; p=none; psd=n", "_dmarc.failing.test FAIL", "_dmarc.a.failing.test TXT v=DMARC1; p=reject",
	)
	pass := func(domains ...string) (r Result) {
		for _, d := range domains {
			if spf, ok := strings.CutPrefix(d, "spf:"); ok {
				r.SPF = SPF{Result: Pass, Domain: spf}
			} else if later, ok := strings.CutPrefix(d, "spf?"); ok {
				r.SPF = SPF{Result: TempError, Domain: later}
			} else if later, ok := strings.CutPrefix(d, "?"); ok {
				r.DKIM = append(r.DKIM, Signature{Result: TempError, Domain: later})
			} else {
				r.DKIM = append(r.DKIM, Signature{Result: Fail, Domain: "relaxed.test"}, Signature{Result: Pass, Domain: d})
			}
		}
		return r
	}
	tests := []struct {
		name, from string
		res        Result
		want       string
		policy     Disposition
		aligned    bool
	}{
		{"nothing authenticated", "relaxed.test", pass(), Fail, Reject, false},
		{"the same domain", "relaxed.test", pass("relaxed.test"), Pass, Reject, true},
		{"in capitals", "Relaxed.TEST", pass("relaxed.test"), Pass, Reject, true},
		{"below by DKIM", "relaxed.test", pass("x.y.relaxed.test"), Pass, Reject, true},
		{"above by DKIM", "x.relaxed.test", pass("relaxed.test"), Pass, Reject, true},
		{"beside by SPF", "x.relaxed.test", pass("spf:y.relaxed.test"), Pass, Reject, true},
		{"the second signature", "relaxed.test", pass("other.test", "relaxed.test"), Pass, Reject, true},
		{"another domain", "relaxed.test", pass("other.test", "spf:other.test"), Fail, Reject, false},
		{"a longer name", "relaxed.test", pass("xrelaxed.test", "spf:unrelaxed.test"), Fail, Reject, false},
		{"the parent of both", "relaxed.test", pass("test", "spf:test"), Fail, Reject, false},
		{"a part that is on its own", "relaxed.test", pass("apart.relaxed.test"), Fail, Reject, false},
		{"and the other way", "apart.relaxed.test", pass("relaxed.test"), Fail, DoNothing, false},
		{"strict, the same", "strict.test", pass("strict.test"), Pass, Reject, true},
		{"strict, below by DKIM", "strict.test", pass("x.strict.test"), Fail, Reject, false},
		{"strict, below by SPF", "strict.test", pass("spf:x.strict.test"), Fail, Reject, false},
		{"p", "sub.test", pass(), Fail, DoNothing, false},
		{"sp", "is.sub.test", pass(), Fail, Quarantine, false},
		{"np", "isnot.sub.test", pass(), Fail, Reject, false},
		{"of its own", "own.sub.test", pass(), Fail, DoNothing, false},
		{"test mode", "test.test", pass(), Fail, Quarantine, false},
		{"a public suffix's, np", "none.pub.test", pass(), Fail, Reject, false},
		{"a public suffix's, p", "shop.pub.test", pass(), Fail, DoNothing, false},
		{"neighbours under it", "shop.pub.test", pass("eve.pub.test"), Fail, DoNothing, false},
		{"the suffix itself", "shop.pub.test", pass("pub.test"), Fail, DoNothing, false},
		{"malformed", "broken.test", pass(), None, "", false},
		{"malformed, but with reports", "reports.test", pass(), Fail, DoNothing, false},
		{"none", "none.test", pass(), None, "", false},
		{"none, the same domain", "none.test", pass("none.test"), None, "", true},
		{"none, below", "none.test", pass("x.none.test"), None, "", false},
		{"SPF not known", "relaxed.test", pass("spf?x.relaxed.test"), TempError, "", false},
		{"DKIM not known", "relaxed.test", pass("?relaxed.test"), TempError, "", false},
		{"one not known, the other passes", "relaxed.test", pass("spf?relaxed.test", "relaxed.test"), Pass, Reject, true},
		{"not known of another domain", "relaxed.test", pass("spf?other.test", "?other.test"), Fail, Reject, false},
		{"not known of one that would not count", "strict.test", pass("spf?x.strict.test", "?x.strict.test"), Fail, Reject, false},
		{"not known, without a record", "none.test", pass("spf?none.test"), None, "", false},
		{"DNS fails", "failing.test", pass("x.failing.test"), TempError, "", false},
		{"DNS fails above", "a.failing.test", pass(), TempError, "", false},
		{"DNS fails above, which nothing needs", "a.failing.test", pass("a.failing.test"), Pass, Reject, true},
	}
	c := checker(t, zones)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := evaluate(t, c, tt.from, &tt.res)
			if got.Result != tt.want || got.Policy != tt.policy || got.Aligned != tt.aligned || got.Domain != strings.ToLower(tt.from) {
				t.Errorf("%+v, want %s with %s", got, tt.want, tt.policy)
			}
		})
	}
	bogus := checkerOf(t, texts{of: map[string]string{"_dmarc.a.test": "BOGUS"}}, gateway.DefaultLimits())
	if got := evaluate(t, bogus, "a.test", &Result{}); got.Result != PermError {
		t.Errorf("bogus: %+v", got)
	}
}

// Who is the author, of the From fields that senders write, and attackers.
func TestFrom(t *testing.T) {
	tests := []struct{ header, domains, fault string }{
		{"From: a@a.test", "a.test", ""},
		{"FROM : Ann <ann@A.Test.>", "a.test", ""},
		{"From: \"x@b.test\" <ann@a.test>", "a.test", ""},
		{"From: x@b.test (x@c.test) <ann@a.test>", "b.test a.test", faultMalformed},
		{"From: x@b.test <ann@a.test>", "b.test a.test", faultMalformed},
		{"From: =?utf-8?q?x=40b.test?= <ann@a.test>", "a.test", ""},
		{"From: =?unknown?b?////?= <ann@a.test>", "a.test", ""},
		{"From: \xff\xfe <ann@a.test>", "a.test", ""},
		{"From: \"x@b.test <ann@a.test>", "b.test a.test", faultMalformed},
		{"From: \"a@b\"@a.test", "a.test", ""},
		{"From: x\\@b.test ann@a.test", "a.test", ""},
		{"From: \"a\\\"x@b.test\" (a\\)x@c.test) ann@a.test", "a.test", ""},
		{"From: a@a.test a@a.test, a@b.test.", "a.test b.test", faultMalformed},
		{"From: Ann\r\n <ann\r\n @a.test>", "a.test", ""},
		{"From: ann@b\u00fccher.test", "xn--bcher-kva.test", ""},
		{"From: ann@a_b.test", "a_b.test", ""},
		{"From: a@a.test, b@a.test", "a.test", ""},
		{"From: a@a.test, b@b.test", "a.test b.test", ""},
		{"From: group: a@a.test, b@b.test;", "a.test b.test", ""},
		{"From: <@x.test:a@a.test>", "x.test a.test", faultMalformed},
		{"From: a@[192.0.2.1]", "", faultNoDomain},
		{"From: a@a.test, b@[192.0.2.1]", "a.test", faultNoDomain},
		{"From: a@a.test\r\nFrom: b@a.test", "a.test", "several From fields"},
		{"From: a@a.test\r\nFrom: b@b.test", "a.test b.test", "several From fields"},
		{"From: nobody", "", faultMalformed},
		{"From:", "", faultMalformed},
		{"To: a@a.test", "", "no From"},
		{"From: " + strings.Repeat("(", 20000) + "<a@a.test>", "a.test", ""},
	}
	for _, tt := range tests {
		head, err := split([]byte(tt.header+"\r\n"), gateway.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		got := authorsOf(head)
		if strings.Join(got.domains, " ") != tt.domains || got.fault != tt.fault {
			t.Errorf("%.60q: %q, %q", tt.header, got.domains, got.fault)
		}
	}
}

package mailauth

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foxcpp/go-mockdns"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

// attacks are the classes of attack that concern who sent a mail, each with the tests that
// hold it. Files are named from the root of the repository.
var attacks = []struct{ class, file, test string }{
	{"From: many addresses, two fields, encoded names, @ in local parts", "gateway/mailauth/attack_test.go", "TestAttackFrom"},
	{"From: what takes long to read", "gateway/mailauth/attack_test.go", "TestAttackLongFrom"},
	{"From: names that show another address, marks of direction, mixed scripts", "gateway/mailauth/spoof_test.go", "TestAttackSpoofedName"},
	{"From: what people and programs get to see of these", "gateway/gatewaytest/senders_test.go", "TestSpoofedFrom"},
	{"DKIM: a thousand signatures", "gateway/mailauth/attack_test.go", "TestAttackManySignatures"},
	{"DKIM: a thousand signatures, through the door", "gateway/gatewaytest/senders_test.go", "TestManySignatures"},
	{"DKIM: thousands of names in h=, a header without end", "gateway/mailauth/attack_test.go", "TestAttackHeader"},
	{"DKIM: l=, top-level domains, keys too short or too long", "gateway/mailauth/attack_test.go", "TestAttackKeys"},
	{"DKIM: huge answers and circles of aliases", "gateway/resolve/hostile_test.go", "TestAttackHostileServers"},
	{"DKIM: chains of aliases", "gateway/resolve/hostile_test.go", "TestAliases"},
	{"DKIM: bodies of blanks without end", "gateway/mailauth/attack_test.go", "TestAttackBody"},
	{"SPF: eleven lookups, three voids, a loop, a bomb of macros", "gateway/mailauth/attack_test.go", "TestAttackSPF"},
	{"SPF: questions without end", "gateway/mailauth/attack_test.go", "TestAttackQuestions"},
	{"DMARC: a hundred labels, two records, public suffixes", "gateway/mailauth/attack_test.go", "TestAttackDMARC"},
	{"DMARC: records of one's own that keep others from being asked for", "gateway/mailauth/attack_test.go", "TestAttackStarve"},
	{"DNS: servers that never answer", "gateway/gatewaytest/senders_test.go", "TestSilentDNS"},
	{"Authentication-Results in our name, from outside", "gateway/gatewaytest/senders_test.go", "TestForgedResults"},
	{"Authentication-Results in our name, behind what is over a limit", "gateway/mailauth/results_test.go", "TestAttackHiddenClaims"},
	{"Authentication-Results in our name, from inside", "gateway/gatewaytest/senders_test.go", "TestForgedInside"},
	{"Authentication-Results written by what a sender chose", "gateway/mailauth/results_test.go", "TestAttackInjection"},
}

// Every class has its test.
func TestAttackTable(t *testing.T) {
	for _, a := range attacks {
		source, err := os.ReadFile("../../" + a.file)
		if err != nil || !strings.Contains(string(source), "func "+a.test+"(t *testing.T)") {
			t.Errorf("%s: there is no %s in %s (%v)", a.class, a.test, a.file, err)
		}
	}
}

// counted is a DNS that counts what it is asked.
type counted struct {
	Resolver
	n atomic.Int64
}

func (c *counted) TXT(ctx context.Context, name string) resolve.Answer[string] {
	c.n.Add(1)
	return c.Resolver.TXT(ctx, name)
}

func (c *counted) A(ctx context.Context, name string) resolve.Answer[netip.Addr] {
	c.n.Add(1)
	return c.Resolver.A(ctx, name)
}

func counting(t testing.TB, zones map[string]mockdns.Zone) (*Checker, *counted) {
	t.Helper()
	c := checker(t, zones)
	n := &counted{Resolver: c.cfg.Resolver}
	return checkerOf(t, n, c.cfg.Limits), n
}

// soon fails a test whose attack took long. An honest mail takes a millisecond or two.
func soon(t testing.TB) func() {
	t.Helper()
	start := time.Now()
	return func() {
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
	}
}

// A thousand signatures cost as much as five, and those of the author are among them.
func TestAttackManySignatures(t *testing.T) {
	defer soon(t)()
	c, n := counting(t, dnsOf())
	signed := sign(t, "a.test", mail1)
	fake := strings.Repeat("DKIM-Signature: v=1; a=rsa-sha256; d=x.b.test; s=long; h=from; bh=AAAA; b=AAAA;\r\n", 20)
	res := check(t, c, "", fake+signed)
	if len(res.DKIM) != 5 || res.Unchecked != 17 || !res.DMARC.Aligned || res.DKIM[4].Result != Pass {
		t.Errorf("twenty before: %d unchecked, %+v", res.Unchecked, res.DKIM)
	}
	before := n.n.Load()
	res = check(t, c, "", strings.Repeat(fake, 50)+signed)
	if len(res.DKIM) != 5 || res.Unchecked != 997 || n.n.Load()-before > 10 || !strings.Contains(string(res.Field()), "997 more not checked") {
		t.Errorf("a thousand before: %d unchecked, %d questions, %s", res.Unchecked, n.n.Load()-before, res.Field())
	}
	signature, _, _ := strings.Cut(signed, "From: ")
	twins := strings.Repeat(signature, 300)
	before = n.n.Load()
	if res = check(t, c, "", twins+signed); len(res.DKIM) != 5 || n.n.Load()-before > 10 {
		t.Errorf("valid ones: %d, %d questions", len(res.DKIM), n.n.Load()-before)
	}
}

// A long h=, long fields and many of them end soon, and over a limit nothing is looked into.
func TestAttackHeader(t *testing.T) {
	defer soon(t)()
	c, n := counting(t, dnsOf())
	names := strings.Repeat("subject:", 8000)
	res := check(t, c, "", "DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=long; h=from:"+names+"to; bh=AAAA; b=AAAA\r\n"+mail1)
	if len(res.DKIM) != 1 || res.DKIM[0].Result != Policy {
		t.Errorf("8000 names: %+v", res.DKIM)
	}
	for what, m := range map[string]string{
		"468 KB":              "X: " + strings.Repeat("x", 468<<10) + "\r\n",
		"160,000 lines":       "X: x\r\n" + strings.Repeat(" y\r\n", 160_000),
		"1,001 lines":         "X: x\r\n" + strings.Repeat(" y\r\n", 1000),
		"2,001 fields":        strings.Repeat("X: y\r\n", 2001),
		"without an end":      strings.Repeat("X", 1<<20),
		"lines that are none": strings.Repeat("x\r\n", 3000),
	} {
		before := n.n.Load()
		res := check(t, c, "", m+sign(t, "a.test", mail1))
		if res.DMARC.Result != PermError || res.DMARC.Aligned || n.n.Load()-before > 1 { // one for SPF
			t.Errorf("%s: %+v after %d questions", what, res.DMARC, n.n.Load()-before)
		}
		for _, s := range res.DKIM {
			if s.Result != PermError {
				t.Errorf("%s: %+v", what, s)
			}
		}
	}
}

// Keys that are too short, too long, or never end.
func TestAttackKeys(t *testing.T) {
	defer soon(t)()
	z := keyZones(t)
	z["long._domainkey.test."] = mockdns.Zone{TXT: []string{keyRecord(keysOf()[1])}}
	c := checker(t, z)
	for tags, want := range map[string]string{
		"d=a.test; s=weak":      Policy,
		"d=a.test; s=huge":      Policy,
		"d=test; s=long":        Policy,
		"d=a.test; s=long; l=5": Policy,
	} {
		m := byHand(t, mail1, "v=1; a=rsa-sha256; c=relaxed/relaxed; "+tags+"; h=from; bh=BH; b=;", signer(t, "rsa"))
		if res := check(t, c, "", m); len(res.DKIM) != 1 || res.DKIM[0].Result != want || res.DMARC.Aligned {
			t.Errorf("%s: %+v", tags, res.DKIM)
		}
	}
	// Answers that are too large, and circles of aliases, are the resolver's to refuse.
	bogus := checkerOf(t, texts{of: map[string]string{"long._domainkey.a.test": "BOGUS"}}, gateway.DefaultLimits())
	m := byHand(t, mail1, "v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.test; s=long; h=from; bh=BH; b=;", signer(t, "rsa"))
	if res := check(t, bogus, "", m); res.DKIM[0].Result != PermError || res.DMARC.Aligned {
		t.Errorf("%+v", res.DKIM)
	}
}

// endless gives n bytes of a pattern, without holding them.
type endless struct {
	pattern string
	n, at   int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), e.n)], e.pattern[e.at:])
	e.at, e.n = (e.at+n)%len(e.pattern), e.n-n
	return n, nil
}

// A body of 50 MiB needs no more memory than a small one, whatever it is made of and
// whoever has signed it; the library would keep all blank lines.
func TestAttackBody(t *testing.T) {
	c := checker(t, dnsOf(), func(l *gateway.Limits) { l.AuthSeconds = 600 }) // memory is asked about, not this machine
	s, err := NewSigner(SignerConfig{Domain: "a.test", Keys: keysOf(), Limits: gateway.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	simple := byHand(t, mail1, "v=1; a=rsa-sha256; c=simple/simple; d=a.test; s=long; h=from; bh=BH; b=;", signer(t, "rsa"))
	signed := strings.TrimSuffix(simple, mail1) + sign(t, "a.test", mail1)
	for pattern, size := range map[string]int{"\r\n": 50 << 20, " ": 4 << 20, " \r\n": 4 << 20, "x": 4 << 20, "\r": 4 << 20, "\n": 4 << 20, "text of a line\r\n": 4 << 20} {
		block := strings.Repeat(pattern, 1<<16/len(pattern))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res, err := c.Check(t.Context(), Input{IP: client, Message: io.MultiReader(strings.NewReader(signed), &endless{pattern: block, n: size})})
		if err != nil || len(res.DKIM) != 3 || res.DKIM[0].Result == TempError {
			t.Fatalf("%q: %+v, %v", pattern, res, err)
		}
		if _, err := s.Sign(io.MultiReader(strings.NewReader(mail1), &endless{pattern: block, n: size})); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%q: %d bytes", pattern, n)
		}
	}
}

// Records that make a checker ask, or write, without end.
func TestAttackSPF(t *testing.T) {
	defer soon(t)()
	var lines []string
	for i := range 11 {
		lines = append(lines, fmt.Sprintf("i%d.test TXT v=spf1 include:i%d.test -all", i, i+1))
	}
	bomb := strings.Repeat("%{s}", 900)
	lines = append(lines,
		"loop.test TXT v=spf1 include:loop.test -all",
		"redirect.test TXT v=spf1 redirect=redirect.test",
		"voids.test TXT v=spf1 a:n1.test a:n2.test a:n3.test +all",
		"two.test TXT v=spf1 a:n1.test a:n2.test +all",
		"eleven.test TXT v=spf1"+strings.Repeat(" a:a.test", 11)+" +all",
		"ten.test TXT v=spf1"+strings.Repeat(" a:a.test", 10)+" +all",
		"bomb.test TXT v=spf1 exists:"+bomb+".test -all",
		"a.test A 192.0.2.99", "double.test TXT v=spf1 +all", "double.test TXT v=spf1 -all",
	)
	c, n := counting(t, dnsOf(lines...))
	for domain, want := range map[string]string{
		"i0.test": PermError, "i1.test": PermError, "loop.test": PermError, "redirect.test": PermError, "voids.test": PermError, "two.test": Pass,
		"eleven.test": PermError, "ten.test": Pass, "bomb.test": Fail, "double.test": PermError,
	} {
		before := n.n.Load()
		got := c.spf(t.Context(), Input{IP: client, HELO: strings.Repeat("h", 255), MailFrom: strings.Repeat("l", 64) + "@" + domain})
		if got.Result != want || n.n.Load()-before > 12 {
			t.Errorf("%s: %+v after %d questions", domain, got, n.n.Load()-before)
		}
	}
	long := suiteDNS{"long.test": {"TXT": {"v=spf1 " + strings.Repeat("ip4:192.0.2.9 ", 400) + "+all"}}}
	if got := checkerOf(t, long, c.cfg.Limits).spf(t.Context(), Input{IP: client, MailFrom: "x@long.test"}); got.Result != PermError {
		t.Errorf("a long record: %+v", got)
	}
	if got := c.spf(t.Context(), Input{IP: client, HELO: "c.test", MailFrom: `"x@ten.test"@loop.test`}); got.Domain != "loop.test" {
		t.Errorf("an @ in the local part: %+v", got)
	}
}

// One mail asks DNS a hundred times at most, with all its records together.
func TestAttackQuestions(t *testing.T) {
	z := make(map[string]mockdns.Zone)
	hosts := ""
	for i := range 10 {
		hosts += fmt.Sprintf(" mx:m%d.test", i)
	}
	z["a.test."] = mockdns.Zone{TXT: []string{"v=spf1" + hosts + " -all"}}
	counter := &mxs{}
	c := checkerOf(t, counter, gateway.DefaultLimits())
	counter.spf = z["a.test."].TXT[0]
	res := check(t, c, "x@a.test", mail1)
	if got := counter.n.Load(); got > 130 || res.SPF.Result != Fail && res.SPF.Result != TempError {
		t.Errorf("%d questions, %+v", got, res.SPF)
	}
	few := checker(t, dnsOf("a.test TXT v=spf1 a:a.test a:a.test a:a.test a:a.test +all", "a.test A 192.0.2.9", "_dmarc.a.test TXT v=DMARC1; p=reject"),
		func(l *gateway.Limits) { l.DNSQuestions = 3 })
	if res := check(t, few, "x@a.test", mail1); res.SPF.Result != TempError || res.DMARC.Result != TempError {
		t.Errorf("over the limit: %+v", res.Auth())
	}
	if res := check(t, few, "x@a.test", strings.Replace(mail1, "@a.test", "@x.a.test", 1)); res.DMARC.Result != TempError {
		t.Errorf("over the limit: %+v", res.Auth())
	}
}

// tarpit answers for one domain, and never for any other.
type tarpit struct {
	silent
	honest texts
}

func (p tarpit) TXT(ctx context.Context, name string) resolve.Answer[string] {
	if strings.HasSuffix(name, "evil.test") {
		return p.silent.TXT(ctx, name)
	}
	return p.honest.TXT(ctx, name)
}

// Who forges a mail can make SPF and DKIM of domains of his own last, ask for more than
// is allowed, or name authors that are such: what the forged domain wants still counts.
func TestAttackStarve(t *testing.T) {
	honest := texts{of: map[string]string{"_dmarc.a.test": "v=DMARC1; p=reject"}}
	const signature = "DKIM-Signature: v=1; a=rsa-sha256; d=evil.test; s=x; h=from; bh=BH; b=;"
	tests := map[string]string{
		"slow SPF and DKIM": "From: ann@a.test\r\n\r\n",
		"a slow author":     "From: eve@evil.test, ann@a.test\r\n\r\n",
		"slow authors":      "From: e@1.evil.test, e@2.evil.test, e@3.evil.test\r\nFrom: ann@a.test\r\n\r\n",
	}
	for name, message := range tests {
		signed := byHand(t, message, strings.TrimPrefix(signature, "DKIM-Signature: "), signer(t, "rsa"))
		synctest.Test(t, func(t *testing.T) {
			c := checkerOf(t, tarpit{honest: honest}, gateway.DefaultLimits())
			res := check(t, c, "eve@evil.test", signed)
			if res.SPF.Result != TempError || res.DKIM[0].Result != TempError || res.DMARC.Result != Fail || res.DMARC.Policy != Reject {
				t.Errorf("%s: %+v", name, res)
			}
		})
	}
	c := checker(t, dnsOf("evil.test TXT v=spf1"+strings.Repeat(" a:a.test", 10)+" -all", "a.test A 192.0.2.9", "_dmarc.a.test TXT v=DMARC1; p=reject"),
		func(l *gateway.Limits) { l.DNSQuestions = 5 })
	if res := check(t, c, "x@evil.test", mail1); res.SPF.Result != TempError || res.DMARC.Result != Fail || res.DMARC.Policy != Reject {
		t.Errorf("greedy SPF: %+v", res)
	}
}

// mxs has ten mail hosts for each name.
type mxs struct {
	silent
	spf string
	n   atomic.Int64
}

func (m *mxs) TXT(_ context.Context, name string) resolve.Answer[string] {
	m.n.Add(1)
	if name == "a.test" {
		return resolve.Answer[string]{Records: []string{m.spf}}
	}
	return resolve.Answer[string]{Class: resolve.NXDomain}
}

func (m *mxs) MX(_ context.Context, name string) (ans resolve.Answer[resolve.MX]) {
	m.n.Add(1)
	for i := range 10 {
		ans.Records = append(ans.Records, resolve.MX{Host: fmt.Sprintf("h%d.%s", i, name)})
	}
	return ans
}

func (m *mxs) A(context.Context, string) resolve.Answer[netip.Addr] {
	m.n.Add(1)
	return resolve.Answer[netip.Addr]{Records: []netip.Addr{netip.MustParseAddr("198.51.100.1")}}
}

// Names of a hundred labels, and everything authenticated that could be walked from.
func TestAttackDMARC(t *testing.T) {
	var asked []string
	zone := map[string]string{"_dmarc.test": "v=DMARC1; p=reject; psd=y", "_dmarc.two.test": "v=DMARC1; p=none|v=DMARC1; p=none"}
	c := checkerOf(t, texts{of: zone, asked: &asked}, gateway.DefaultLimits())
	deep := strings.Repeat("a.", 100) + "deep.test"
	res := Result{SPF: SPF{Result: Pass, Domain: "x." + deep}}
	for i := range 5 {
		res.DKIM = append(res.DKIM, Signature{Result: Pass, Domain: fmt.Sprintf("s%d.evil.test", i)})
	}
	got := evaluate(t, c, deep, &res)
	if got.Result != Pass || len(asked) > 16 {
		t.Errorf("%+v after %d questions", got, len(asked))
	}
	asked = nil
	got = evaluate(t, c, "two.test", &Result{DKIM: []Signature{{Result: Pass, Domain: "test"}, {Result: Pass, Domain: "other.test"}}})
	if got.Result != Fail || got.Policy != Reject || got.PolicyDomain != "test" || len(asked) > 8 {
		t.Errorf("two records under a suffix: %+v after %q", got, asked)
	}
}

// Mail that shows one author to some and another to others never passes, and fails by
// the strictest of them.
// What can't be read as addresses is looked through once, however much of it there is.
func TestAttackLongFrom(t *testing.T) {
	c := checker(t, dnsOf())
	list := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	var han strings.Builder
	for r := rune(0x4e00); r < 0x4e00+20_000; r++ {
		han.WriteRune(r)
	}
	for what, lines := range map[string][]string{
		"comments without an end": slices.Repeat([]string{strings.Repeat("(", 1000)}, 240),
		"domains and comments":    slices.Repeat([]string{strings.Repeat("@(", 500)}, 240),
		"quotes and comments":     slices.Repeat([]string{strings.Repeat("(\"\\", 333)}, 240),
		"many domains":            strings.SplitAfter(list(24_000, "@%05d.t\n"), "\n"),
		"a domain of Han":         {"x@" + han.String() + ".test"},
		"many domains of Han":     slices.Repeat([]string{"@" + han.String()[:900] + ".test"}, 240),
	} {
		t.Run(what, func(t *testing.T) {
			defer soon(t)()
			var b strings.Builder
			for i := 0; i < len(lines); i += 100 {
				b.WriteString(strings.ReplaceAll(strings.Join(lines[i:min(i+100, len(lines))], "\n"), "\n", " "))
				b.WriteString("\r\n ")
			}
			from := "From: " + b.String() + "x\r\n"
			fake := list(64, "DKIM-Signature: v=1; a=rsa-sha256; d=x%d.b.test; s=long; h=from; bh=AAAA; b=AAAA;\r\n")
			if res := check(t, c, "", fake+from+"\r\nx\r\n"); res.DMARC.Result != PermError || res.DMARC.Aligned {
				t.Errorf("%+v", res.DMARC)
			}
			check(t, c, "", strings.Repeat("From: "+strings.ReplaceAll(lines[0], "\n", "")+"\r\n", 240)+"\r\nx\r\n")
		})
	}
}

func TestAttackFrom(t *testing.T) {
	c := checker(t, dnsOf("b.test TXT v=spf1 +all", "_dmarc.a.test TXT v=DMARC1; p=reject", "_dmarc.b.test TXT v=DMARC1; p=none", "_dmarc.q.test TXT v=DMARC1; p=quarantine", "_dmarc.failing.test FAIL"))
	tests := []struct {
		name, from, want string
		policy           Disposition
		aligned          bool
	}{
		{"honest", "From: eve@b.test", Pass, DoNothing, true},
		{"two fields", "From: eve@b.test\r\nFrom: ann@a.test", Fail, Reject, false},
		{"two fields of one's own", "From: eve@b.test\r\nFrom: x@b.test", PermError, DoNothing, false},
		{"two addresses", "From: eve@b.test, ann@a.test", Fail, Reject, false},
		{"the strictest of three", "From: eve@b.test, ann@a.test, x@q.test", Fail, Reject, false},
		{"two of one's own", "From: eve@b.test, x@b.test", Pass, DoNothing, true},
		{"two domains that may", "From: eve@b.test, x@x.b.test", Pass, DoNothing, true},
		{"many addresses of many domains", "From: a@a1.test, a@a2.test, a@a3.test, a@a4.test, a@a.test", PermError, "", false},
		{"many domains behind one that is forged", "From: ann@a.test, a@a1.test, a@a2.test, a@a3.test, a@a4.test", Fail, Reject, false},
		{"an address for a name", "From: ann@a.test <eve@b.test>", Fail, Reject, false},
		{"an address in a quoted name", "From: \"ann@a.test\" <eve@b.test>", Pass, DoNothing, true},
		{"an encoded one", "From: =?utf-8?q?ann=40a.test?= <eve@b.test>", Pass, DoNothing, true},
		{"an @ in the local part", "From: \"ann@a.test\"@b.test", Pass, DoNothing, true},
		{"a source route", "From: <@a.test:eve@b.test>", Fail, Reject, false},
		{"an unclosed quote", "From: \"ann@a.test <eve@b.test>", Fail, Reject, false},
		{"an address without a domain", "From: eve@b.test, x@[192.0.2.1]", PermError, DoNothing, false},
		{"letters of other scripts", "From: ann@\u0430.test", None, "", false},
		{"marks of direction", "From: eve@b.test\u202e", PermError, DoNothing, false},
		{"a control character behind it", "From: ann@a.test\x0c", Fail, Reject, false},
		{"a control character in it", "From: ann@a.\x01test", Fail, Reject, false},
		{"a mark of direction behind it", "From: ann@a.test\u202e", Fail, Reject, false},
		{"a blank of another kind behind it", "From: ann@a.test\u00a0", Fail, Reject, false},
		{"blanks and comments in it", "From: ann (x) @ a . (y) test", Fail, Reject, false},
		{"blanks behind one's own", "From: eve@b.test . a.test", Fail, Reject, false},
		{"Latin-1", "From: ann@\xe4.a.test", Fail, Reject, false},
		{"a fold before the colon", "From\r\n : ann@a.test\r\nFrom: eve@b.test", Fail, Reject, false},
		{"one whose DNS fails", "From: eve@b.test, x@failing.test", TempError, "", false},
		{"one without a policy", "From: eve@b.test, x@nothing.test", None, "", false},
		{"none", "X: y", PermError, "", false},
		{"an empty one", "From: \r\nSubject: x", PermError, "", false},
		{"20,000 of them", "From: eve@b.test" + strings.Repeat(", eve@b.test", 20_000), Pass, DoNothing, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer soon(t)()
			res := check(t, c, "eve@b.test", tt.from+"\r\n\r\nx\r\n")
			if d := res.DMARC; d.Result != tt.want || d.Policy != tt.policy || d.Aligned != tt.aligned {
				t.Errorf("%+v", d)
			}
		})
	}
	signed := sign(t, "b.test", "From: eve@b.test\r\n\r\nx\r\n")
	if res := check(t, c, "", "From: ann@a.test\r\n"+signed); res.DMARC.Result != Fail || res.DMARC.Policy != Reject || res.DKIM[0].Result != Fail {
		t.Errorf("a From before a signed one: %+v", res)
	}
}

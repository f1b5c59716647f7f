package mailauth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/foxcpp/go-mockdns"
	"go.uber.org/goleak"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	client = netip.MustParseAddr("192.0.2.1")
	noon   = time.Unix(1_790_000_000, 0)
)

// keysOf are the keys that all tests sign with: rsa and ed25519, made once.
var keysOf = sync.OnceValue(func() []gateway.SigningKey {
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, short, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return []gateway.SigningKey{private("short", "ed25519", short), private("long", "rsa", long)}
})

func private(selector, algorithm string, key any) gateway.SigningKey {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	out := gateway.SigningKey{Selector: selector, Algorithm: algorithm, Private: gateway.Secret(der)}
	switch k := key.(type) {
	case ed25519.PrivateKey:
		out.Public = k.Public().(ed25519.PublicKey)
	case *rsa.PrivateKey:
		if out.Public, err = x509.MarshalPKIXPublicKey(&k.PublicKey); err != nil {
			panic(err)
		}
	}
	return out
}

func keyRecord(k gateway.SigningKey) string {
	return "v=DKIM1; k=" + k.Algorithm + "; p=" + base64.StdEncoding.EncodeToString(k.Public)
}

// dnsOf makes zones of lines "name TXT|A|MX text"; the keys of all tests are there too.
func dnsOf(lines ...string) map[string]mockdns.Zone {
	z := make(map[string]mockdns.Zone)
	for _, l := range lines {
		name, rest, _ := strings.Cut(l, " ")
		kind, text, _ := strings.Cut(rest, " ")
		zone := z[name+"."]
		switch kind {
		case "TXT":
			zone.TXT = append(zone.TXT, text)
		case "A":
			zone.A = append(zone.A, text)
		case "FAIL":
			zone.Err = errors.New("fails")
		}
		z[name+"."] = zone
	}
	for _, k := range keysOf() {
		for _, d := range []string{"a.test", "mail.a.test", "b.test"} {
			z[k.Selector+"._domainkey."+d+"."] = mockdns.Zone{TXT: []string{keyRecord(k)}}
		}
	}
	return z
}

// checker asks a server on loopback that has these zones, through the real resolver.
func checker(t testing.TB, zones map[string]mockdns.Zone, change ...func(*gateway.Limits)) *Checker {
	t.Helper()
	s, err := mockdns.NewServerWithLogger(zones, log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	lim := gateway.DefaultLimits()
	for _, c := range change {
		c(&lim)
	}
	r, err := resolve.New(resolve.Config{Servers: []string{s.LocalAddr().String()}, Limits: lim})
	if err != nil {
		t.Fatal(err)
	}
	return checkerOf(t, r, lim)
}

func checkerOf(t testing.TB, r Resolver, lim gateway.Limits) *Checker {
	t.Helper()
	c, err := New(Config{Resolver: r, Limits: lim, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sign puts the signatures of a domain before a message.
func sign(t testing.TB, domain, message string) string {
	t.Helper()
	s, err := NewSigner(SignerConfig{Domain: domain, Keys: keysOf(), Limits: gateway.DefaultLimits(), Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	fields, err := s.Sign(strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	return string(fields) + message
}

func check(t testing.TB, c *Checker, mailFrom, message string) *Result {
	t.Helper()
	res, err := c.Check(t.Context(), Input{IP: client, HELO: "client.test", MailFrom: mailFrom, AuthservID: "mx.test", Message: strings.NewReader(message)})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

const mail1 = "From: Ann <ann@a.test>\r\nTo: bob@c.test\r\nSubject: Hello\r\nDate: Mon, 1 Jan 2026 00:00:00 +0000\r\n\r\nHello Bob\r\n"

// What arrives, through all three methods, with DNS on loopback.
func TestCheck(t *testing.T) {
	c := checker(t, dnsOf(
		"a.test TXT v=spf1 ip4:192.0.2.1 -all", "_dmarc.a.test TXT v=DMARC1; p=reject; sp=quarantine",
		"mail.a.test TXT v=spf1 +all", "b.test TXT v=spf1 +all", "client.test TXT v=spf1 a:a.test -all",
		"strict.test TXT v=spf1 -all", "_dmarc.strict.test TXT v=DMARC1; p=quarantine; t=y",
	))
	tests := []struct {
		name, mailFrom, message string
		spf, dkim, dmarc        string
		policy                  Disposition
		aligned                 bool
	}{
		{"signed and sent by its owner", "ann@a.test", sign(t, "a.test", mail1), Pass, Pass, Pass, Reject, true},
		{"sent by its owner", "ann@a.test", mail1, Pass, None, Pass, Reject, true},
		{"signed by a subdomain", "list@b.test", sign(t, "mail.a.test", mail1), Pass, Pass, Pass, Reject, true},
		{"sent for a subdomain", "x@mail.a.test", mail1, Pass, None, Pass, Reject, true},
		{"sent by another", "eve@b.test", mail1, Pass, None, Fail, Reject, false},
		{"signed by another", "eve@b.test", sign(t, "b.test", mail1), Pass, Pass, Fail, Reject, false},
		{"changed on its way", "list@b.test", sign(t, "a.test", mail1) + "added\r\n", Pass, Fail, Fail, Reject, false},
		{"a subdomain's policy", "eve@b.test", strings.Replace(mail1, "@a.test", "@x.a.test", 1), Pass, None, Fail, Quarantine, false},
		{"in test mode", "eve@b.test", strings.Replace(mail1, "@a.test", "@strict.test", 1), Pass, None, Fail, DoNothing, false},
		{"no policy", "eve@b.test", strings.Replace(mail1, "@a.test", "@none.test", 1), Pass, None, None, "", false},
		{"no policy, but aligned", "ann@b.test", strings.Replace(mail1, "@a.test", "@b.test", 1), Pass, None, None, "", true},
		{"not allowed", "x@strict.test", strings.Replace(mail1, "@a.test", "@strict.test", 1), Fail, None, Fail, DoNothing, false},
		{"a bounce", "", strings.Replace(mail1, "@a.test", "@client.test", 1), Fail, None, None, "", false},
		{"no From", "ann@a.test", "To: bob@c.test\r\n\r\n", Pass, None, PermError, "", false},
		{"nothing", "ann@a.test", "", Pass, None, PermError, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := check(t, c, tt.mailFrom, tt.message)
			a := res.Auth()
			if a.SPF.Result != tt.spf || a.DKIM.Result != tt.dkim || a.DMARC.Result != tt.dmarc || res.DMARC.Policy != tt.policy ||
				a.FromAligned != tt.aligned || a.Policy != tt.policy {
				t.Errorf("%+v\n%+v", a, res.DMARC)
			}
			for _, s := range res.DKIM {
				if s.Result != tt.dkim {
					t.Errorf("a signature: %+v", s)
				}
			}
		})
	}
}

func TestNoResolver(t *testing.T) {
	res := check(t, checkerOf(t, nil, gateway.DefaultLimits()), "ann@a.test", "Authentication-Results: mx.test; spf=pass\r\n"+sign(t, "a.test", mail1))
	none := gateway.AuthResult{Result: None, Reason: "no resolver"}
	if got, want := res.Auth(), (gateway.AuthResults{SPF: none, DKIM: none, DMARC: none}); got != want || len(res.Claims) != 1 {
		t.Errorf("%+v, claims %v", got, res.Claims)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no limits, and no error")
	}
}

// silent is a DNS that never answers.
type silent struct{ Resolver }

func (silent) TXT(ctx context.Context, _ string) resolve.Answer[string] {
	<-ctx.Done()
	return resolve.Answer[string]{Class: resolve.Temporary, Err: ctx.Err()}
}

// With a silent DNS the check ends in its time, and says that it doesn't know; if its
// caller's time ends, it fails.
func TestTime(t *testing.T) {
	message := sign(t, "a.test", mail1)
	synctest.Test(t, func(t *testing.T) {
		c := checkerOf(t, silent{}, gateway.DefaultLimits())
		start := time.Now()
		res := check(t, c, "ann@a.test", message)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("it took %s", took)
		}
		if a := res.Auth(); a.SPF.Result != TempError || a.DKIM.Result != TempError || a.DMARC.Result != TempError || len(res.DKIM) != 2 {
			t.Errorf("%+v", a)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if res, err := c.Check(ctx, Input{IP: client, Message: strings.NewReader(message)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v, %v", res, err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a message that comes slowly
		c := checkerOf(t, silent{}, gateway.DefaultLimits())
		slow := io.MultiReader(strings.NewReader(message), slowly{})
		res, err := c.Check(t.Context(), Input{IP: client, MailFrom: "ann@a.test", Message: slow})
		if err != nil || len(res.DKIM) != 2 || res.DKIM[0].Result != TempError || res.DMARC.Result != TempError {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

type slowly struct{}

func (slowly) Read(p []byte) (int, error) {
	<-time.After(time.Second) // of a bubble's time, which takes none
	p[0] = 'x'
	return 1, nil
}

func TestUnreadable(t *testing.T) {
	c := checkerOf(t, silent{}, gateway.DefaultLimits())
	fault := errors.New("the disk")
	for name, r := range map[string]io.Reader{
		"in the header": io.MultiReader(strings.NewReader("From: x\r\n"), iotest.ErrReader(fault)),
		"in the body":   io.MultiReader(strings.NewReader(sign(t, "a.test", mail1)), iotest.ErrReader(fault)),
	} {
		if _, err := c.Check(t.Context(), Input{Message: r}); !errors.Is(err, fault) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// faulty is a DNS that panics.
type faulty struct{ silent }

func (faulty) TXT(_ context.Context, name string) resolve.Answer[string] {
	if strings.HasPrefix(name, "_dmarc.") {
		return resolve.Answer[string]{Class: resolve.NXDomain}
	}
	panic("a fault of ours")
}

// A fault of ours is temperror, and other mail goes on.
func TestPanic(t *testing.T) {
	var log strings.Builder
	c, err := New(Config{Resolver: faulty{}, Limits: gateway.DefaultLimits(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	res := check(t, c, "ann@a.test", byHand(t, mail1, "v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.test; s=long; h=from; bh=BH; b=;", signer(t, "rsa")))
	if a := res.Auth(); a.SPF.Result != TempError || a.DKIM.Result != TempError || strings.Count(log.String(), "a fault of ours") != 2 {
		t.Errorf("%+v, logged %s", a, log.String())
	}
}

// Of several signatures the one that counts most is shown.
func TestAuth(t *testing.T) {
	r := Result{
		DKIM:  []Signature{{Result: Fail, Domain: "a.test"}, {Result: Pass, Domain: "b.test"}, {Result: Pass, Domain: "c.test"}, {Result: Neutral, Domain: "d.test"}},
		DMARC: DMARC{DKIM: "c.test"},
	}
	for _, want := range []string{"c.test", "b.test", "a.test"} {
		if got := r.Auth().DKIM.Domain; got != want {
			t.Errorf("%s is shown, want %s", got, want)
		}
		if r.DMARC.DKIM != "" {
			r.DMARC.DKIM = ""
		} else {
			r.DKIM[1].Result, r.DKIM[2].Result = Fail, Fail
		}
	}
}

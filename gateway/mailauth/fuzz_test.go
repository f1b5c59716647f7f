package mailauth

import (
	"bufio"
	"bytes"
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"blitiri.com.ar/go/spf"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

// A record, written again from what was read, is read as the same.
func FuzzRecord(f *testing.F) {
	for _, s := range []string{"v=DMARC1; p=reject; sp=none; np=quarantine; adkim=s; aspf=s; t=y; psd=n; rua=mailto:a@b.test", "v = DMARC1 ; p = x;", "v=DMARC1;;=;p", "v=DMARC1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := parseRecord(s)
		if !ok {
			if r != (record{}) {
				t.Errorf("%q is none, and %+v", s, r)
			}
			return
		}
		again := "v=DMARC1"
		for _, x := range []struct {
			name string
			d    Disposition
		}{{"p", r.p}, {"sp", r.sp}, {"np", r.np}} {
			if x.d != "" {
				again += "; " + x.name + "=" + string(x.d)
			}
		}
		for tag, set := range map[string]bool{"adkim=s": r.strictDKIM, "aspf=s": r.strictSPF, "t=y": r.test, "rua=mailto:x": r.wantsReports} {
			if set {
				again += ";" + tag
			}
		}
		got, ok := parseRecord(again + "; psd=" + string(r.psd))
		if got.broken = r.broken; got != r || !ok || r.p == "" && !r.broken {
			t.Errorf("%q: %+v, then %+v", s, r, got)
		}
	})
}

// Tags stand where they say, and what is read of them is read again.
func FuzzTags(f *testing.F) {
	for _, s := range []string{"v=1; a=rsa-sha256; b=\r\n\tx y; h=a:b", "p=;", "=", "a=1;a=2", ";", " a = b ;\t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tags, err := parseTags(s)
		if err != nil {
			return
		}
		var again strings.Builder
		for i, x := range tags {
			if trim(s[x.start:x.end]) != x.value || strings.Contains(x.value, ";") || i > 0 && x.start <= tags[i-1].end {
				t.Errorf("%q: %+v", s, x)
			}
			again.WriteString(x.name + "=" + x.value + ";")
		}
		second, err := parseTags(again.String())
		same := slices.EqualFunc(tags, second, func(a, b tag) bool { return a.name == b.name && a.value == b.value })
		if err != nil || !same {
			t.Errorf("%q: %v, then %v, %v", s, tags, second, err)
		}
	})
}

// A key is of an algorithm and size that may be used, or an error.
func FuzzKey(f *testing.F) {
	for _, k := range keysOf() {
		f.Add(keyRecord(k), "rsa-sha256")
		f.Add(keyRecord(k)+"; t=s:y; h=sha256; s=email", "ed25519-sha256")
	}
	f.Fuzz(func(t *testing.T, txt, algorithm string) {
		k, err := parseKey(txt, algorithm)
		if err == nil && (k.public == nil || k.bits != 256 && (k.bits < leastBits || k.bits > mostBits)) {
			t.Errorf("%q for %q: %+v", txt, algorithm, k)
		}
	})
}

// What the grammar takes as an SPF record, the library finds no fault with either,
// apart from what it doesn't know: "/" in names and labels that are too long.
func FuzzSPF(f *testing.F) {
	for _, s := range []string{"v=spf1 a mx/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:a.test exists:%{ir}.%{d2}.a.test ptr:a.test ?all", "v=spf1 redirect=_spf.a.test exp=x.a.test x=y", "v=spf1 a:%%.a.test -ALL"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !isSPF(s) || checkSPF(s) != nil || len(s) > 500 {
			return
		}
		nothing := spfOnly(s)
		res, err := spf.CheckHostWithSender(client.AsSlice(), "h.test", "x@a.test", spf.WithContext(t.Context()), spf.WithResolver(&lookups{nothing, true}),
			spf.OverrideVoidLookupLimit(1000), spf.OverrideLookupLimit(1000))
		followed := strings.Contains(lower(s), "include:") || strings.Contains(lower(s), "redirect=")
		if res == spf.PermError && !followed && !strings.Contains(s, "/") {
			t.Errorf("%q: %v", s, err)
		}
	})
}

// spfOnly has one text, at a.test.
type spfOnly string

func (s spfOnly) TXT(_ context.Context, name string) resolve.Answer[string] {
	if name == "a.test" {
		return resolve.Answer[string]{Records: []string{string(s)}}
	}
	return resolve.Answer[string]{Class: resolve.NXDomain}
}

func (spfOnly) MX(context.Context, string) resolve.Answer[resolve.MX] {
	return resolve.Answer[resolve.MX]{Class: resolve.NoData}
}

func (spfOnly) A(context.Context, string) resolve.Answer[netip.Addr] {
	return resolve.Answer[netip.Addr]{Class: resolve.NoData}
}

func (spfOnly) AAAA(context.Context, string) resolve.Answer[netip.Addr] {
	return resolve.Answer[netip.Addr]{Class: resolve.NoData}
}

func (spfOnly) PTR(context.Context, netip.Addr) resolve.Answer[string] {
	return resolve.Answer[string]{Class: resolve.NXDomain}
}

// A field that we wrote for somebody is theirs, whatever they are called, and one that
// anybody wrote is read without harm.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{"mx.test; none", "(a(b)\\)) \"m\\x.test\" 1; none", "mx.test/1", "\"", "(", "mx.test 1 2"} {
		f.Add(s, "mx.test")
	}
	f.Add("x", "a b\"c\\")
	f.Fuzz(func(t *testing.T, value, id string) {
		claimed([]byte(value), "mx.test")
		if len(id) > mostWord || printable(id) != id || id == "" {
			return
		}
		field := (&Result{authservID: id, SPF: SPF{Result: None, Reason: value, Domain: value}, DMARC: DMARC{Result: None}}).Field()
		if got := claims(field, id); len(got) != 1 || got[0] != (Span{0, len(field)}) {
			t.Errorf("%q for %q: %v", field, id, got)
		}
	})
}

// Of any bytes the header is read whole, and nothing passes that nobody signed.
func FuzzCheck(f *testing.F) {
	c := checkerOf(f, texts{of: map[string]string{"long._domainkey.a.test": keyRecord(keysOf()[1]), "_dmarc.a.test": "v=DMARC1; p=reject"}}, gateway.DefaultLimits())
	f.Add([]byte(sign(f, "a.test", mail1)))
	f.Add([]byte("From: a@a.test, \"x\r\n"))
	f.Add([]byte(" x\r\nAuthentication-Results: mx.test\r\n y\r\nauthentication-results : (\r\nX\r\n y\r\n\r\nAuthentication-Results: mx.test\r\n"))
	f.Add([]byte("DKIM-Signature: v=1; a=rsa-sha256; c=simple; d=a.test; s=long; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=b=\r\nFrom: x@a.test\r\n\r\n"))
	f.Fuzz(func(t *testing.T, message []byte) {
		raw, err := readHeader(bufio.NewReader(bytes.NewReader(message)), gateway.DefaultLimits().HeaderBytes)
		if err == nil {
			fields, _ := split(raw, gateway.DefaultLimits())
			var whole []byte
			for _, f := range fields {
				whole = append(whole, f.raw...)
			}
			if !bytes.HasPrefix(message, whole) {
				t.Errorf("%q read as %q", message, whole)
			}
		}
		res, err := c.Check(t.Context(), Input{IP: client, Message: bytes.NewReader(message), AuthservID: "mx.test"})
		if err != nil {
			t.Fatal(err)
		}
		kept, at := []byte(nil), 0
		for _, s := range res.Claims {
			kept, at = append(kept, message[at:s.Start]...), s.End
		}
		again, err := readHeader(bufio.NewReader(bytes.NewReader(append(kept, message[at:]...))), gateway.DefaultLimits().HeaderBytes)
		if got := claims(again, "mx.test"); err == nil && len(got) > 0 {
			t.Errorf("%q without %v still claims %v", message, res.Claims, got)
		}
		if res.DMARC.Aligned != (res.DMARC.Result == Pass) && res.DMARC.Result != None || strings.Count(string(res.Field()), "\r\n") != 3+max(1, len(res.DKIM)) {
			t.Errorf("%q: %+v\n%s", message, res, res.Field())
		}
		for _, s := range res.DKIM {
			if s.Result == "" || s.Result != Pass && s.Reason == "" {
				t.Errorf("%q: %+v", message, s)
			}
		}
	})
}

// Domains out of a From field are clean, and the one that stands alone between brackets
// is always among them.
func FuzzFrom(f *testing.F) {
	for _, s := range []string{"Ann", "\"x@b.test\"", "(x@b.test", "x@b.test,", "=?utf-8?q?x?=", "a:", "\\", "<@x:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		raw := []byte("From: " + unfold.Replace(name) + " <ann@a.test>\r\n")
		domains, _, _ := addresses(field{name: "From", raw: raw})
		for _, d := range domains {
			if again, ok := asciiDomain(d); !ok || again != d {
				t.Errorf("%q: %q is no clean domain", name, d)
			}
		}
		if !slices.Contains(domains, "a.test") && !strings.ContainsAny(name, "\\\"(") {
			t.Errorf("%q hides the author: %q", name, domains)
		}
	})
}

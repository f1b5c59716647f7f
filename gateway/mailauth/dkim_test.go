package mailauth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"

	"github.com/centerleap/postern/gateway"
)

// signer is the key of an algorithm that the tests sign by hand with.
func signer(t testing.TB, algorithm string) crypto.Signer {
	t.Helper()
	for _, k := range keysOf() {
		if k.Algorithm == algorithm {
			p, err := parsePrivate(k)
			if err != nil {
				t.Fatal(err)
			}
			return p.private
		}
	}
	t.Fatal("no key")
	return nil
}

// byHand signs a message with whatever tags a test wants; "BH" stands for the hash of
// the body. It is a second way to sign, written from RFC 6376 section 3.7.
func byHand(t testing.TB, message, tags string, key crypto.Signer) string {
	t.Helper()
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	h := newBodyHash(strings.Contains(tags, "/relaxed"))
	_, _ = h.Write([]byte(body))
	tags = strings.Replace(tags, "BH", base64.StdEncoding.EncodeToString(h.Sum()), 1)
	fields, err := split([]byte(head+"\r\n"), gateway.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseTags(tags)
	if err != nil {
		t.Fatal(err)
	}
	relaxed := strings.HasPrefix(value(list, "c", ""), "relaxed")
	own := "DKIM-Signature: " + tags
	data := newPicker(fields).canonical(strings.Split(squeeze(value(list, "h", "")), ":"), relaxed)
	data = append(data, withoutEnd(canonicalField(nil, []byte(own+"\r\n"), relaxed))...)
	sum := sha256.Sum256(data)
	options := crypto.SignerOpts(crypto.SHA256)
	if _, ok := key.Public().(ed25519.PublicKey); ok {
		options = crypto.Hash(0)
	}
	sig, err := key.Sign(rand.Reader, sum[:], options)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(own, "b=;") + 2
	return own[:at] + base64.StdEncoding.EncodeToString(sig) + own[at:] + "\r\n" + message
}

// What a signature says of itself, and what we make of it.
func TestSignatures(t *testing.T) {
	const good = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=a.test; s=long; t=1789999000; h=From:To:Subject; bh=BH; b=;"
	const short = "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=a.test; s=short; h=from; bh=BH; b=;"
	change := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%q is not there", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	names := strings.Repeat("x:", 200)
	tests := []struct {
		name, tags, want, reason string
	}{
		{"rsa", good, Pass, ""},
		{"ed25519", short, Pass, ""},
		{"the last tag without its end", strings.TrimSuffix(change(" bh=BH; b=;", " b=; bh=BH"), ";"), Pass, ""},
		{"simple", change("relaxed/relaxed", "simple/simple"), Pass, ""},
		{"simple header alone", change("relaxed/relaxed", "simple/relaxed"), Pass, ""},
		{"simple by default", change("c=relaxed/relaxed; ", ""), Pass, ""},
		{"simple body by default", change("relaxed/relaxed", "relaxed"), Pass, ""},
		{"domain and selector in capitals", strings.Replace(change("d=a.test", "d=A.Test"), "s=long", "s=LONG", 1), Pass, ""},
		{"folded everywhere", change("h=From:To:Subject", "h = From :\r\n\tTo : \r\n Subject"), Pass, ""},
		{"i= in the domain", change("t=1789999000", "i=ann@A.test"), Pass, ""},
		{"i= below the domain", change("t=1789999000", "i=@x.a.test"), Pass, ""},
		{"b= inside of i=", change("t=1789999000", "i=bob=3Dx@a.test"), Pass, ""},
		{"unknown tags", change("t=1789999000", "z=From:x|To:b=20y; zb=c"), Pass, ""},
		{"not yet expired", change("t=1789999000", "x=1790000001"), Pass, ""},
		{"q= with a way that we know", change("t=1789999000", "q=new/way:dns/txt"), Pass, ""},
		{"expired", change("t=1789999000", "x=1789999000"), Fail, "expired"},
		{"expired before it was signed", change("t=1789999000", "t=1789999000; x=1789998000"), Neutral, "after"},
		{"x= is no number", change("t=1789999000", "x=soon"), Neutral, "time"},
		{"another version", change("v=1", "v=2"), Neutral, "v="},
		{"no version", change("v=1; ", ""), Neutral, "v="},
		{"no domain", change("d=a.test; ", ""), Neutral, "d="},
		{"a domain that is none", change("d=a.test", "d=a..test"), Neutral, "d="},
		{"a selector that is none", change("s=long", "s=a..b"), Neutral, "s="},
		{"no selector", change("s=long; ", ""), Neutral, "s="},
		{"a top-level domain", change("d=a.test", "d=test"), Policy, "top-level"},
		{"i= of another domain", change("t=1789999000", "i=@b.test"), Neutral, "i="},
		{"i= of a longer domain", change("t=1789999000", "i=@xa.test"), Neutral, "i="},
		{"From not signed", change("From:", ""), PermError, "From"},
		{"nothing signed", change("h=From:To:Subject", "h="), Neutral, "h="},
		{"sha1", change("rsa-sha256", "rsa-sha1"), Policy, "sha1"},
		{"an unknown algorithm", change("rsa-sha256", "rsa-sha512"), Neutral, "a="},
		{"an unknown form", change("relaxed/relaxed", "nofws"), Neutral, "c="},
		{"an unknown way to the key", change("t=1789999000", "q=dns/other"), Neutral, "q="},
		{"a length of the body", change("t=1789999000", "l=11"), Policy, "l="},
		{"a length of nothing", change("t=1789999000", "l=0"), Policy, "l="},
		{"too many names", change("h=From", "h=From:"+names), Policy, "names"},
		{"no base64", change("bh=BH", "bh=!"), Neutral, "base64"},
		{"the key of another algorithm", change("s=long", "s=short"), PermError, "something else"},
		{"no key", change("s=long", "s=none"), PermError, "no key"},
		{"a revoked key", change("s=long", "s=revoked"), PermError, "revoked"},
		{"a malformed key", change("s=long", "s=malformed"), PermError, "malformed"},
		{"an ed25519 key of a wrong size", strings.Replace(short, "s=short", "s=cut", 1), PermError, "malformed"},
		{"two keys", change("s=long", "s=two"), PermError, "2 keys"},
		{"a key beside other texts", change("s=long", "s=beside"), Pass, ""},
		{"a key for other services", change("s=long", "s=service"), PermError, "something else"},
		{"a key for other hashes", change("s=long", "s=hash"), PermError, "something else"},
		{"a key of 512 bits", change("s=long", "s=weak"), Policy, "less than 1024"},
		{"a key of 8192 bits", change("s=long", "s=huge"), Policy, "more than 4096"},
		{"a key in pieces", change("s=long", "s=pieces"), Pass, ""},
		{"a key without wrapping", change("s=long", "s=bare"), Pass, ""},
		{"DNS fails", change("s=long", "s=failing"), TempError, "for now"},
		{"a key that wants i= to be d=", change("s=long", "s=strict"), Pass, ""},
		{"and it is not", strings.Replace(change("s=long", "s=strict"), "t=1789999000", "i=@x.a.test", 1), PermError, "i="},
		{"another key", change("s=long", "s=other"), Fail, "hold"},
		{"another key in test mode", change("s=long", "s=testing"), Neutral, "test mode"},
	}
	c := checker(t, keyZones(t))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			algorithm := "rsa"
			if strings.Contains(tt.tags, "ed25519") {
				algorithm = "ed25519"
			}
			res := check(t, c, "", byHand(t, mail1, tt.tags, signer(t, algorithm)))
			if len(res.DKIM) != 1 || res.DKIM[0].Result != tt.want || !strings.Contains(res.DKIM[0].Reason, tt.reason) {
				t.Errorf("%+v, want %s (%s)", res.DKIM, tt.want, tt.reason)
			}
		})
	}
}

// keyZones are the keys that TestSignatures asks for.
func keyZones(t testing.TB) map[string]mockdns.Zone {
	t.Helper()
	z := dnsOf("failing._domainkey.a.test FAIL")
	long := keysOf()[1]
	p := base64.StdEncoding.EncodeToString(long.Public)
	other := func(bits int) string { return publicKey(t, bits) }
	public, ok := signer(t, "rsa").Public().(*rsa.PublicKey)
	if !ok {
		t.Fatal("no rsa key")
	}
	for name, txts := range map[string][]string{
		"revoked": {"v=DKIM1; p="}, "malformed": {"v=DKIM1; p=abc"}, "cut": {"k=ed25519; p=abcd"},
		"two": {keyRecord(long), keyRecord(long)}, "beside": {"v=spf1 -all", "p=" + p},
		"service": {"s=other; p=" + p}, "hash": {"h=sha1; p=" + p},
		"weak": {"p=" + other(512)}, "huge": {"p=" + other(8192)}, "other": {"p=" + other(1024)}, "testing": {"t=y; p=" + other(1024)},
		"pieces": {"v=DKIM1 ; h=sha1:sha256; s=email ; n=b=note; p=" + p[:50] + "  " + p[50:100] + "\t" + p[100:] + " ;"},
		"bare":   {"p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(public))},
		"strict": {"t=s; p=" + p},
	} {
		z[name+"._domainkey.a.test."] = mockdns.Zone{TXT: txts}
	}
	return z
}

// publicKey is one of a size, as in p=: to be refused it needs no private part.
func publicKey(t testing.TB, bits int) string {
	t.Helper()
	n := make([]byte, bits/8)
	_, _ = rand.Read(n) // never fails
	n[0] |= 0x80
	n[len(n)-1] |= 1
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

package mailauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"pgregory.net/rapid"

	"github.com/centerleap/postern/gateway"
)

// message draws a mail of every odd kind that is legal: folded fields, 8-bit text, blank
// and very long lines, white space at ends, no body, no end of the last line.
func message(t *rapid.T) string {
	var b strings.Builder
	fold := rapid.SampledFrom([]string{"", " ", "\r\n ", "\r\n\t", "  \t "})
	word := rapid.SampledFrom([]string{"a", "Ann", "x;y", "b=c", "\xff\xfe", "\u00e9", strings.Repeat("long ", 300), "=3D", ":", "\""})
	for range rapid.IntRange(0, 6).Draw(t, "fields") {
		b.WriteString(rapid.SampledFrom([]string{"To", "subject", "SUBJECT", "Cc ", "X-Odd", "List-Unsubscribe", "Reply-To", "Received"}).Draw(t, "name") + ":")
		for range rapid.IntRange(0, 4).Draw(t, "words") {
			b.WriteString(fold.Draw(t, "fold") + word.Draw(t, "word"))
		}
		b.WriteString("\r\n")
	}
	b.WriteString("from :" + fold.Draw(t, "fold") + "Ann <ann@a.test>\r\n")
	if rapid.Bool().Draw(t, "body") {
		b.WriteString("\r\n")
	}
	piece := rapid.SampledFrom([]string{"\r\n", "\r\n", "\r\n\r\n\r\n", " ", "\t ", "text", "\xff\x00", ".", strings.Repeat("y", 5000), strings.Repeat(" \r\n", 3000), "\r"})
	for range rapid.IntRange(0, 12).Draw(t, "pieces") {
		if !strings.Contains(b.String(), "\r\n\r\n") {
			break
		}
		b.WriteString(piece.Draw(t, "piece"))
	}
	return b.String()
}

// Whatever is signed verifies; with a byte of what counts changed it doesn't.
func TestSignThenVerify(t *testing.T) {
	c := checker(t, dnsOf())
	rapid.Check(t, func(rt *rapid.T) {
		m := message(rt)
		signed := sign(t, "a.test", m)
		res := check(t, c, "", signed)
		if len(res.DKIM) != 2 || res.DKIM[0].Result != Pass || res.DKIM[1].Result != Pass || !res.DMARC.Aligned {
			rt.Fatalf("%q: %+v", signed, res.DKIM)
		}
		for what, changed := range map[string]string{
			"a character more": signed + "x", "another From": "From: eve@b.test\r\n" + signed, "a Subject more": "Subject: x\r\n" + signed,
			"another author": strings.Replace(signed, "ann@a.test>", "anm@a.test>", 1),
		} {
			if !strings.Contains(signed, "\r\n\r\n") && what == "a character more" {
				continue
			}
			for _, s := range check(t, c, "", changed).DKIM {
				if s.Result != Fail {
					rt.Errorf("%s: %+v of %q", what, s, changed)
				}
			}
		}
	})
}

// What stays inside has one cheap signature, if the domain has a key for it.
func TestSignInside(t *testing.T) {
	const mail = "From: ann@a.test\r\n\r\nhello\r\n"
	c := checker(t, dnsOf())
	for name, tt := range map[string]struct {
		keys []gateway.SigningKey
		want string
	}{
		"both":     {keysOf(), "ed25519-sha256"},
		"RSA only": {slices.DeleteFunc(slices.Clone(keysOf()), func(k gateway.SigningKey) bool { return k.Algorithm != "rsa" }), "rsa-sha256"},
	} {
		s, err := NewSigner(SignerConfig{Domain: "a.test", Keys: tt.keys, Limits: gateway.DefaultLimits(), Now: func() time.Time { return noon }})
		if err != nil {
			t.Fatal(err)
		}
		fields, err := s.SignInside(strings.NewReader(mail))
		if err != nil {
			t.Fatal(err)
		}
		if res := check(t, c, "", string(fields)+mail); len(res.DKIM) != 1 || res.DKIM[0].Algorithm != tt.want || res.DKIM[0].Result != Pass {
			t.Errorf("%s: %+v", name, res.DKIM)
		}
	}
}

// A library that others wrote agrees with us, in both directions and all forms.
func TestAgainstGoMsgauth(t *testing.T) {
	keys := map[string]string{}
	for _, k := range keysOf() {
		keys[k.Selector+"._domainkey.a.test"] = keyRecord(k)
	}
	options := &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) { return []string{keys[name]}, nil }}
	c := checker(t, dnsOf())
	rapid.Check(t, func(rt *rapid.T) {
		m := message(rt)
		if !strings.Contains(m, "\r\n\r\n") || strings.Contains(strings.ReplaceAll(m, "\r\n", ""), "\r") {
			return // a header without an end, and lone CRs, are read differently
		}
		theirs, err := dkim.VerifyWithOptions(strings.NewReader(sign(t, "a.test", m)), options)
		if err != nil || len(theirs) != 2 || theirs[0].Err != nil || theirs[1].Err != nil {
			rt.Fatalf("of ours in %q they say %v, %v", m, theirs, err)
		}
		for _, k := range keysOf() {
			var signed bytes.Buffer
			err := dkim.Sign(&signed, strings.NewReader(m), &dkim.SignOptions{
				Domain: "a.test", Selector: k.Selector, Signer: signer(t, k.Algorithm), HeaderKeys: []string{"From", "From", "Subject", "X-Odd"},
				HeaderCanonicalization: dkim.Canonicalization(rapid.SampledFrom([]string{"simple", "relaxed"}).Draw(rt, "header")),
				BodyCanonicalization:   dkim.Canonicalization(rapid.SampledFrom([]string{"simple", "relaxed"}).Draw(rt, "body")),
			})
			if err != nil {
				rt.Fatal(err)
			}
			if res := check(t, c, "", signed.String()); len(res.DKIM) != 1 || res.DKIM[0].Result != Pass {
				rt.Errorf("of theirs in %q we say %+v", signed.String(), res.DKIM)
			}
		}
	})
}

func TestSigner(t *testing.T) {
	lim := gateway.DefaultLimits()
	good := keysOf()
	swapped := []gateway.SigningKey{{Selector: "x", Algorithm: "rsa", Private: good[0].Private}, {Selector: "x", Algorithm: "ed25519", Private: good[1].Private}}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]SignerConfig{
		"no domain":     {Keys: good, Limits: lim},
		"not A-labels":  {Domain: "A.test", Keys: good, Limits: lim},
		"no keys":       {Domain: "a.test", Limits: lim},
		"no limits":     {Domain: "a.test", Keys: good},
		"no key at all": {Domain: "a.test", Keys: []gateway.SigningKey{{Selector: "x", Algorithm: "rsa", Private: "x"}}, Limits: lim},
		"not of ours":   {Domain: "a.test", Keys: []gateway.SigningKey{private("x", "ecdsa", curve)}, Limits: lim},
		"not rsa":       {Domain: "a.test", Keys: swapped[:1], Limits: lim},
		"not ed25519":   {Domain: "a.test", Keys: swapped[1:], Limits: lim},
	} {
		if _, err := NewSigner(cfg); err == nil || strings.Contains(err.Error(), string(good[0].Private)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := NewSigner(SignerConfig{Domain: "a.test", Keys: good, Limits: lim})
	if err != nil {
		t.Fatal(err)
	}
	for m, kind := range map[string]gateway.Kind{
		"To: x\r\n\r\n": gateway.InvalidFrom,
		"From: a@a.test\r\nFrom: b@a.test\r\n\r\n":             gateway.InvalidFrom,
		"From: a@a.test\r\nX: " + strings.Repeat("x", 300<<10): gateway.TooLarge,
	} {
		if _, err := s.Sign(strings.NewReader(m)); gateway.KindOf(err) != kind {
			t.Errorf("%.30q: %v, want %s", m, err, kind)
		}
	}
	fault := errors.New("the disk")
	for _, before := range []string{"From: a", mail1} {
		if _, err := s.Sign(io.MultiReader(strings.NewReader(before), iotest.ErrReader(fault))); !errors.Is(err, fault) {
			t.Errorf("an unreadable message: %v", err)
		}
	}
	fields, err := s.Sign(strings.NewReader("List-Unsubscribe-Post: x\r\nTo: b\r\n" + mail1))
	if err != nil {
		t.Fatal(err)
	}
	text := string(fields)
	for _, want := range []string{"a=rsa-sha256; c=relaxed/relaxed; d=a.test; s=long;", "From:From:", "Subject:Subject:", "To:To:To:", ":List-Unsubscribe-Post", "Reply-To:Subject"} {
		if !strings.Contains(strings.NewReplacer("\r\n\t", "").Replace(text), want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	if strings.Contains(text, "l=") && !strings.Contains(text, "bl=") || strings.Contains(text, "x=") || strings.Index(text, "rsa-sha256") > strings.Index(text, "ed25519-sha256") {
		t.Error(text)
	}
	for line := range strings.Lines(text) {
		if len(line) > 80 || !strings.HasSuffix(line, "\r\n") {
			t.Errorf("a line of %d: %q", len(line), line)
		}
	}
}

package gatewaytest_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/authres"
	"github.com/foxcpp/go-mockdns"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/mailauth"
)

// world is what DNS says in these tests. Mail comes from 127.0.0.1.
func world() map[string]mockdns.Zone {
	z := make(map[string]mockdns.Zone)
	for name, text := range map[string]string{
		"good.test": "v=spf1 ip4:127.0.0.1 -all", "_dmarc.good.test": "v=DMARC1; p=reject",
		"evil.test": "v=spf1 +all", "_dmarc.evil.test": "v=DMARC1; p=none",
		"quarantine.test": "v=spf1 -all", "_dmarc.quarantine.test": "v=DMARC1; p=quarantine",
		"_dmarc.sub.test": "v=DMARC1; p=none; sp=quarantine; np=reject", "there.sub.test": "v=spf1 -all",
		"_dmarc.suffix":      "v=DMARC1; p=reject; psd=y",
		"_dmarc.trying.test": "v=DMARC1; p=reject; t=y", "_dmarc.tryout.test": "v=DMARC1; p=quarantine; t=y",
		"_dmarc.none.test":                "v=DMARC1; p=none",
		"xn--bcher-kva.test":              "v=spf1 ip4:127.0.0.1 -all",
		"_dmarc.xn--bcher-kva.test":       "v=DMARC1; p=reject",
		"s._domainkey.good.test":          keyRecord(),
		"s._domainkey.xn--bcher-kva.test": keyRecord(),
	} {
		z[name+"."] = mockdns.Zone{TXT: []string{text}}
	}
	z["there.sub.test."] = mockdns.Zone{A: []string{"192.0.2.9"}, TXT: z["there.sub.test."].TXT}
	for _, name := range []string{"failing.test", "_dmarc.failing.test"} {
		z[name+"."] = mockdns.Zone{Err: errors.New("fails")}
	}
	return z
}

var signingKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func keyRecord() string {
	return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(signingKey.Public().(ed25519.PublicKey))
}

// signed puts the signature of a domain before a message.
func signed(t testing.TB, domain, message string) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(signingKey)
	if err != nil {
		t.Fatal(err)
	}
	s, err := mailauth.NewSigner(mailauth.SignerConfig{
		Domain: domain, Limits: gateway.DefaultLimits(), Keys: []gateway.SigningKey{{Selector: "s", Algorithm: "ed25519", Private: gateway.Secret(der)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	fields, err := s.Sign(strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	return string(fields) + message
}

// withDNS has the gateway ask a server on loopback.
func withDNS(t testing.TB, zones map[string]mockdns.Zone) gatewaytest.Option {
	t.Helper()
	s, err := mockdns.NewServerWithLogger(zones, log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return gatewaytest.Setting("dns.servers", s.LocalAddr().String())
}

// arrive delivers a message through the MX door, and returns what the door says to it.
// The door takes no addresses in Unicode yet; they go in behind it.
func arrive(t testing.TB, g *gatewaytest.Gateway, mailFrom, message string) string {
	t.Helper()
	if strings.Contains(mailFrom, "\u00fc") {
		env := gateway.Envelope{ReturnPath: mailFrom, Recipients: []string{gatewaytest.Account}, RemoteIP: "127.0.0.1", Helo: "client.test"}
		if err := g.Receiver.Receive(t.Context(), env, strings.NewReader(message)); err != nil {
			t.Fatal(err)
		}
		return "250"
	}
	d := g.Dial(t, "mx")
	d.Script("S: 220 \nC: EHLO client.test\nS~ 250 \nC: MAIL FROM:<" + mailFrom + ">\nS: 250\nC: RCPT TO:<" + gatewaytest.Account + ">\nS: 250\nC: DATA\nS: 354")
	d.Raw(message + ".\r\n")
	line, _ := d.Line()
	return line
}

// stored is the newest mail of a subject: where it is, its detail, and its bytes.
func stored(t testing.TB, g *gatewaytest.Gateway, subject string) (folder string, detail gatewaytest.Answer, raw string) {
	t.Helper()
	for _, folder = range []string{"INBOX", "Junk"} {
		_, list := g.Do("GET", "/emails?limit=1&folder="+folder+"&subject="+subject, g.Keys.Account, nil)
		if id := list.Str("data.0.email_id"); id != "" {
			_, detail = g.Do("GET", "/emails/"+id, g.Keys.Account, nil)
			resp := g.Send("GET", "/emails/"+id+"/raw", g.Keys.Account, nil)
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return folder, detail, string(b)
		}
	}
	t.Fatalf("no mail of the subject %s", subject)
	return "", nil, ""
}

// resultsIn reads the first Authentication-Results field of a mail, as anybody would.
func resultsIn(t testing.TB, raw string) string {
	t.Helper()
	_, field, _ := strings.Cut(raw, "\r\nAuthentication-Results: ")
	for end := 0; end < len(field); end++ {
		if strings.HasPrefix(field[end:], "\r\n") && field[end+2] != '\t' {
			field = field[:end]
			break
		}
	}
	id, all, err := authres.Parse(field)
	if err != nil || id != "localhost" {
		t.Fatalf("the field %q: %q, %v", field, id, err)
	}
	var out []string
	for _, r := range all {
		switch r := r.(type) {
		case *authres.SPFResult:
			out = append(out, "spf="+string(r.Value))
		case *authres.DKIMResult:
			out = append(out, "dkim="+string(r.Value))
		case *authres.DMARCResult:
			out = append(out, "dmarc="+string(r.Value)+" "+r.From)
		}
	}
	return strings.Join(out, " ")
}

// What DMARC says about mail from outside is in the mail, in the detail and in the folder
// it goes to, as the operator has it.
func TestSenders(t *testing.T) {
	tests := []struct {
		name                   string
		mailFrom, from, signer string
		spf, dkim, dmarc       string
		aligned                bool
		policy                 any
		junk, enforce          string // where it goes: a folder, or the code and whose policy
	}{
		{"sent-by-its-owner", "ann@good.test", "ann@good.test", "", "pass", "none", "pass", true, "reject", "INBOX", "INBOX"},
		{"signed-by-its-owner", "list@evil.test", "ann@good.test", "good.test", "pass", "pass", "pass", true, "reject", "INBOX", "INBOX"},
		{"forged-reject", "eve@evil.test", "ann@good.test", "", "pass", "none", "fail", false, "reject", "Junk", "550 good.test"},
		{"forged-quarantine", "eve@evil.test", "ann@quarantine.test", "", "pass", "none", "fail", false, "quarantine", "Junk", "Junk"},
		{"forged-none", "eve@evil.test", "ann@none.test", "", "pass", "none", "fail", false, "none", "INBOX", "INBOX"},
		{"no-record", "eve@evil.test", "ann@nothing.test", "", "pass", "none", "none", false, nil, "INBOX", "INBOX"},
		{"spf-fails", "ann@quarantine.test", "ann@quarantine.test", "", "fail", "none", "fail", false, "quarantine", "Junk", "Junk"},
		{"subdomain-that-is-there", "eve@evil.test", "ann@there.sub.test", "", "pass", "none", "fail", false, "quarantine", "Junk", "Junk"},
		{"subdomain-that-is-not", "eve@evil.test", "ann@made-up.sub.test", "", "pass", "none", "fail", false, "reject", "Junk", "550 made-up.sub.test"},
		{"under-a-public-suffix", "eve@evil.test", "ann@shop.suffix", "", "pass", "none", "fail", false, "reject", "Junk", "550 shop.suffix"},
		{"test-mode-of-reject", "eve@evil.test", "ann@trying.test", "", "pass", "none", "fail", false, "quarantine", "Junk", "Junk"},
		{"test-mode-of-quarantine", "eve@evil.test", "ann@tryout.test", "", "pass", "none", "fail", false, "none", "INBOX", "INBOX"},
		{"dns-that-fails", "ann@failing.test", "ann@failing.test", "", "temperror", "none", "temperror", false, nil, "INBOX", "INBOX"},
		{"written-in-unicode", "ann@b\u00fccher.test", "ann@b\u00fccher.test", "", "pass", "none", "pass", true, "reject", "INBOX", "INBOX"},
		{"forged-in-unicode", "eve@evil.test", "ann@b\u00fccher.test", "", "pass", "none", "fail", false, "reject", "Junk", "550 xn--bcher-kva.test"},
		{"signed-by-a-label", "eve@evil.test", "ann@b\u00fccher.test", "xn--bcher-kva.test", "pass", "pass", "pass", true, "reject", "INBOX", "INBOX"},
		{"two-authors", "eve@evil.test", "eve@evil.test\r\nFrom: ann@good.test", "", "pass", "none", "fail", false, "reject", "Junk", "550 good.test"},
	}
	for _, mode := range []string{"junk", "enforce", "off"} {
		g := gatewaytest.Start(t, withDNS(t, world()), gatewaytest.Setting("inbound.dmarc", mode))
		for _, tt := range tests {
			t.Run(mode+"/"+tt.name, func(t *testing.T) {
				message := fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\n\r\nhello\r\n", tt.from, gatewaytest.Account, tt.name)
				if tt.signer != "" {
					message = signed(t, tt.signer, message)
				}
				answer := arrive(t, g, tt.mailFrom, message)
				want := map[string]string{"junk": tt.junk, "enforce": tt.enforce, "off": "INBOX"}[mode]
				if code, domain, refused := strings.Cut(want, " "); refused {
					if !strings.HasPrefix(answer, code+" 5.7.1 "+domain+" wants ") || !strings.Contains(g.Log.String(), `"refused by inbound.dmarc","domain":"demo.localhost","author":"`+domain+`"`) {
						t.Errorf("the door says %q, or the log doesn't", answer)
					}
					return
				}
				folder, a, raw := stored(t, g, tt.name)
				disposition := map[string]string{"INBOX": "none", "Junk": "quarantine"}[want]
				if !strings.HasPrefix(answer, "250") || folder != want || a.At("authentication.disposition") != disposition || a.At("authentication.policy") != tt.policy {
					t.Errorf("%q, in %s, %v", answer, folder, a["authentication"])
				}
				got := fmt.Sprintf("spf=%s dkim=%s dmarc=%s", a.Str("authentication.spf"), a.Str("authentication.dkim"), a.Str("authentication.dmarc"))
				if want := fmt.Sprintf("spf=%s dkim=%s dmarc=%s", tt.spf, tt.dkim, tt.dmarc); got != want || a.At("authentication.from_aligned") != tt.aligned {
					t.Errorf("%v, want %s", a["authentication"], want)
				}
				if field := resultsIn(t, raw); !strings.HasPrefix(field, got) {
					t.Errorf("the field says %q, the detail %q", field, got)
				}
				if a.At("size") != float64(len(raw)) || !strings.HasSuffix(raw, message) {
					t.Errorf("the size is %v, of %d bytes:\n%s", a.At("size"), len(raw), raw)
				}
			})
		}
	}
}

// Mail whose From deceives never passes for the one it shows, and what is odd about it
// is in the mail and in the detail.
func TestSpoofedFrom(t *testing.T) {
	g := gatewaytest.Start(t, withDNS(t, world()))
	for name, tt := range map[string]struct {
		from, dmarc, folder, reason string
		aligned                     bool
	}{
		"two-fields":         {"eve@evil.test\r\nFrom: ann@good.test", "fail", "Junk", "", false},
		"two-of-ones-own":    {"eve@evil.test\r\nFrom: eve@evil.test", "permerror", "INBOX", "several From fields", false},
		"many-addresses":     {"eve@evil.test, ann@good.test", "fail", "Junk", "", false},
		"many-domains":       {"a@a.test, b@b.test, c@c.test, d@d.test, e@e.test", "permerror", "INBOX", "too many domains in From", false},
		"an-encoded-name":    {"=?utf-8?q?ann=40good.test?= <eve@evil.test>", "pass", "INBOX", "the name in From shows an address of another domain", true},
		"a-quoted-name":      {"\"ann@good.test\" <eve@evil.test>", "pass", "INBOX", "the name in From shows an address of another domain", true},
		"an-unquoted-name":   {"ann@good.test <eve@evil.test>", "fail", "Junk", "", false},
		"marks-of-direction": {"=?utf-8?q?=E2=80=AEtset.doog=40nna?= <eve@evil.test>", "pass", "INBOX", "the name in From has marks of direction", true},
		"malformed":          {"=?utf-8?q?ann@home?= <eve@evil.test>", "pass", "INBOX", "From is malformed", true},
		"blanks-in-it":       {"ann @ good . test", "fail", "Junk", "", false},
		"a-control":          {"ann@good.test\x0c", "fail", "Junk", "", false},
		"many-behind":        {"ann@good.test, a@a.test, b@b.test, c@c.test, d@d.test", "fail", "Junk", "", false},
		"mixed-scripts":      {"ann@g\u043e\u043ed.test", "none", "INBOX", "no DMARC record, the domain in From mixes scripts", false},
		"at-in-local-part":   {"\"ann@good.test\"@evil.test", "pass", "INBOX", "", true},
		"nobody":             {"", "permerror", "INBOX", "", false},
	} {
		if line := arrive(t, g, "eve@evil.test", "From: "+tt.from+"\r\nSubject: "+name+"\r\n\r\nhello\r\n"); !strings.HasPrefix(line, "250") {
			t.Errorf("%s: %s", name, line)
			continue
		}
		folder, a, raw := stored(t, g, name)
		head, _, _ := strings.Cut(raw, "\r\nReceived: ")
		if folder != tt.folder || a.Str("authentication.dmarc") != tt.dmarc || a.At("authentication.from_aligned") != tt.aligned ||
			!strings.Contains(head, "\tdmarc="+tt.dmarc) || !strings.Contains(head, tt.reason) || !strings.Contains(a.Str("authentication.reason"), tt.reason) {
			t.Errorf("%s: in %s, %v\n%s", name, folder, a["authentication"], head)
		}
		if note := a.Str("authentication.reason"); tt.dmarc == "pass" && tt.reason != note {
			t.Errorf("%s: %q", name, note)
		}
	}
}

// Fields that pretend to be ours are not in what is stored, and what signatures cover is
// checked as it arrived; others' fields stay.
func TestForgedResults(t *testing.T) {
	g := gatewaytest.Start(t, withDNS(t, world()))
	const (
		ours   = "Authentication-Results: localhost; dmarc=pass header.from=good.test\r\n"
		hidden = "AUTHENTICATION-RESULTS : (x) \"LOCALHOST\" 1\r\n ; dmarc=pass\r\n"
		other  = "Authentication-Results: mx.else.test; dmarc=pass header.from=good.test\r\n"
	)
	message := signed(t, "good.test", "From: ann@good.test\r\nTo: "+gatewaytest.Account+"\r\nSubject: forged\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: text/x-note\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n"+ours+"\r\n--b--\r\n")
	if line := arrive(t, g, "ann@good.test", ours+other+hidden+message); !strings.HasPrefix(line, "250") {
		t.Fatal(line)
	}
	_, a, raw := stored(t, g, "forged")
	if !strings.HasSuffix(raw, "\r\n"+other+message) || strings.Count(raw, "header.from=good.test") != 3 || strings.Contains(raw, "LOCALHOST") { // ours on top, the other's, and the text's
		t.Errorf("what is stored:\n%s", raw)
	}
	if got := resultsIn(t, raw); got != "spf=pass dkim=pass dmarc=pass good.test" || a.Str("authentication.dkim") != "pass" {
		t.Errorf("%s, %v", got, a["authentication"])
	}
	if a.At("size") != float64(len(raw)) || a.Str("text") != "hello" {
		t.Errorf("size %v of %d, text %q", a.At("size"), len(raw), a.Str("text"))
	}
	file := g.Send("GET", "/emails/"+a.Str("email_id")+"/attachments/"+a.Str("attachments.0.id"), g.Keys.Account, nil)
	defer file.Body.Close()
	if b, err := io.ReadAll(file.Body); err != nil || string(b) != ours {
		t.Errorf("the attachment is %q, %v", b, err)
	}
	d := g.Dial(t, "imaps")
	d.Script("S: \\* OK\nC: a LOGIN " + gatewaytest.Account + " " + g.Keys.Account + "\nS~ a OK\nC: b SELECT INBOX\nS~ b OK")
	line := d.Script("C: c FETCH 1 (RFC822.SIZE BODY[1])\nS: \\* 1 FETCH .*")
	if !strings.Contains(line, fmt.Sprintf("RFC822.SIZE %d ", len(raw))) || !strings.HasSuffix(line, "{5}") || d.Bytes(5) != "hello" {
		t.Errorf("IMAP says %q", line)
	}
}

// Of a large mail with such a field only what is stored takes room.
func TestForgedResultsOfLargeMail(t *testing.T) {
	g := gatewaytest.Start(t)
	rest := "From: ann@good.test\r\nSubject: large\r\n\r\n" + strings.Repeat("A line of a mail, as they are.\r\n", 50_000)
	if line := arrive(t, g, "ann@good.test", "Authentication-Results: localhost; dmarc=pass\r\n"+rest); !strings.HasPrefix(line, "250") {
		t.Fatal(line)
	}
	_, a, raw := stored(t, g, "large")
	if !strings.HasSuffix(raw, "\r\n"+rest) || strings.Contains(raw, "dmarc=pass") || a.At("size") != float64(len(raw)) {
		t.Errorf("size %v, of %d bytes", a.At("size"), len(raw))
	}
	g.Stop()
	var bodies []string
	err := filepath.WalkDir(g.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil && info.Size() >= int64(len(rest)) && info.Size() < int64(len(rest))+1000 {
			bodies = append(bodies, path)
		}
		return nil
	})
	if err != nil || len(bodies) != 1 {
		t.Errorf("%q hold the body, %v", bodies, err)
	}
}

// DNS that never answers costs a mail its results, and no more than its time.
func TestSilentDNS(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	g := gatewaytest.Start(t, gatewaytest.Setting("dns.servers", silent.LocalAddr().String()), gatewaytest.Limit("auth_seconds", "1"), gatewaytest.Setting("inbound.dmarc", "enforce"))
	start := time.Now()
	message := signed(t, "good.test", "From: ann@good.test\r\nSubject: silence\r\n\r\nhello\r\n")
	if line := arrive(t, g, "eve@evil.test", message); !strings.HasPrefix(line, "250") {
		t.Fatal(line)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	folder, a, raw := stored(t, g, "silence")
	if got := resultsIn(t, raw); folder != "INBOX" || got != "spf=temperror dkim=temperror dmarc=temperror good.test" || a.Str("authentication.dmarc") != "temperror" {
		t.Errorf("in %s: %s, %v", folder, got, a["authentication"])
	}
}

// A gateway that asks no DNS waits for nothing, and says why it knows nothing.
func TestNoDNS(t *testing.T) {
	g := gatewaytest.Start(t)
	if line := arrive(t, g, "ann@good.test", "Authentication-Results: localhost; dmarc=pass\r\nFrom: ann@good.test\r\nSubject: alone\r\n\r\nhello\r\n"); !strings.HasPrefix(line, "250") {
		t.Fatal(line)
	}
	folder, a, raw := stored(t, g, "alone")
	if got := resultsIn(t, raw); folder != "INBOX" || got != "spf=none dkim=none dmarc=none " || a.Str("authentication.reason") != "no resolver" || strings.Contains(raw, "dmarc=pass") {
		t.Errorf("in %s: %s, %v\n%s", folder, got, a["authentication"], raw)
	}
}

// A thousand signatures are no work. Among some dozens the author's own is found.
func TestManySignatures(t *testing.T) {
	g := gatewaytest.Start(t, withDNS(t, world()))
	for subject, tt := range map[string]struct {
		fakes               int
		dkim, dmarc, folder string
	}{"dozens": {50, "pass", "pass", "INBOX"}, "thousand": {1000, "fail", "fail", "Junk"}} {
		fakes := strings.Repeat("DKIM-Signature: v=1; a=rsa-sha256; d=evil.test; s=s; h=from; bh=AA==; b=AA==;\r\n", tt.fakes)
		message := fakes + signed(t, "good.test", "From: ann@good.test\r\nSubject: "+subject+"\r\n\r\nhello\r\n")
		start := time.Now()
		if line := arrive(t, g, "eve@evil.test", message); !strings.HasPrefix(line, "250") {
			t.Fatal(line)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: it took %s", subject, took)
		}
		folder, a, raw := stored(t, g, subject)
		if got := resultsIn(t, raw); strings.Count(got, "dkim=") != 5 || !strings.Contains(got, "dmarc="+tt.dmarc) || a.Str("authentication.dkim") != tt.dkim || folder != tt.folder {
			t.Errorf("%s, in %s: %s, %v", subject, folder, got, a["authentication"])
		}
	}
}

// What one tenant's mail claims about itself is not what another tenant reads.
func TestForgedInside(t *testing.T) {
	g := gatewaytest.Start(t)
	d := g.Dial(t, "submissions")
	token := base64.StdEncoding.EncodeToString([]byte("\x00" + "centerleap" + "\x00" + g.Keys.Domain))
	d.Script("S: 220 \nC: EHLO client.test\nS~ 250 \nC: AUTH PLAIN " + token + "\nS: 235\nC: MAIL FROM:<ann@demo.localhost>\nS: 250\nC: RCPT TO:<" + gatewaytest.Account + ">\nS: 250\nC: DATA\nS: 354")
	d.Raw("Authentication-Results: localhost; dmarc=pass header.from=good.test\r\nFrom: ann@demo.localhost\r\nSubject: inside\r\n\r\nhello\r\n.\r\n")
	d.Script("S: 250")
	inbox(t, g, gatewaytest.Account, 1)
	_, a, raw := stored(t, g, "inside")
	if strings.Contains(raw, "good.test") || strings.Count(raw, "Authentication-Results:") != 1 || a.Str("authentication.disposition") != "none" || a.At("authentication.policy") != nil {
		t.Errorf("%v\n%s", a["authentication"], raw)
	}
}

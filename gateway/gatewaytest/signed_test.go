package gatewaytest_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/mailauth"
	"github.com/centerleap/postern/gateway/resolve"
)

// published are the texts that a domain shows to be published, by name.
func published(t *testing.T, g *gatewaytest.Gateway, dns *gatewaytest.DNS) map[string]string {
	t.Helper()
	return publish(t, g, dns, gatewaytest.Domain)
}

func publish(t *testing.T, g *gatewaytest.Gateway, dns *gatewaytest.DNS, domain string) map[string]string {
	t.Helper()
	_, a := g.Do("GET", "/domains/"+domain, g.Keys.Admin, nil)
	all := make(map[string]string)
	for i := range a["records"].([]any) {
		at := fmt.Sprintf("records.%d.", i)
		if a.Str(at+"record") != "DKIM" {
			continue
		}
		all[a.Str(at+"name")] = a.Str(at + "value")
		dns.TXT(a.Str(at+"name"), a.Str(at+"value"))
	}
	return all
}

// raw are the bytes of an email as they are downloaded.
func raw(t *testing.T, g *gatewaytest.Gateway, id, email string) string {
	t.Helper()
	resp := g.Send("GET", "/emails/"+id+"/raw?email="+email, g.Keys.Domain, nil)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("raw: %d %s %v", resp.StatusCode, b, err)
	}
	return string(b)
}

// verified wants both signatures to hold, by the library and by our own checker.
func verified(t *testing.T, c *mailauth.Checker, keys map[string]string, message string) {
	t.Helper()
	found, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		return []string{keys[name]}, nil
	}})
	if err != nil || len(found) != 2 || found[0].Err != nil || found[1].Err != nil || found[0].Domain != gatewaytest.Domain {
		t.Errorf("the library finds %v %v in\n%.3000s", found, err, message)
	}
	res, err := c.Check(t.Context(), mailauth.Input{IP: netip.MustParseAddr("192.0.2.1"), HELO: "x.example", AuthservID: "x.example", Message: strings.NewReader(message)})
	if err != nil || len(res.DKIM) != 2 || !res.DMARC.Aligned {
		t.Fatalf("our checker: %+v %v", res, err)
	}
	for i, want := range []string{"rsa-sha256", "ed25519-sha256"} {
		if s := res.DKIM[i]; s.Result != mailauth.Pass || s.Algorithm != want || s.Domain != gatewaytest.Domain {
			t.Errorf("signature %d: %+v, want %s", i, s, want)
		}
	}
}

func checkerAt(t *testing.T, dns *gatewaytest.DNS) *mailauth.Checker {
	t.Helper()
	lim := gateway.DefaultLimits()
	r, err := resolve.New(resolve.Config{Servers: []string{dns.Addr}, Limits: lim})
	if err != nil {
		t.Fatal(err)
	}
	c, err := mailauth.New(mailauth.Config{Resolver: r, Limits: lim})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What leaves, captured or delivered, from whatever door and in whatever form, carries
// two signatures that hold by the records the domain shows; and the copy of who lives
// here holds as well.
func TestSigned(t *testing.T) {
	g, dns := gatewaytest.Start(t), gatewaytest.ServeDNS(t)
	keys, checker := published(t, g, dns), checkerAt(t, dns)
	long := strings.Repeat("words without an end ", 400)
	mime := "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
	n := 0
	for _, tt := range []struct {
		name    string
		rest    map[string]any
		written string // over SMTP instead
	}{
		{"text", map[string]any{"text": "hi"}, ""},
		{"HTML", map[string]any{"html": "<p>hi</p>"}, ""},
		{"8 bits", map[string]any{"text": "Grüße, 世界", "subject": "Grüße"}, ""},
		{"long lines", map[string]any{"text": long}, ""},
		{"blank lines at the end", map[string]any{"text": "hi\n\n\n\n"}, ""},
		{"an attachment", map[string]any{"text": "hi", "attachments": []map[string]string{{"filename": "a.bin", "content": base64.StdEncoding.EncodeToString(make([]byte, 300_000))}}}, ""},
		{"List-Unsubscribe", map[string]any{"text": "hi", "headers": map[string]string{"List-Unsubscribe": "<https://x.example/u>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}}, ""},
		{"over SMTP", nil, "\r\nhi\r\n"},
		{"over SMTP, 8 bits", nil, mime + "\r\nGr\xc3\xbc\xc3\x9fe\r\n"},
		{"over SMTP, no body", nil, "\r\n"},
		{"over SMTP, a long line", nil, "\r\n" + long[:900] + " \t \r\n\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var sent string
			if tt.rest != nil {
				fields := mail("hello@demo.localhost", "x@foreign.example", tt.name)
				fields["cc"] = gatewaytest.Account
				delete(fields, "html")
				maps.Copy(fields, tt.rest)
				sent = send(t, g, g.Keys.Domain, fields).Str("id")
			} else {
				sent = submit(t, g, "From: hello@demo.localhost\r\nTo: x@foreign.example\r\nSubject: "+tt.name+"\r\n"+tt.written)
			}
			message := raw(t, g, sent, "hello@demo.localhost")
			verified(t, checker, keys, message)
			n++
			got := inbox(t, g, gatewaytest.Account, n)[0].(map[string]any)["email_id"].(string)
			copied := raw(t, g, got, gatewaytest.Account)
			verified(t, checker, keys, copied)
			if !strings.HasSuffix(copied, message) {
				t.Errorf("what was delivered is not what was sent:\n%.2000s\n%.2000s", copied, message)
			}
		})
	}
	sizes(t, g, n)
}

// submit sends a message over SMTP to somebody foreign and to the account, and returns
// its id.
func submit(t *testing.T, g *gatewaytest.Gateway, message string) string {
	t.Helper()
	chat := g.Dial(t, "submissions")
	chat.Script("S: 220 \nC: EHLO client.example\nS~ 250 \nC: AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00centerleap\x00"+g.Keys.Domain)) + "\nS: 235 " +
		"\nC: MAIL FROM:<hello@demo.localhost>\nS: 250 \nC: RCPT TO:<x@foreign.example>\nS: 250 \nC: RCPT TO:<" + gatewaytest.Account + ">\nS: 250 \nC: DATA\nS: 354 ")
	chat.Raw(message + ".\r\n")
	line := chat.Script("S: 250 ")
	return line[strings.LastIndexByte(line, ' ')+1:]
}

// sizes wants what IMAP says of Sent to agree with what it gives.
func sizes(t *testing.T, g *gatewaytest.Gateway, n int) {
	t.Helper()
	imap := g.Dial(t, "imaps")
	imap.Script("S: \\* OK\nC: a LOGIN hello@demo.localhost " + g.Keys.Domain + "\nS~ a OK\nC: b SELECT Sent\nS~ b OK")
	for uid := 1; uid <= n; uid++ {
		imap.Raw(fmt.Sprintf("c UID FETCH %d (RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DKIM-Signature)] BODY.PEEK[TEXT] BODY.PEEK[])\r\n", uid))
		line, _ := imap.Line()
		var size, header int
		_, items, _ := strings.Cut(line, "RFC822.SIZE ")
		if _, err := fmt.Sscanf(items, "%d BODY[HEADER.FIELDS (DKIM-Signature)] {%d}", &size, &header); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if fields := imap.Bytes(header); strings.Count(strings.ToLower(fields), "dkim-signature:") < 2 {
			t.Errorf("UID %d: the header has %q", uid, fields)
		}
		part := func(format string) string {
			line, _ := imap.Line()
			var n int
			if _, err := fmt.Sscanf(strings.TrimSpace(line), format, &n); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			return imap.Bytes(n)
		}
		text := part("BODY[TEXT] {%d}")
		if whole := part("BODY[] {%d}"); len(whole) != size || !strings.HasSuffix(whole, "\r\n\r\n"+text) || !strings.HasPrefix(whole, "DKIM-Signature:") {
			t.Errorf("UID %d: %d bytes, RFC822.SIZE %d, begins %.40q", uid, len(whole), size, whole)
		}
		imap.Script("S~ c OK")
	}
}

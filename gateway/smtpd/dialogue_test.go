package smtpd_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// The MX by the RFCs: each reply code that the tables of RFC 5321 section 4.3.2 and
// the extensions want, in one conversation.
func TestDialogueMX(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("recipients_mx", "2"), gatewaytest.Limit("message_bytes", "100000"), gatewaytest.Limit("session_errors", "100"))
	c := g.Dial(t, "mx")
	c.Script(`
		S: 220 localhost ESMTP
		C: MAIL FROM:<a@elsewhere.example>
		S: 503 5\.5\.1
		C: HELO client.example
		S: 250 localhost$
		C: EHLO client.example
		S: 250-localhost$
		S: 250-PIPELINING$
		S: 250-8BITMIME$
		S: 250-ENHANCEDSTATUSCODES$
		S: 250-CHUNKING$
		S: 250-SMTPUTF8$
		S: 250-STARTTLS$
		S: 250-SIZE 100000$
		S: 250 LIMITS RCPTMAX=2$
		C: NOOP anything
		S: 250 2\.0\.0
		C: STARTTLS now
		S: 501 5\.5\.4
		C: STARTTLS
		S: 220 2\.0\.0
		TLS
		C: STARTTLS
		S: 503 5\.5\.1
		C: MAIL FROM:<a@elsewhere.example>
		S: 503 5\.5\.1
		C: EHLO client.example
		S: 250-localhost$
		S~ 250 LIMITS RCPTMAX=2$
		C: VRFY bot
		S: 252 2\.5\.0
		C: EXPN list
		S: 502 5\.5\.1
		C: HELP
		S: 502 5\.5\.1
		C: RCPT TO:<bot@demo.localhost>
		S: 503 5\.5\.1
		C: DATA
		S: 503 5\.5\.1
		C: FROB
		S: 500 5\.5\.2
		C: MAIL TO:<a@elsewhere.example>
		S: 501 5\.5\.2
		C: MAIL FROM:<a@elsewhere.example> FROB=1
		S: 555 5\.5\.4
		C: MAIL FROM:<a@elsewhere.example> SIZE=x
		S: 501 5\.5\.4
		C: MAIL FROM:<a@elsewhere.example> SIZE=100001
		S: 552 5\.3\.4
		C: MAIL FROM:<a@elsewhere.example> BODY=BINARYMIME
		S: 504 5\.5\.4
		C: MAIL FROM:<a@-.example>
		S: 553 5\.1\.7
		C: MAIL FROM:<a@elsewhere.example> SIZE=100000 BODY=8BITMIME
		S: 250 2\.1\.0
		C: MAIL FROM:<b@elsewhere.example>
		S: 503 5\.5\.1
		C: STARTTLS
		S: 503 5\.5\.1
		C: RCPT TO:<bot@demo.localhost> FROB=1
		S: 555 5\.5\.4
		C: RCPT TO:<nobody@demo.localhost>
		S: 550 5\.1\.1
		C: RCPT TO:<x@elsewhere.example>
		S: 550 5\.7\.1
		C: DATA
		S: 503 5\.5\.1
		C: RCPT TO:<bot@demo.localhost>
		S: 250 2\.1\.5
		C: RCPT TO:<bot+a@demo.localhost>
		S: 250 2\.1\.5
		C: RCPT TO:<bot+b@demo.localhost>
		S: 452 4\.5\.3
		C: DATA now
		S: 501 5\.5\.4
		C: DATA
		S: 354
		C: From: a@elsewhere.example
		C:
		C: ..dots
		C: .
		S: 250 2\.0\.0
		C: DATA
		S: 503 5\.5\.1`)
	// PIPELINING, RFC 2920: a whole group at once; and CHUNKING, RFC 3030.
	c.Raw("MAIL FROM:<>\r\nRCPT TO:<nobody@demo.localhost>\r\nRCPT TO:<bot@demo.localhost>\r\nBDAT 29\r\nFrom: a@elsewhere.example\r\n\r\n" +
		"MAIL FROM:<>\r\nBDAT 4 LAST\r\nhi\r\nNOOP\r\nRSET\r\nEHLO again.example\r\n")
	c.Script(`
		S: 250 2\.1\.0
		S: 550 5\.1\.1
		S: 250 2\.1\.5
		S: 250 2\.0\.0
		S: 503 5\.5\.1
		S: 250 2\.0\.0
		S: 250
		S: 250
		S: 250-Hello$
		S~ 250-SMTPUTF8$
		S: 250-SIZE 100000$
		S: 250 LIMITS RCPTMAX=2$
		C: QUIT
		S: 221 2\.0\.0
		END`)
	if n := inbox(t, g); n != 2 {
		t.Errorf("%d emails, want 2", n)
	}
}

// raw is the newest email of a folder as it is stored.
func raw(t *testing.T, g *gatewaytest.Gateway, folder string) string {
	t.Helper()
	_, a := g.Do("GET", "/emails?folder="+folder, g.Keys.Account, nil)
	resp := g.Send("GET", "/emails/"+a.Str("data.0.email_id")+"/raw", g.Keys.Account, nil)
	defer resp.Body.Close()
	return readAll(t, resp.Body)
}

// Submission: what is added, what is taken out, what is mended.
func TestSubmittedFields(t *testing.T) {
	g := gatewaytest.Start(t)
	c := login(t, g, g.Keys.Account)
	c.Script("C: MAIL FROM:<bot@demo.localhost>\nS: 250\nC: RCPT TO:<bot@demo.localhost>\nS: 250\nC: DATA\nS: 354")
	c.Raw("From: bot@demo.localhost\r\nTo: bot@demo.localhost\r\nBcc: secret@elsewhere.example,\r\n other@elsewhere.example\r\nReturn-Path: <x@y.example>\r\nSubject: x\r\n\r\none\ntwo\r\n.\r\n")
	c.Script("S: 250 2\\.0\\.0 Ok: queued as")
	gatewaytest.Eventually(t, "it arrives", func() bool { return inbox(t, g) == 1 })
	for _, folder := range []string{"INBOX", "Sent"} {
		mail := raw(t, g, folder)
		for _, want := range []string{"\r\nMessage-ID: <", "\r\n\r\none\r\ntwo\r\n"} {
			if !strings.Contains("\r\n"+mail, want) {
				t.Errorf("%s lacks %q:\n%s", folder, want, mail)
			}
		}
		if strings.Count("\r\n"+mail, "\r\nDate: ") != 1 || strings.Contains(mail, "x@y.example") {
			t.Errorf("%s:\n%s", folder, mail)
		}
		if strings.Contains(mail, "elsewhere.example") {
			t.Errorf("%s tells the Bcc:\n%s", folder, mail)
		}
	}
}

// Submission: what a key may not do, and what it may no more.
func TestSubmissionRefusals(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("message_bytes", "10000"))
	if status, a := g.Do("POST", "/domains", g.Keys.Admin, `{"name":"unverified.example"}`); status != 201 {
		t.Fatalf("%d %v", status, a)
	}
	c := login(t, g, g.Keys.Admin)
	c.Script(`
		C: MAIL FROM:<a@unverified.example>
		S: 250
		C: RCPT TO:<bot@demo.localhost>
		S: 250
		C: DATA
		S: 354
		C: From: a@unverified.example
		C:
		C: .
		S: 550 5\.7\.1`)
	_, k := g.Do("POST", "/api-keys", g.Keys.Domain, `{"name":"limited"}`)
	if status, a := g.Do("PATCH", "/api-keys/"+k.Str("id"), g.Keys.Admin, `{"rate_limit":1}`); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	c = login(t, g, k.Str("token"))
	for _, want := range []string{"250 2\\.0\\.0", "451 4\\.7\\.1"} {
		c.Script("C: MAIL FROM:<any@demo.localhost>\nS: 250\nC: RCPT TO:<bot@demo.localhost>\nS: 250\nC: DATA\nS: 354\nC: From: any@demo.localhost\nC:\nC: .\nS: " + want)
	}
	c = login(t, g, g.Keys.Account)
	for from, want := range map[string]string{
		"From: other@demo.localhost":                                    "550 5\\.7\\.1",
		"From: bot@elsewhere.example":                                   "550 5\\.7\\.1",
		"From: bot@demo.localhost, x@demo.localhost":                    "550 5\\.6\\.0",
		"From: bot@demo.localhost\r\nFrom: x@elsewhere.example":         "550 5\\.6\\.0",
		"Subject: no author":                                            "550 5\\.6\\.0",
		"From: bot@demo.localhost\r\nno field":                          "550 5\\.6\\.0",
		"From: bot@demo.localhost\r\nX: " + strings.Repeat("y", 10_000): "552 5\\.3\\.4",
	} {
		c.Script("C: MAIL FROM:<bot@demo.localhost>\nS: 250\nC: RCPT TO:<bot@demo.localhost>\nS: 250\nC: DATA\nS: 354")
		c.Raw(from + "\r\n\r\nx\r\n.\r\n")
		c.Script("S: " + want)
	}
}

// Caps on headers, and a mail in a circle: refused before anything is stored. Parts
// and depth past their caps are kept unread.
func TestMXCaps(t *testing.T) {
	g := gatewaytest.Start(t)
	hop := "Received: from a.example by %s with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
	deep := "From: a@elsewhere.example\r\n"
	for i := range 300 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	parts := "From: a@elsewhere.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 20_000) + "--b--\r\n"
	for name, tt := range map[string]struct{ mail, want string }{
		"a header of 300 KiB":      {strings.Repeat("X: "+strings.Repeat("y", 1020)+"\r\n", 300) + "\r\nx", "552 5\\.3\\.4"},
		"2001 fields":              {strings.Repeat("X: y\r\n", 2001) + "\r\nx", "552 5\\.3\\.4"},
		"a field of 1001 lines":    {"X: y\r\n" + strings.Repeat(" z\r\n", 1001) + "\r\nx", "552 5\\.3\\.4"},
		"six times here":           {strings.Repeat(fmt.Sprintf(hop, "localhost"), 6) + "\r\nx", "554 5\\.4\\.6"},
		"51 hops":                  {strings.Repeat(fmt.Sprintf(hop, "b.example"), 51) + "\r\nx", "554 5\\.4\\.6"},
		"five times here, 50 hops": {strings.Repeat(fmt.Sprintf(hop, "localhost"), 5) + strings.Repeat(fmt.Sprintf(hop, "b.example"), 45) + "\r\nx", "250"},
		"300 levels":               {deep + "\r\nx", "250"},
		"20,000 parts":             {parts, "250"},
	} {
		c := hello(t, g, "mx")
		c.Script(envelope + "C: DATA\nS: 354")
		c.Raw(tt.mail + "\r\n.\r\n")
		if got := c.Script("S: "); !strings.HasPrefix(got, strings.ReplaceAll(tt.want, `\`, "")) {
			t.Errorf("%s: %q, want %s", name, got, tt.want)
		}
	}
	if n := inbox(t, g); n != 3 {
		t.Errorf("%d emails, want 3", n)
	}
}

const proxyHeader = "PROXY TCP4 192.0.2.7 192.0.2.8 4711 25\r\n"

// throughProxy connects as a proxy does for a client at 192.0.2.7.
func throughProxy(t *testing.T, g *gatewaytest.Gateway, door string) *gatewaytest.Chat {
	t.Helper()
	c := gatewaytest.NewChat(t, g.Addr(door), g.TLS())
	t.Cleanup(func() { c.Conn.Close() })
	c.Raw(proxyHeader)
	if strings.HasSuffix(door, "s") {
		c.Secure()
	}
	return c
}

// Behind a proxy the client's address is in Received and in the log, and its network
// has the limits.
func TestMXBehindProxy(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Setting("mx.proxy_from", "127.0.0.1"), gatewaytest.Limit("network_connections", "2"))
	c := throughProxy(t, g, "mx")
	c.Script("S: 220\nC: EHLO client.example\nS~ 250 \nC: STARTTLS\nS: 220\nTLS\nC: EHLO client.example\nS~ 250 \n" + envelope + "C: DATA\nS: 354\nC: From: a@elsewhere.example\nC:\nC: .\nS: 250")
	if mail := raw(t, g, "INBOX"); !strings.Contains(mail, "from client.example ([192.0.2.7]) by localhost\r\n\twith ESMTPS id") {
		t.Errorf("Received does not name the client:\n%.600s", mail)
	}
	throughProxy(t, g, "mx").Script("S: 220")
	throughProxy(t, g, "mx").Script("S: 421 4\\.7\\.0\nEND")
	direct := gatewaytest.NewChat(t, g.Addr("mx"), nil)
	t.Cleanup(func() { direct.Conn.Close() })
	direct.Raw("EHLO client.example\r\n")
	direct.Script("END")
}

// Failed logins count together at all doors: what is left at one is left at all.
func TestLoginLimitAtAllDoors(t *testing.T) {
	settings := []gatewaytest.Option{gatewaytest.Limit("failed_logins_minute", "6")}
	for _, door := range []string{"rest", "submissions", "imaps"} {
		settings = append(settings, gatewaytest.Setting(door+".proxy_from", "127.0.0.1"))
	}
	g := gatewaytest.Start(t, settings...)
	rest := func(key string) int {
		t.Helper()
		conn, err := net.Dial("tcp", g.Addr("rest"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%sGET /emails HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", proxyHeader, key)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	const wrong = "bm_live_0000000000000000000000000000000000000000"
	smtp, imap := throughProxy(t, g, "submissions"), throughProxy(t, g, "imaps")
	smtp.Script("S: 220\nC: EHLO a\nS~ 250 ")
	imap.Script("S: \\* OK")
	for i := range 2 {
		smtp.Script("C: AUTH PLAIN " + plain("centerleap", wrong) + "\nS: 535 5\\.7\\.8")
		imap.Script(fmt.Sprintf("C: a%d LOGIN bot@demo.localhost %s\nS: a%d NO \\[AUTHENTICATIONFAILED\\]", i, wrong, i))
		if got := rest(wrong); got != 401 {
			t.Errorf("REST: %d", got)
		}
	}
	// Six are six: nobody from there logs in now, not even with a good key.
	if got := rest(g.Keys.Account); got != 429 {
		t.Errorf("REST: %d, want 429", got)
	}
	smtp.Script("C: AUTH PLAIN " + plain("centerleap", g.Keys.Account) + "\nS: 421 4\\.7\\.0\nEND")
	imap.Script("C: b LOGIN bot@demo.localhost " + g.Keys.Account + "\nS: b NO \\[LIMIT\\]|\\* BYE")
}

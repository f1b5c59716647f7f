package smtpd_test

import (
	"encoding/base64"
	"fmt"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// plain is the argument of AUTH PLAIN.
func plain(user, key string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + key))
}

// hello takes a chat through greeting and, on submission, TLS.
func hello(t *testing.T, g *gatewaytest.Gateway, door string) *gatewaytest.Chat {
	t.Helper()
	c := g.Dial(t, door)
	c.Script("S: 220 \nC: EHLO client.example\nS~ 250 ")
	if door == "submission" {
		c.Script("C: STARTTLS\nS: 220 \nTLS\nC: EHLO client.example\nS~ 250 ")
	}
	return c
}

func login(t *testing.T, g *gatewaytest.Gateway, key string) *gatewaytest.Chat {
	t.Helper()
	c := hello(t, g, "submission")
	c.Script("C: AUTH PLAIN " + plain("centerleap", key) + "\nS: 235 ")
	return c
}

// count is how many emails a folder of an account holds.
func count(t *testing.T, g *gatewaytest.Gateway, email, folder string) int {
	t.Helper()
	status, a := g.Do("GET", "/emails?folder="+folder+"&email="+email, g.Keys.Domain, nil)
	if status == 404 {
		return 0
	}
	n, ok := a.At("total").(float64)
	if status != 200 || !ok {
		t.Fatalf("list %s of %s: %d %v", folder, email, status, a)
	}
	return int(n)
}

func inbox(t *testing.T, g *gatewaytest.Gateway) int {
	return count(t, g, gatewaytest.Account, "INBOX")
}

const mail = "From: Ann <ann@elsewhere.example>\r\nTo: bot@demo.localhost\r\nSubject: hello\r\n\r\nhi\r\n"

func TestMX(t *testing.T) {
	g := gatewaytest.Start(t)
	c := hello(t, g, "mx")
	c.Script(`
		C: MAIL FROM:<ann@elsewhere.example> SIZE=200
		S: 250
		C: RCPT TO:<nobody@demo.localhost>
		S: 550 5\.1\.1
		C: RCPT TO:<ann@elsewhere.example>
		S: 550 5\.7\.1 relaying denied
		C: RCPT TO:<bot+news@Demo.localhost>
		S: 250
		C: DATA
		S: 354`)
	c.Raw(strings.Replace(mail, "\r\n\r\nhi", "\r\n\r\n..hi", 1) + ".\r\n")
	c.Script("S: 250 2\\.0\\.0 Ok\nC: QUIT\nS: 221\nEND")
	if n := inbox(t, g); n != 1 {
		t.Fatalf("%d emails in the inbox at the 250, want 1", n)
	}
	_, a := g.Do("GET", "/emails?email="+gatewaytest.Account, g.Keys.Domain, nil)
	resp := g.Send("GET", "/emails/"+a.Str("data.0.email_id")+"/raw", g.Keys.Domain, nil)
	defer resp.Body.Close()
	var raw strings.Builder
	if _, err := fmt.Fprint(&raw, readAll(t, resp.Body)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Return-Path: <ann@elsewhere.example>\r\n", "from client.example ([127.0.0.1])", "with ESMTP", "spf=none", "\r\n\r\n.hi\r\n"} {
		if !strings.Contains(raw.String(), want) {
			t.Errorf("the stored mail lacks %q:\n%s", want, raw.String())
		}
	}
}

// One transaction, one domain; a null sender; TLS on the MX.
func TestMXDomains(t *testing.T) {
	g := gatewaytest.Start(t)
	if status, a := g.Do("POST", "/domains", g.Keys.Admin, `{"name":"other.localhost","verified":true}`); status != 201 {
		t.Fatalf("%d %v", status, a)
	}
	if status, a := g.Do("POST", "/accounts", g.Keys.Admin, `{"email":"x@other.localhost"}`); status != 201 {
		t.Fatalf("%d %v", status, a)
	}
	c := g.Dial(t, "mx")
	c.Script(`
		S: 220
		C: EHLO client.example
		S~ 250-STARTTLS
		S~ 250 LIMITS
		C: STARTTLS
		S: 220
		TLS
		C: EHLO client.example
		S~ 250 LIMITS
		C: AUTH PLAIN eHg=
		S: 504
		C: MAIL FROM:<>
		S: 250
		C: RCPT TO:<bot@demo.localhost>
		S: 250
		C: RCPT TO:<x@other.localhost>
		S: 452 4\.5\.3
		C: RSET
		S: 250
		C: MAIL FROM:<>
		S: 250
		C: RCPT TO:<x@other.localhost>
		S: 250
		C: DATA
		S: 354
		C: From: a@b.example
		C:
		C: x
		C: .
		S: 250
		C: QUIT
		S: 221`)
	if status, a := g.Do("GET", "/emails?email=x@other.localhost", g.Keys.Admin, nil); status != 200 || a.At("total") != 1.0 {
		t.Errorf("the other domain's mail: %d %v", status, a)
	}
	if n := inbox(t, g); n != 0 {
		t.Errorf("%d emails for the first domain, want none", n)
	}
}

// Every way to have the MX carry mail for others ends in a refusal.
func TestNoRelay(t *testing.T) {
	g := gatewaytest.Start(t)
	c := hello(t, g, "mx")
	for _, from := range []string{"<>", "<bot@demo.localhost>", "<a@elsewhere.example>"} {
		c.Script("C: MAIL FROM:" + from + "\nS: 250")
		for _, to := range []string{
			"<x@elsewhere.example>", "<x%elsewhere.example@demo.localhost>", "<@demo.localhost:x@elsewhere.example>",
			`<"x@elsewhere.example"@demo.localhost>`, "<x!y@elsewhere.example>", "<x@[127.0.0.1]>", "<elsewhere.example!x@demo.localhost>",
		} {
			c.Script("C: RCPT TO:" + to + "\nS: 5")
		}
		c.Script("C: DATA\nS: 5\nC: RSET\nS: 250")
		c = hello(t, g, "mx") // a session allows so many errors only
	}
}

func TestSubmission(t *testing.T) {
	g := gatewaytest.Start(t)
	c := g.Dial(t, "submission")
	c.Script(`
		S: 220 localhost ESMTP
		C: EHLO client.example
		S~ 250-STARTTLS
		S~ 250 LIMITS
		C: AUTH PLAIN ` + plain("centerleap", g.Keys.Account) + `
		S: 538 5\.7\.11
		C: MAIL FROM:<bot@demo.localhost>
		S: 530 5\.7\.0
		C: STARTTLS
		S: 220
		TLS
		C: EHLO client.example
		S~ 250-AUTH PLAIN LOGIN
		S~ 250 LIMITS
		C: MAIL FROM:<bot@demo.localhost>
		S: 530 5\.7\.0
		C: AUTH PLAIN ` + plain("centerleap", g.Keys.Account) + `
		S: 235
		C: MAIL FROM:<other@demo.localhost>
		S: 550 5\.7\.1
		C: MAIL FROM:<a@elsewhere.example>
		S: 550 5\.7\.1
		C: MAIL FROM:<bot@demo.localhost>
		S: 250
		C: RCPT TO:<nobody@demo.localhost>
		S: 550 5\.1\.1
		C: RCPT TO:<friend@elsewhere.example>
		S: 250
		C: RCPT TO:<bot@demo.localhost>
		S: 250
		C: DATA
		S: 354
		C: From: Bot <bot@demo.localhost>
		C: To: friend@elsewhere.example
		C: Bcc: bot@demo.localhost
		C: Subject: from SMTP
		C:
		C: text
		C: .
		S: 250 2\.0\.0 Ok: queued as
		C: MAIL FROM:<bot@demo.localhost>
		S: 250
		C: RCPT TO:<bot@demo.localhost>
		S: 250
		C: DATA
		S: 354
		C: From: other@demo.localhost
		C:
		C: a stranger's name
		C: .
		S: 550 5\.7\.1
		C: QUIT
		S: 221
		END`)
	gatewaytest.Eventually(t, "the copy for ourselves", func() bool { return inbox(t, g) == 1 })
	if n := count(t, g, gatewaytest.Account, "Sent"); n != 1 {
		t.Errorf("%d emails in Sent, want 1", n)
	}
	_, a := g.Do("GET", "/emails?folder=Sent", g.Keys.Account, nil)
	_, a = g.Do("GET", "/emails/"+a.Str("data.0.email_id"), g.Keys.Account, nil)
	if a.Str("subject") != "from SMTP" || a.Str("text") != "text\r\n" && a.Str("text") != "text\n" {
		t.Errorf("the sent email: %v", a)
	}
	_, logs := g.Do("GET", "/logs?protocol=smtp", g.Keys.Domain, nil)
	if logs.Str("data.0.protocol") != "smtp" {
		t.Errorf("the log has no row of the submission: %v", logs)
	}
}

func TestSubmissionLogins(t *testing.T) {
	g := gatewaytest.Start(t)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	// LOGIN, both ways; the account's address as username; implicit TLS.
	for _, script := range []string{
		"C: AUTH LOGIN\nS: 334 " + b64("Username:") + "\nC: " + b64("centerleap") + "\nS: 334 " + b64("Password:") + "\nC: " + b64(g.Keys.SendOnly) + "\nS: 235",
		"C: AUTH LOGIN " + b64("centerleap") + "\nS: 334 \nC: " + b64(g.Keys.Domain) + "\nS: 235",
		"C: AUTH PLAIN\nS: 334\nC: " + plain(gatewaytest.Account, g.Keys.Account) + "\nS: 235",
		"C: AUTH PLAIN " + plain(gatewaytest.Account, g.Keys.Domain) + "\nS: 235",
	} {
		hello(t, g, "submissions").Script(script)
	}
	// Every refusal sounds the same.
	for _, name := range []string{"someone", "", "x@demo.localhost", "bot@elsewhere.example"} {
		hello(t, g, "submission").Script("C: AUTH PLAIN " + plain(name, g.Keys.Account) + "\nS: 535 5\\.7\\.8 Authentication failed$")
	}
	for _, key := range []string{"bm_live_0000000000000000000000000000000000000000", "x", g.Keys.Domain[:40]} {
		hello(t, g, "submission").Script("C: AUTH PLAIN " + plain("centerleap", key) + "\nS: 535 5\\.7\\.8 Authentication failed$")
	}
	// Too many end the session.
	bad := "C: AUTH PLAIN " + plain("centerleap", "x") + "\n"
	hello(t, g, "submission").Script(bad + "S: 535\n" + bad + "S: 535\n" + bad + "S: 421\nEND")
}

// A revoked key ends its session at once, wherever it stands; nothing of what
// was under way is stored.
func TestRevokedSession(t *testing.T) {
	g := gatewaytest.Start(t)
	_, k := g.Do("POST", "/api-keys", g.Keys.Domain, `{"name":"short-lived"}`)
	idle, blocked := login(t, g, k.Str("token")), login(t, g, k.Str("token"))
	blocked.Script("C: MAIL FROM:<bot@demo.localhost>\nS: 250\nC: RCPT TO:<bot@demo.localhost>\nS: 250\nC: DATA\nS: 354")
	blocked.Raw("From: bot@demo.localhost\r\n\r\nhalf a message")
	began := time.Now()
	if status, a := g.Do("DELETE", "/api-keys/"+k.Str("id"), g.Keys.Domain, nil); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	idle.Script("S: 421 4\\.7\\.0\nEND")
	blocked.Script("S: 421 4\\.7\\.0\nEND")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the sessions ended after %v", took)
	}
	if n := count(t, g, gatewaytest.Account, "Sent"); n != 0 {
		t.Errorf("%d emails were stored", n)
	}
	hello(t, g, "submission").Script("C: AUTH PLAIN " + plain("centerleap", k.Str("token")) + "\nS: 535")
}

// A stop tells idle clients, and lets a message that is under way arrive.
func TestStop(t *testing.T) {
	g := gatewaytest.Start(t)
	idle, fresh, busy := hello(t, g, "mx"), g.Dial(t, "submission"), hello(t, g, "mx")
	fresh.Script("S: 220")
	idle.Script("C: MAIL FROM:<>\nS: 250")
	busy.Script("C: MAIL FROM:<>\nS: 250\nC: RCPT TO:<bot@demo.localhost>\nS: 250\nC: DATA\nS: 354")
	stopped := make(chan struct{})
	go func() { defer close(stopped); g.Restart() }()
	idle.Script("S: 421 4\\.3\\.2\nEND")
	fresh.Script("S: 421 4\\.3\\.2\nEND")
	busy.Raw(mail + ".\r\n")
	busy.Script("S: 250\nS: 421 4\\.3\\.2\nEND")
	<-stopped
	if n := inbox(t, g); n != 1 {
		t.Errorf("%d emails after the restart, want 1", n)
	}
}

// The standard library's client, as Go programs use it.
func TestGoClient(t *testing.T) {
	g := gatewaytest.Start(t)
	addr := strings.Replace(g.Addr("submission"), "127.0.0.1", "localhost", 1)
	c, err := smtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.StartTLS(g.TLS()); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(smtp.PlainAuth("", "centerleap", g.Keys.Domain, "localhost")); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		from := fmt.Sprintf("hello%d@demo.localhost", i)
		if err := c.Mail(from); err != nil {
			t.Fatal(err)
		}
		if err := c.Rcpt(gatewaytest.Account); err != nil {
			t.Fatal(err)
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(w, "From: %s\nTo: %s\nSubject: %d\n\nhi\n", from, gatewaytest.Account, i)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Quit(); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "three emails arrive", func() bool { return inbox(t, g) == 3 })
}

package smtpd_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const envelope = "C: MAIL FROM:<a@elsewhere.example>\nS: 250\nC: RCPT TO:<bot@demo.localhost>\nS: 250\n"

// The faults of go-smtp v0.25.1 that our front fences in; the numbers are those
// of cmd/postern/testdata/faults.txt.

// S1: a chunk that ends early with a clean close is no message.
func TestS1TruncatedChunk(t *testing.T) {
	g := gatewaytest.Start(t)
	for _, secure := range []bool{false, true} {
		c := hello(t, g, "mx")
		if secure {
			c.Script("C: STARTTLS\nS: 220\nTLS\nC: EHLO c.example\nS~ 250 ")
		}
		c.Script(envelope + "C: BDAT 1000 LAST")
		c.Raw(mail)
		c.Conn.Close() // with TLS this sends close_notify
	}
	c := hello(t, g, "mx") // a whole one arrives
	c.Script(envelope + "C: BDAT 5")
	c.Raw(mail[:5])
	c.Script("S: 250")
	c.Raw(fmt.Sprintf("BDAT %d LAST\r\n%s", len(mail)-5, mail[5:]))
	c.Script("S: 250 2\\.0\\.0 Ok\nC: QUIT\nS: 221")
	if n := inbox(t, g); n != 1 {
		t.Errorf("%d emails, want the whole one alone", n)
	}
}

// S2, S3: what two parsers could read differently is refused, and what stands
// behind it is not read as commands.
func TestS2S3LineEnds(t *testing.T) {
	g := gatewaytest.Start(t)
	attack := "MAIL FROM:<evil@elsewhere.example>\r\nRCPT TO:<bot@demo.localhost>\r\nDATA\r\nFrom: evil@elsewhere.example\r\n\r\nsmuggled\r\n.\r\n"
	for _, end := range []string{"\r\r\n.\r\n", "\n.\n", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "a\rb\r\n.\r\n", "a\nb\r\n.\r\n"} {
		c := hello(t, g, "mx")
		c.Script(envelope + "C: DATA\nS: 354")
		c.Raw("From: a@elsewhere.example\r\n\r\nbody" + end + attack)
		c.Script("S: 550 5\\.6\\.0\nEND")
	}
	for _, chunk := range []string{"a\rb", "a\nb", "a\x00b"} {
		c := hello(t, g, "mx")
		body := "From: a@elsewhere.example\r\n\r\n" + chunk + "\r\n"
		c.Script(envelope)
		c.Raw(fmt.Sprintf("BDAT %d LAST\r\n%s%s", len(body), body, attack))
		c.Script("S: 550 5\\.6\\.0\nEND")
	}
	c := hello(t, g, "mx") // a chunk may be cut within a line end
	c.Script(envelope + "C: BDAT 28")
	c.Raw("From: a@elsewhere.example\r\n\r")
	c.Script("S: 250")
	c.Raw("BDAT 5 LAST\r\n\nhi\r\n")
	c.Script("S: 250 2\\.0\\.0 Ok")
	if n := inbox(t, g); n != 1 {
		t.Errorf("%d emails, want 1", n)
	}
	c = hello(t, g, "mx")
	c.Raw("NOOP\nMAIL FROM:<>\n")
	c.Script("S: 500 5\\.5\\.2\nEND")
}

// S3 on submission: a lone LF is mended, what else could smuggle is refused.
func TestS3Submission(t *testing.T) {
	g := gatewaytest.Start(t)
	start := "C: MAIL FROM:<bot@demo.localhost>\nS: 250\nC: RCPT TO:<bot@demo.localhost>\nS: 250\nC: DATA\nS: 354"
	for _, end := range []string{"\r\r\n.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r", "\x00\r\n.\r\n"} {
		c := login(t, g, g.Keys.Account)
		c.Script(start)
		c.Raw("From: bot@demo.localhost\r\n\r\nbody" + end + "QUIT\r\n")
		c.Script("S: 550 5\\.6\\.0\nEND")
	}
	c := login(t, g, g.Keys.Account)
	c.Script(start)
	c.Raw("From: bot@demo.localhost\nSubject: mended\n\none\n.\ntwo\n.\r\nthree\r\n.\r\n")
	c.Script("S: 250\nC: QUIT\nS: 221")
	gatewaytest.Eventually(t, "the mended mail arrives", func() bool { return inbox(t, g) == 1 })
	_, a := g.Do("GET", "/emails", g.Keys.Account, nil)
	_, a = g.Do("GET", "/emails/"+a.Str("data.0.email_id"), g.Keys.Account, nil)
	if got := strings.ReplaceAll(a.Str("text"), "\r\n", "\n"); got != "one\n.\ntwo\n.\nthree\n" {
		t.Errorf("the mended text is %q", got)
	}
}

// S4: a second MAIL inside a transaction takes over nothing of the first.
func TestS4SecondMail(t *testing.T) {
	g := gatewaytest.Start(t)
	hello(t, g, "mx").Script(envelope + "C: MAIL FROM:<b@elsewhere.example>\nS: 503 5\\.5\\.1\nC: RSET\nS: 250\nC: DATA\nS: 503")
}

// S5: addresses that are none, and quoted ones that hold what would break out.
func TestS5Addresses(t *testing.T) {
	g := gatewaytest.Start(t)
	for _, a := range []string{
		`<"x\` + "\x01" + `y"@e.example>`, "<" + strings.Repeat("x", 65) + "@e.example>", "<x@" + strings.Repeat("y", 300) + ">",
		"<x@-bad-.example>", "<x@e..example>", "<\"\xff\"@e.example>",
	} {
		c := hello(t, g, "mx")
		c.Script("C: MAIL FROM:" + a + "\nS: 5")
	}
	c := hello(t, g, "mx")
	c.Script(`C: MAIL FROM:<"x> NOTIFY=NEVER <y"@e.example>` + "\nS: 250\nC: RCPT TO:<bot@demo.localhost>\nS: 250\nC: DATA\nS: 354\nC: From: a@e.example\nC:\nC: .\nS: 250")
	_, a := g.Do("GET", "/emails", g.Keys.Account, nil)
	resp := g.Send("GET", "/emails/"+a.Str("data.0.email_id")+"/raw", g.Keys.Account, nil)
	defer resp.Body.Close()
	if raw := readAll(t, resp.Body); !strings.HasPrefix(raw, "Return-Path: <\"x> NOTIFY=NEVER <y\"@e.example>\r\n") {
		t.Errorf("the sender was not quoted again: %.120q", raw)
	}
}

// S6: the name in EHLO is one, or it is refused; and a bare CR ends the session.
func TestS6Hello(t *testing.T) {
	g := gatewaytest.Start(t)
	c := g.Dial(t, "mx")
	c.Script("S: 220\nC: EHLO\nS: 501\nC: EHLO x;y\nS: 501\nC: EHLO [IPv6:::1]\nS~ 250 \nC: HELO a\nS: 250 localhost$\nC: EHLO \xff\nS: 501")
	c.Raw("EHLO a\rb\r\n")
	c.Script("S: 500\nEND")
}

// S8, S9: what follows STARTTLS in the clear is not run, and a failed handshake
// is the end.
func TestS8S9StartTLS(t *testing.T) {
	g := gatewaytest.Start(t)
	for _, door := range []string{"mx", "submission"} {
		c := g.Dial(t, door)
		c.Script("S: 220\nC: EHLO a\nS~ 250 ")
		c.Raw("STARTTLS\r\nMAIL FROM:<>\r\n")
		c.Script("S: 501\nEND")
		c = g.Dial(t, door)
		c.Script("S: 220\nC: EHLO a\nS~ 250 \nC: STARTTLS\nS: 220")
		c.Raw("EHLO in the clear\r\nMAIL FROM:<>\r\n")
		for {
			line, ok := c.Line()
			if !ok {
				break
			}
			if strings.HasPrefix(line, "250") {
				t.Errorf("%s answers in the clear after a failed handshake: %q", door, line)
			}
		}
	}
}

// S10: refusals are counted, and a session of many ends.
func TestS10Errors(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("session_errors", "5"))
	c := hello(t, g, "mx")
	c.Script("C: MAIL FROM:<>\nS: 250")
	for i := range 4 {
		c.Script(fmt.Sprintf("C: RCPT TO:<guess%d@demo.localhost>\nS: 550 5\\.1\\.1", i))
	}
	c.Script("C: RCPT TO:<guess@demo.localhost>\nS: 421\nEND")
	c = g.Dial(t, "submission")
	c.Script("S: 220\n" + strings.Repeat("C: NONSENSE\nS: 530\n", 4) + "C: NONSENSE\nS: 530\nS: 421\nEND")
}

// S11: a message of exactly the limit passes, one byte more does not; and the
// session goes on behind it.
func TestS11Size(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("message_bytes", "10000"))
	body := func(n int) string {
		head := "From: a@elsewhere.example\r\n\r\n"
		s := head + strings.Repeat("0123456789012345678901234567890123456789\r\n", (n-len(head))/42-1)
		return s + strings.Repeat("x", n-len(s)-2) + "\r\n"
	}
	c := hello(t, g, "mx")
	c.Script("C: MAIL FROM:<> SIZE=10001\nS: 552 5\\.3\\.4\nC: MAIL FROM:<> SIZE=10000\nS: 250\nC: RSET\nS: 250")
	for _, chunked := range []bool{false, true} {
		for n, want := range map[int]string{9000: "250", 10000: "250", 10001: "552", 200_000: "552"} {
			c.Script(envelope)
			if chunked {
				c.Raw(fmt.Sprintf("BDAT %d LAST\r\n%s", n, body(n)))
			} else {
				c.Script("C: DATA\nS: 354")
				c.Raw(body(n) + ".\r\n")
			}
			c.Script("S: " + want)
			c.Script("C: RSET\nS: 250")
		}
	}
	if n := inbox(t, g); n != 4 {
		t.Errorf("%d emails, want the four that fit", n)
	}
}

// S12: a long line passes, up to a limit that ends the session.
func TestS12LongLines(t *testing.T) {
	g := gatewaytest.Start(t)
	c := hello(t, g, "mx")
	c.Script(envelope + "C: DATA\nS: 354")
	c.Raw("From: a@elsewhere.example\r\n\r\n" + strings.Repeat("x", 60_000) + "\r\n.\r\n")
	c.Script("S: 250\n" + envelope + "C: DATA\nS: 354")
	c.Raw("From: a@elsewhere.example\r\n\r\n" + strings.Repeat("x", 70_000) + "\r\n.\r\n")
	c.Script("S: 550 5\\.6\\.0\nS: 500\nEND")
	if n := inbox(t, g); n != 1 {
		t.Errorf("%d emails, want 1", n)
	}
	c = g.Dial(t, "mx") // and a command is short
	c.Script("S: 220")
	c.Raw("EHLO " + strings.Repeat("x", 5000) + "\r\n")
	c.Script("S: 500\nEND")
}

// S14, S15: success names the message; what is not offered is refused.
func TestS14S15Offers(t *testing.T) {
	g := gatewaytest.Start(t)
	c := login(t, g, g.Keys.Account)
	c.Script("C: MAIL FROM:<bot@demo.localhost> BODY=BINARYMIME\nS: 504\nC: MAIL FROM:<bot@demo.localhost> BODY=8BITMIME RET=HDRS\nS: 504\nC: MAIL FROM:<bot@demo.localhost> BODY=8BITMIME\nS: 250")
	c.Script("C: RCPT TO:<bot@demo.localhost>\nS: 250\nC: DATA\nS: 354\nC: From: bot@demo.localhost\nC:\nC: .")
	id := c.Script("S: 250 2\\.0\\.0 Ok: queued as ")
	id = id[strings.LastIndexByte(id, ' ')+1:]
	if status, a := g.Do("GET", "/emails/"+id, g.Keys.Account, nil); status != 200 {
		t.Errorf("the id of the reply, %s: %d %v", id, status, a)
	}
}

// S17: the chunk of a refused BDAT is not read as commands.
func TestS17RefusedChunk(t *testing.T) {
	g := gatewaytest.Start(t)
	c := hello(t, g, "mx")
	attack := "MAIL FROM:<evil@elsewhere.example>\r\n"
	c.Script("C: MAIL FROM:<>\nS: 250")
	c.Raw(fmt.Sprintf("BDAT %d LAST\r\n%s", len(attack), attack))
	c.Script("S: 503\nC: NOOP\nS: 250")
}

// A client that stops within a message is let go, and nothing is stored; one
// that leaves is nobody's loss.
func TestGoneClient(t *testing.T) {
	g := gatewaytest.Start(t)
	for range 20 {
		c := hello(t, g, "mx")
		c.Script(envelope + "C: DATA\nS: 354")
		c.Raw(mail)
		c.Conn.Close()
	}
	time.Sleep(100 * time.Millisecond) //nolint:forbidigo // nothing is to happen
	if n := inbox(t, g); n != 0 {
		t.Errorf("%d emails of clients that never ended one", n)
	}
}

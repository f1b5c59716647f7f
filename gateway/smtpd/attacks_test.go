package smtpd

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every class of attacks on SMTP that the design lists is tried by a test with a
// name; testdata/attacks.txt says which.
func TestAttackTable(t *testing.T) {
	table, err := os.ReadFile("testdata/attacks.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for row := range strings.Lines(string(table)) {
		class, tests, ok := strings.Cut(strings.TrimSpace(row), " | ")
		if strings.HasPrefix(row, "#") {
			continue
		}
		rows++
		for test := range strings.FieldsSeq(tests) {
			file, name, _ := strings.Cut(test, ":")
			source, err := os.ReadFile(filepath.Join("../..", file))
			if err != nil || !ok || !strings.Contains(string(source), "func "+name+"(") {
				t.Errorf("%s: there is no %s in %s (%v)", class, name, file, err)
			}
		}
	}
	if rows < 15 {
		t.Errorf("%d classes", rows)
	}
}

// Bytes that someone put before TLS are not read inside it, and no reply from before
// it comes behind it: both directions of CVE-2011-0411.
func TestStartTLSInjection(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	for _, door := range []string{"mx", "submission"} {
		for _, behind := range []string{"NOOP\r\n", "MAIL FROM:<evil@here.test>\r\n", "N", "\r\n", "\x16\x03\x01"} {
			c := s.dial(t, door)
			c.ask("", "220")
			c.ask("EHLO client.test", "250")
			if got := c.rest("STARTTLS\r\n" + behind); !strings.HasPrefix(got, "501 5.5.1") || strings.Count(got, "\r\n") != 1 {
				t.Errorf("%s: %q behind STARTTLS: %q", door, behind, got)
			}
		}
		c := s.dial(t, door)
		c.ask("", "220")
		c.ask("EHLO before.test", "250")
		c.say("NOOP\r\nRSET\r\nSTARTTLS\r\n")
		for _, want := range []string{"250", "250", "220"} {
			c.ask("", want) // all of it in the clear
		}
		c.secure()
		c.ask("NOOP", "250")                        // the first reply inside TLS is to the first command inside
		c.ask("MAIL FROM:<a@elsewhere.test>", "50") // and nothing of what was said before counts
		c.rest("")
		// A handshake that fails ends it: nothing goes on in the clear.
		c = s.dial(t, door)
		c.ask("", "220")
		c.ask("EHLO before.test", "250")
		c.ask("STARTTLS", "220")
		if got := c.rest("EHLO again.test\r\nMAIL FROM:<evil@here.test>\r\n"); strings.Contains(got, "250") {
			t.Errorf("%s: after a handshake that failed: %q", door, got)
		}
	}
	if mails := s.taken(); len(mails) > 0 {
		t.Errorf("accepted: %q", mails)
	}
}

// A quoted local part is no way to write parameters, or another command: it leaves
// as it came, quoted, or is refused.
func TestParameterSmuggling(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	for local, want := range map[string]string{
		`"x> NOTIFY=NEVER <y"`:    `"x> NOTIFY=NEVER <y"`,
		`"x> SIZE=1"`:             `"x> SIZE=1"`,
		`"a\"b"`:                  `"a\"b"`,
		`"a\\"`:                   `"a\\"`,
		`"plain"`:                 `plain`,
		`"a@b"`:                   `"a@b"`,
		"\"a\\\x01b\"":            "",
		"\"a\tb\"":                "",
		"\"a\x7fb\"":              "",
		`"` + long(63) + `"`:      long(63),
		`"` + long(63) + ` "`:     "", // 66 with its quotes
		"\"\u202ea\"":             "",
		"x>\tNOTIFY=NEVER\t<y":    "",
		`"x" NOTIFY=NEVER "y"`:    "",
		`"\` + "\u0085" + `next"`: "",
	} {
		c := s.enter(t, "submission", true)
		c.ask("MAIL FROM:<a@here.test> SMTPUTF8", "250")
		code := "250"
		if want == "" {
			code = "5"
		}
		c.ask("RCPT TO:<"+local+"@elsewhere.test>", code)
		if want == "" {
			c.rest("QUIT\r\n")
			continue
		}
		c.ask("DATA", "354")
		c.rest(start + "x\r\n.\r\nQUIT\r\n")
		if mails := s.taken(); len(mails) != 1 || !slices.Equal(mails[0].to, []string{want + "@elsewhere.test"}) {
			t.Errorf("%s became %q, want %s", local, mails, want)
		}
	}
}

func long(n int) string { return strings.Repeat("x", n) }

// Open relay: no address makes the MX carry mail for others, whoever says they are
// the sender, and submission carries none without a login.
func TestOpenRelay(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	for _, secure := range []bool{false, true} {
		for _, from := range []string{"<>", "<a@elsewhere.test>", "<bot@here.test>", "<postmaster@here.test>"} {
			for to, code := range map[string]string{
				"<x@elsewhere.test>":                     "550 5.7.1",
				"<@here.test:x@elsewhere.test>":          "550 5.7.1", // source route
				"<@here.test,@mx.here.test:x@else.test>": "550 5.7.1",
				`<"bot@here.test"@elsewhere.test>`:       "550 5.7.1",
				"<here.test!bot@elsewhere.test>":         "550 5.7.1",
				"<x@[127.0.0.1]>":                        "550 5.7.1",
				"<x@[IPv6:::1]>":                         "550 5.7.1",
				"<bot@sub.here.test>":                    "550 5.7.1",
				"<bot@here.test.elsewhere.test>":         "550 5.7.1",
				"<x%elsewhere.test@here.test>":           "550 5.1.1", // percent hack: nobody has that name
				`<"x@elsewhere.test"@here.test>`:         "550 5.1.1",
				"<elsewhere.test!x@here.test>":           "550 5.1.1",
				"<x@elsewhere.test@here.test>":           "550 5.1.1", // the last domain counts
				"<bot@localhost>":                        "553 5.1.3",
				"bot@here.test x@elsewhere.test":         "555 5.5.4",
				"<bot>":                                  "501 5.5.2",
				"<x@elsewhere.test":                      "501 5.5.2",
			} {
				c := s.enter(t, "mx", secure)
				c.ask("MAIL FROM:"+from, "250")
				c.ask("RCPT TO:"+to, code)
				c.ask("DATA", "503 5.5.1")
				c.rest("QUIT\r\n")
			}
		}
	}
	for _, door := range []string{"submission", "submissions"} {
		c := s.dial(t, door)
		want := "530 5.7.0" // STARTTLS first
		if door == "submissions" {
			c.secure()
		}
		c.ask("", "220")
		c.ask("EHLO client.test", "250")
		for range 3 {
			c.ask("MAIL FROM:<bot@here.test>", want)
			c.ask("RCPT TO:<x@elsewhere.test>", "5")
			c.ask("DATA", "5")
		}
		c.rest("QUIT\r\n")
	}
	if mails := s.taken(); len(mails) > 0 {
		t.Errorf("accepted: %q", mails)
	}
}

// Mail of the null sender goes to one recipient.
func TestNullSender(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	for _, door := range []string{"mx", "submission"} {
		c := s.enter(t, door, door != "mx")
		c.ask("MAIL FROM:<>", "250 2.1.0")
		c.ask("RCPT TO:<bot1@here.test>", "250 2.1.5")
		c.ask("RCPT TO:<bot2@here.test>", "452 4.5.3")
		c.ask("DATA", "354")
		c.ask(start+"x\r\n.", "250")
		c.ask("MAIL FROM:<>", "250")
		c.ask("RCPT TO:<bot2@here.test>", "250")
		c.rest("QUIT\r\n")
		if mails := s.taken(); len(mails) != 1 || !slices.Equal(mails[0].to, []string{"bot1@here.test"}) {
			t.Errorf("%s: %q", door, mails)
		}
	}
}

// SMTPUTF8: addresses beyond ASCII are for those who say so, and are what they seem.
func TestSMTPUTF8(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	c := s.enter(t, "mx", false)
	c.ask("MAIL FROM:<j\u00fcrgen@elsewhere.test>", "553 5.6.7")
	c.ask("MAIL FROM:<j@\u00fcber.test>", "553 5.6.7")
	c.ask("MAIL FROM:<j\xfcrgen@elsewhere.test> SMTPUTF8", "553 5.1.7")
	c.ask("MAIL FROM:<j\u200brgen@elsewhere.test> SMTPUTF8", "553 5.1.7")
	c.ask("MAIL FROM:<a@elsewhere.test>", "250")
	c.ask("RCPT TO:<bot\u00fc@here.test>", "553 5.6.7")
	c.ask("RSET", "250")
	c.ask("MAIL FROM:<j\u00fcrgen@\u00dcber.test> SMTPUTF8", "250")
	c.ask("RCPT TO:<bot\u00fc@here.test>", "250")
	c.ask("DATA", "354")
	c.rest(start + "x\r\n.\r\nQUIT\r\n")
	if mails := s.taken(); len(mails) != 1 || mails[0].from != "j\u00fcrgen@xn--ber-goa.test" || mails[0].to[0] != "bot\u00fc@here.test" {
		t.Errorf("%q", mails)
	}
}

// A message that comes with DATA, before the answer, is not read as commands, nor
// commands as a message.
func TestUnaskedMessage(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	for _, door := range []string{"mx", "submission"} {
		for _, before := range []string{"", toBot} {
			got := s.enter(t, door, door != "mx").rest(before + "DATA\r\n" + start + "x\r\n.\r\nQUIT\r\n")
			if !strings.Contains(got, "503 5.5.1 the message comes after") || strings.Contains(got, "221") {
				t.Errorf("%s, %q: %q", door, before, got)
			}
		}
	}
	if mails := s.taken(); len(mails) > 0 {
		t.Errorf("accepted: %q", mails)
	}
}

// A chunk whose size can't be read ends the session: the chunk is no command.
func TestUnreadableChunk(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	for _, line := range []string{"BDAT x", "BDAT 5000000000 LAST", "BDAT -5", "BDAT 5 LAST LAST", "BDAT 5 FIRST", "BDAT " + strings.Repeat("0", 60) + "5 LAST"} {
		got := s.enter(t, "mx", false).rest(toBot + line + "\r\nRSET\r\nMAIL FROM:<evil@here.test>\r\nQUIT\r\n")
		if lines := strings.Split(strings.TrimSpace(got), "\r\n"); len(lines) > 3 || !strings.HasPrefix(lines[len(lines)-1], "50") {
			t.Errorf("%s: %q", line, got)
		}
	}
}

// Every refused command counts, also those that only the library sees.
func TestErrorsPerSession(t *testing.T) {
	s := newStage(t, func(c *Config) { c.Limits.SessionErrors = 6 })
	defer s.stop()
	for _, command := range []string{"RCPT TO:<", "EXPN x", "MAIL FROM:<a@b.test> X=Y", "STARTTLS x"} {
		got := s.enter(t, "mx", false).rest("MAIL FROM:<>\r\n" + strings.Repeat(command+"\r\n", 8))
		if strings.Count(got, "\r\n5") != 5 || !strings.HasSuffix(got, tooManyFaults+"\r\n") {
			t.Errorf("%s: %q", command, got)
		}
	}
}

// Early talkers: who speaks before the greeting is refused with it, over a real
// socket; who waits is greeted, the wait later.
func TestEarlyTalker(t *testing.T) {
	const wait = 300 * time.Millisecond
	s := newStage(t, func(c *Config) { c.BannerWait = wait })
	defer s.stop()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.ServeMX(ctx, ln) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	greeting := func(first string) string {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, first)
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		b := make([]byte, 100)
		n, _ := c.Read(b)
		return string(b[:n])
	}
	if got := greeting("EHLO early.test\r\n"); !strings.HasPrefix(got, "554 5.5.1 ") {
		t.Errorf("an early talker hears %q", got)
	}
	began := time.Now()
	if got := greeting(""); !strings.HasPrefix(got, "220 ") || time.Since(began) < wait {
		t.Errorf("who waits hears %q after %v", got, time.Since(began))
	}
	if !strings.Contains(s.logs.String(), "a client spoke before the greeting") {
		t.Error("the log does not say so")
	}
}

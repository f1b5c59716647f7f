package smtpd

import (
	"net/mail"
	"strings"
	"testing"
)

// fuzzDoor holds a session of any bytes to what must always be so.
func fuzzDoor(f *testing.F, door string) {
	s := newStage(f, nil)
	f.Cleanup(s.stop)
	message := start + "hello\r\n"
	for _, seed := range []string{
		"", "QUIT\r\n", toBot + "DATA\r\n", toBot + "BDAT 30 LAST\r\n" + message, toBot + "BDAT 5\r\nFrom:BDAT 0 LAST\r\n", "RSET\r\nNOOP\r\nVRFY x\r\nHELP\r\n",
		"MAIL FROM:<\"a b\\\"\"@here.test> SIZE=1 BODY=8BITMIME SMTPUTF8\r\n", "MAIL FROM:<\u00fc@here.test> SMTPUTF8\r\n", "MAIL FROM:<> AUTH=<>\r\nRCPT TO:<@x:bot@here.test>\r\n",
		"STARTTLS\r\n", "AUTH PLAIN =\r\nAUTH LOGIN\r\nZm9v\r\nYmFy\r\n", "EHLO [IPv6:::1]\r\n", "HELO x\r\nMAIL FROM:<a\r\n", "BDAT x LAST\r\nBDAT 99999999999\r\n", "a\rb\x00\n",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, before, inside string) {
		c := s.enter(t, door, door != "mx")
		replies := c.rest(before)
		c = s.transacted(t, door)
		c.ask("DATA", "354")
		replies += c.rest(inside + "\r\n.\r\n" + before)
		for line := range strings.SplitAfterSeq(replies, "\r\n") {
			if line != "" && !isReply(line) {
				t.Errorf("%q, %q: a reply is %q", before, inside, line)
			}
		}
		commands := strings.ToUpper(before + "\r\n" + inside)
		for _, m := range s.taken() {
			if !cleanChunk(m.body, door != "mx") {
				t.Errorf("%q, %q: accepted %q", before, inside, m.body)
			}
			for _, addr := range append(m.to, m.from) {
				if again, ok := canonical(unquoted(addr)); addr != "" && (!ok || again != addr) {
					t.Errorf("%q: the address %q is not what it says", before, addr)
				}
			}
			if whole := strings.ReplaceAll("\r\n"+inside, "\r\n.", "\r\n")[2:]; m.body != whole+"\r\n" && !strings.Contains(commands, "BDAT") && !strings.Contains("\r\n"+inside+"\r\n", "\r\n.\r\n") {
				t.Errorf("%q became %q", inside, m.body)
			}
		}
		s.calm(t)
	})
}

// isReply reports a line of RFC 5321 section 4.2, in ASCII.
func isReply(line string) bool {
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || len(text) < 4 || len(text) > 512 || strings.Trim(text[:3], "0123456789") != "" || text[0] < '2' || text[0] > '5' || text[3] != ' ' && text[3] != '-' {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// FuzzMX and FuzzSubmission: no bytes make a door panic, answer what is no reply, or
// take what a strict reader would not.
func FuzzMX(f *testing.F)         { fuzzDoor(f, "mx") }
func FuzzSubmission(f *testing.F) { fuzzDoor(f, "submission") }

// unquoted is what the library makes of an address in a command.
func unquoted(addr string) string {
	at := strings.LastIndexByte(addr, '@')
	if at < 2 || addr[0] != '"' {
		return addr
	}
	var b strings.Builder
	inner := addr[1 : at-1]
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' {
			i++
		}
		b.WriteByte(inner[i])
	}
	return b.String() + addr[at:]
}

// FuzzPath: an address that is taken is printable, short, says the same when it is
// read again, and is one address to others.
func FuzzPath(f *testing.F) {
	for _, s := range []string{
		"a@here.test", `x> NOTIFY=NEVER <y@e.example`, `a"b\c@e.example`, ".a@e.example", "a..b@e.example", "\u00fc@\u00fc.example", "a@[192.0.2.1]", "a@[IPv6:::1]", "a@[IPv6:fe80::1%eth0]",
		"a\x00@e.example", "\u202ea@e.example", "\xff@e.example", " @e.example", "@e.example", "a@e.example.", "a@1.2.3.4",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, raw string, international bool) {
		addr, err := path(raw, international, [3]int{5, 1, 3})
		if err != nil {
			return
		}
		if again, ok := canonical(unquoted(addr)); !ok || again != addr {
			t.Fatalf("%q became %q, and then %q", raw, addr, again)
		}
		if len(addr) > 254 || strings.ContainsFunc(addr, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && !international }) {
			t.Fatalf("%q became %q", raw, addr)
		}
		if !strings.Contains(addr, "[") { // which net/mail does not read
			if a, err := mail.ParseAddress("<" + addr + ">"); err != nil || a.Address != unquoted(addr) {
				t.Fatalf("%q became %q, which others read as %v, %v", raw, addr, a, err)
			}
		}
	})
}

package imapd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Every class of attacks on IMAP that the design lists is tried by a test with a
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

// 5,000 literals of 4096 bytes, asked for and not, before the login.
func TestManyLiterals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		defer s.stop()
		c := s.greeted(t, "imaps")
		c.ask("a LOGIN {4096}", "a NO [TOOBIG]")
		c.ask("b LOGIN {1000}", "+ ")
		for range guestBounds.literals - 1 {
			c.ask(strings.Repeat("x", 1000)+" {1000}", "+ ")
		}
		c.ask(strings.Repeat("x", 1000)+" {1000}", "b BAD there are too many literals")
		go c.say("c LOGIN" + strings.Repeat(" {4096+}\r\n"+strings.Repeat("x", 4096), 5000) + "\r\n")
		c.ask("", "c NO [TOOBIG]")
		c.ask("", "* BYE what follows can't be read")
		<-c.end.gone
		c.Close()
	})
}

// The work of a LIST is bounded, whatever there is to compare.
func TestListWork(t *testing.T) {
	deep := strings.TrimSuffix(strings.Repeat("a/", 32), "/")
	var boxes []gateway.Mailbox
	for i := range 1000 {
		boxes = append(boxes, gateway.Mailbox{Name: fmt.Sprintf("%04d%s/%s", i, strings.Repeat("a", 1024-5-len(deep)), deep)})
	}
	if got := matching(boxes, []string{strings.Repeat("*a", 500)}); got <= maxMatching {
		t.Errorf("%d steps are within the bound", got)
	}
	if got := matching(boxes, []string{"*", "%"}); got > maxMatching {
		t.Errorf("to list all takes %d steps", got)
	}
	// In time that grows with both alone, up to the bound.
	name, pattern := strings.Repeat("a", 1024), strings.Repeat("*a", 512)+"*b"
	began := time.Now()
	for range maxMatching / 50 / (len(name) * len(pattern)) {
		if matches(pattern, name) {
			t.Fatal("it matches")
		}
	}
	if took := time.Since(began); took > 30*time.Second { // with a step for each way to match it would never end
		t.Errorf("a fiftieth of the bound took %v", took)
	}
}

// Nobody is logged in who has not shown a key.
func TestNoPreauth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		defer s.stop()
		for _, door := range []string{"imap", "imaps"} {
			for _, cmd := range []string{"SELECT INBOX", "LIST \"\" *", "APPEND INBOX {3+}\r\nabc", "IDLE", "ENABLE CONDSTORE", "UNAUTHENTICATE", "NAMESPACE", "GETQUOTAROOT INBOX", "SORT (DATE) UTF-8 ALL"} {
				c := s.greeted(t, door)
				c.say("b " + cmd + "\r\n")
				if got := c.hears(); !strings.HasPrefix(got, "b BAD") && !strings.HasPrefix(got, "b NO") && !strings.HasPrefix(got, "* BYE") {
					t.Errorf("%s: %s before the login: %q", door, cmd, got)
				}
				c.Close()
			}
		}
		c := s.user(t, "imaps")
		c.ask(stageLogin, "a BAD")
		c.ask("b AUTHENTICATE PLAIN", "b BAD")
		c.Close()
	})
}

// Guessing: after three failed logins a session ends, after ten in a minute, or fifty
// in a day, the network may try no more; and all refusals sound the same and take as
// long.
func TestBruteForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		defer s.stop()
		key := func(n int) string { return fmt.Sprintf("bm_live_%040x", n) }
		guesses := func(n int) string {
			return []string{"bot@here.test " + key(n), "centerleap " + key(n), "other@here.test " + stageKey, "bot@here.test x", "nobody@nowhere.test " + key(n)}[n%5]
		}
		n := 0
		for minute := range 5 {
			var c *client
			for try := range 10 {
				if try%3 == 0 {
					if c != nil {
						c.ask("", "* BYE too many failed logins")
						c.Close()
					}
					c = s.greeted(t, "imaps")
				}
				began := time.Now()
				want := "a NO [AUTHENTICATIONFAILED] Authentication failed"
				if try%3 == 2 {
					want = "* BYE too many failed logins"
				}
				c.say("a LOGIN " + guesses(n) + "\r\n")
				n++
				if try%3 != 2 {
					if got := c.hears(); got != want {
						t.Errorf("minute %d, try %d: %q, want %q", minute, try, got, want)
					}
				} else {
					synctest.Wait()
				}
				if took := time.Since(began); try%3 != 2 && took != 100*time.Millisecond {
					t.Errorf("a refusal took %v", took)
				}
			}
			c.ask(stageLogin, "a NO [LIMIT]") // even with the right key
			c.Close()
			time.Sleep(time.Minute) // of the stage's clock
		}
		time.Sleep(time.Hour)
		c := s.greeted(t, "imaps")
		c.ask(stageLogin, "a NO [LIMIT]")
		c.Close()
		time.Sleep(24 * time.Hour)
		s.user(t, "imaps").Close()
	})
}

// Bytes that someone put before TLS are not read inside it, CVE-2011-0411, and
// nothing of what was said before counts.
func TestStartTLSInjection(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	for _, behind := range []string{"b NOOP\r\n", stageLogin + "\r\n", "b", "\r\n", "\x16\x03\x01"} {
		c := s.dial(t, "imap", 1)
		c.ask("", "* OK")
		go c.say("a STARTTLS\r\n" + behind)
		c.ask("", "a BAD nothing may follow STARTTLS")
		<-c.end.gone
		c.Close()
	}
	c := s.dial(t, "imap", 1)
	c.ask("", "* OK")
	c.ask(stageLogin, "a NO [PRIVACYREQUIRED]")
	c.ask("b SELECT INBOX", "b BAD STARTTLS first")
	c.ask("c STARTTLS x", "c BAD")
	<-c.end.gone
	c.Close()
	// A handshake that fails ends it: nothing goes on in the clear.
	c = s.dial(t, "imap", 1)
	c.ask("", "* OK")
	c.ask("a STARTTLS", "a OK")
	go c.say("b CAPABILITY\r\nc LOGOUT\r\n")
	if got := c.last(); strings.Contains(got, "OK") {
		t.Errorf("after a handshake that failed: %q", got)
	}
	c.Close()
}

// A client of another protocol is let go after a line or two, and nothing of what it
// sends is run.
func TestOtherProtocols(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	for _, say := range []string{
		"GET / HTTP/1.1\r\nHost: here.test\r\nContent-Type: text/plain\r\n\r\n" + stageLogin + "\r\n", "POST /x HTTP/1.1\r\n\r\n", "EHLO client.test\r\nMAIL FROM:<a@here.test>\r\n",
		"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1", "\r\n\r\n\r\n", strings.Repeat("\x00", 9000), "SSH-2.0-x\r\n",
	} {
		for _, door := range []string{"imap", "imaps"} {
			c := s.dial(t, door, 1)
			if door == "imaps" {
				c.secure()
			}
			c.ask("", "* OK")
			go func() {
				c.say(say + "\r\n")
				c.say(strings.Repeat("x y z\r\n", 40))
			}()
			for got := c.hears(); got != ""; got = c.hears() {
				if strings.Contains(got, " OK") {
					t.Errorf("%s: %.40q: %q", door, say, got)
				}
			}
			<-c.end.gone
			c.Close()
		}
	}
}

package smtpd

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// AUTH brute force: after three failed logins a session ends, after ten in a minute,
// or fifty in a day, the network may try no more; and all refusals take as long.
func TestBruteForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		defer s.stop()
		for minute := range 5 {
			var c *client
			for try := range 10 {
				want := "535 5.7.8 Authentication failed"
				switch try % 3 {
				case 0:
					c = s.enterSecure(t)
				case 2:
					want = "421 4.7.0 too many failed logins"
				}
				began := time.Now()
				c.ask(badLogin(10*minute+try), want)
				if took := time.Since(began); took != 100*time.Millisecond {
					t.Errorf("a refusal took %v", took)
				}
			}
			c.ask(stageLogin, "421 4.7.0") // even with the right key
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Hour)
		c := s.enterSecure(t)
		c.ask(stageLogin, "421 4.7.0")
		c.rest("")
		time.Sleep(24 * time.Hour)
		c = s.enterSecure(t)
		c.ask(stageLogin, "235")
		c.rest("QUIT\r\n")
	})
}

// enterSecure opens a conversation on 465 up to the login.
func (s *stage) enterSecure(t *testing.T) *client {
	c := s.dial(t, "submissions")
	c.secure()
	c.ask("", "220")
	c.ask("EHLO client.test", "250")
	return c
}

func badLogin(n int) string {
	switch n % 3 {
	case 0:
		return login("centerleap", fmt.Sprintf("bm_live_%040x", n)) // unknown
	case 1:
		return login("somebody", stageKey) // a good key, another's name
	}
	return login("centerleap", "x") // no key
}

// AUTH as RFC 4954 has it.
func TestAuthDialogue(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	c := s.enterSecure(t)
	for _, step := range []struct{ say, code string }{
		{"AUTH", "501 5.5.4"},
		{"AUTH CRAM-MD5", "504 5.7.4"},
		{"AUTH PLAIN !", "501 5.5.2"},
		{"AUTH PLAIN", "334 "},
		{"*", "501 5.0.0"},
		{"AUTH LOGIN", "334 "},
		{"!", "501 5.5.2"},
		{"MAIL FROM:<bot@here.test>", "530 5.7.0"},
		{stageLogin, "235 2.0.0"},
		{stageLogin, "503 5.5.1"},
		{"MAIL FROM:<bot@here.test> AUTH=<>", "250 2.1.0"},
		{"RSET", "250"},
		{"EHLO again.test", "250 "},
		{"MAIL FROM:<bot@elsewhere.test>", "550 5.7.1"},
	} {
		c.ask(step.say, step.code)
	}
	c.rest("QUIT\r\n")
}

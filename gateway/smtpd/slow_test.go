package smtpd

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/guard"
)

const (
	toBot = "MAIL FROM:<a@here.test>\r\nRCPT TO:<bot@here.test>\r\n"
	start = "From: a@here.test\r\n\r\n"
)

// drip sends one byte every so often, until the server has gone.
func (c *client) drip(text string, every time.Duration) {
	for i := 0; ; i++ {
		select {
		case <-c.end.gone:
			return
		case <-time.After(every):
			c.say(text[i%len(text):][:1])
		}
	}
}

// last reads all replies to the end.
func (c *client) last() (reply string) {
	for line := c.hears(); line != ""; line = c.hears() {
		reply = line
	}
	return reply
}

// transacted is a client that may send its message.
func (s *stage) transacted(t testing.TB, door string) *client {
	c := s.enter(t, door, door != "mx")
	c.ask("MAIL FROM:<a@here.test>", "250")
	c.ask("RCPT TO:<bot@here.test>", "250")
	return c
}

// slowWay is a way to take one's time.
type slowWay struct {
	name string
	want time.Duration // until one is let go
	last string        // reply
	do   func(*testing.T, *stage) *client
}

func slowWays(door string) []slowWay {
	return []slowWay{
		{"silence after the login", gateway.CommandTimeout, "421", func(t *testing.T, s *stage) *client {
			return s.enter(t, door, door != "mx")
		}},
		{"a command byte by byte", gateway.CommandTimeout, "421", func(t *testing.T, s *stage) *client {
			c := s.enter(t, door, door != "mx")
			go c.drip("NOOP ", 30*time.Second)
			return c
		}},
		{"silence in DATA", gateway.TransferGrace, "451", func(t *testing.T, s *stage) *client {
			c := s.transacted(t, door)
			c.ask("DATA", "354")
			c.say(start)
			return c
		}},
		{"DATA byte by byte", gateway.TransferGrace, "451", func(t *testing.T, s *stage) *client {
			c := s.transacted(t, door)
			c.ask("DATA", "354")
			c.say(start)
			go c.drip("slow", 10*time.Second)
			return c
		}},
		{"DATA at a fair rate, without end", gateway.TransferTimeout, "451", func(t *testing.T, s *stage) *client {
			c := s.transacted(t, door)
			c.ask("DATA", "354")
			c.say(start)
			go func() {
				for line := strings.Repeat("x", 1998) + "\r\n"; ; c.say(line) {
					select {
					case <-c.end.gone:
						return
					case <-time.After(time.Second):
					}
				}
			}()
			return c
		}},
		{"a chunk byte by byte", gateway.TransferGrace, "451", func(t *testing.T, s *stage) *client {
			c := s.transacted(t, door)
			c.say("BDAT 1000 LAST\r\n" + start)
			go c.drip("slow", 10*time.Second)
			return c
		}},
		{"silence between chunks", gateway.TransferGrace, "421", func(t *testing.T, s *stage) *client {
			c := s.transacted(t, door)
			c.say("BDAT 8\r\nFrom: a@")
			c.ask("", "250")
			return c
		}},
		{"nobody reads the replies", gateway.CommandTimeout, "", func(t *testing.T, s *stage) *client {
			c := s.dial(t, door)
			if door == "submissions" {
				c.secure()
			}
			return c
		}},
	}
}

// Slowloris: whoever takes their time, at whatever point, is let go when the
// design says; nothing of theirs is kept. The clock is not the wall's.
func TestSlowloris(t *testing.T) {
	for _, door := range []string{"mx", "submission", "submissions"} {
		for _, tt := range slowWays(door) {
			t.Run(door+": "+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t, nil)
					defer s.stop()
					began := time.Now()
					c := tt.do(t, s)
					defer c.Close()
					if tt.last != "" {
						if got := c.last(); !strings.HasPrefix(got, tt.last) {
							t.Errorf("the last reply is %q, want %s", got, tt.last)
						}
					}
					<-c.end.gone
					if took := time.Since(began); took < tt.want || took > tt.want+time.Minute {
						t.Errorf("let go after %v, want %v", took, tt.want)
					}
					if mails := s.taken(); len(mails) > 0 {
						t.Errorf("accepted: %q", mails)
					}
				})
			})
		}
	}
}

// A client that says nothing where a TLS handshake is due is let go.
func TestSilentHandshake(t *testing.T) {
	for _, door := range []string{"mx", "submission", "submissions"} {
		t.Run(door, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, nil)
				defer s.stop()
				c := s.dial(t, door)
				defer c.Close()
				if door != "submissions" {
					c.ask("", "220")
					c.ask("EHLO client.test", "250")
					c.ask("STARTTLS", "220")
				}
				began := time.Now()
				<-c.end.gone
				if took := time.Since(began); took != guard.HandshakeTimeout {
					t.Errorf("let go after %v, want %v", took, guard.HandshakeTimeout)
				}
			})
		})
	}
}

// A slow line, but not a hopeless one, gets its message through.
func TestSlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		defer s.stop()
		c := s.transacted(t, "mx")
		c.ask("DATA", "354")
		c.say(start)
		for range 10 * 60 {
			time.Sleep(time.Second)
			c.say(strings.Repeat("x", 1200) + "\r\n")
		}
		c.ask(".", "250")
		c.ask("QUIT", "221")
		if mails := s.taken(); len(mails) != 1 || len(mails[0].body) < 600*1200 {
			t.Errorf("%d messages", len(mails))
		}
	})
}

// Dictionary at RCPT: the first wrong names are answered at once, the next ones
// late, and then the client is hung up on; good names cost nothing.
func TestDictionary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.Limits.SessionErrors, c.Limits.NetworkRefusals = 20, 30 })
		defer s.stop()
		c := s.enter(t, "mx", false)
		c.ask("MAIL FROM:<a@elsewhere.test>", "250")
		began := time.Now()
		for range 5 {
			c.ask("RCPT TO:<anna@here.test>", "550 5.1.1")
			c.ask("RCPT TO:<bot@here.test>", "250")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the first answers took %v", took)
		}
		for range 14 {
			c.ask("RCPT TO:<berta@here.test>", "550 5.1.1")
		}
		if took := time.Since(began); took != 14*guessDelay {
			t.Errorf("the next took %v, want %v", took, 14*guessDelay)
		}
		c.ask("RCPT TO:<clara@here.test>", "421 4.7.0")
		<-c.end.gone

		// And the network has a limit over all its sessions.
		c = s.enter(t, "mx", false)
		c.ask("MAIL FROM:<a@elsewhere.test>", "250")
		for range 9 {
			c.ask("RCPT TO:<x@elsewhere.test>", "550 5.7.1")
		}
		c.ask("RCPT TO:<dora@here.test>", "421 4.7.0")
		<-c.end.gone
		c = s.dial(t, "mx")
		c.ask("", "421 4.7.0")
		time.Sleep(time.Minute)
		s.enter(t, "mx", false).rest("QUIT\r\n")
	})
}

// S18: a command that is cut, by the end of the input or of its time, is not run.
func TestS18CutCommand(t *testing.T) {
	for _, cut := range []string{"BDAT 0 LAST", "BDAT 0 LAST\r"} {
		for _, wait := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, nil)
				defer s.stop()
				c := s.transacted(t, "mx")
				c.say("BDAT 21\r\n" + start)
				c.ask("", "250")
				if wait {
					c.say(cut)
					if got := c.last(); !strings.HasPrefix(got, "421 4.4.2") {
						t.Errorf("%q: %q", cut, got)
					}
				} else if got := c.rest(cut); got != "" {
					t.Errorf("%q: %q", cut, got)
				}
				<-c.end.gone
				if mails := s.taken(); len(mails) > 0 {
					t.Errorf("%q was run: %q", cut, mails)
				}
			})
		}
	}
}

package imapd

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/guard"
)

const autologout = "* BYE autologout"

// slowWay is a way to take one's time.
type slowWay struct {
	name string
	want time.Duration // until one is let go
	last string        // line; "" if there is none, or it is not asked for
	do   func(*testing.T, *stage, string) *client
}

// guestWays are those of who has not logged in.
var guestWays = []slowWay{
	{"silence before the login", gateway.LoginTimeout, autologout, func(t *testing.T, s *stage, door string) *client {
		return s.greeted(t, door)
	}},
	{"half a command", gateway.LoginTimeout, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.greeted(t, door)
		c.say("a LOG")
		return c
	}},
	{"a command byte by byte", gateway.LoginTimeout, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.greeted(t, door)
		go c.drip("a LOGIN "+strings.Repeat("x", 500), 3*time.Second)
		return c
	}},
	{"half a literal", gateway.LoginTimeout, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.greeted(t, door)
		c.ask("a LOGIN {100}", "+ ")
		c.say("half")
		return c
	}},
	{"half an AUTHENTICATE", gateway.LoginTimeout, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.greeted(t, door)
		c.ask("a AUTHENTICATE PLAIN", "+ ")
		c.say("AGJvd")
		return c
	}},
	{"commands without end, and no login", gateway.LoginWindow, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.greeted(t, door)
		go c.drip("a NOOP\r\n", time.Second)
		return c
	}},
}

// userWays are those of who has.
var userWays = []slowWay{
	{"silence after the login", gateway.IdleTimeout, autologout, func(t *testing.T, s *stage, door string) *client {
		return s.user(t, door)
	}},
	{"half a command after the login", gateway.IdleTimeout, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.user(t, door)
		c.say("b STATUS INBOX (MESS")
		return c
	}},
	{"half a literal after the login, byte by byte", gateway.IdleTimeout, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.user(t, door)
		c.ask("b STATUS {4000}", "+ ")
		go c.drip("x", 20*time.Second)
		return c
	}},
	{"silence in IDLE", gateway.IdleTimeout, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.user(t, door)
		c.ask("b IDLE", "+ ")
		return c
	}},
	{"silence in APPEND", gateway.TransferGrace, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.user(t, door)
		c.ask("b APPEND Drafts {100000}", "+ ")
		return c
	}},
	{"APPEND byte by byte", gateway.TransferGrace, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.user(t, door)
		c.ask("b APPEND Drafts {100000}", "+ ")
		go c.drip("slow", 10*time.Second)
		return c
	}},
	{"an APPEND that is refused, byte by byte", gateway.TransferGrace, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.user(t, door)
		c.say("b APPEND Drafts \"no date\" {100000+}\r\n")
		c.ask("", "b BAD")
		go c.drip("slow", 10*time.Second)
		return c
	}},
	{"APPEND at a fair rate, without end", gateway.TransferTimeout, autologout, func(t *testing.T, s *stage, door string) *client {
		c := s.user(t, door)
		c.ask("b APPEND Drafts {50000000}", "+ ")
		go c.pour(strings.Repeat("x", 20_000), 10*time.Second)
		return c
	}},
	{"nobody reads the answers", gateway.AnswerTimeout, "", func(t *testing.T, s *stage, door string) *client {
		c := s.user(t, door)
		go c.say(strings.Repeat("b LIST \"\" *\r\n", 10_000))
		return c
	}},
	{"nobody reads in IDLE", gateway.IdleKeepalive + gateway.AnswerTimeout, "", func(t *testing.T, s *stage, door string) *client {
		c := s.user(t, door)
		c.ask("b IDLE", "+ ")
		return c
	}},
}

// Slowloris: whoever takes their time, at whatever point, is let go when the
// design says. The clock is not the wall's.
func TestSlowloris(t *testing.T) {
	for _, door := range []string{"imap", "imaps"} {
		for _, tt := range append(guestWays, userWays...) {
			t.Run(door+": "+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t, nil)
					defer s.stop()
					began := time.Now()
					c := tt.do(t, s, door)
					defer c.Close()
					if tt.last != "" {
						if got := c.last(); !strings.HasPrefix(got, tt.last) {
							t.Errorf("the last line is %q, want %s", got, tt.last)
						}
					}
					<-c.end.gone
					if took := time.Since(began); took < tt.want || took > tt.want+15*time.Second {
						t.Errorf("let go after %v, want %v", took, tt.want)
					}
				})
			})
		}
	}
}

// Before TLS it is the same.
func TestSlowlorisInTheClear(t *testing.T) {
	for name, say := range map[string]string{"silence": "", "half a command": "a STAR", "half a literal": "a LOGIN {5+}\r\nx"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, nil)
				defer s.stop()
				began := time.Now()
				c := s.dial(t, "imap", 1)
				defer c.Close()
				c.ask("", "* OK")
				c.say(say)
				if got := c.last(); !strings.HasPrefix(got, autologout) {
					t.Errorf("the last line is %q", got)
				}
				if took := time.Since(began); took != gateway.LoginTimeout {
					t.Errorf("let go after %v", took)
				}
			})
		})
	}
}

// I10: a client that says nothing where a TLS handshake is due is let go.
func TestSilentHandshake(t *testing.T) {
	for _, door := range []string{"imap", "imaps"} {
		for _, say := range []string{"", "\x16\x03\x01\x02\x00"} {
			t.Run(fmt.Sprintf("%s %q", door, say), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStage(t, nil)
					defer s.stop()
					c := s.dial(t, door, 1)
					defer c.Close()
					if door == "imap" {
						c.ask("", "* OK")
						c.ask("a STARTTLS", "a OK")
					}
					began := time.Now()
					c.say(say)
					<-c.end.gone
					if took := time.Since(began); took != guard.HandshakeTimeout {
						t.Errorf("let go after %v, want %v", took, guard.HandshakeTimeout)
					}
				})
			})
		}
	}
}

// Many who say nothing fill the door for no longer than one of them may be silent,
// and a network of them never fills it.
func TestManySilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.Limits.NetworkConnections, c.Limits.Connections = 20, 60 })
		defer s.stop()
		var silent []*client
		for network := range byte(3) {
			for range 20 {
				c := s.dial(t, "imap", network+1)
				defer c.Close()
				c.ask("", "* OK")
				silent = append(silent, c)
			}
			if network == 2 {
				break
			}
			more := s.dial(t, "imap", network+1)
			more.ask("", "* BYE [LIMIT] too many connections")
			more.Close()
			other := s.dial(t, "imap", 99)
			other.ask("", "* OK")
			other.ask("a LOGOUT", "* BYE")
			other.Close()
		}
		full := s.dial(t, "imap", 99)
		full.ask("", "* BYE [LIMIT]")
		full.Close()
		for _, c := range silent {
			if got := c.last(); !strings.HasPrefix(got, autologout) {
				t.Fatalf("the last line is %q", got)
			}
		}
		other := s.dial(t, "imap", 99)
		defer other.Close()
		other.ask("", "* OK")
	})
}

// In IDLE a client hears from us, and it lasts for as long as RFC 9051 section 5.4
// has it, again and again.
func TestIdleKeepalive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		defer s.stop()
		c := s.user(t, "imaps")
		defer c.Close()
		for range 3 {
			c.ask("b IDLE", "+ ")
			began := time.Now()
			for range 14 {
				c.ask("", "* OK still here")
			}
			if took := time.Since(began); took != 28*time.Minute {
				t.Errorf("14 signs of life took %v", took)
			}
			c.ask("DONE", "b OK")
		}
	})
}

// A slow line, but not a hopeless one, gets its message through.
func TestSlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		defer s.stop()
		c := s.user(t, "imaps")
		defer c.Close()
		c.ask("b APPEND Drafts {720000}", "+ ")
		for range 10 * 60 {
			time.Sleep(time.Second) // of the stage's clock
			c.say(strings.Repeat("x", 1200))
		}
		c.say("\r\n")
		c.ask("", "b NO [UNAVAILABLE] nothing is kept here")
	})
}

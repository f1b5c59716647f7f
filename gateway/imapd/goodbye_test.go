package imapd

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// slowly reads 30 KiB a second, so that each piece of an answer comes through in time and
// the whole would take longer than a stop waits. It ends with the connection.
func (c *client) slowly() {
	pace := time.NewTicker(200 * time.Millisecond)
	defer pace.Stop()
	for buf := make([]byte, 6<<10); ; <-pace.C {
		if _, err := c.in.Read(buf); err != nil {
			return
		}
	}
}

// Whatever is being written when the end of a session is decided, and however slowly it is
// read: the session ends within the time of a goodbye.
func TestGoodbyeWhileWriting(t *testing.T) {
	ends := map[string]func(*stage){
		"stop": func(s *stage) { s.stop() },
		"revoked key": func(s *stage) {
			s.keys.EndAccount(1, 1)
			s.stop() // it waits for every session
		},
	}
	for what, command := range map[string]string{
		"one long line": "b UID SEARCH ALL", "many lines": "b FETCH 1:* (UID FLAGS)", "a body": "b FETCH 1 BODY.PEEK[]",
		"bodies": "b FETCH 1:* BODY.PEEK[]", "the tagged line": "b UID COPY 1:* Archive",
	} {
		for how, end := range ends {
			t.Run(what+", "+how, func(t *testing.T) {
				t.Parallel()
				var log bytes.Buffer
				s := newStageOver(t, &stock{messages: 150_000, body: 5 << 20, copy: copied}, func(c *Config) {
					c.Log = slog.New(slog.NewTextHandler(&log, nil))
				})
				c := s.user(t, "imaps")
				defer c.Close()
				c.until("s SELECT INBOX", "s OK")
				c.say(command + "\r\n")
				if _, err := c.in.ReadByte(); err != nil {
					t.Fatal(err)
				}
				go c.slowly()
				end(s)
				if strings.Contains(log.String(), "connections were cut at the end of the drain") {
					t.Errorf("the session was still there after %v", gateway.DrainTimeout)
				}
			})
		}
	}
}

// Who is asked for a TLS handshake when the gateway stops is told nothing in the clear.
func TestGoodbyeBeforeHandshake(t *testing.T) {
	s := newStage(t, nil)
	c := s.dial(t, "imap", 1)
	defer c.Close()
	c.ask("", "* OK")
	c.ask("a STARTTLS", "a OK")
	stopped := make(chan struct{})
	go func() {
		s.stop()
		close(stopped)
	}()
	if line := c.hears(); line != "" {
		t.Errorf("it was told %q", line)
	}
	<-stopped
}

// A stop does not wait for who has begun to log in and says no more: nobody knows who that is.
func TestGoodbyeToGuest(t *testing.T) {
	s := newStage(t, nil)
	c := s.greeted(t, "imaps")
	defer c.Close()
	c.ask("a AUTHENTICATE PLAIN", "+ ")
	go s.stop()
	c.ask("", "* BYE the server is shutting down")
	<-c.end.gone
}

// until sends a command and reads up to a line that begins so.
func (c *client) until(line, want string) (lines []string) {
	c.t.Helper()
	c.say(line + "\r\n")
	for {
		got := c.hears()
		if got == "" {
			c.t.Fatalf("%q: the connection ended, want %s", line, want)
		}
		if lines = append(lines, got); strings.HasPrefix(got, want) {
			return lines
		}
	}
}

package smtpd

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/centerleap/postern/gateway/guard"
)

// A stop in the middle of a handshake lets it end, and says goodbye inside TLS.
func TestStopInHandshake(t *testing.T) {
	for _, door := range []string{"mx", "submission"} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, nil)
			c := s.dial(t, door)
			defer c.Close()
			c.ask("", "220")
			c.ask("EHLO client.test", "250")
			c.ask("STARTTLS", "220")
			stopped := make(chan struct{})
			go func() { defer close(stopped); s.stop() }()
			synctest.Wait()
			c.secure()
			c.ask("", "421 4.3.2")
			<-stopped
		})
	}
}

// A stop between the moment that a message is stored and its reply lets the client hear
// the reply: it would send the message again.
func TestStopBeforeReply(t *testing.T) {
	s := newStage(t, nil)
	defer s.stop()
	ctx, cancel := context.WithCancel(t.Context())
	ln := &pipes{next: make(chan net.Conn), done: make(chan struct{})}
	served := make(chan error, 1)
	go func() {
		served <- s.server.cfg.Guard.Serve(ctx, ln, guard.Door{Name: "mx", Handle: func(gc *guard.Conn) {
			c := (&door{Server: s.server, role: mx}).newConn(gc)
			c.begin()()
			c.stop()
			_, _ = c.Write([]byte("250 2.0.0 Ok: delivered\r\n"))
			_, _ = c.Read(make([]byte, 1))
		}})
	}()
	client, end := net.Pipe()
	ln.next <- end
	got, _ := io.ReadAll(client)
	if lines := strings.Split(string(got), "\r\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "250 2.0.0") || !strings.HasPrefix(lines[1], "421 4.3.2") {
		t.Errorf("%q", got)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

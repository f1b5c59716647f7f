package smtpd

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/centerleap/postern/gateway"
)

// discard is a flow that throws mail away.
type discard struct{ *stage }

func (discard) Receive(_ context.Context, _ gateway.Envelope, raw io.Reader) error {
	_, err := io.Copy(io.Discard, raw)
	return err
}

// floor is the library alone, throwing mail away.
type floor struct{}

func (floor) Mail(string, *smtp.MailOptions) error { return nil }
func (floor) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (floor) Reset()                               {}
func (floor) Logout() error                        { return nil }

func (floor) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// BenchmarkAccept is what the door costs, beside the library alone: messages of 4.5
// KB, one after another on each connection.
func BenchmarkAccept(b *testing.B) {
	s := newStage(b, func(c *Config) { c.Receiver = discard{c.Receiver.(*stage)} })
	defer s.stop()
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("door/%d", clients), func(b *testing.B) {
			ln := listen(b)
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- s.server.ServeMX(ctx, ln) }()
			deliver(b, ln.Addr().String(), clients)
			cancel()
			if err := <-ended; err != nil {
				b.Error(err)
			}
		})
		b.Run(fmt.Sprintf("library/%d", clients), func(b *testing.B) {
			ln := listen(b)
			l := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return floor{}, nil }))
			l.Domain = "floor.test"
			ended := make(chan error, 1)
			go func() { ended <- l.Serve(ln) }()
			deliver(b, ln.Addr().String(), clients)
			_ = l.Close()
			<-ended
		})
	}
}

func listen(b *testing.B) net.Listener {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return ln
}

// deliver sends b.N messages over a number of connections.
func deliver(b *testing.B, addr string, clients int) {
	b.Helper()
	message := start + strings.Repeat("0123456789012345678901234567890123456789012345678901234567890123456789\r\n", 62) + ".\r\n"
	b.SetBytes(int64(len(message)))
	var all sync.WaitGroup
	b.ResetTimer()
	for i := range clients {
		n := b.N / clients
		if i < b.N%clients {
			n++
		}
		all.Go(func() {
			if err := session(addr, message, n); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	b.StopTimer()
}

func session(addr, message string, n int) error {
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, _, err := c.ReadResponse(220); err != nil {
		return err
	}
	ask := func(line string, code int) error {
		if _, err := io.WriteString(c.W, line); err != nil {
			return err
		}
		if err := c.W.Flush(); err != nil {
			return err
		}
		_, _, err := c.ReadResponse(code)
		return err
	}
	if err := ask("EHLO client.test\r\n", 250); err != nil {
		return err
	}
	for range n {
		for _, step := range []struct {
			line string
			code int
		}{{"MAIL FROM:<a@elsewhere.test>\r\n", 250}, {"RCPT TO:<bot@here.test>\r\n", 250}, {"DATA\r\n", 354}, {message, 250}} {
			if err := ask(step.line, step.code); err != nil {
				return err
			}
		}
	}
	return ask("QUIT\r\n", 221)
}

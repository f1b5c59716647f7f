package smtpd

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// pipes is a listener without a network.
type pipes struct {
	next chan net.Conn
	done chan struct{}
	once sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.next:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// pipeEnd is the server's end of a connection in memory, which the client can leave
// while it still listens.
type pipeEnd struct {
	net.Conn
	gone chan struct{}
	once sync.Once

	mu   sync.Mutex
	left bool
}

func (p *pipeEnd) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711} }

func (p *pipeEnd) Close() error {
	p.once.Do(func() { close(p.gone) })
	return p.Conn.Close()
}

func (p *pipeEnd) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = true
	_ = p.Conn.SetReadDeadline(time.Now())
}

func (p *pipeEnd) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return nil
	}
	return p.Conn.SetReadDeadline(t)
}

func (p *pipeEnd) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

func (p *pipeEnd) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left && isTimeout(err) {
		err = io.EOF
	}
	return n, err
}

// client is one conversation with a door.
type client struct {
	net.Conn
	t   testing.TB
	in  *bufio.Reader
	end *pipeEnd
}

func (s *stage) dial(t testing.TB, door string) *client {
	a, b := net.Pipe()
	end := &pipeEnd{Conn: b, gone: make(chan struct{})}
	s.doors[door].next <- end
	return &client{Conn: a, t: t, in: bufio.NewReader(a), end: end}
}

// secure puts TLS on.
func (c *client) secure() {
	c.t.Helper()
	leaf, err := x509.ParseCertificate(stageCertificate().Certificate[0])
	if err != nil {
		c.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	secured := tls.Client(c.Conn, &tls.Config{RootCAs: pool, ServerName: stageDomain, MinVersion: tls.VersionTLS12})
	if err := secured.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.Conn, c.in = secured, bufio.NewReader(secured)
}

// say sends text; that the server has gone is seen when it is listened to.
func (c *client) say(text string) { _, _ = io.WriteString(c.Conn, text) }

// hears reads one reply, the last line of it; "" at the end.
func (c *client) hears() string {
	for {
		line, err := c.in.ReadString('\n')
		if err != nil || len(line) < 4 || line[3] != '-' {
			return strings.TrimRight(line, "\r\n")
		}
	}
}

// ask sends a line and wants a code.
func (c *client) ask(line, code string) {
	c.t.Helper()
	if line != "" {
		c.say(line + "\r\n")
	}
	if got := c.hears(); !strings.HasPrefix(got, code) {
		c.t.Fatalf("%q: got %q, want %s", line, got, code)
	}
}

var stageLogin = login("centerleap", stageKey)

// login is the command of a login.
func login(user, key string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+key))
}

// enter opens a conversation up to where a transaction may begin: with TLS where
// asked or needed, logged in on submission.
func (s *stage) enter(t testing.TB, door string, secure bool) *client {
	t.Helper()
	c := s.dial(t, door)
	if door == "submissions" {
		c.secure()
	}
	c.ask("", "220")
	c.ask("EHLO client.test", "250")
	if secure && door != "submissions" {
		c.ask("STARTTLS", "220")
		c.secure()
		c.ask("EHLO client.test", "250")
	}
	if door != "mx" {
		c.ask(stageLogin, "235")
	}
	return c
}

// rest sends the last bytes there are, leaves, and returns the replies once the
// server is through with them.
func (c *client) rest(text string) (replies string) {
	heard := make(chan string)
	go func() {
		b, _ := io.ReadAll(c.in)
		heard <- string(b)
	}()
	c.say(text)
	if secured, ok := c.Conn.(*tls.Conn); ok {
		_ = secured.CloseWrite()
	} else {
		c.end.leave()
	}
	<-c.end.gone
	defer c.Close()
	return <-heard
}

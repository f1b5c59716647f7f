package gatewaytest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Failer is what a Chat needs of a test.
type Failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Chat is a client of a mail door that says what it is told to and nothing else.
type Chat struct {
	t    Failer
	tls  *tls.Config
	Conn net.Conn
	in   *bufio.Reader
}

// chatPatience is how long a Chat waits for an answer.
const chatPatience = time.Minute

// Dial connects to a door, with TLS where it speaks that from the first byte.
func (g *Gateway) Dial(t testing.TB, door string) *Chat {
	t.Helper()
	c := NewChat(t, g.Addr(door), g.TLS())
	t.Cleanup(func() { c.Conn.Close() })
	if door == "submissions" || door == "imaps" {
		c.Secure()
	}
	return c
}

// NewChat connects to an address; config is for TLS, once it is asked for. The
// caller closes Conn.
func NewChat(t Failer, addr string, config *tls.Config) *Chat {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return &Chat{t: t, tls: config, Conn: conn, in: bufio.NewReader(conn)}
}

// TLS is the configuration of a client that trusts the gateway's local CA.
func (g *Gateway) TLS() *tls.Config { return TrustLocal(g.t, g.Data) }

// TrustLocal is the configuration of a client that trusts the local CA of the
// gateway with that data folder.
func TrustLocal(t Failer, data string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(data, "tls", "ca.pem"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// Secure puts TLS on the connection.
func (c *Chat) Secure() {
	c.t.Helper()
	conn := tls.Client(c.Conn, c.tls)
	_ = conn.SetDeadline(time.Now().Add(chatPatience))
	if err := conn.Handshake(); err != nil {
		c.t.Fatalf("%v", err)
	}
	_ = conn.SetDeadline(time.Time{})
	c.Conn, c.in = conn, bufio.NewReader(conn)
}

// Raw sends bytes as they are.
func (c *Chat) Raw(s string) {
	c.t.Helper()
	_ = c.Conn.SetWriteDeadline(time.Now().Add(chatPatience))
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("send %.80q: %v", s, err)
	}
}

// Line reads one line, without its end; ok is false at the end of input.
func (c *Chat) Line() (line string, ok bool) {
	_ = c.Conn.SetReadDeadline(time.Now().Add(chatPatience))
	line, err := c.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err == nil
}

// Next reads what comes next, without a deadline of its own.
func (c *Chat) Next() (line string, err error) {
	line, err = c.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// Script holds a dialogue. "C: text" sends a line, "S: pattern" wants the next
// line to match, "S~ pattern" skips lines until one does, "TLS" puts TLS on, and
// "END" wants the connection to be closed. It returns the last line read.
func (c *Chat) Script(script string) (last string) {
	c.t.Helper()
	for step := range strings.Lines(script) {
		step = strings.Trim(step, "\t\r\n")
		switch {
		case step == "":
		case step == "TLS":
			c.Secure()
		case step == "END":
			if line, ok := c.Line(); ok {
				c.t.Fatalf("got %q, want the end", line)
			}
		case strings.HasPrefix(step, "C: "):
			c.Raw(step[3:] + "\r\n")
		case step == "C:":
			c.Raw("\r\n")
		case strings.HasPrefix(step, "S: "):
			last = c.want(step[3:], false)
		case strings.HasPrefix(step, "S~ "):
			last = c.want(step[3:], true)
		default:
			c.t.Fatalf("a script has no step %q", step)
		}
	}
	return last
}

func (c *Chat) want(pattern string, skip bool) string {
	c.t.Helper()
	re := regexp.MustCompile("^(?:" + pattern + ")")
	var seen []string
	for {
		line, ok := c.Line()
		if !ok {
			c.t.Fatalf("the connection ended (%q); want %q, had %q", line, pattern, seen)
		}
		if re.MatchString(line) {
			return line
		}
		if seen = append(seen, line); !skip {
			c.t.Fatalf("got %q, want %q", line, pattern)
		}
	}
}

// Bytes reads n bytes as they are.
func (c *Chat) Bytes(n int) string {
	c.t.Helper()
	_ = c.Conn.SetReadDeadline(time.Now().Add(chatPatience))
	b := make([]byte, n)
	if _, err := io.ReadFull(c.in, b); err != nil {
		c.t.Fatalf("read %d bytes: %v", n, err)
	}
	return string(b)
}

// Buffered is how many bytes have arrived and are not read.
func (c *Chat) Buffered() int { return c.in.Buffered() }

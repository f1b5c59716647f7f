package guard

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// Await sees what a client says, and that it leaves; it takes nothing, and minds the read
// deadline.
func TestAwait(t *testing.T) {
	c, client := connected(t, "")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if err := c.Await(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with a silent client: %v", err)
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	said := make(chan error, 1)
	go func() { said <- c.Await() }()
	if _, err := io.WriteString(client, "NOOP"); err != nil {
		t.Fatal(err)
	}
	if err := <-said; err != nil {
		t.Errorf("with one that speaks: %v", err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "NOOP" {
		t.Errorf("what it said is now %q, %v", b, err)
	}
	client.Close()
	if err := c.Await(); err != nil {
		t.Errorf("with one that left: %v", err)
	}
	c.Conn.Close()
	if err := c.Await(); err == nil {
		t.Error("a closed connection was waited for")
	}
}

// It finds the socket below TLS and below what a proxy said, and does not wait for
// anything else.
func TestAwaitBelow(t *testing.T) {
	c, client := connected(t, "")
	plain := c.Conn
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	for name, over := range map[string]net.Conn{
		"TLS": tls.Server(plain, srv.TLS), "a proxy": &proxied{Conn: plain}, "TLS behind a proxy": tls.Server(&proxied{Conn: plain}, srv.TLS),
	} {
		c.Conn = over
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if err := c.Await(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	near, far := net.Pipe()
	defer far.Close()
	c.Conn = near
	if err := c.Await(); err != nil {
		t.Errorf("a pipe: %v", err)
	}
	client.Close()
}

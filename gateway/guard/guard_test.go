package guard

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

func TestNetworks(t *testing.T) {
	now := time.Unix(1000, 0)
	lim := gateway.DefaultLimits()
	lim.NetworkConnections, lim.NetworkConnects, lim.Connections = 2, 3, 5
	var n networks
	n.init(Config{Limits: lim, Now: func() time.Time { return now }, ExemptLoopback: true})
	enter := func(ip string, want bool) func() {
		t.Helper()
		v, ok := n.enter(ip)
		if ok != want {
			t.Fatalf("enter(%s) = %t, want %t", ip, ok, want)
		}
		return func() { n.leave(v) }
	}
	a := enter("192.0.2.1", true)
	b := enter("192.0.2.1", true)
	enter("192.0.2.1", false) // two are open
	a()
	enter("192.0.2.1", true)()
	enter("192.0.2.1", false) // three in this minute
	enter("192.0.2.2", true)()
	now = now.Add(time.Minute)
	enter("192.0.2.1", true)()
	b()

	// One IPv6 customer is one network; an IPv4 address in IPv6 form is IPv4.
	x, y := enter("2001:db8::1", true), enter("2001:db8::2", true)
	enter("2001:db8::3", false)
	enter("2001:db8:0:1::3", true)()
	z := enter("::ffff:192.0.2.9", true)
	// Loopback has no limit of its own, but counts among all.
	enter("127.0.0.1", true)
	enter("127.0.0.1", true)
	enter("127.0.0.1", false)
	x()
	y()
	z()
	now = now.Add(2 * time.Minute)
	enter("192.0.2.50", true)()
	if len(n.byNet) != 1 {
		t.Errorf("%d networks are remembered, want only the newest", len(n.byNet))
	}
}

// serve runs a door on a free port; stop ends it and waits.
func serve(t *testing.T, g *Guard, d Door) (addr string, stop func() time.Duration) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, ln, d) }()
	return ln.Addr().String(), func() time.Duration {
		began := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		return time.Since(began)
	}
}

func newGuard(t *testing.T, lim gateway.Limits) *Guard {
	t.Helper()
	g, err := New(Config{Limits: lim})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestServe(t *testing.T) {
	lim := gateway.DefaultLimits()
	lim.NetworkConnections = 2
	g := newGuard(t, lim)
	addr, stop := serve(t, g, Door{Name: "test", Busy: "go away\r\n", Handle: func(c *Conn) {
		c.OnStop(func() {
			fmt.Fprint(c, "bye\r\n")
			_ = c.Close()
		})
		fmt.Fprint(c, "hello\r\n")
	}})
	line := func(c net.Conn) string {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		s, _ := bufio.NewReader(c).ReadString('\n')
		return strings.TrimSpace(s)
	}
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	first, second, third := dial(), dial(), dial()
	if a, b, c := line(first), line(second), line(third); a != "hello" || b != "hello" || c != "go away" {
		t.Errorf("got %q, %q, %q", a, b, c)
	}
	if took := stop(); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if a, b := line(first), line(second); a != "bye" || b != "bye" {
		t.Errorf("at the stop: %q, %q", a, b)
	}
	if g.networks.open != 0 {
		t.Errorf("%d connections are still counted", g.networks.open)
	}
}

// A handler that panics costs its own connection alone.
func TestPanic(t *testing.T) {
	g := newGuard(t, gateway.DefaultLimits())
	addr, stop := serve(t, g, Door{Name: "test", Handle: func(*Conn) { panic("a fault") }})
	defer stop()
	for range 3 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is still open")
		}
		c.Close()
	}
}

// A client that says nothing in its handshake is let go; the handler returns.
func TestHandshakeError(t *testing.T) {
	g := newGuard(t, gateway.DefaultLimits())
	got := make(chan error, 1)
	addr, stop := serve(t, g, Door{Name: "test", Handle: func(c *Conn) {
		got <- c.Secure(&tls.Config{MinVersion: tls.VersionTLS12})
		_ = c.Close()
	}})
	defer stop()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "EHLO this is no TLS\r\n")
	if err := <-got; err == nil {
		t.Error("a handshake without TLS succeeded")
	}
	c.Close()
}

func TestHandoff(t *testing.T) {
	h := NewHandoff(&net.TCPAddr{})
	a, b := net.Pipe()
	defer b.Close()
	given := make(chan bool, 1)
	go func() { given <- h.Give(a) }()
	if c, err := h.Accept(); err != nil || c != a || !<-given {
		t.Errorf("Accept: %v, %v", c, err)
	}
	h.Close()
	h.Close()
	if h.Give(a) {
		t.Error("a connection was given after Close")
	}
	if _, err := a.Write([]byte("x")); err == nil {
		t.Error("a connection given after Close is still open")
	}
	if _, err := h.Accept(); err == nil {
		t.Error("Accept after Close")
	}
}

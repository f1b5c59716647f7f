package guard

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// connected is the server's side of a connection whose client has sent text.
func connected(t *testing.T, text string) (server *Conn, client net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if _, err := io.WriteString(client, text); err != nil {
		t.Fatal(err)
	}
	raw, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return &Conn{Conn: raw}, client
}

// What a client sent before it was accepted is seen without waiting, and is still
// there to be read.
func TestEarly(t *testing.T) {
	c, _ := connected(t, "EHLO x\r\n")
	began := time.Now()
	if !c.Early(0) || !c.Early(time.Minute) || time.Since(began) > 5*time.Second {
		t.Error("a client that spoke was not seen at once")
	}
	b := make([]byte, 8)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "EHLO x\r\n" {
		t.Errorf("what it said is now %q, %v", b, err)
	}
	c, _ = connected(t, "")
	if c.Early(0) || c.Early(10*time.Millisecond) {
		t.Error("a silent client was taken for one that spoke")
	}
	c, client := connected(t, "")
	spoke := make(chan bool)
	go func() { spoke <- c.Early(time.Minute) }()
	if _, err := io.WriteString(client, "EHLO"); err != nil || !<-spoke {
		t.Errorf("a client that spoke during the wait was not seen (%v)", err)
	}
	c, client = connected(t, "")
	client.Close()
	if c.Early(time.Minute) {
		t.Error("a client that left was taken for one that spoke")
	}
}

// Refusals count against the network; past the limit it is not let in until its
// minute is over.
func TestRefusals(t *testing.T) {
	now := time.Unix(1000, 0)
	lim := gateway.DefaultLimits()
	lim.NetworkRefusals = 3
	g := newGuard(t, lim)
	g.networks.now = func() time.Time { return now }
	v, ok := g.networks.enter("192.0.2.1")
	c := &Conn{guard: g, visits: v}
	if !ok || c.Refused() || c.Refused() || !c.Refused() {
		t.Error("the third refusal is one too many, and only that")
	}
	if _, ok := g.networks.enter("192.0.2.1"); ok {
		t.Error("the network is let in")
	}
	if _, ok := g.networks.enter("192.0.2.2"); !ok {
		t.Error("another network is not let in")
	}
	now = now.Add(time.Minute)
	if _, ok := g.networks.enter("192.0.2.1"); !ok || c.Refused() {
		t.Error("the network is not let in a minute later")
	}
}

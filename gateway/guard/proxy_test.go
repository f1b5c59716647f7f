package guard

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// v2 writes a header of version 2.
func v2(command, family byte, body string) string {
	b := append([]byte(v2Signature), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(b) + body
}

const (
	four = "\xc0\x00\x02\x01" + "\xc0\x00\x02\x02" + "\x12\x67" + "\x00\x19"
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x12\x67" + "\x00\x19"
)

func TestReadProxy(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"v1, IPv4", "PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\n", "192.0.2.1:4711"},
		{"v1, IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 4711 25\r\n", "[2001:db8::1]:4711"},
		{"v1, no client", "PROXY UNKNOWN\r\n", "invalid AddrPort"},
		{"v1, no client, with addresses", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "invalid AddrPort"},
		{"v2, IPv4", v2(0x21, 0x11, four), "192.0.2.1:4711"},
		{"v2, IPv4 and notes", v2(0x21, 0x11, four+"\x04\x00\x03abc"), "192.0.2.1:4711"},
		{"v2, IPv6", v2(0x21, 0x21, six), "[2001:db8::1]:4711"},
		{"v2, IPv4 in IPv6", v2(0x21, 0x21, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01"+six[16:]), "192.0.2.1:4711"},
		{"v2, the proxy itself", v2(0x20, 0x11, four), "invalid AddrPort"},
		{"v2, from nowhere", v2(0x21, 0x00, ""), "invalid AddrPort"},
		{"v2, the most", v2(0x21, 0x11, four+strings.Repeat("x", v2Most-12)), "192.0.2.1:4711"},

		{"nothing", "", ""},
		{"SMTP", "EHLO client.example\r\nQUIT\r\n", ""},
		{"v1, small letters", "proxy TCP4 192.0.2.1 192.0.2.2 4711 25\r\n", ""},
		{"v1, a lone LF", "PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\n", ""},
		{"v1, two spaces", "PROXY  TCP4 192.0.2.1 192.0.2.2 4711 25\r\n", ""},
		{"v1, a word more", "PROXY TCP4 192.0.2.1 192.0.2.2 4711 25 x\r\n", ""},
		{"v1, a word less", "PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n", ""},
		{"v1, the other family", "PROXY TCP4 2001:db8::1 2001:db8::2 4711 25\r\n", ""},
		{"v1, mixed families", "PROXY TCP6 2001:db8::1 192.0.2.2 4711 25\r\n", ""},
		{"v1, a zone", "PROXY TCP6 fe80::1%eth0 2001:db8::2 4711 25\r\n", ""},
		{"v1, a port too large", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n", ""},
		{"v1, a port with zeros", "PROXY TCP4 192.0.2.1 192.0.2.2 04711 25\r\n", ""},
		{"v1, a name", "PROXY TCP4 client.example 192.0.2.2 4711 25\r\n", ""},
		{"v1, too long", "PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n", ""},
		{"v1, no end", "PROXY UNKNOWN " + strings.Repeat("x", 10_000), ""},
		{"v1, cut", "PROXY TCP4 192.0.2.1", ""},
		{"v2, version 1", v2(0x11, 0x11, four), ""},
		{"v2, another command", v2(0x22, 0x11, four), ""},
		{"v2, UDP", v2(0x21, 0x12, four), ""},
		{"v2, a unix socket", v2(0x21, 0x31, strings.Repeat("x", 216)), ""},
		{"v2, too short", v2(0x21, 0x11, four[:11]), ""},
		{"v2, too short for IPv6", v2(0x21, 0x21, four), ""},
		{"v2, too long", v2(0x21, 0x11, four+strings.Repeat("x", v2Most)), ""},
		{"v2, cut", v2(0x21, 0x21, six)[:20], ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := bufio.NewReaderSize(strings.NewReader(tt.in+"220 hello"), v2Fixed+v2Most)
			client, err := readProxy(r)
			if got := client.String(); (err == nil) != (tt.want != "") || err == nil && got != tt.want {
				t.Fatalf("readProxy = %s, %v, want %q", got, err, tt.want)
			}
			if rest, _ := io.ReadAll(r); err == nil && string(rest) != "220 hello" {
				t.Errorf("behind the header: %q", rest)
			}
		})
	}
}

// FuzzProxy: whatever is taken for a header names the client that the same header,
// written again, names; and nothing behind it is read.
func FuzzProxy(f *testing.F) {
	for _, s := range []string{
		"PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\nEHLO", "PROXY TCP6 2001:db8::1 2001:db8::2 4711 25\r\n", "PROXY UNKNOWN\r\n",
		v2(0x21, 0x11, four) + "EHLO", v2(0x21, 0x21, six), v2(0x20, 0, ""), "EHLO x\r\n", v2Signature,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), v2Fixed+v2Most)
		client, err := readProxy(r)
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		head, ok := bytes.CutSuffix(in, rest)
		if !ok || len(head) > v2Fixed+v2Most || len(head) < 15 {
			t.Fatalf("%q: %d bytes were taken for the header", in, len(head))
		}
		if !client.IsValid() {
			return
		}
		family := "TCP4"
		if client.Addr().Is6() {
			family = "TCP6"
		}
		line := fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, client.Addr(), client.Addr(), client.Port(), client.Port())
		if again, err := readProxy(bufio.NewReader(strings.NewReader(line))); err != nil || again != client {
			t.Fatalf("%q names %s; written again %q names %s, %v", in, client, line, again, err)
		}
	})
}

// behind runs Accept over a free port for proxies from the networks; each
// connection tells its client whom it is taken for and what it sent.
func behind(t *testing.T, from string) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, gateway.DefaultLimits())
	b := NewBehind(ln, []netip.Prefix{netip.MustParsePrefix(from)}, gateway.DefaultLimits(), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- g.Serve(ctx, b, Door{Name: "test", Handle: func(c *Conn) {
			line, _ := bufio.NewReader(c).ReadString('\n')
			fmt.Fprintf(c, "%s said %s", c.IP, line)
			_ = c.Close()
		}})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// ask sends bytes in pieces and returns what comes back until the end.
func ask(t *testing.T, addr string, pieces ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, p := range pieces {
		_, _ = io.WriteString(c, p)
	}
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	b, _ := io.ReadAll(c) // a reset is an end, too
	return string(b)
}

func TestBehind(t *testing.T) {
	trusted := behind(t, "127.0.0.0/8")
	for _, tt := range []struct {
		pieces []string
		want   string
	}{
		{[]string{"PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\nhello\r\n"}, "192.0.2.1 said hello\r\n"},
		{[]string{v2(0x21, 0x21, six), "hello\r\n"}, "2001:db8::1 said hello\r\n"},
		{[]string{"PROXY TC", "P4 192.0.2.1 192.0.2.2 4711 25\r\nhel", "lo\r\n"}, "192.0.2.1 said hello\r\n"},
		{[]string{"PROXY UNKNOWN\r\n", "hello\r\n"}, "127.0.0.1 said hello\r\n"},
		{[]string{"hello, this is no header\r\n"}, ""},
		{[]string{"PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\n"}, ""},
	} {
		if got := ask(t, trusted, tt.pieces...); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.pieces, got, tt.want)
		}
	}
	// From elsewhere, a header is what any client might say.
	foreign := behind(t, "192.0.2.0/24")
	if got := ask(t, foreign, "PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\n"); got != "127.0.0.1 said PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\n" {
		t.Errorf("from elsewhere: %q", got)
	}
}

// A proxy that says nothing is let go in time, and holds up nobody, nor the stop.
func TestBehindSilence(t *testing.T) {
	addr := behind(t, "127.0.0.0/8")
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	if got := ask(t, addr, "PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\nhello\r\n"); got != "192.0.2.1 said hello\r\n" || time.Since(began) > headerTime/2 {
		t.Errorf("behind a silent one: %q after %v", got, time.Since(began))
	}
	_ = silent.SetReadDeadline(time.Now().Add(4 * headerTime))
	if _, err := silent.Read(make([]byte, 1)); err == nil || time.Since(began) < headerTime/2 || time.Since(began) > 3*headerTime {
		t.Errorf("the silent proxy was let go after %v (%v)", time.Since(began), err)
	}
	other, err := net.Dial("tcp", addr) // waits while the listener is closed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
}

// The limit of a network is that of the clients, not that of the proxy.
func TestBehindLimits(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lim := gateway.DefaultLimits()
	lim.NetworkConnects = 2
	g := newGuard(t, lim)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- g.Serve(ctx, NewBehind(ln, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, lim, slog.New(slog.DiscardHandler)),
			Door{Name: "test", Busy: "busy", Handle: func(c *Conn) { fmt.Fprint(c, "hello"); _ = c.Close() }})
	}()
	defer func() { cancel(); <-ended }()
	for i, want := range []string{"hello", "hello", "busy"} {
		if got := ask(t, ln.Addr().String(), "PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\n"); got != want {
			t.Errorf("connection %d: %q, want %q", i+1, got, want)
		}
	}
	if got := ask(t, ln.Addr().String(), "PROXY TCP4 192.0.2.9 192.0.2.2 4711 25\r\n"); got != "hello" {
		t.Errorf("another client: %q", got)
	}
}

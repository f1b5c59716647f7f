package imapd_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/guard"
	"github.com/centerleap/postern/gateway/imapd"
)

// inside is the door over the rooms of a whole gateway, without TLS and with
// connections in memory.
type inside struct {
	g    *gatewaytest.Gateway
	next chan net.Conn
	done chan struct{}
	log  *panics
}

// panics keeps the lines of a log that tell of a panic.
type panics struct {
	mu    sync.Mutex
	lines []string
}

func (p *panics) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("panic")) {
		p.mu.Lock()
		p.lines = append(p.lines, string(b))
		p.mu.Unlock()
	}
	return len(b), nil
}

// take returns what came since it was last asked.
func (p *panics) take() (lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines, p.lines = p.lines, nil
	return lines
}

func (in *inside) Accept() (net.Conn, error) {
	select {
	case c := <-in.next:
		return c, nil
	case <-in.done:
		return nil, net.ErrClosed
	}
}

func (in *inside) Close() error   { return nil }
func (in *inside) Addr() net.Addr { return &net.TCPAddr{} }

func newInside(t testing.TB, options ...gatewaytest.Option) *inside {
	t.Helper()
	in := &inside{g: gatewaytest.Start(t, options...), next: make(chan net.Conn), done: make(chan struct{}), log: &panics{}}
	lim := gateway.DefaultLimits()
	lim.Connections, lim.NetworkConnections, lim.NetworkConnects = 1<<40, 1<<40, 1<<40
	log := slog.New(slog.NewTextHandler(in.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	doors, err := guard.New(guard.Config{Limits: lim, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	server, err := imapd.New(imapd.Config{
		Guard: doors, Keys: in.g.Gateway.Keys, Domains: in.g.Domains, Mail: in.g.Mail, Activity: in.g.Activity, Username: "centerleap",
		TLS: &tls.Config{MinVersion: tls.VersionTLS12}, Limits: lim, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.ServeInside(ctx, in) }()
	t.Cleanup(func() {
		close(in.done)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the door: %v", err)
		}
	})
	return in
}

// farEnd is the server's end of a connection in memory, which the client can leave
// while it still listens.
type farEnd struct {
	net.Conn
	gone chan struct{}
	once sync.Once

	mu   sync.Mutex
	left bool
}

func (f *farEnd) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711} }

func (f *farEnd) Close() error {
	f.once.Do(func() { close(f.gone) })
	return f.Conn.Close()
}

func (f *farEnd) SetReadDeadline(t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left {
		return nil
	}
	return f.Conn.SetReadDeadline(t)
}

func (f *farEnd) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left && n == 0 && err != nil {
		err = io.EOF
	}
	return n, err
}

// leave ends the input of the server, once it has read what was sent.
func (f *farEnd) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = true
	_ = f.Conn.SetReadDeadline(time.Now())
}

// talk sends bytes of so many at once after a login and the SELECT of INBOX, leaves,
// and returns what the server said from then on.
func (in *inside) talk(t testing.TB, sent string, at int) string {
	t.Helper()
	a, b := net.Pipe()
	far := &farEnd{Conn: b, gone: make(chan struct{})}
	in.next <- far
	defer a.Close()
	r := bufio.NewReader(a)
	say := func(line, tag string) {
		if line != "" { // a pipe waits for a reader of nothing, too
			if _, err := io.WriteString(a, line); err != nil {
				t.Fatal(err)
			}
		}
		for {
			got, err := r.ReadString('\n')
			if err != nil || strings.HasPrefix(got, tag+" NO") || strings.HasPrefix(got, tag+" BAD") {
				t.Fatalf("%q: %q %v", line, got, err)
			}
			if strings.HasPrefix(got, tag+" OK") {
				return
			}
		}
	}
	say("", "*")
	say("first LOGIN "+gatewaytest.Account+" "+in.g.Keys.Account+"\r\n", "first")
	say("second SELECT INBOX\r\n", "second")
	heard := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(r)
		heard <- string(all)
	}()
	for rest := sent; rest != ""; {
		n := min(at, len(rest))
		if _, err := io.WriteString(a, rest[:n]); err != nil {
			break // it has hung up
		}
		rest = rest[n:]
	}
	far.leave()
	<-far.gone
	return <-heard
}

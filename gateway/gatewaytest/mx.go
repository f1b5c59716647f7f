package gatewaytest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// MX is somebody else's mail host, on loopback. It takes all mail, unless its test has
// other answers:
//
//	mx := gatewaytest.ServeMX(t)
//	mx.Answer(func(command string) string {
//		if strings.HasPrefix(command, "RCPT") {
//			return "550 5.1.1 nobody of that name"
//		}
//		return ""
//	})
//	g := gatewaytest.Start(t, gatewaytest.Hosts(dns, map[string]*gatewaytest.MX{"example.com": mx}))
type MX struct {
	Addr string

	ln     net.Listener
	mu     sync.Mutex
	answer func(command string) string
	mail   []Mail
	conns  map[net.Conn]bool
	opened int
	all    sync.WaitGroup
}

// Mail is one message that was sent to the final dot, and the reply to that.
type Mail struct {
	From  string
	To    []string // those that got 250
	Data  string   // with its dots as they came
	Reply string
}

// Drop, as an answer, ends the connection without one.
const Drop = "drop"

// ServeMX runs a host until the test ends.
func ServeMX(t testing.TB) *MX {
	t.Helper()
	m := NewMX(t)
	t.Cleanup(m.Close)
	return m
}

// NewMX runs a host until it is closed.
func NewMX(t Failer) *MX {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	m := &MX{Addr: ln.Addr().String(), ln: ln, answer: func(string) string { return "" }, conns: make(map[net.Conn]bool)}
	m.all.Go(m.accept)
	return m
}

// Answer has the host ask fn for its reply to each command, to CONNECT, and to the final
// dot; what fn leaves empty gets the usual one.
func (m *MX) Answer(fn func(command string) string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer = fn
}

// Mail is what was sent here so far.
func (m *MX) Mail() []Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mail)
}

// Opened is how many connections there were.
func (m *MX) Opened() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.opened
}

// Close ends the host and all its connections.
func (m *MX) Close() {
	m.ln.Close()
	m.mu.Lock()
	for c := range m.conns {
		c.Close()
	}
	m.mu.Unlock()
	m.all.Wait()
}

func (m *MX) accept() {
	for {
		c, err := m.ln.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		m.conns[c] = true
		m.opened++
		m.mu.Unlock()
		m.all.Go(func() {
			defer func() {
				c.Close()
				m.mu.Lock()
				delete(m.conns, c)
				m.mu.Unlock()
			}()
			m.talk(c)
		})
	}
}

// reply writes the answer to a command; false if the connection is over.
func (m *MX) reply(c net.Conn, command, usual string) (string, bool) {
	m.mu.Lock()
	fn := m.answer
	m.mu.Unlock()
	r := fn(command)
	if r == "" {
		r = usual
	}
	if r == Drop {
		return r, false
	}
	_, err := fmt.Fprintf(c, "%s\r\n", r)
	return r, err == nil
}

func (m *MX) talk(c net.Conn) {
	r := bufio.NewReader(c)
	if _, ok := m.reply(c, "CONNECT", "220 mx.test ESMTP"); !ok {
		return
	}
	var now Mail
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, arg, _ := strings.Cut(line, " ")
		usual := "250 2.0.0 ok"
		switch strings.ToUpper(verb) {
		case "EHLO":
			usual = "250-mx.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 52428800"
		case "DATA":
			usual = "354 go on"
		case "QUIT":
			usual = "221 2.0.0 bye"
		}
		said, ok := m.reply(c, line, usual)
		switch took := strings.HasPrefix(said, "2"); {
		case !ok || verb == "QUIT":
			return
		case verb == "MAIL" && took:
			now = Mail{From: between(arg)}
		case verb == "RCPT" && took:
			now.To = append(now.To, between(arg))
		case verb == "DATA" && strings.HasPrefix(said, "354"):
			if !m.data(c, r, now) {
				return
			}
		}
	}
}

// data reads a message up to its final dot.
func (m *MX) data(c net.Conn, r *bufio.Reader, now Mail) bool {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		now.Data += line
	}
	at := m.note(now)
	said, ok := m.reply(c, ".", "250 2.0.0 queued")
	m.mu.Lock()
	m.mail[at].Reply = said
	m.mu.Unlock()
	return ok
}

func (m *MX) note(now Mail) (at int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mail = append(m.mail, now)
	return len(m.mail) - 1
}

// between is what stands in angle brackets.
func between(arg string) string {
	_, rest, _ := strings.Cut(arg, "<")
	addr, _, _ := strings.Cut(rest, ">")
	return addr
}

// Hosts has the gateway deliver to other hosts: mail for each domain goes to the host
// beside it. It publishes what DNS has to say of them.
func Hosts(d *DNS, by map[string]*MX) Option {
	return func(g *Gateway) {
		g.t.Helper()
		to := make(map[string]string)
		n := 0
		for domain, mx := range by {
			n++
			ip := fmt.Sprintf("127.0.1.%d", n)
			d.Publish(fmt.Sprintf("%s. MX 10 mx.%s.\nmx.%s. A %s\n", domain, domain, domain, ip))
			to[ip+":25"] = mx.Addr
		}
		for name, v := range map[string]string{"dns.servers": d.Addr, "delivery.allow_private": "true", "delivery.mode": "direct"} {
			Setting(name, v)(g)
		}
		g.cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			at := to[address]
			if at == "" && strings.HasPrefix(address, "127.0.0.1:") {
				at = address // a smart host
			}
			if at == "" {
				return nil, fmt.Errorf("%s is no host of this test", address)
			}
			return new(net.Dialer).DialContext(ctx, network, at)
		}
	}
}

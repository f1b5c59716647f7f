package gatewaytest

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// DNS is a server on loopback that answers from what a test publishes:
//
//	d := gatewaytest.ServeDNS(t)
//	d.Publish("mail.example. 60 IN A 192.0.2.1")
//	g := gatewaytest.Start(t, gatewaytest.Setting("dns.servers", d.Addr))
type DNS struct {
	Addr string

	t     Failer
	conn  net.PacketConn
	ended chan struct{}
	mu    sync.Mutex
	names map[string][]dns.RR
	fails bool
}

// ServeDNS runs a server until the test ends.
func ServeDNS(t testing.TB) *DNS {
	t.Helper()
	d := NewDNS(t)
	t.Cleanup(d.Close)
	return d
}

// NewDNS runs a server until it is closed.
func NewDNS(t Failer) *DNS {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	d := &DNS{Addr: conn.LocalAddr().String(), t: t, conn: conn, ended: make(chan struct{}), names: make(map[string][]dns.RR)}
	s := &dns.Server{PacketConn: conn, Handler: d}
	go func() {
		defer close(d.ended)
		_ = s.ActivateAndServe() // it ends with the connection
	}()
	return d
}

// Close ends the server.
func (d *DNS) Close() {
	d.conn.Close()
	<-d.ended
}

// Publish adds the records of a zone file.
func (d *DNS) Publish(zone string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	p := dns.NewZoneParser(strings.NewReader(zone), "", "")
	p.SetDefaultTTL(60)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		name := strings.ToLower(rr.Header().Name)
		d.names[name] = append(d.names[name], rr)
	}
	if err := p.Err(); err != nil {
		d.t.Fatalf("zone: %v\n%s", err, zone)
	}
}

// TXT adds a text, in strings of at most 255 bytes.
func (d *DNS) TXT(name, value string) {
	d.t.Helper()
	line := []byte(dns.Fqdn(name) + " TXT")
	for piece := range slices.Chunk([]byte(value), 255) {
		line = strconv.AppendQuote(append(line, ' '), string(piece))
	}
	d.Publish(string(line))
}

// Withdraw removes all records of a name.
func (d *DNS) Withdraw(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.names, strings.ToLower(dns.Fqdn(name)))
}

// Fail has every question fail, or no longer.
func (d *DNS) Fail(fails bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = fails
}

// ServeDNS implements dns.Handler.
func (d *DNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := new(dns.Msg)
	a.SetReply(q)
	all, known := d.names[strings.ToLower(q.Question[0].Name)]
	switch {
	case d.fails:
		a.Rcode = dns.RcodeServerFailure
	case !known:
		a.Rcode = dns.RcodeNameError
	}
	for _, rr := range all {
		if rr.Header().Rrtype == q.Question[0].Qtype && !d.fails {
			a.Answer = append(a.Answer, rr)
		}
	}
	_ = w.WriteMsg(a) // who does not get it asks again
}

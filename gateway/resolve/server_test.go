package resolve

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// server answers each question with the packets that its func makes, over UDP and TCP
// on one port. Nil packets are silence.
type server struct {
	udp   net.PacketConn
	tcp   net.Listener
	reply func(network string, q *dns.Msg) [][]byte
	asked atomic.Int64
	wait  sync.WaitGroup
}

func serve(t testing.TB, reply func(network string, q *dns.Msg) [][]byte) *server {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{udp: udp, tcp: tcp, reply: reply}
	s.wait.Go(s.packets)
	s.wait.Go(s.streams)
	t.Cleanup(func() { udp.Close(); tcp.Close(); s.wait.Wait() })
	return s
}

func (s *server) addr() string { return s.udp.LocalAddr().String() }

func (s *server) packets() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		q := new(dns.Msg)
		if q.Unpack(buf[:n]) != nil {
			continue
		}
		s.asked.Add(1)
		s.wait.Go(func() {
			for _, p := range s.reply("udp", q) {
				_, _ = s.udp.WriteTo(p, from)
			}
		})
	}
}

func (s *server) streams() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.wait.Go(func() {
			defer c.Close()
			var size [2]byte
			if _, err := io.ReadFull(c, size[:]); err != nil {
				return
			}
			buf := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buf) != nil {
				return
			}
			for _, p := range s.reply("tcp", q) {
				_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...))
			}
			_, _ = io.Copy(io.Discard, c) // until the client leaves
		})
	}
}

// records makes an answer of lines as in a zone file.
func records(q *dns.Msg, lines ...string) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

func wire(msgs ...*dns.Msg) (out [][]byte) {
	for _, m := range msgs {
		b, err := m.Pack()
		if err != nil {
			panic(err)
		}
		out = append(out, b)
	}
	return out
}

func rcode(q *dns.Msg, code int, extended ...uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetRcode(q, code)
	if len(extended) > 0 {
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: extended[0]})
	}
	return m
}

func truncated(q *dns.Msg) *dns.Msg {
	m := records(q)
	m.Truncated = true
	return m
}

func changed(m *dns.Msg, change func(*dns.Msg)) *dns.Msg {
	change(m)
	return m
}

// cutOff is a truncated reply that ends inside a record.
func cutOff(q *dns.Msg) []byte {
	m := records(q, "a.test. 60 TXT "+strings.Repeat("x", 200))
	m.Truncated = true
	b := wire(m)[0]
	return b[:len(b)-50]
}

const good = `a.test. 60 TXT "good"`

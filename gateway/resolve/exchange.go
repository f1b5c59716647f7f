package resolve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// udpSize is the largest reply by UDP that we offer to take, in bytes. DNS Flag
	// Day 2020: what passes everywhere in one piece.
	udpSize = 1232
	// udpRead is how much of a packet is read, in bytes: some servers send more than
	// was offered. Ours; what was usual before.
	udpRead = 4096
	// rounds is how often each server is asked. resolv.conf(5) has two as well.
	rounds = 2
	// strays is how many packets that are no reply of ours one try passes over. Ours:
	// a late reply or two are normal, more are somebody guessing.
	strays = 16
)

// exchange asks the servers in turn until one gives an answer that counts.
func (r *Resolver) exchange(ctx context.Context, q question) (*dns.Msg, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var refusal *dns.Msg
	var failed error
	for range rounds {
		for _, server := range r.cfg.Servers {
			msg, err := r.try(ctx, server, q)
			if err == nil && (msg.Rcode == dns.RcodeSuccess || msg.Rcode == dns.RcodeNameError) {
				return msg, nil
			}
			if err == nil {
				refusal = msg
			} else {
				failed = err
			}
			if ctx.Err() != nil {
				return nil, errors.Join(ctx.Err(), failed)
			}
		}
	}
	if refusal != nil {
		return refusal, nil
	}
	return nil, failed
}

// try asks one server once: by UDP, by TCP if the reply didn't fit, and without
// extensions if it doesn't know them.
func (r *Resolver) try(ctx context.Context, server string, q question) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Try)
	defer cancel()
	ask := request(q)
	msg, err := r.send(ctx, "udp", server, ask)
	if err == nil && msg.Rcode == dns.RcodeFormatError {
		ask.Extra = nil
		msg, err = r.send(ctx, "udp", server, ask)
	}
	if err == nil && msg.Truncated {
		msg, err = r.send(ctx, "tcp", server, ask)
	}
	return msg, err
}

// request is the question on the wire. It wants recursion, and to know what is
// authentic (RFC 6840 section 5.7).
func request(q question) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(q.name+".", q.of)
	m.AuthenticatedData = true
	m.SetEdns0(udpSize, false)
	return m
}

// send sends a question over one connection and reads its reply. Each has its own
// connection, and so a port that nobody can guess.
func (r *Resolver) send(ctx context.Context, network, server string, ask *dns.Msg) (*dns.Msg, error) {
	wire, err := ask.Pack()
	if err != nil {
		return nil, err
	}
	conn, err := r.cfg.Dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		wire = append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)
	}
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	if network == "tcp" {
		return readTCP(conn, ask, r.cfg.Limits.DNSAnswer)
	}
	return readUDP(conn, ask)
}

// readUDP waits for the reply to ask. What is no such reply may come from anybody: it
// is passed over, and doesn't end the waiting.
func readUDP(conn net.Conn, ask *dns.Msg) (*dns.Msg, error) {
	buf := make([]byte, udpRead)
	var stray error
	for range strays {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, errors.Join(err, stray)
		}
		msg, err := parse(buf[:n], ask)
		if err == nil {
			return msg, nil
		}
		stray = err
	}
	return nil, fmt.Errorf("%d packets that are no reply, the last: %w", strays, stray)
}

func readTCP(conn net.Conn, ask *dns.Msg, most int64) (*dns.Msg, error) {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint16(size[:]))
	if n > most {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", errTooLarge, n, most)
	}
	buf := make([]byte, n)
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, err
	}
	msg, err := parse(buf, ask)
	if err == nil && msg.Truncated {
		return nil, errors.New("a reply by TCP that is cut off")
	}
	return msg, err
}

// parse reads a packet and checks that it is the reply to ask. One that was cut off may
// end inside a record; what counts of it is that it was.
func parse(packet []byte, ask *dns.Msg) (*dns.Msg, error) {
	msg := new(dns.Msg)
	if err := msg.Unpack(packet); err != nil && !msg.Truncated {
		return nil, fmt.Errorf("not a message of DNS: %w", err)
	}
	want := ask.Question[0]
	switch {
	case msg.Id != ask.Id || !msg.Response || msg.Opcode != dns.OpcodeQuery:
		return nil, errors.New("not a reply to this question")
	case len(msg.Question) == 0 && msg.Rcode == dns.RcodeFormatError:
		return msg, nil // it could not read the question
	case len(msg.Question) != 1 || !strings.EqualFold(msg.Question[0].Name, want.Name) ||
		msg.Question[0].Qtype != want.Qtype || msg.Question[0].Qclass != want.Qclass:
		return nil, errors.New("a reply to another question")
	}
	return msg, nil
}

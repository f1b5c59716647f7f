// Package courier carries one message to one next hop, and says for each recipient what
// became of it: delivered, deferred, failed, or unknown. A next hop is the mail hosts of a
// domain (RFC 5321 section 5), or the smart host.
//
// Read carry.go first. The queue is who asks; it decides when to try, how often, and what
// a failure means for the sender. The courier keeps nothing but open connections and the
// MTA-STS policies of others:
//
//	c, err := courier.New(courier.Config{Resolver: resolver, Hostname: hostname, Limits: limits})
//	defer c.Close()
//	results, err := c.Carry(ctx, courier.Job{Domain: "example.com", ReturnPath: from, Recipients: to, Size: size, Open: open})
//
// The other side is a stranger. Whatever it does, a connection costs bounded memory and
// time (reply.go, client.go), leads to no address inside the operator's network
// (address.go), and ends in one line of printable text.
//
// The client is our own, over net.Conn. That of go-smtp knows neither PIPELINING nor a
// bound for replies, and writes addresses as they come, so that `"x> NOTIFY=NEVER <y"@d`
// sets parameters; a connection wrapped around it could bound bytes, but not tell which
// command they answer, nor put RSET, MAIL, RCPT and DATA into one packet. What is needed
// of SMTP is a few hundred lines; the library's server is the other side of our tests.
package courier

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

// Resolver is the part of DNS that delivery needs; *resolve.Resolver is one.
type Resolver interface {
	TXT(ctx context.Context, name string) resolve.Answer[string]
	MX(ctx context.Context, name string) resolve.Answer[resolve.MX]
	Addresses(ctx context.Context, name string) resolve.Answer[netip.Addr]
}

// Config of a Courier.
type Config struct {
	Resolver Resolver       // required
	Hostname string         // required: our name in EHLO, and the one that must not be among the mail hosts
	Limits   gateway.Limits // required
	// SmartHost, if set, gets all mail. The mail hosts of the domains are not asked for.
	SmartHost *SmartHost
	// AllowPrivate lets mail hosts have loopback and private addresses.
	AllowPrivate bool
	// Own are the addresses at which our own doors listen: nothing is delivered there.
	// An unspecified one stands for all addresses of this machine. Default: none.
	Own func() []netip.AddrPort
	// Dial connects to an address that was judged, an IP with a port; default: a
	// net.Dialer. Nothing is looked up again behind it.
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Roots    *x509.CertPool   // default: the system's
	Policies Policies         // MTA-STS policies that are remembered; default: in memory
	Log      *slog.Logger     // default: slog.Default()
	Now      func() time.Time // what certificates and policies expire by; default: time.Now
}

// Courier delivers. It may be used from many goroutines.
type Courier struct {
	cfg  Config
	pool *pool
	sts  *sts
}

// New checks cfg and fills its defaults. It starts nothing.
func New(cfg Config) (*Courier, error) {
	if cfg.Resolver == nil || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("courier: Resolver and Limits are required")
	}
	var err error
	if cfg.Hostname, err = hostname(cfg.Hostname); err != nil {
		return nil, errors.New("courier: Hostname has to be the name of this host")
	}
	if cfg.SmartHost != nil {
		smart := *cfg.SmartHost
		if err := smart.check(); err != nil {
			return nil, err
		}
		cfg.SmartHost = &smart
	}
	if cfg.Own == nil {
		cfg.Own = func() []netip.AddrPort { return nil }
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Policies == nil {
		cfg.Policies = newMemory(cfg.Limits.STSPolicies)
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Courier{cfg: cfg, pool: newPool(cfg.Limits)}
	c.sts = newSTS(c)
	return c, nil
}

// Close says goodbye on the connections that wait, and keeps none from now on. It returns
// when they are closed; whoever is in Carry goes on.
func (c *Courier) Close() { c.pool.close() }

// Job is one message for recipients that have the next hop in common.
type Job struct {
	// Domain is what the recipients' addresses end in; the smart host gets any.
	Domain     string
	ReturnPath string   // the reverse-path; empty is the null one
	Recipients []string // forward-paths, at most Limits.CourierRecipients
	Size       int64    // bytes that Open gives; 0 if not known
	EightBit   bool     // the body has bytes over 127: RFC 6152
	UTF8       bool     // the header has, or an address: RFC 6531
	// TLS is what the sender's domain asks of the next hop; default: opportunistic.
	TLS gateway.TLSPolicy
	// Open gives the message, with CRLF line ends, from its first byte. It may be
	// called again, when another host has to be tried.
	Open func() (io.ReadCloser, error)
}

// Outcome is what became of a message for one recipient.
type Outcome string

// The outcomes. Unknown is said after the final dot was sent and no reply came: the
// message may be there. Trying again may deliver it twice, not trying may lose it; RFC
// 5321 section 4.5.3.2.6 prefers the first.
const (
	Delivered Outcome = "delivered"
	Deferred  Outcome = "deferred"
	Failed    Outcome = "failed"
	Unknown   Outcome = "unknown"
)

// Phase is how far an attempt came.
type Phase string

// The phases, in their order.
const (
	PhaseMessage  Phase = "message"  // before anybody was asked: the job itself
	PhaseRoute    Phase = "route"    // which hosts, which addresses
	PhaseConnect  Phase = "connect"  // TCP
	PhaseGreeting Phase = "greeting" // the first 220
	PhaseHello    Phase = "hello"    // EHLO, and what it offers
	PhaseTLS      Phase = "tls"      // STARTTLS and the handshake
	PhaseAuth     Phase = "auth"     // at the smart host
	PhaseMail     Phase = "mail"
	PhaseRcpt     Phase = "rcpt"
	PhaseData     Phase = "data" // DATA and the message
	PhaseEnd      Phase = "end"  // the final dot
)

// Answer is how it ended, and in whose words.
type Answer struct {
	Outcome Outcome
	Phase   Phase
	// Remote says that code and text are the next hop's. Otherwise they are ours.
	Remote   bool
	Code     int    // RFC 5321 section 4.2
	Enhanced [3]int // RFC 3463; class.0.0 if the next hop gave none
	Text     string // one line of printable ASCII, at most 400 bytes, without the codes
}

// Result is what became of the message for one recipient.
type Result struct {
	Recipient string // as in the Job
	Answer
	Hop Hop // zero if no host was tried
}

// Hop is the connection on which a recipient was decided.
type Hop struct {
	Host   string
	Addr   netip.AddrPort
	TLS    TLS
	Reused bool // it had carried other messages before
	// Begun is when the hop was first tried for this message, Ended when its last
	// recipient was decided or it was given up.
	Begun, Ended time.Time
}

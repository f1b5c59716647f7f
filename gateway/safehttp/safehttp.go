// Package safehttp is the only HTTP client of the gateway: how may it reach an
// address that somebody else chose? Tenants name URLs (remote attachments,
// webhooks); this room makes sure that none of them reaches the inside of the
// operator's network. It judges the address that is really connected to, so
// neither a name that resolves to another address the second time nor a redirect
// gets around it.
//
// It bounds everything: time, header, body, redirects. It takes no proxy from the
// environment, keeps no cookies and no connections, and unpacks nothing.
package safehttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Resolver finds the addresses of a name; net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config of a Client. What is left zero works.
type Config struct {
	AllowLoopback bool           // this machine may be reached, over http too
	Allow         []string       // host:port that may be reached although private, over http too
	Timeout       time.Duration  // for one call with its redirects and body; default Timeout
	Resolver      Resolver       // default: net.DefaultResolver
	Roots         *x509.CertPool // default: the system's
	Log           *slog.Logger   // default: slog.Default()
}

const (
	// Timeout is how long one call may take, from the look-up to the last byte.
	// Ours, as for remote attachments: REST clients wait meanwhile.
	Timeout = 10 * time.Second
	// MaxRedirects is how often one Fetch may be sent elsewhere. Ours.
	MaxRedirects = 3
	// maxHeader bounds the header of an answer, in bytes. Ours.
	maxHeader = 64 << 10
	// maxURL bounds a URL, in bytes. RFC 9110 section 4.1 wants at least 8,000.
	maxURL = 8000
	// maxTries bounds how many addresses of one name are tried.
	maxTries = 4
)

// Client makes calls; it may be used by many at once.
type Client struct {
	cfg       Config
	allow     map[string]bool // host:port, folded
	transport *http.Transport
	// connect opens one connection, and calls control with the address before.
	connect func(ctx context.Context, network, address string, control control) (net.Conn, error)
}

// New checks cfg and fills its defaults. It starts nothing.
func New(cfg Config) (*Client, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = Timeout
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	c := &Client{cfg: cfg, allow: make(map[string]bool), connect: connect}
	for _, a := range cfg.Allow {
		host, port, err := net.SplitHostPort(a)
		if err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("safehttp: %q is not host:port", a)
		}
		c.allow[place(host, port)] = true
	}
	c.transport = &http.Transport{
		Proxy:                  nil,
		DialContext:            c.dialPlain,
		DialTLSContext:         c.dialTLS,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}
	return c, nil
}

// place is how a host and port are compared.
func place(host, port string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, ".")), port)
}

func (c *Client) dialPlain(ctx context.Context, _, address string) (net.Conn, error) {
	return c.dial(ctx, address, true)
}

// dialTLS is here only because a plain connection is held to other rules.
func (c *Client) dialTLS(ctx context.Context, _, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	raw, err := c.dial(ctx, address, false)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		raw.Close()
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{ServerName: host, RootCAs: c.cfg.Roots, MinVersion: tls.VersionTLS12})
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// dial looks a name up once and tries its addresses, each of which is judged
// when it is connected to.
func (c *Client) dial(ctx context.Context, address string, plain bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ips, err := c.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	rule := rule{named: c.allow[place(host, port)], loopback: c.cfg.AllowLoopback, plain: plain, literal: len(ips) == 1 && ips[0].String() == host}
	for _, ip := range ips[:min(len(ips), maxTries)] {
		var conn net.Conn
		if conn, err = c.connect(ctx, "tcp", net.JoinHostPort(ip.String(), port), rule.control); err == nil {
			return conn, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("%s has no address", host)
	}
	return nil, err
}

func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	ips, err := c.cfg.Resolver.LookupNetIP(ctx, "ip", host)
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	return ips, err
}

// connect is net.Dialer, whose Control sees the address that the socket gets.
func connect(ctx context.Context, network, address string, control control) (net.Conn, error) {
	d := net.Dialer{Control: control}
	return d.DialContext(ctx, network, address)
}

// endsInNumber reports whether a host is what some resolvers take for an IPv4
// address in another notation: decimal, octal, hex, or with fewer parts. Source:
// WHATWG URL, "ends-in-a-number checker".
func endsInNumber(host string) bool {
	last := strings.TrimSuffix(host, ".")
	last = last[strings.LastIndexByte(last, '.')+1:]
	if last == "" {
		return false
	}
	if strings.Trim(last, "0123456789") == "" {
		return true
	}
	_, err := strconv.ParseUint(last, 0, 64)
	low := strings.ToLower(last)
	return strings.HasPrefix(low, "0x") && (err == nil || strings.Trim(low[2:], "0123456789abcdef") == "")
}

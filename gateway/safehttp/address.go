package safehttp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/centerleap/postern/gateway"
)

// control is the Control of a net.Dialer: it sees each address before anything
// is sent to it.
type control = func(network, address string, _ syscall.RawConn) error

// rule says which addresses one connection may reach.
type rule struct {
	named    bool // the operator allows this host and port
	literal  bool // the host is the address
	loopback bool // the operator allows this machine
	plain    bool // without TLS: only what the operator allows
}

// registries knows the special-purpose registries of IANA, for both families.
var registries = ssrf.New(ssrf.WithAnyPort())

// shared is the address space of carriers' NAT, RFC 6598, which the standard
// library does not call private.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// control judges the address that a socket is about to be connected to.
func (r rule) control(network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return refused("%s %s is not to be reached", network, address)
	}
	ip := at.Addr().Unmap()
	switch {
	case r.loopback && ip.IsLoopback():
		return nil
	case r.named && r.inside(ip):
		return nil
	case r.plain && !r.named:
		return refused("%s may not be reached without TLS", ip)
	}
	if err := Public(ip); err != nil {
		return refused("%w", err)
	}
	return nil
}

// inside are the addresses of a network of one's own. Those of a link alone, where
// clouds keep their secrets, count only if the operator wrote the address itself.
func (r rule) inside(ip netip.Addr) bool {
	return Private(ip) || r.literal && ip.IsLinkLocalUnicast() && ip.Zone() == ""
}

// Public says why an address is not of the public network; nil if it is. It is for all
// who connect to what others name, also without HTTP.
func Public(ip netip.Addr) error {
	ip = ip.Unmap()
	if err := registries.SafeAddr(ip); err != nil {
		return fmt.Errorf("%s: %w", ip, err)
	}
	if v4, ok := embedded(ip); ok && registries.SafeAddr(v4) != nil {
		return fmt.Errorf("%s stands for %s", ip, v4)
	}
	return nil
}

// Private reports whether an address is of this machine or of a network of one's own.
func Private(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsPrivate() || shared.Contains(ip)
}

// embedded finds the IPv4 address inside an ISATAP address, RFC 5214 section 6.1:
// the one form that is in a public range, and so unknown to the registries.
func embedded(ip netip.Addr) (netip.Addr, bool) {
	if !ip.Is6() {
		return netip.Addr{}, false
	}
	b := ip.As16()
	if id := binary.BigEndian.Uint32(b[8:12]); id != 0x00005efe && id != 0x02005efe {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(b[12:])), true
}

// refused is what the caller may not reach. The text is for the log.
func refused(format string, args ...any) error {
	e := gateway.Errorf(gateway.Restricted, format, args...)
	return &gateway.Error{Kind: e.Kind, Message: "the address is not allowed", Reason: e.Message, Err: e.Err}
}

// Check judges a URL by what it says, as every call does before anything is looked up.
// InvalidParameter says what is wrong with it.
func (c *Client) Check(rawURL string) error {
	_, err := c.check(rawURL)
	return err
}

// check judges a URL by what it says, before anything is looked up: such faults
// are the client's own and may be told.
func (c *Client) check(raw string) (*url.URL, error) {
	bad := func(format string, args ...any) (*url.URL, error) {
		return nil, gateway.Errorf(gateway.InvalidParameter, format, args...)
	}
	if len(raw) > maxURL {
		return bad("the URL is over %d bytes", maxURL)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return bad("the URL can't be read")
	}
	host, port := u.Hostname(), u.Port()
	ip, noIP := netip.ParseAddr(host)
	allowed := c.cfg.AllowLoopback || c.allow[place(host, portOf(u))]
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !allowed):
		return bad("the URL must start with https://")
	case host == "" || u.Opaque != "" || u.User != nil:
		return bad("the URL must name a host, and no user")
	case noIP == nil && ip.Zone() != "" || strings.Contains(host, "%"):
		return bad("the URL names a network interface")
	case noIP != nil && (endsInNumber(host) || strings.ContainsAny(host, ":[] ")):
		return bad("the URL's host is neither a name nor an address")
	case port == "" && strings.HasSuffix(u.Host, ":") || port == "0":
		return bad("the URL's port can't be read")
	}
	u.Fragment = ""
	return u, nil
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

package courier

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"code.dny.dev/ssrf"

	"github.com/centerleap/postern/gateway/resolve"
)

var (
	errInside = errors.New("an address that is not public")
	errLoop   = errors.New("an address of our own")
)

// public knows the special-purpose registries of IANA, for both families.
var public = ssrf.New(ssrf.WithAnyPort())

// shared is the address space of carriers' NAT, RFC 6598.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// judge says whether an address may be connected to. Whoever publishes a domain chooses
// its mail hosts, so they must not lead inside. What is judged is dialled as it is.
// named is for the smart host, which the operator chose.
func (c *Courier) judge(at netip.AddrPort, named bool) error {
	ip := at.Addr().Unmap()
	inside := ip.IsLoopback() || ip.IsPrivate() || shared.Contains(ip)
	switch {
	case c.own(at):
		return errLoop
	case ip.IsUnspecified() || ip.IsMulticast():
		return errInside
	case named, inside && c.cfg.AllowPrivate:
		return nil
	case inside || public.SafeAddr(ip) != nil:
		return errInside
	}
	if v4, ok := embedded(ip); ok && public.SafeAddr(v4) != nil {
		return errInside
	}
	return nil
}

// embedded finds the IPv4 address inside an ISATAP address, RFC 5214 section 6.1: the one
// form that is in a public range, and so unknown to the registries.
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

// own reports whether one of our doors listens there.
func (c *Courier) own(at netip.AddrPort) bool {
	ip := at.Addr().Unmap()
	for _, door := range c.cfg.Own() {
		if door.Port() != at.Port() {
			continue
		}
		if addr := door.Addr().Unmap(); addr == ip || addr.IsUnspecified() && here(ip) {
			return true
		}
	}
	return false
}

// here reports whether an address is of this machine.
func here(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(net.IP(ip.AsSlice())) {
			return true
		}
	}
	return false
}

// maxOfHost is how many addresses of one host are tried. Ours: both families, twice.
const maxOfHost = 4

// addresses are where a host may be connected to, both families in turn, IPv6 first: one
// of them may be broken here or there. RFC 5321 section 5.1.
func (c *Courier) addresses(ctx context.Context, t target) ([]netip.AddrPort, *fault) {
	found := []netip.Addr{t.addr}
	if !t.addr.IsValid() {
		ans := c.cfg.Resolver.Addresses(ctx, t.host)
		switch {
		case ans.Class.Empty():
			return nil, ours(Failed, PhaseRoute, [3]int{5, 4, 4}, ans.Err, "the mail host %s has no address", t.host)
		case ans.Class != resolve.Found:
			return nil, ours(Deferred, PhaseRoute, [3]int{4, 4, 3}, ans.Err, "the addresses of the mail host %s can't be looked up now", t.host)
		}
		found = ans.Records
	}
	var six, four []netip.AddrPort
	for _, ip := range found {
		at := netip.AddrPortFrom(ip.Unmap(), t.port)
		switch err := c.judge(at, t.smart); {
		case errors.Is(err, errLoop):
			f := ours(Failed, PhaseRoute, [3]int{5, 4, 6}, err, "the mail host %s is this gateway itself", t.host)
			f.stop = true
			return nil, f
		case err != nil:
		case at.Addr().Is4():
			four = append(four, at)
		default:
			six = append(six, at)
		}
	}
	list := inTurn(six, four)
	if len(list) == 0 {
		return nil, ours(Failed, PhaseRoute, [3]int{5, 4, 4}, errInside, "the mail host %s has no public address", t.host)
	}
	return list[:min(len(list), maxOfHost)], nil
}

func inTurn(a, b []netip.AddrPort) (out []netip.AddrPort) {
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			out = append(out, a[i])
		}
		if i < len(b) {
			out = append(out, b[i])
		}
	}
	return out
}

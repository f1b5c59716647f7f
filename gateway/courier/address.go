package courier

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/centerleap/postern/gateway/resolve"
	"github.com/centerleap/postern/gateway/safehttp"
)

var (
	errInside = errors.New("an address that is not public")
	errLoop   = errors.New("an address of our own")
)

// judge says whether an address may be connected to. Whoever publishes a domain chooses
// its mail hosts, so they must not lead inside. What is judged is dialled as it is.
// named is for the smart host, which the operator chose.
func (c *Courier) judge(at netip.AddrPort, named bool) error {
	ip := at.Addr().Unmap()
	switch {
	case c.own(at):
		return errLoop
	case ip.IsUnspecified() || ip.IsMulticast():
		return errInside
	case named, c.cfg.AllowPrivate && safehttp.Private(ip):
		return nil
	case safehttp.Public(ip) != nil:
		return errInside
	}
	return nil
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

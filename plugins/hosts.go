package plugins

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// place is where a plugin may ask: a host, or with below all names below it, and one port.
type place struct {
	host  string // folded
	port  string // empty in a manifest: the usual one of the scheme
	below bool
}

// readPlace reads an entry of http_hosts: host, host:port, or *.domain for all below it.
func readPlace(entry string) (p place, err error) {
	name := entry
	if host, port, split := splitPort(entry); split {
		if n, bad := strconv.ParseUint(port, 10, 16); bad != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return p, fmt.Errorf("%.80q has no port", entry)
		}
		name, p.port = host, port
	}
	if below, ok := strings.CutPrefix(name, "*."); ok {
		if name, p.below = below, true; !strings.Contains(below, ".") {
			return p, fmt.Errorf("%.80q is below no domain", entry)
		}
	}
	if p.host, err = foldHost(name); err != nil {
		return p, fmt.Errorf("%.80q: %w", entry, err)
	}
	if _, bad := netip.ParseAddr(p.host); bad == nil && p.below {
		return p, fmt.Errorf("%.80q is below an address", entry)
	}
	return p, nil
}

// splitPort parts an entry at its port, if it names one. An IPv6 address stands in brackets.
func splitPort(entry string) (host, port string, split bool) {
	if strings.HasPrefix(entry, "[") && strings.HasSuffix(entry, "]") {
		return entry, "", false
	}
	i := strings.LastIndexByte(entry, ':')
	if i < 0 {
		return entry, "", false
	}
	return entry[:i], entry[i+1:], true
}

// foldHost makes one text of all ways to write a host. It takes names of letters, digits
// and hyphens, Unicode ones as IDNA has them, and addresses in the one form that package
// netip writes: what some programs take for an address is none.
func foldHost(host string) (string, error) {
	bare, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		bare, bracketed = strings.CutSuffix(bare, "]")
	}
	if ip, err := netip.ParseAddr(bare); err == nil {
		if ip.Is6() != bracketed || ip.Zone() != "" || ip.Is4In6() || ip.String() != strings.ToLower(bare) {
			return "", fmt.Errorf("the address %.80q can be written shorter", host)
		}
		return ip.String(), nil
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", fmt.Errorf("%.80q is no name of a host", host)
	}
	ascii = strings.ToLower(strings.TrimSuffix(ascii, "."))
	labels := strings.Split(ascii, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || l[0] == '-' || l[len(l)-1] == '-' {
			return "", fmt.Errorf("%.80q is no name of a host", host)
		}
	}
	if last := labels[len(labels)-1]; len(ascii) > 253 || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return "", fmt.Errorf("%.80q is no name of a host", host)
	}
	return ascii, nil
}

// String is the entry, folded.
func (p place) String() string {
	host := p.host
	switch {
	case p.below:
		host = "*." + host
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	if p.port != "" {
		host += ":" + p.port
	}
	return host
}

// holds reports whether a URL's host, folded, and port are of the place. usual says that
// the port is that of the URL's scheme.
func (p place) holds(host, port string, usual bool) bool {
	if p.port == "" && !usual || p.port != "" && p.port != port {
		return false
	}
	if p.below {
		_, bad := netip.ParseAddr(host)
		return bad != nil && strings.HasSuffix(host, "."+p.host)
	}
	return host == p.host
}

// joined is a host and port as a URL has them.
func joined(host, port string, usual bool) string {
	if !usual {
		return net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

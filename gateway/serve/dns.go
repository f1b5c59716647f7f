package serve

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/centerleap/postern/gateway/resolve"
)

// resolvConf is where the system says whom to ask; resolv.conf(5).
const resolvConf = "/etc/resolv.conf"

// resolver makes the one resolver that all rooms share; nil if nobody is to be asked.
func (c *Config) resolver(now func() time.Time) (*resolve.Resolver, error) {
	servers, err := c.dnsServers(resolvConf)
	if err != nil || len(servers) == 0 {
		return nil, err
	}
	return resolve.New(resolve.Config{Servers: servers, Limits: c.Limits, Now: now})
}

// dnsServers are those of dns.servers, of which an empty list is nobody; without that
// setting those of the system, but in quickstart nobody: it needs no network.
func (c *Config) dnsServers(system string) (out []string, err error) {
	if !c.chosen["dns.servers"] {
		if c.local {
			return nil, nil
		}
		if out, err = resolve.Servers(system); err != nil {
			return nil, fmt.Errorf("dns.servers: name them, or none with []: %w", err)
		}
		return out, nil
	}
	for _, v := range c.DNSServers {
		at, err := dnsServer(v)
		if err != nil {
			return nil, err
		}
		out = append(out, at.String())
	}
	return out, nil
}

// dnsServer reads the address of a DNS server, whose port is 53 unless it says
// another. A name would need DNS to be found.
func dnsServer(v string) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(v); err == nil {
		return netip.AddrPortFrom(ip, 53), nil
	}
	at, err := netip.ParseAddrPort(v)
	if err != nil || at.Port() == 0 {
		return at, fmt.Errorf("the address of a DNS server such as 192.0.2.53 or 127.0.0.1:5353 is expected, not %q", v)
	}
	return at, nil
}

func isDNSServer(v string) error {
	_, err := dnsServer(v)
	return err
}

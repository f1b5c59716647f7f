package courier

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

// target is a host that may take the message.
type target struct {
	host  string     // its name, which a certificate has to have
	addr  netip.Addr // instead of looking the name up
	port  uint16
	smart bool // the operator chose it
	// strict: not without TLS and a certificate that fits the name. Where the name comes
	// from DNS that is as much as can be had: who forges DNS needs MTA-STS to be kept out.
	strict bool
	policy string
}

// key is what a kept connection may be used for again.
func (t target) key() key { return key{t.host, t.port, t.strict} }

// smtpPort is where mail hosts listen: RFC 5321 section 4.5.4.2.
const smtpPort = 25

// route finds the hosts for a job, in the order in which they are to be tried. A fault
// is for all recipients.
func (c *Courier) route(ctx context.Context, job Job) ([]target, *fault) {
	if s := c.cfg.SmartHost; s != nil {
		return []target{s.target()}, nil
	}
	strict := job.TLS == gateway.TLSEnforced
	policy := ""
	if strict {
		policy = PolicyDomain
	}
	if ip, ok := literalAddr(job.Domain); ok {
		return []target{{host: ip.String(), addr: ip, port: smtpPort, strict: strict, policy: policy}}, nil
	}
	domain, err := hostname(job.Domain)
	if err != nil {
		return nil, ours(Failed, PhaseRoute, [3]int{5, 1, 2}, err, "%.100q is not the name of a domain", job.Domain)
	}
	hosts, f := c.hosts(ctx, domain)
	if f != nil {
		return nil, f
	}
	list := make([]target, len(hosts))
	for i, h := range hosts {
		list[i] = target{host: h, port: smtpPort, strict: strict, policy: policy}
	}
	return c.sts.apply(ctx, domain, list)
}

// hosts are the mail hosts of a domain, the preferred ones first, those of the same
// preference in random order. A domain without any is its own: RFC 5321 section 5.1.
func (c *Courier) hosts(ctx context.Context, domain string) ([]string, *fault) {
	ans := c.cfg.Resolver.MX(ctx, domain)
	switch ans.Class {
	case resolve.NXDomain:
		return nil, ours(Failed, PhaseRoute, [3]int{5, 1, 2}, ans.Err, "the domain %s does not exist", domain)
	case resolve.NoData:
		return c.implicit(ctx, domain)
	case resolve.Found:
		return c.order(domain, ans.Records)
	}
	return nil, ours(Deferred, PhaseRoute, [3]int{4, 4, 3}, ans.Err, "the mail hosts of %s can't be looked up now", domain)
}

// implicit is the domain as its own mail host, if it has an address.
func (c *Courier) implicit(ctx context.Context, domain string) ([]string, *fault) {
	if domain == c.cfg.Hostname {
		return nil, loop(domain)
	}
	ans := c.cfg.Resolver.Addresses(ctx, domain)
	switch {
	case ans.Class.Empty():
		return nil, ours(Failed, PhaseRoute, [3]int{5, 1, 2}, ans.Err, "the domain %s has no mail host and no address", domain)
	case ans.Class != resolve.Found:
		return nil, ours(Deferred, PhaseRoute, [3]int{4, 4, 3}, ans.Err, "the address of %s can't be looked up now", domain)
	}
	return []string{domain}, nil
}

func (c *Courier) order(domain string, list []resolve.MX) ([]string, *fault) {
	if len(list) == 1 && list[0].Host == "" { // RFC 7505 section 4.2
		f := ours(Failed, PhaseRoute, [3]int{5, 1, 10}, nil, "the domain %s takes no mail", domain)
		f.Code = 556
		return nil, f
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b resolve.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	var hosts []string
	for _, mx := range c.before(list) {
		if mx.Host != "" && !slices.Contains(hosts, mx.Host) {
			hosts = append(hosts, mx.Host)
		}
	}
	if len(hosts) == 0 {
		return nil, loop(domain)
	}
	return hosts[:min(int64(len(hosts)), c.cfg.Limits.CourierHosts)], nil
}

// before leaves the hosts that are preferred to this one. RFC 5321 section 5.1: a mail
// host carries mail to better ones alone, or it would go in a circle.
func (c *Courier) before(list []resolve.MX) []resolve.MX {
	for _, mx := range list {
		if mx.Host == c.cfg.Hostname {
			end, _ := slices.BinarySearchFunc(list, mx.Preference, func(a resolve.MX, p uint16) int { return cmp.Compare(a.Preference, p) })
			return list[:end]
		}
	}
	return list
}

func loop(domain string) *fault {
	return ours(Failed, PhaseRoute, [3]int{5, 4, 6}, nil, "the mail host of %s is this gateway, which does not know the domain", domain)
}

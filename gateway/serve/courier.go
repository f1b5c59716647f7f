package serve

import (
	"context"
	"net"
	"net/netip"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/courier"
	"github.com/centerleap/postern/gateway/outbound"
	"github.com/centerleap/postern/gateway/resolve"
)

// couriers are the courier room in the words of outbound: one that asks DNS where mail
// goes, and one that gives all of it to the smart host, if there is one.
type couriers struct {
	direct, relay *courier.Courier
	smart         string // the smart host, as a hop is named
	mode          func(context.Context) (gateway.DeliveryMode, error)
}

func (g *Gateway) buildCouriers() (err error) {
	servers, err := g.cfg.courierDNS(resolvConf)
	if err != nil {
		return err
	}
	c := courier.Config{
		Hostname: g.cfg.Hostname, Limits: g.cfg.Limits, AllowPrivate: g.cfg.AllowPrivate, Own: g.ownAddresses, Dial: g.cfg.Dial,
		Log: g.log, Now: g.now,
	}
	names := names{g.dns}
	if g.dns == nil && len(servers) > 0 {
		if names.dns, err = resolve.New(resolve.Config{Servers: servers, Limits: g.cfg.Limits, Now: g.now}); err != nil {
			return err
		}
	}
	c.Resolver = names
	g.couriers = &couriers{mode: g.DeliveryMode}
	if g.couriers.direct, err = courier.New(c); err != nil || g.cfg.SmartHost == "" {
		return err
	}
	if c.SmartHost, err = courier.ParseSmartHost(g.cfg.SmartHost); err != nil {
		return err
	}
	g.couriers.smart = net.JoinHostPort(c.SmartHost.Host, "smarthost") // no domain has such a name
	g.couriers.relay, err = courier.New(c)
	return err
}

// courierDNS are the servers that mail to other hosts needs although nothing else may ask
// any: those of the system. Quickstart needs no network until such mail leaves.
func (c *Config) courierDNS(system string) ([]string, error) {
	if !c.local || c.chosen["dns.servers"] {
		return nil, nil // those of the gateway, or none
	}
	servers, err := resolve.Servers(system)
	if err != nil {
		return nil, nil //nolint:nilerr // without DNS such mail waits, and says so
	}
	return servers, nil
}

// ownAddresses are where our mail doors listen: mail that is sent there would come back.
func (g *Gateway) ownAddresses() (all []netip.AddrPort) {
	for _, door := range []string{"mx", "submission", "submissions"} {
		if ln := g.doors[door]; ln != nil {
			if at, err := netip.ParseAddrPort(ln.Addr().String()); err == nil {
				all = append(all, at)
			}
		}
	}
	return all
}

// relays reports whether mail goes to the smart host. What leaves in capture mode was let
// go by an operator.
func (c *couriers) relays(ctx context.Context) (bool, error) {
	mode, err := c.mode(ctx)
	return c.relay != nil && mode != gateway.ModeDirect, err
}

// Hop implements outbound.Courier.
func (c *couriers) Hop(ctx context.Context, site string) (string, error) {
	relays, err := c.relays(ctx)
	if relays {
		return c.smart, err
	}
	return site, err
}

// Carry implements outbound.Courier.
func (c *couriers) Carry(ctx context.Context, t outbound.Trip) ([]gateway.Outcome, error) {
	relays, err := c.relays(ctx)
	if err != nil {
		return nil, err
	}
	by := c.direct
	if relays {
		by = c.relay
	}
	results, err := by.Carry(ctx, courier.Job{
		Domain: t.Site, ReturnPath: t.ReturnPath, Recipients: t.Recipients, Size: t.Size, EightBit: t.EightBit, UTF8: t.UTF8, TLS: t.TLS, Open: t.Open,
	})
	out := make([]gateway.Outcome, len(results))
	for i := range results {
		out[i] = outcome(&results[i], relays)
	}
	return out, err
}

// outcome is what the courier says of a recipient, in words that all rooms share. What
// the smart host took is on its way, not there.
func outcome(r *courier.Result, relayed bool) gateway.Outcome {
	o := gateway.Outcome{
		Code: r.Code, Enhanced: r.Enhanced, Text: r.Text, Remote: r.Remote, Host: r.Hop.Host, TLS: r.Hop.TLS.Version, Phase: string(r.Phase),
	}
	switch r.Outcome {
	case courier.Delivered:
		o.State = gateway.DeliveryDelivered
		if relayed {
			o.State = gateway.DeliverySent
		}
	case courier.Failed:
		o.State = gateway.DeliveryFailed
	case courier.Deferred:
		o.State, o.Down = gateway.DeliveryQueued, aboutSite[r.Phase] && r.Enhanced != busy && r.Enhanced != stopped
	case courier.Unknown:
		o.State, o.Unknown = gateway.DeliveryQueued, true
	}
	return o
}

// aboutSite are the phases in which nobody has seen the message yet.
var aboutSite = map[courier.Phase]bool{
	courier.PhaseRoute: true, courier.PhaseConnect: true, courier.PhaseGreeting: true, courier.PhaseHello: true, courier.PhaseTLS: true, courier.PhaseAuth: true,
}

// Two reasons of our own to put mail off, which say nothing of the site.
var (
	busy    = [3]int{4, 4, 5}
	stopped = [3]int{4, 3, 2}
)

// close ends the connections that wait for more mail.
func (c *couriers) close() {
	c.direct.Close()
	if c.relay != nil {
		c.relay.Close()
	}
}

// names is DNS for the courier: localhost is this machine, RFC 6761 section 6.3, and
// without DNS nothing is known, for now.
type names struct{ dns *resolve.Resolver }

const noResolver = "no DNS server is configured"

// TXT implements courier.Resolver.
func (n names) TXT(ctx context.Context, name string) resolve.Answer[string] {
	if n.dns == nil {
		return resolve.Answer[string]{Class: resolve.Temporary, Err: gateway.Errorf(gateway.Unavailable, noResolver)}
	}
	return n.dns.TXT(ctx, name)
}

// MX implements courier.Resolver.
func (n names) MX(ctx context.Context, name string) resolve.Answer[resolve.MX] {
	if n.dns == nil {
		return resolve.Answer[resolve.MX]{Class: resolve.Temporary, Err: gateway.Errorf(gateway.Unavailable, noResolver)}
	}
	return n.dns.MX(ctx, name)
}

// Addresses implements courier.Resolver.
func (n names) Addresses(ctx context.Context, name string) resolve.Answer[netip.Addr] {
	switch {
	case name == "localhost":
		return resolve.Answer[netip.Addr]{Class: resolve.Found, Records: []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
	case n.dns == nil:
		return resolve.Answer[netip.Addr]{Class: resolve.Temporary, Err: gateway.Errorf(gateway.Unavailable, noResolver)}
	}
	return n.dns.Addresses(ctx, name)
}

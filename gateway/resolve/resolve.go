// Package resolve asks DNS: texts, mail hosts, addresses, names and aliases, each
// answered with the records, whether they are authentic, how long they hold, and
// one Class that callers switch on.
//
// A Resolver is a stub: it asks the servers of resolv.conf, which do the walking. It
// bounds what they may do to us: time, size, records, aliases, questions at once; and
// with Limit, how much one mail may ask. It remembers answers, and asks the same thing
// only once at a time. Ids and ports are random, and a reply has to repeat the
// question; letters of random case would help no further where the server is near, and
// some servers lose them. Names are A-labels; making them is the caller's.
//
// It is asked by mailauth, domains and courier; serve makes one for all of them:
//
//	servers, err := resolve.Servers("/etc/resolv.conf") // or the one of [dns]
//	r, err := resolve.New(resolve.Config{Servers: servers, Limits: limits})
package resolve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/centerleap/postern/gateway"
)

// Config of a Resolver.
type Config struct {
	Servers []string       // required: host:port, asked in this order; see Servers
	Limits  gateway.Limits // required
	// Dial reaches a server over "udp" or "tcp"; default: a net.Dialer.
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Now     func() time.Time // default: time.Now
	Timeout time.Duration    // of one question, all tries together; default gateway.DNSTimeout
	Try     time.Duration    // of one try; default gateway.DNSTry
}

// Resolver asks DNS. It may be used from many goroutines.
type Resolver struct {
	cfg     Config
	slots   chan struct{} // one for each question under way
	cache   cache
	flights flights
}

// New checks cfg and fills its defaults. It starts nothing.
func New(cfg Config) (*Resolver, error) {
	if len(cfg.Servers) == 0 || cfg.Limits == (gateway.Limits{}) {
		return nil, errors.New("resolve: Servers and Limits are required")
	}
	for _, s := range cfg.Servers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return nil, errors.New("resolve: a server is host:port, not " + s)
		}
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = gateway.DNSTimeout
	}
	if cfg.Try == 0 {
		cfg.Try = gateway.DNSTry
	}
	r := &Resolver{cfg: cfg, slots: make(chan struct{}, cfg.Limits.DNSAtOnce)}
	r.cache.init(cfg.Limits.DNSCache)
	r.flights.calls = make(map[question]*flight)
	return r, nil
}

// TXT asks for texts. The strings of one record are joined, as RFC 7208 section 3.3 and
// RFC 6376 section 3.6.2.2 have it; the bytes are as they were published.
func (r *Resolver) TXT(ctx context.Context, name string) Answer[string] {
	rep := r.ask(ctx, name, dns.TypeTXT)
	return answer(rep, rep.texts)
}

// MX asks for mail hosts, the preferred ones first. One with an empty Host is the null
// MX of RFC 7505: the domain takes no mail.
func (r *Resolver) MX(ctx context.Context, name string) Answer[MX] {
	rep := r.ask(ctx, name, dns.TypeMX)
	return answer(rep, rep.mx)
}

// A asks for IPv4 addresses.
func (r *Resolver) A(ctx context.Context, name string) Answer[netip.Addr] {
	rep := r.ask(ctx, name, dns.TypeA)
	return answer(rep, rep.addrs)
}

// AAAA asks for IPv6 addresses.
func (r *Resolver) AAAA(ctx context.Context, name string) Answer[netip.Addr] {
	rep := r.ask(ctx, name, dns.TypeAAAA)
	return answer(rep, rep.addrs)
}

// Addresses asks for those of both families, IPv6 first. It is Found if one family is,
// even if the other failed; else a failure counts more than nothing.
func (r *Resolver) Addresses(ctx context.Context, name string) Answer[netip.Addr] {
	var four, six Answer[netip.Addr]
	var wait sync.WaitGroup
	wait.Go(func() { four = r.A(ctx, name) })
	six = r.AAAA(ctx, name)
	wait.Wait()
	switch {
	case four.Class == Found && six.Class == Found:
		six.Records = append(six.Records, four.Records...)
		six.Authentic = six.Authentic && four.Authentic
		six.TTL = min(six.TTL, four.TTL)
		return six
	case six.Class == Found:
		return six
	case four.Class == Found, six.Class.Empty() && !four.Class.Empty():
		return four
	}
	return six
}

// PTR asks for the names of an address. Whoever has an address can name it anything:
// ask back whether the name has the address.
func (r *Resolver) PTR(ctx context.Context, ip netip.Addr) Answer[string] {
	name, err := dns.ReverseAddr(ip.Unmap().WithZone("").String())
	if err != nil {
		return Answer[string]{Class: NXDomain, Err: err}
	}
	rep := r.ask(ctx, name, dns.TypePTR)
	return answer(rep, rep.hosts)
}

// CNAME asks what a name is an alias of, one step of it. The other questions follow
// aliases by themselves; this is for who wants to see them.
func (r *Resolver) CNAME(ctx context.Context, name string) Answer[string] {
	rep := r.ask(ctx, name, dns.TypeCNAME)
	return answer(rep, rep.hosts)
}

// ask answers from memory, or joins whoever asks the same thing, or asks.
func (r *Resolver) ask(ctx context.Context, name string, of uint16) reply {
	name, err := clean(name)
	if err != nil {
		return reply{class: NXDomain, err: err} // what can't be in DNS isn't
	}
	if !spend(ctx) {
		return reply{class: Temporary, err: errBudget}
	}
	q := question{name, of}
	for {
		if rep, ok := r.cache.get(q, r.cfg.Now(), oldest(ctx)); ok {
			return rep
		}
		f, first := r.flights.join(q)
		if first {
			return r.lead(ctx, q, f)
		}
		select {
		case <-f.done:
			if f.whole {
				return f.rep
			}
		case <-ctx.Done():
			return reply{class: Temporary, err: ctx.Err()}
		}
	}
}

// lead asks for all who wait in f. If its own time ends first, the next of them asks:
// that it was in a hurry says nothing about DNS.
func (r *Resolver) lead(ctx context.Context, q question, f *flight) reply {
	defer r.flights.land(q, f)
	rep := r.follow(ctx, q)
	if f.rep, f.whole = rep, ctx.Err() == nil; f.whole {
		r.cache.put(q, rep, r.cfg.Now())
	}
	return rep
}

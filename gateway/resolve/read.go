package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/centerleap/postern/gateway"
)

var (
	errTooLarge = errors.New("an answer over the limit of its size")
	errRecords  = errors.New("an answer of too many records")
	errAliases  = errors.New("too many aliases, or a circle of them")
	errBogus    = errors.New("the server says that DNSSEC refutes the answer")
)

// follow asks, and asks again where a server left an alias for us to follow.
func (r *Resolver) follow(ctx context.Context, q question) reply {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	chain := reply{authentic: true, ttl: gateway.DNSKept}
	aliases := r.cfg.Limits.DNSAliases
	for at := q; ; {
		msg, err := r.exchange(ctx, at)
		if errors.Is(err, errTooLarge) {
			return reply{class: Bogus, ttl: gateway.DNSKeptFailure, name: at.name, err: err}
		} else if err != nil {
			return reply{class: Temporary, ttl: gateway.DNSKeptFailure, name: at.name, err: err}
		}
		rep, next := read(at, msg, &aliases, r.cfg.Limits.DNSRecords)
		rep.authentic = rep.authentic && chain.authentic
		rep.ttl = min(rep.ttl, chain.ttl)
		if next == "" {
			return rep
		}
		chain, at = rep, question{next, q.of}
	}
}

// read makes a reply of a message. next is a name that it leads to without saying
// more. aliases is how many steps are left.
func read(q question, msg *dns.Msg, aliases *int64, most int64) (rep reply, next string) {
	rep = reply{authentic: msg.AuthenticatedData, ttl: gateway.DNSKept, name: q.name}
	if msg.Rcode != dns.RcodeSuccess && msg.Rcode != dns.RcodeNameError {
		return failure(q, msg), ""
	}
	if int64(len(msg.Answer)) > most {
		return reply{class: Bogus, ttl: gateway.DNSKeptFailure, name: q.name, err: errRecords}, ""
	}
	for q.of != dns.TypeCNAME {
		target, ttl, found := alias(msg.Answer, rep.name)
		if !found {
			break
		}
		if *aliases--; *aliases < 0 || target == "" {
			return reply{class: Bogus, ttl: gateway.DNSKeptFailure, name: q.name, err: errAliases}, ""
		}
		rep.name, rep.ttl = target, min(rep.ttl, ttl)
	}
	for _, rr := range msg.Answer {
		if h := rr.Header(); h.Rrtype == q.of && h.Class == dns.ClassINET && sameName(h.Name, rep.name) && rep.add(rr) {
			rep.ttl = min(rep.ttl, seconds(h.Ttl))
		}
	}
	slices.SortStableFunc(rep.mx, func(a, b MX) int { return int(a.Preference) - int(b.Preference) })
	if len(rep.texts)+len(rep.mx)+len(rep.addrs)+len(rep.hosts) > 0 {
		return rep, ""
	}
	return rep.nothing(q, msg)
}

// nothing says how there is nothing: no name, no such records, or only an alias whose
// target the server didn't look for.
func (rep reply) nothing(q question, msg *dns.Msg) (reply, string) {
	ttl, proved := negative(msg.Ns)
	switch {
	case msg.Rcode == dns.RcodeNameError:
		rep.class, rep.err = NXDomain, fmt.Errorf("%s does not exist", rep.name)
	case rep.name != q.name && !proved:
		return rep, rep.name
	default:
		rep.class, rep.err = NoData, fmt.Errorf("%s has no %s records", rep.name, dns.TypeToString[q.of])
	}
	rep.ttl = min(rep.ttl, ttl)
	return rep, ""
}

// failure is the reply to a server's refusal. It may say that DNSSEC is why: RFC 8914
// section 4.
func failure(q question, msg *dns.Msg) reply {
	rep := reply{class: Temporary, ttl: gateway.DNSKeptFailure, name: q.name, err: fmt.Errorf("the server says %s", dns.RcodeToString[msg.Rcode])}
	opt := msg.IsEdns0()
	if opt == nil || msg.Rcode != dns.RcodeServerFailure {
		return rep
	}
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok && e.InfoCode >= dns.ExtendedErrorCodeDNSBogus && e.InfoCode <= dns.ExtendedErrorCodeNSECMissing {
			rep.class, rep.err = Bogus, errBogus
		}
	}
	return rep
}

// alias finds the CNAME of a name. Its target is empty if nobody could ask for it.
func alias(records []dns.RR, name string) (target string, ttl time.Duration, found bool) {
	for _, rr := range records {
		if c, ok := rr.(*dns.CNAME); ok && c.Hdr.Class == dns.ClassINET && sameName(c.Hdr.Name, name) {
			target, err := clean(c.Target)
			if err != nil {
				target = ""
			}
			return target, seconds(c.Hdr.Ttl), true
		}
	}
	return "", 0, false
}

// negative is how long it holds that there is nothing, RFC 2308 section 5, and whether
// the server said so with the record that belongs to it.
func negative(authority []dns.RR) (time.Duration, bool) {
	for _, rr := range authority {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(gateway.DNSKeptNothing, seconds(min(soa.Hdr.Ttl, soa.Minttl))), true
		}
	}
	return 0, false
}

// seconds is a time to live. RFC 2181 section 8: a negative one is none.
func seconds(ttl uint32) time.Duration {
	if int32(ttl) < 0 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

func sameName(wire, name string) bool {
	return lower(strings.TrimSuffix(wire, ".")) == name
}

// add keeps what a record says, unless it is nothing that could be used.
func (rep *reply) add(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.TXT:
		rep.texts = append(rep.texts, text(rr.Txt))
	case *dns.MX:
		h, ok := host(rr.Mx)
		if !ok {
			return false
		}
		rep.mx = append(rep.mx, MX{rr.Preference, h})
	case *dns.A:
		return rep.address(rr.A)
	case *dns.AAAA:
		return rep.address(rr.AAAA)
	case *dns.PTR:
		return rep.host(rr.Ptr)
	case *dns.CNAME:
		return rep.host(rr.Target)
	default:
		return false
	}
	return true
}

func (rep *reply) address(ip []byte) bool {
	a, ok := netip.AddrFromSlice(ip)
	if ok {
		rep.addrs = append(rep.addrs, a.Unmap())
	}
	return ok
}

func (rep *reply) host(name string) bool {
	h, ok := host(name)
	if ok = ok && h != ""; ok {
		rep.hosts = append(rep.hosts, h)
	}
	return ok
}

// text joins the strings of a TXT record and takes back the escapes in which the
// library writes them.
func text(parts []string) string {
	var b strings.Builder
	for _, s := range parts {
		for i := 0; i < len(s); i++ {
			if s[i] != '\\' || i+1 == len(s) {
				b.WriteByte(s[i])
				continue
			}
			if i++; i+2 < len(s) && digit(s[i]) && digit(s[i+1]) && digit(s[i+2]) {
				b.WriteByte((s[i]-'0')*100 + (s[i+1]-'0')*10 + s[i+2] - '0')
				i += 2
				continue
			}
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

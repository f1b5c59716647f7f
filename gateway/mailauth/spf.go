package mailauth

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"

	"blitiri.com.ar/go/spf"

	"github.com/centerleap/postern/gateway/resolve"
)

// spf checks the domain of the reverse-path, or the client's own name if that is null:
// RFC 7208 section 2.4.
func (c *Checker) spf(ctx context.Context, in Input) SPF {
	at := strings.LastIndexByte(in.MailFrom, '@')
	local, domain := in.MailFrom[:max(at, 0)], in.MailFrom[at+1:]
	out := SPF{Result: None, HELO: in.MailFrom == ""}
	if out.HELO {
		domain = in.HELO
	}
	if local == "" {
		local = "postmaster" // RFC 7208 section 4.3
	}
	domain, ok := asciiDomain(domain)
	if !ok || !strings.Contains(domain, ".") || !in.IP.IsValid() {
		out.Reason = "no domain to check"
		return out
	}
	out.Domain = domain
	// The library cuts at the first "@"; a quoted local part may have one as well.
	sender := strings.ReplaceAll(local, "@", "_") + "@" + domain
	lim := c.cfg.Limits
	res, err := spf.CheckHostWithSender(in.IP.Unmap().AsSlice(), in.HELO, sender,
		spf.WithContext(ctx), spf.WithResolver(&lookups{c.cfg.Resolver, in.IP.Unmap().Is4()}),
		spf.OverrideLookupLimit(uint(lim.SPFLookups)), spf.OverrideVoidLookupLimit(uint(lim.SPFVoids)))
	out.Result, out.Reason = string(res), reasonOfSPF(res, err)
	return out
}

// reasonOfSPF is for people. What comes from the mail's side is not repeated in it.
func reasonOfSPF(res spf.Result, err error) string {
	switch res {
	case spf.None:
		return "no SPF record"
	case spf.Fail, spf.SoftFail:
		return "the client is not in the SPF record"
	case spf.TempError:
		return "DNS fails for now"
	case spf.PermError:
		for _, known := range []error{
			spf.ErrLookupLimitReached, spf.ErrVoidLookupLimitReached, spf.ErrTooManyMXRecords, spf.ErrMultipleRecords, errLongRecord,
		} {
			if errors.Is(err, known) {
				return known.Error()
			}
		}
		return errSyntax.Error()
	}
	return ""
}

// mostRecord bounds an SPF record in bytes, since its macros may each stand for a whole
// address. Ours; RFC 7208 section 3.4 wants records below 450.
const mostRecord = 4 << 10

var errLongRecord = errors.New("the SPF record is too long")

// lookups are what the library wants of DNS.
type lookups struct {
	dns  Resolver
	four bool // the client's address is IPv4
}

// LookupTXT implements spf.DNSResolver.
func (l *lookups) LookupTXT(ctx context.Context, name string) ([]string, error) {
	ans := l.dns.TXT(ctx, fit(name))
	for _, r := range ans.Records {
		switch {
		case !isSPF(r):
		case len(r) > mostRecord:
			return nil, errLongRecord
		case checkSPF(r) != nil:
			return nil, errSyntax
		}
	}
	return ans.Records, asError(ans.Class, name)
}

// LookupMX implements spf.DNSResolver.
func (l *lookups) LookupMX(ctx context.Context, name string) (out []*net.MX, err error) {
	ans := l.dns.MX(ctx, fit(name))
	for _, m := range ans.Records {
		out = append(out, &net.MX{Host: m.Host, Pref: m.Preference})
	}
	return out, asError(ans.Class, name)
}

// LookupIPAddr implements spf.DNSResolver. A client of IPv4 is only compared with such
// addresses, and "exists" wants them always: RFC 7208 sections 5 and 5.7. If one family
// fails, its addresses might have matched.
func (l *lookups) LookupIPAddr(ctx context.Context, name string) (out []net.IPAddr, err error) {
	ans := l.dns.A(ctx, fit(name))
	if !l.four && (ans.Class == resolve.Found || ans.Class == resolve.NoData) {
		six := l.dns.AAAA(ctx, fit(name))
		ans.Records = append(ans.Records, six.Records...)
		if ans.Class == resolve.NoData || !six.Class.Empty() {
			ans.Class = six.Class
		}
	}
	for _, a := range ans.Records {
		out = append(out, net.IPAddr{IP: a.AsSlice()})
	}
	return out, asError(ans.Class, name)
}

// LookupAddr implements spf.DNSResolver.
func (l *lookups) LookupAddr(ctx context.Context, ip string) ([]string, error) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, err
	}
	ans := l.dns.PTR(ctx, a)
	return ans.Records, asError(ans.Class, ip)
}

// fit shortens a name that macros made too long, from the left: RFC 7208 section 7.3.
func fit(name string) string {
	for len(name) > 253 {
		_, rest, found := strings.Cut(name, ".")
		if !found {
			break
		}
		name = rest
	}
	return name
}

// asError is a Class as the library knows it. Nothing but records is no error to it.
func asError(c resolve.Class, name string) error {
	switch c {
	case resolve.Found, resolve.NoData:
		return nil
	case resolve.NXDomain:
		return &net.DNSError{Err: c.String(), Name: name, IsNotFound: true}
	}
	return &net.DNSError{Err: c.String(), Name: name, IsTemporary: true}
}

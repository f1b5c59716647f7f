package mailauth

import (
	"context"
	"strings"
	"sync"

	"github.com/centerleap/postern/gateway/resolve"
)

// DMARC says whether what was authenticated belongs to the domain in From.
type DMARC struct {
	Result string
	Reason string // for people
	Domain string // the Author Domain; of several, the one that did worst
	// Policy is what the owner wants done with a mail that fails, test mode counted;
	// empty if no record applies. Published is the same without test mode.
	Policy, Published Disposition
	Testing           bool   // t=y
	PolicyDomain      string // whose record it is
	// Aligned is whether SPF or DKIM speak for each domain in From; REST calls it
	// from_aligned. It needs no record, and is false where readers may see another
	// author than we do.
	Aligned bool
	DKIM    string // the domain of the signature that is aligned, if one is
	SPF     bool   // SPF is aligned
}

// discovery is what DNS says about one Author Domain, before it is known what was
// authenticated.
type discovery struct {
	domain    string
	walk      walk
	policy    placed // if found
	found     bool
	published Disposition
}

// discover looks for the record of each domain, all beside each other and with
// questions of their own: what else a mail makes us ask, and whom, must not keep us from
// the answer. They are there once wait is over.
func (c *Checker) discover(ctx context.Context, wait *sync.WaitGroup, domains []string) []discovery {
	out := make([]discovery, len(domains))
	for i, d := range domains {
		out[i] = discovery{domain: d, walk: walk{start: d, class: resolve.Temporary}} // unless it gets further
		c.apart(wait, func() { out[i] = c.look(resolve.Limit(ctx, c.cfg.Limits.DNSQuestions), d) })
	}
	return out
}

func (c *Checker) look(ctx context.Context, domain string) discovery {
	d := discovery{domain: domain, walk: c.walkFrom(ctx, domain)}
	d.policy, d.found = d.walk.policy()
	if d.found {
		d.published = c.published(ctx, domain, d.policy)
	} else {
		// Without a record nothing is relaxed: an organization is what records say.
		d.policy.strictDKIM, d.policy.strictSPF = true, true
	}
	return d
}

// dmarc evaluates the Author Domains that were looked up; the worst counts, RFC 9989
// section 11.5.
func (c *Checker) dmarc(ctx context.Context, res *Result, who authors, found []discovery) DMARC {
	switch {
	case len(who.domains) == 0:
		return DMARC{Result: PermError, Reason: who.fault}
	case len(who.domains) > len(found):
		who.fault = "too many domains in From"
	}
	worst := c.author(ctx, found[0], res)
	aligned := worst.Aligned
	for _, d := range found[1:] {
		next := c.author(ctx, d, res)
		aligned = aligned && next.Aligned
		if next.badness() > worst.badness() {
			worst = next
		}
	}
	worst.Aligned = aligned && who.fault == ""
	if who.fault != "" && worst.Result != Fail && worst.Result != TempError {
		worst.Result, worst.Reason = PermError, who.fault
	}
	if who.note != "" {
		worst.Reason = strings.TrimPrefix(worst.Reason+", "+who.note, ", ")
	}
	return worst
}

// badness orders the results of several authors: what fails counts most, by what its
// owner wants; then what is not known.
func (d DMARC) badness() int {
	switch d.Result {
	case Fail:
		return 4 + weight(d.Policy)
	case TempError:
		return 3
	case PermError:
		return 2
	case None:
		return 1
	}
	return 0
}

// author evaluates one domain: RFC 9989 sections 4.10.1 and 5.3.5.
func (c *Checker) author(ctx context.Context, d discovery, res *Result) DMARC {
	out := DMARC{Domain: d.domain}
	failed := c.align(resolve.Limit(ctx, c.cfg.Limits.DNSQuestions), &out, d, res)
	out.Aligned = out.SPF || out.DKIM != ""
	decided := out.Aligned && d.found && d.policy.domain == d.domain // whatever is further up
	if d.walk.class != resolve.Found && !decided {
		failed = d.walk.class
	}
	switch {
	case failed == resolve.Bogus:
		out.Result, out.Reason = PermError, untrusted
		return out
	case failed != resolve.Found && (d.found || d.walk.class != resolve.Found):
		out.Result, out.Reason = TempError, "DNS fails for now"
		return out
	case !d.found:
		out.Result, out.Reason = None, "no DMARC record"
		return out
	case d.policy.broken && !d.policy.wantsReports:
		out.Result, out.Reason = None, "the DMARC record is malformed"
		return out
	}
	out.PolicyDomain, out.Testing = d.policy.domain, d.policy.test
	if out.Published, out.Policy = d.published, d.published; d.policy.test {
		out.Policy = lowered(out.Policy)
	}
	if out.Aligned {
		out.Result = Pass
		return out
	}
	out.Result, out.Reason = Fail, "neither SPF nor DKIM speak for the domain in From"
	return out
}

// published is p, sp or np: that of the domain itself, of a subdomain, or of one that
// does not exist. With one that can't be read all are none.
func (c *Checker) published(ctx context.Context, domain string, p placed) Disposition {
	switch {
	case p.broken:
		return DoNothing
	case p.domain == domain:
		return p.p
	case p.np != "" && c.cfg.Resolver.A(ctx, domain).Class == resolve.NXDomain:
		return p.np
	case p.sp != "":
		return p.sp
	}
	return p.p
}

// align looks for an identifier that is authenticated and speaks for the author: RFC
// 9989 section 4.10.2. It returns the class of a question that failed, if that may have
// kept it from finding one; what could never speak for the author may fail as it likes.
func (c *Checker) align(ctx context.Context, out *DMARC, d discovery, res *Result) resolve.Class {
	failed := resolve.Found
	org := d.walk.organization()
	speaks := func(result, domain string, strict bool) bool {
		same := domain == d.domain
		if result != Pass && result != TempError || !same && (strict || !under(domain, org)) {
			return false // or its organization would be above the author's
		}
		if result == TempError {
			failed = resolve.Temporary
			return false
		}
		if same {
			return true
		}
		w := c.walkFrom(ctx, domain)
		if w.class != resolve.Found {
			failed = w.class
			return false
		}
		return w.organization() == org
	}
	out.SPF = speaks(res.SPF.Result, res.SPF.Domain, d.policy.strictSPF)
	for _, s := range res.DKIM {
		if out.DKIM == "" && speaks(s.Result, s.Domain, d.policy.strictDKIM) {
			out.DKIM = s.Domain
		}
	}
	if out.SPF || out.DKIM != "" {
		return resolve.Found
	}
	return failed
}

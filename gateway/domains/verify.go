package domains

import (
	"context"
	"fmt"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Times of checking; source: DESIGN section 5, "Domain checks".
const (
	pendingEvery = 5 * time.Minute
	pendingFor   = 48 * time.Hour
	sureEvery    = 24 * time.Hour
	failingFor   = 3 * 24 * time.Hour
)

// Verify looks a domain's records up now, and settles its status: it may send once
// ownership and DKIM are there, and is wholly verified when its MX is us. With local an
// instance scope marks it verified instead, and no DNS is asked. InvalidState if there is
// nobody to ask.
func (d *Domains) Verify(ctx context.Context, s gateway.Scope, idOrName string, local bool) (*gateway.Domain, error) {
	dom, err := d.Get(ctx, s, idOrName)
	if err != nil {
		return nil, err
	}
	if local {
		return d.markLocal(ctx, s, dom)
	}
	if d.cfg.Resolver == nil {
		return nil, gateway.Errorf(gateway.InvalidState,
			"this gateway has no DNS resolver, so nothing can be looked up; set dns.servers, or an instance key marks the domain verified with local")
	}
	return d.check(ctx, s, dom, true)
}

func (d *Domains) markLocal(ctx context.Context, s gateway.Scope, dom *gateway.Domain) (*gateway.Domain, error) {
	if s.Level() != gateway.LevelInstance {
		return nil, gateway.Fieldf(gateway.Restricted, "local", "only an instance key marks a domain verified")
	}
	return d.cfg.Store.CheckDomain(ctx, s, dom.ID, func(dom *gateway.Domain, c *gateway.DomainCheck) *gateway.Activity {
		was := dom.Status
		dom.Status, dom.Local = gateway.DomainVerified, true
		c.Due, c.Since, c.Failing = time.Time{}, time.Time{}, time.Time{}
		return changed(dom, was, "by the operator")
	})
}

// check looks a domain's records up and settles its status. asked says that somebody
// waits for it: then a domain that is not verified has its time to become so again.
func (d *Domains) check(ctx context.Context, s gateway.Scope, dom *gateway.Domain, asked bool) (*gateway.Domain, error) {
	records, err := d.records(ctx, s, dom)
	if err != nil {
		return nil, err
	}
	found := d.look(ctx, dom, records)
	if err := ctx.Err(); err != nil {
		return nil, err // what was cut off says nothing
	}
	return d.cfg.Store.CheckDomain(ctx, s, dom.ID, func(dom *gateway.Domain, c *gateway.DomainCheck) *gateway.Activity {
		now, was := d.cfg.Now().UTC(), dom.Status
		c.At, c.Records = now, found
		if dom.Local { // the operator has said what it is
			c.Due = time.Time{}
			return nil
		}
		if asked && !dom.Sends() {
			dom.Status, c.Since = gateway.DomainPending, now
		}
		settle(dom, c, now)
		return changed(dom, was, "by its DNS records")
	})
}

// changed is the row of the log for a domain whose status is another; nil if it isn't.
func changed(dom *gateway.Domain, was gateway.DomainStatus, how string) *gateway.Activity {
	if dom.Status == was {
		return nil
	}
	return &gateway.Activity{
		Protocol: "system", Method: "CHECK", Endpoint: "/domains/" + dom.Name, Status: 200,
		Reason: fmt.Sprintf("%s, before %s, %s", dom.Status, was, how),
	}
}

// fate is what the records say of something that a domain may do.
type fate int

const (
	yes fate = iota
	unknown
	no
)

// fateOf is that of all records of some sorts together.
func fateOf(c *gateway.DomainCheck, of ...string) fate {
	out := yes
	for _, want := range of {
		for _, r := range c.Records {
			switch {
			case r.Record != want || r.Status == gateway.RecordVerified:
			case r.Reason == dnsFails:
				out = max(out, unknown)
			default:
				out = no
			}
		}
	}
	return out
}

// settle makes of what was found the status of a domain, and when to look again. A
// question that failed changes nothing, unless it is known already that the domain may
// not send; what is gone has some days to come back.
func settle(dom *gateway.Domain, c *gateway.DomainCheck, now time.Time) {
	sends, receives := fateOf(c, ofOwnership, ofDKIM), fateOf(c, ofMX)
	switch {
	case !dom.Sends():
		gain(dom, c, now, sends, receives)
	case sends == unknown || sends == yes && receives == unknown && dom.Receives():
	case sends == yes && (receives == yes || !dom.Receives()):
		c.Failing = time.Time{}
		if receives == yes {
			dom.Status = gateway.DomainVerified
		}
	case c.Failing.IsZero():
		c.Failing = now
	case now.Sub(c.Failing) >= failingFor:
		lose(dom, c, now, sends)
	}
	c.Due = due(dom, c, now)
}

// gain is for a domain that waits to be verified.
func gain(dom *gateway.Domain, c *gateway.DomainCheck, now time.Time, sends, receives fate) {
	switch {
	case sends == yes && receives == yes:
		dom.Status, c.Failing = gateway.DomainVerified, time.Time{}
	case sends == yes:
		dom.Status, c.Failing = gateway.DomainPartial, time.Time{}
	case now.Sub(c.Since) >= pendingFor:
		dom.Status = gateway.DomainFailed
	}
}

// lose is for a domain whose records have been gone for too long.
func lose(dom *gateway.Domain, c *gateway.DomainCheck, now time.Time, sends fate) {
	dom.Status = gateway.DomainFailed
	if sends == yes {
		dom.Status = gateway.DomainPartial
	}
	c.Failing, c.Since = time.Time{}, now.Add(-pendingFor)
}

// due is when to look at a domain again; the zero time if somebody has to ask for it.
func due(dom *gateway.Domain, c *gateway.DomainCheck, now time.Time) time.Time {
	switch {
	case dom.Status == gateway.DomainPending, dom.Status == gateway.DomainPartial && now.Sub(c.Since) < pendingFor:
		return now.Add(pendingEvery)
	case dom.Sends():
		return now.Add(sureEvery)
	}
	return time.Time{}
}

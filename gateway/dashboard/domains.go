package dashboard

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/domains"
)

// pageSize is how many rows a page of a list has. Ours: what fits on a screen or two.
const pageSize = 50

// domainList is the page of all domains that the key sees.
type domainList struct {
	Domains []gateway.Domain
	After   string // of the next page, "" at the end
	Problem string
	Name    string // that was to be made
}

func (d *Dashboard) listDomains(v *visit) error {
	return d.showDomains(v, fiber.StatusOK, domainList{})
}

func (d *Dashboard) showDomains(v *visit, status int, page domainList) error {
	all, more, err := d.cfg.Domains.Page(v.ctx, v.scope, v.c.Query("after"), "", pageSize)
	if err != nil {
		return err
	}
	if page.Domains = all; more {
		page.After = all[len(all)-1].UUID.String()
	}
	return d.show(v, status, "domains", "Domains", page)
}

func (d *Dashboard) createDomain(v *visit) error {
	dom, err := d.cfg.Domains.Create(v.ctx, v.scope, v.field("name"), v.field("verified") != "")
	if status, problem, again := mistake(err); again {
		return d.showDomains(v, status, domainList{Problem: problem, Name: v.field("name")})
	}
	if err != nil {
		return err
	}
	v.signin.tell("Domain " + dom.Name + " was added. Publish its records, then check them.")
	return v.redirect("/" + joined([]string{"domains", dom.Name}))
}

// mistake is an error that a person puts right in the form: what it says, and its
// status; false for others.
func mistake(err error) (status int, problem string, again bool) {
	switch kind := gateway.KindOf(err); kind {
	case gateway.InvalidParameter, gateway.MissingField, gateway.AlreadyExists, gateway.InvalidState, gateway.Restricted,
		gateway.InvalidFrom, gateway.DomainNotAuthorized, gateway.PluginRejected, gateway.OverQuota, gateway.TooLarge, gateway.RateLimited, gateway.NotFound:
		return kind.Reply().Status, gateway.AsError(err).Message, err != nil
	}
	return 0, "", false
}

// domainPage is a domain and the records that it should publish.
type domainPage struct {
	Domain  *gateway.Domain
	Records []domains.Record
}

func (d *Dashboard) showDomain(v *visit) error {
	records, err := d.cfg.Domains.Records(v.ctx, v.scope, v.domain)
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "domain", v.domain.Name, domainPage{v.domain, records})
}

// verifyDomain asks the DNS now.
func (d *Dashboard) verifyDomain(v *visit) error {
	dom, err := d.cfg.Domains.Verify(v.ctx, v.scope, v.domain.Name, false)
	if err != nil {
		return err
	}
	v.signin.tell("The DNS was asked: the domain is " + strings.ReplaceAll(string(dom.Status), "_", " ") + ".")
	return v.redirect("/" + joined([]string{"domains", dom.Name}))
}

// zone is all records of a domain as a zone file has them: RFC 1035 section 5.1.
func (d *Dashboard) zone(v *visit) error {
	records, err := d.cfg.Domains.Records(v.ctx, v.scope, v.domain)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, r := range records {
		b.WriteString(gateway.ZoneLine(r.Name, r.Type, r.Priority, r.Value) + "\n")
	}
	v.c.Set("Content-Type", "text/plain; charset=utf-8")
	return v.c.SendString(b.String())
}

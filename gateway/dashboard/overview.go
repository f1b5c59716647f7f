package dashboard

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// dayHours is how far back the overview looks.
const dayHours = 24

// overviewPage is the first page: what happened in a day, and what needs somebody.
type overviewPage struct {
	Name    string // the domain; "" is the instance, or an account
	Hours   []gateway.Hour
	Day     gateway.Hour // all of them
	Behind  uint64       // events that are not counted yet
	Queue   gateway.QueueUse
	Health  []finding
	Steps   []step // until all are done
	Domains []domainDay
	More    bool // there are domains that are not added up

	Account *gateway.Account // of an account's overview
	Folders []gateway.Mailbox
	Key     keyRow
}

// finding is one line of how the gateway is.
type finding struct {
	Name, Says string
	Good       bool
}

// step is one thing that a new domain needs. To is where it is done.
type step struct {
	Name, To string
	Done     bool
}

// domainDay is a domain's part in the overview of the instance.
type domainDay struct {
	gateway.Domain
	Day   gateway.Hour
	Queue gateway.QueueUse
}

// overview is the first page: of the instance, the domain or the account that the key is
// of.
func (d *Dashboard) overview(v *visit) error {
	key := v.signin.session.Key()
	switch key.Level {
	case gateway.LevelInstance:
		return d.instanceOverview(v)
	case gateway.LevelDomain:
		var err error
		if v.domain, err = d.cfg.Domains.ByID(v.ctx, v.scope, key.Domain); err != nil {
			return err
		}
		return d.domainOverview(v)
	}
	a, err := d.cfg.Domains.AccountByID(v.ctx, v.scope, key.Domain, key.Account)
	if err != nil {
		return err
	}
	page := overviewPage{Account: a}
	if page.Folders, err = d.cfg.Mail.Folders(v.ctx, v.scope, a.Email); err != nil {
		return err
	}
	now, err := d.cfg.Keys.Get(v.ctx, v.scope, key.ID)
	if err != nil {
		return err
	}
	page.Key = d.rowOf(v, *now)
	return d.show(v, fiber.StatusOK, "overview", "Overview", page)
}

func (d *Dashboard) domainOverview(v *visit) (err error) {
	page := overviewPage{Name: v.domain.Name}
	one, err := d.dayOf(v.ctx, v.scope, v.domain, &page)
	if err != nil {
		return err
	}
	page.Day, page.Queue = one.Day, one.Queue
	page.Health = append(d.health(v.ctx), domainFinding(v.domain))
	if page.Steps, err = d.steps(v, page.Name); err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "overview", "Overview", page)
}

// dayOf reads the day of one domain, and adds its hours to those of the page.
func (d *Dashboard) dayOf(ctx context.Context, s gateway.Scope, dom *gateway.Domain, page *overviewPage) (one domainDay, err error) {
	one.Domain = *dom
	tally, behind, err := d.cfg.Tallies.Of(ctx, s, dom.ID)
	if err != nil {
		return one, err
	}
	hours := tally.Past(dayHours, d.clock())
	if page.Hours == nil {
		page.Hours = (&gateway.Tally{}).Past(dayHours, d.clock())
	}
	for i := range hours {
		one.Day.Add(&hours[i])
		page.Hours[i].Add(&hours[i])
	}
	page.Behind += behind
	one.Queue, err = d.cfg.Sender.QueueUse(ctx, s, dom.ID)
	return one, err
}

// instanceOverview adds up the domains, the first of them if there are very many.
func (d *Dashboard) instanceOverview(v *visit) error {
	page := overviewPage{Health: d.health(v.ctx)}
	all, more, err := d.cfg.Domains.Page(v.ctx, v.scope, "", "", int(d.cfg.Limits.OverviewDomains))
	if err != nil {
		return err
	}
	page.More = more
	for i := range all {
		s, err := keys.Narrow(v.scope, all[i].ID, 0)
		if err != nil {
			return err
		}
		one, err := d.dayOf(v.ctx, s, &all[i], &page)
		switch {
		case err == nil:
		case gateway.KindOf(err) == gateway.NotFound: // deleted meanwhile
			continue
		default:
			return err
		}
		page.Day.Add(&one.Day)
		page.Queue.Deliveries += one.Queue.Deliveries
		page.Queue.Bytes += one.Queue.Bytes
		if len(page.Domains) < pageSize {
			page.Domains = append(page.Domains, one)
		}
	}
	page.Steps = pending([]step{{"Add a domain", "/domains", len(all) > 0}})
	return d.show(v, fiber.StatusOK, "overview", "Overview", page)
}

// health is how the gateway is, for whoever uses it.
func (d *Dashboard) health(ctx context.Context) []finding {
	store := finding{Name: "Store", Says: "takes mail and changes", Good: true}
	if err := d.cfg.Instance.Ready(); err != nil {
		store.Says, store.Good = gateway.AsError(err).Message, false
	}
	delivery := finding{Name: "Delivery", Good: true}
	mode, err := d.cfg.Instance.DeliveryMode(ctx)
	switch {
	case err != nil:
		delivery.Says, delivery.Good = gateway.AsError(err).Message, false
	case mode == gateway.ModeCapture:
		delivery.Says, delivery.Good = "mail to other hosts is kept here until an operator releases it", false
	case mode == gateway.ModeRelay:
		delivery.Says = "mail to other hosts goes to the smart host"
	default:
		delivery.Says = "mail to other hosts goes to them"
	}
	return []finding{store, delivery}
}

func domainFinding(dom *gateway.Domain) finding {
	f := finding{Name: "Domain", Says: "its records are published", Good: dom.Status == gateway.DomainVerified}
	switch {
	case dom.Local:
		f.Says = "verified by the operator"
	case !f.Good:
		f.Says = "its records were not all found; see DNS records"
	}
	return f
}

// steps are what a new domain still needs; none once all is done.
func (d *Dashboard) steps(v *visit, name string) ([]step, error) {
	accounts, _, err := d.cfg.Domains.Accounts(v.ctx, v.scope, v.domain.ID, "", 1)
	if err != nil {
		return nil, err
	}
	tally, _, err := d.cfg.Tallies.Of(v.ctx, v.scope, v.domain.ID)
	if err != nil {
		return nil, err
	}
	sent, err := d.keyHasSent(v)
	if err != nil {
		return nil, err
	}
	plugins, err := d.cfg.Plugins.List(v.ctx, v.scope)
	if err != nil {
		return nil, err
	}
	on := false
	for i := range plugins {
		on = on || plugins[i].Enabled
	}
	under := func(tab string) string { return "/" + joined([]string{"domains", name, tab}) }
	return pending([]step{
		{"Publish the DNS records of the domain", "/" + joined([]string{"domains", name}), v.domain.Status == gateway.DomainVerified},
		{"Add an email account", under("accounts"), len(accounts) > 0},
		{"Create an API key and send with it", under("keys"), sent},
		{"Receive a first email", under("accounts"), tally.Total.Received > 0},
		{"Switch on a plugin", under("plugins"), on},
	}), nil
}

// pending is a list of steps unless all are done.
func pending(all []step) []step {
	for _, s := range all {
		if !s.Done {
			return all
		}
	}
	return nil
}

// keyHasSent reports whether mail was accepted from a key of the domain. A domain has
// few keys.
func (d *Dashboard) keyHasSent(v *visit) (bool, error) {
	var after gateway.ID
	for more := true; more; {
		page, next, err := d.cfg.Keys.Page(v.ctx, v.scope, gateway.Span{After: after, Most: pageSize})
		if err != nil {
			return false, err
		}
		for i := range page {
			if after = page[i].ID; !page[i].Used.Opened.IsZero() {
				return true, nil
			}
		}
		more = next
	}
	return false, nil
}

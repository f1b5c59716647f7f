package dashboard

import (
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// suppressionPage is whom a domain sends nothing to.
type suppressionPage struct {
	Origin       string // as it was asked for
	Suppressions []gateway.Suppression
	Next         string // the address of the next page, "" at the end
	Problem      string
	Email        string // that was to be added
}

// Origins are what the list can be narrowed to.
func (suppressionPage) Origins() []choice {
	return []choice{{"", "any"}, {"bounce", origin(gateway.SuppressedBounce)}, {"complaint", origin(gateway.SuppressedComplaint)}, {"manual", origin(gateway.SuppressedManual)}}
}

// origin says why an address is suppressed.
func origin(o gateway.SuppressionOrigin) string {
	switch o {
	case gateway.SuppressedBounce:
		return "hard bounce"
	case gateway.SuppressedComplaint:
		return "complaint"
	case gateway.SuppressedManual:
		return "added by hand"
	}
	return string(o)
}

func (d *Dashboard) suppressions(v *visit) error {
	return d.showSuppressions(v, fiber.StatusOK, suppressionPage{})
}

func (d *Dashboard) showSuppressions(v *visit, status int, page suppressionPage) (err error) {
	page.Origin = v.c.Query("origin")
	var after gateway.ID
	if s := v.c.Query("after"); s != "" {
		if after, err = gateway.ParseID(s); err != nil {
			return gateway.Fieldf(gateway.InvalidParameter, "after", "after is the id of a suppression")
		}
	}
	var more bool
	page.Suppressions, more, err = d.cfg.Sender.Suppressions(v.ctx, v.scope, gateway.SuppressionOrigin(page.Origin), gateway.Span{After: after, Most: pageSize})
	if err != nil {
		return err
	}
	if more {
		page.Next = "?" + url.Values{"origin": {page.Origin}, "after": {page.Suppressions[len(page.Suppressions)-1].ID.String()}}.Encode()
	}
	return d.show(v, status, "suppressions", "Suppressions", page)
}

func (d *Dashboard) suppress(v *visit) error {
	sup, added, err := d.cfg.Sender.Suppress(v.ctx, v.scope, v.field("email"))
	if status, problem, again := mistake(err); again {
		return d.showSuppressions(v, status, suppressionPage{Problem: problem, Email: v.field("email")})
	}
	if err != nil {
		return err
	}
	if added {
		v.signin.tell("Nothing is sent to " + sup.Email + " any more.")
	} else {
		v.signin.tell(sup.Email + " was suppressed before.")
	}
	return v.redirect(v.suppressionPath())
}

func (d *Dashboard) unsuppress(v *visit) error {
	sup, err := d.cfg.Sender.Unsuppress(v.ctx, v.scope, v.field("id"))
	if status, problem, again := mistake(err); again {
		return d.showSuppressions(v, status, suppressionPage{Problem: problem})
	}
	if err != nil {
		return err
	}
	v.signin.tell("Mail to " + sup.Email + " is sent again.")
	return v.redirect(v.suppressionPath())
}

func (v *visit) suppressionPath() string {
	return "/" + joined([]string{"domains", v.domain.Name, "suppressions"})
}

// bouncePage is what came back, newest first, as the log has it.
type bouncePage struct {
	Rows []gateway.Activity
	Next string
}

func (d *Dashboard) bounces(v *visit) error {
	f := gateway.ActivityFilter{Fates: []string{"bounced", "failed", "complained"}, Limit: pageSize}
	if err := f.Set("after", v.c.Query("after")); err != nil {
		return err
	}
	rows, more, err := d.cfg.Activity.List(v.ctx, v.scope, f)
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "bounces", "Bounces", bouncePage{rows, nextRows(url.Values{}, rows, more)})
}

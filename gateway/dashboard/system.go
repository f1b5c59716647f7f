package dashboard

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// systemPage is the gateway as its operator sees it.
type systemPage struct {
	Version   string
	Mode      gateway.DeliveryMode
	Health    []finding
	Listeners []gateway.Listener
}

func (d *Dashboard) system(v *visit) error {
	mode, err := d.cfg.Instance.DeliveryMode(v.ctx)
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "system", "System", systemPage{
		Version: d.cfg.Instance.Version(), Mode: mode, Health: d.health(v.ctx), Listeners: d.cfg.Instance.Listeners(),
	})
}

// modePage asks before mail to other hosts goes elsewhere than before.
type modePage struct {
	Mode    gateway.DeliveryMode // that it is
	To      string               // that was chosen
	Problem string
}

// Modes are what there is to choose.
func (modePage) Modes() []choice {
	return []choice{
		{string(gateway.ModeCapture), "Capture: keep it here until it is released"},
		{string(gateway.ModeDirect), "Direct: to the mail hosts of each domain"},
		{string(gateway.ModeRelay), "Relay: to the smart host of the configuration"},
	}
}

func (d *Dashboard) modeForm(v *visit) error { return d.showMode(v, fiber.StatusOK, modePage{}) }

func (d *Dashboard) showMode(v *visit, status int, page modePage) (err error) {
	if page.Mode, err = d.cfg.Instance.DeliveryMode(v.ctx); err != nil {
		return err
	}
	if page.To == "" {
		page.To = string(page.Mode)
	}
	return d.show(v, status, "mode", "Delivery", page)
}

// changeMode has mail that is accepted from now on go elsewhere, once that was confirmed.
func (d *Dashboard) changeMode(v *visit) error {
	page := modePage{To: v.field("mode")}
	if v.field("sure") == "" {
		page.Problem = "Say that you are sure: this is about real mail."
		return d.showMode(v, fiber.StatusUnprocessableEntity, page)
	}
	err := d.cfg.Instance.SetDeliveryMode(v.ctx, gateway.DeliveryMode(page.To))
	if status, problem, again := mistake(err); again {
		page.Problem = problem
		return d.showMode(v, status, page)
	}
	if err != nil {
		return err
	}
	v.row.Reason = "delivery mode: " + page.To
	v.signin.tell("Delivery is now: " + page.To + ". Mail that waits already is not changed.")
	return v.redirect("/system")
}

// limitRow is a limit with what it is set to.
type limitRow struct {
	gateway.Limit
	Value int64
}

// Answer is what a client hears past it.
func (r limitRow) Answer() string { return strings.ReplaceAll(r.Kind.Reply().Name, "_", " ") }

func (d *Dashboard) limits(v *visit) error {
	var rows []limitRow
	lim := d.cfg.Limits
	for _, l := range gateway.LimitTable {
		rows = append(rows, limitRow{l, *l.Field(&lim)})
	}
	return d.show(v, fiber.StatusOK, "limits", "Limits", rows)
}

// indexPage is how far the search index has come, of all accounts or of one.
type indexPage struct {
	gateway.IndexState
	Email   string // of this account; "" is all
	Problem string
}

// Most is how many messages there are, Done whether all are in it.
func (p indexPage) Most() int64 { return p.Messages + p.Behind }

// Busy reports whether it is being made, so that the page looks again by itself.
func (p indexPage) Busy() bool { return p.Behind > 0 }

func (d *Dashboard) searchIndex(v *visit) error {
	page := indexPage{Email: v.c.Query("email")}
	err := d.readIndex(v, &page)
	if status, problem, again := mistake(err); again {
		return d.show(v, status, "searchindex", "Search index", indexPage{Email: page.Email, Problem: problem})
	}
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "searchindex", "Search index", page)
}

// indexOwner is the account that is asked about; nil is all.
func (d *Dashboard) indexOwner(v *visit, email string) (*gateway.Account, error) {
	if email == "" {
		return nil, nil
	}
	return d.cfg.Domains.Account(v.ctx, v.scope, email)
}

func (d *Dashboard) readIndex(v *visit, page *indexPage) error {
	a, err := d.indexOwner(v, page.Email)
	if err != nil {
		return err
	}
	page.IndexState, err = d.cfg.Mail.IndexState(v.ctx, v.scope, a)
	return err
}

// rebuildIndex drops the index; it is made again in the background, and the page shows how
// far it has come.
func (d *Dashboard) rebuildIndex(v *visit) error {
	email := v.field("email")
	a, err := d.indexOwner(v, email)
	if err == nil {
		err = d.cfg.Mail.RebuildIndex(v.ctx, v.scope, a)
	}
	if status, problem, again := mistake(err); again {
		return d.show(v, status, "searchindex", "Search index", indexPage{Email: email, Problem: problem})
	}
	if err != nil {
		return err
	}
	v.signin.tell("The index is being made again. Searches read the messages themselves meanwhile.")
	return v.redirect("/system/search" + query("email", email))
}

// query is one condition of an address, if it is there.
func query(name, value string) string {
	if value == "" {
		return ""
	}
	return "?" + url.Values{name: {value}}.Encode()
}

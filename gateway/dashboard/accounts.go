package dashboard

import (
	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/domains"
)

// accountList is the page of a domain's accounts.
type accountList struct {
	Accounts []gateway.Account
	After    string // of the next page, "" at the end
	Problem  string
	Email    string // that was to be made
}

func (d *Dashboard) listAccounts(v *visit) error {
	return d.showAccounts(v, fiber.StatusOK, accountList{})
}

func (d *Dashboard) showAccounts(v *visit, status int, page accountList) error {
	all, more, err := d.cfg.Domains.Accounts(v.ctx, v.scope, v.domain.ID, v.c.Query("after"), pageSize)
	if err != nil {
		return err
	}
	if page.Accounts = all; more {
		page.After = all[len(all)-1].Email
	}
	return d.show(v, status, "accounts", "Email Accounts", page)
}

func (d *Dashboard) createAccount(v *visit) error {
	a, err := d.cfg.Domains.CreateAccount(v.ctx, v.scope, domains.NewAccount{Email: v.field("email"), Name: v.field("name")})
	if status, problem, again := mistake(err); again {
		return d.showAccounts(v, status, accountList{Problem: problem, Email: v.field("email")})
	}
	if err != nil {
		return err
	}
	v.signin.tell("Account " + a.Email + " was made.")
	return v.redirect("/" + joined([]string{"domains", v.domain.Name, "accounts"}))
}

// account is that of the path. What the key may not see is not there.
func (d *Dashboard) account(v *visit) (*gateway.Account, error) {
	a, err := d.cfg.Domains.Account(v.ctx, v.scope, v.param("email"))
	if err != nil {
		return nil, err
	}
	v.row.Account = a.ID
	return a, nil
}

// accountPage is what an account's settings show.
type accountPage struct {
	Account *gateway.Account
	Folders []gateway.Mailbox
}

func (d *Dashboard) showAccount(v *visit) error {
	a, err := d.account(v)
	if err != nil {
		return err
	}
	folders, err := d.cfg.Mail.Folders(v.ctx, v.scope, a.Email)
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "account", a.Email, accountPage{a, folders})
}

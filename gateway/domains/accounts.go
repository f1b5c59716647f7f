package domains

import (
	"context"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// NewAccount says what account to make.
type NewAccount struct {
	Email   string
	Name    string
	Aliases []string
	Quota   int64 // bytes; 0 is no limit
}

// CreateAccount makes an account, or a full one of an implicit one.
func (d *Domains) CreateAccount(ctx context.Context, s gateway.Scope, n NewAccount) (*gateway.Account, error) {
	if s.Level() == gateway.LevelAccount {
		return nil, gateway.Errorf(gateway.Restricted, "an account key creates no accounts")
	}
	email, dom, err := d.address(ctx, s, "email", n.Email)
	if err != nil {
		return nil, err
	}
	if err := checkName(n.Name); err != nil {
		return nil, err
	}
	if err := checkQuota(n.Quota); err != nil {
		return nil, err
	}
	a := &gateway.Account{Domain: dom.ID, UUID: newID(), Email: email, Name: n.Name, Quota: n.Quota}
	if a.Aliases, err = d.aliases(ctx, s, a, n.Aliases); err != nil {
		return nil, err
	}
	return a, d.cfg.Store.CreateAccount(ctx, s, a)
}

func checkName(name string) error {
	if !gateway.ValidName(name) {
		return gateway.Fieldf(gateway.InvalidParameter, "name", "name is one line of at most 200 characters")
	}
	return nil
}

func checkQuota(bytes int64) error {
	if bytes < 0 {
		return gateway.Fieldf(gateway.InvalidParameter, "quota_bytes", "quota_bytes is 0, for none, or more")
	}
	return nil
}

// aliases checks the other addresses of an account.
func (d *Domains) aliases(ctx context.Context, s gateway.Scope, a *gateway.Account, list []string) (out []string, err error) {
	if most := d.cfg.Limits.AliasesPerAccount; int64(len(list)) > most {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "aliases", "an account has at most %d aliases", most)
	}
	for _, alias := range list {
		alias, dom, err := d.address(ctx, s, "aliases", alias)
		if err != nil {
			return nil, err
		}
		if dom.ID != a.Domain {
			return nil, gateway.Fieldf(gateway.InvalidParameter, "aliases", "an alias is in the account's domain, as %s is", a.Email)
		}
		if alias == a.Email || slices.Contains(out, alias) {
			return nil, gateway.Fieldf(gateway.InvalidParameter, "aliases", "%s stands twice", alias)
		}
		out = append(out, alias)
	}
	return out, nil
}

// AccountChange is an update of an account; nil fields stay.
type AccountChange struct {
	Name    *string
	Aliases *[]string // all of them
	Quota   *int64    // bytes; 0 is no limit
}

// UpdateAccount changes an account, which email or an alias names.
func (d *Domains) UpdateAccount(ctx context.Context, s gateway.Scope, email string, c AccountChange) (*gateway.Account, error) {
	a, err := d.Account(ctx, s, email)
	if err != nil {
		return nil, err
	}
	if c.Name != nil {
		if err := checkName(*c.Name); err != nil {
			return nil, err
		}
	}
	if c.Quota != nil {
		if err := checkQuota(*c.Quota); err != nil {
			return nil, err
		}
	}
	var aliases []string
	if c.Aliases != nil {
		if aliases, err = d.aliases(ctx, s, a, *c.Aliases); err != nil {
			return nil, err
		}
	}
	return d.cfg.Store.UpdateAccount(ctx, s, a.Domain, a.ID, func(a *gateway.Account) error {
		if c.Name != nil {
			a.Name = *c.Name
		}
		if c.Aliases != nil {
			a.Aliases = aliases
		}
		if c.Quota != nil {
			a.Quota = *c.Quota
		}
		return nil
	})
}

// address checks an address of ours and finds its domain. To act for a domain
// outside the scope is refused, whether it exists or not.
func (d *Domains) address(ctx context.Context, s gateway.Scope, field, addr string) (string, *gateway.Domain, error) {
	local, host := gateway.SplitAddress(strings.TrimSpace(addr))
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*-/=?^_`{|}~."
	low := strings.ToLower(local)
	if local == "" || len(local) > 64 || strings.Trim(low, letters) != "" || strings.Contains(low, "..") || low[0] == '.' || low[len(low)-1] == '.' {
		return "", nil, gateway.Fieldf(gateway.InvalidParameter, field, "%.100q can't be an account's address", addr)
	}
	name, err := Canonical(host)
	if err != nil {
		return "", nil, gateway.Fieldf(gateway.InvalidParameter, field, "%.100q can't be an account's address", addr)
	}
	dom, err := d.cfg.Store.DomainByName(ctx, s, name)
	if gateway.KindOf(err) == gateway.NotFound {
		kind := gateway.Restricted
		if s.Level() == gateway.LevelInstance {
			kind = gateway.InvalidParameter
		}
		return "", nil, gateway.Fieldf(kind, field, "%s is not a domain of this key", name)
	}
	return low + "@" + name, dom, err
}

// Accounts lists the accounts of a domain that the scope reaches, oldest first: a
// page of them behind the account of an address.
func (d *Domains) Accounts(ctx context.Context, s gateway.Scope, id gateway.DomainID, after string, most int) (page []gateway.Account, more bool, err error) {
	var behind gateway.AccountID
	if after != "" {
		a, err := d.cfg.Store.Account(ctx, s, id, after)
		if err != nil {
			return nil, false, badCursor(err, "after")
		}
		behind = a.ID
	}
	page, err = d.cfg.Store.Accounts(ctx, s, id, behind, most+1)
	if len(page) > most {
		return page[:most], true, err
	}
	return page, false, err
}

// badCursor is the answer to an after that names nothing.
func badCursor(err error, name string) error {
	if gateway.KindOf(err) == gateway.NotFound {
		return gateway.Fieldf(gateway.InvalidParameter, name, "%s names nothing that could be listed", name)
	}
	return err
}

// Account finds an account by its address or an alias.
func (d *Domains) Account(ctx context.Context, s gateway.Scope, email string) (*gateway.Account, error) {
	_, host := gateway.SplitAddress(strings.TrimSpace(email))
	name, err := Canonical(host)
	if err != nil {
		return nil, gateway.Errorf(gateway.NotFound, "no such account")
	}
	dom, err := d.cfg.Store.DomainByName(ctx, s, name)
	if err != nil {
		return nil, err
	}
	return d.cfg.Store.Account(ctx, s, dom.ID, strings.TrimSpace(email))
}

// AccountByID finds an account by its number.
func (d *Domains) AccountByID(ctx context.Context, s gateway.Scope, dom gateway.DomainID, id gateway.AccountID) (*gateway.Account, error) {
	return d.cfg.Store.AccountByID(ctx, s, dom, id)
}

package domains

import (
	"context"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// NewAccount says what account to make.
type NewAccount struct {
	Email   string
	Name    string
	Aliases []string
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
	if int64(len(n.Aliases)) > d.cfg.Limits.AliasesPerAccount {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "aliases", "an account has at most %d aliases", d.cfg.Limits.AliasesPerAccount)
	}
	if len(n.Name) > 200 || strings.ContainsAny(n.Name, "\r\n\x00") {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "name", "name is one line of at most 200 characters")
	}
	a := &gateway.Account{Domain: dom.ID, UUID: newID(), Email: email, Name: n.Name}
	for _, alias := range n.Aliases {
		alias, other, err := d.address(ctx, s, "aliases", alias)
		if err != nil {
			return nil, err
		}
		if other.ID != dom.ID {
			return nil, gateway.Fieldf(gateway.InvalidParameter, "aliases", "an alias is in the account's domain, %s", dom.Name)
		}
		a.Aliases = append(a.Aliases, alias)
	}
	return a, d.cfg.Store.CreateAccount(ctx, s, a)
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

// Accounts lists the accounts of a domain that the scope reaches.
func (d *Domains) Accounts(ctx context.Context, s gateway.Scope, id gateway.DomainID) ([]gateway.Account, error) {
	return d.cfg.Store.Accounts(ctx, s, id)
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

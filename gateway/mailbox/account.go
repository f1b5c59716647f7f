package mailbox

import (
	"context"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// account is whose mail a caller means: the account of an account scope, or the
// one that email names. Nil, with a domain scope and no email, means any.
func (m *Mail) account(ctx context.Context, s gateway.Scope, email string) (*gateway.Account, error) {
	switch s.Level() {
	case gateway.LevelAccount:
		own, err := m.cfg.Store.AccountByID(ctx, s, s.Domain(), s.Account())
		if err != nil || email == "" {
			return own, err
		}
		if a, err := m.cfg.Store.Account(ctx, s, s.Domain(), email); err != nil || a.ID != own.ID {
			return nil, gateway.Fieldf(gateway.Restricted, "email", "the key belongs to %s", own.Email)
		}
		return own, nil
	case gateway.LevelDomain:
		if email == "" {
			return nil, nil
		}
		d, err := m.cfg.Store.Domain(ctx, s, s.Domain())
		if err != nil {
			return nil, err
		}
		if _, host := gateway.SplitAddress(email); !strings.EqualFold(host, d.Name) {
			return nil, gateway.Fieldf(gateway.Restricted, "email", "the key belongs to %s", d.Name)
		}
		return m.cfg.Store.Account(ctx, s, d.ID, email)
	}
	return nil, needsEmail()
}

// oneAccount is account for calls that can't do without one.
func (m *Mail) oneAccount(ctx context.Context, s gateway.Scope, email string) (*gateway.Account, error) {
	a, err := m.account(ctx, s, email)
	if err == nil && a == nil {
		err = needsEmail()
	}
	return a, err
}

func needsEmail() error {
	return gateway.Fieldf(gateway.MissingField, "email", "say whose mailbox: add ?email=address")
}

// Account finds whose mailbox an address names: the key's own if email is empty.
func (m *Mail) Account(ctx context.Context, s gateway.Scope, email string) (*gateway.Account, error) {
	return m.oneAccount(ctx, s, email)
}

// Folders lists the mailboxes of an account.
func (m *Mail) Folders(ctx context.Context, s gateway.Scope, email string) ([]gateway.Mailbox, error) {
	a, err := m.oneAccount(ctx, s, email)
	if err != nil {
		return nil, err
	}
	return m.cfg.Store.Mailboxes(ctx, s, a.Domain, a.ID)
}

// folders maps an account's mailboxes by number.
type folders map[gateway.MailboxID]gateway.Mailbox

func (m *Mail) folders(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID) (folders, error) {
	all, err := m.cfg.Store.Mailboxes(ctx, s, d, a)
	out := make(folders, len(all))
	for _, box := range all {
		out[box.ID] = box
	}
	return out, err
}

// named finds a mailbox by name; names match exactly, but for INBOX.
func (f folders) named(name string) (gateway.Mailbox, error) {
	name = gateway.FoldMailbox(name)
	for _, box := range f {
		if gateway.FoldMailbox(box.Name) == name { // one from before may begin with inbox
			return box, nil
		}
	}
	return gateway.Mailbox{}, noFolder(name)
}

func noFolder(name string) error {
	return gateway.Fieldf(gateway.NotFound, "folder", "no such folder: %s", name)
}

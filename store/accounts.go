package store

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func accountKey(d gateway.DomainID, a gateway.AccountID) []byte { return key(subAccount, d).account(a) }

func addressKey(d gateway.DomainID, addr string) []byte {
	return key(subAddress, d).text(gateway.FoldAddress(addr))
}

// Places in a domain's counters.
const (
	countAccounts    = iota // numbers given out
	countFull               // accounts made on purpose
	countImplicit           // accounts made by use
	countKeys               // live keys
	countSuppressed         // suppressed addresses
	countQueued             // deliveries to other hosts that have not ended
	countQueuedBytes        // sizes of what they carry
	countValidity           // UIDVALIDITY up to which an address of it may have had mailboxes before
)

// Places in an account's counters. Its quota stands beside what it bounds, so that
// a commit reads one record.
const (
	countMessages    = iota // numbers given out
	countMailboxes          // numbers given out
	countUIDValidity        // values given out
	countBytes              // sizes of its messages, from number countFrom on
	countFrom               // the first message whose size is counted; 0: none yet
	countQuota              // most bytes; 0: no limit
)

func readAccount(r engine.Reader, d gateway.DomainID, a gateway.AccountID) (*gateway.Account, error) {
	return load(r, accountKey(d, a), func(b []byte) (*gateway.Account, error) { return decodeAccount(d, a, b) })
}

// accountAt finds the account of an address or alias.
func accountAt(r engine.Reader, d gateway.DomainID, addr string) (*gateway.Account, error) {
	id, err := load(r, addressKey(d, addr), decodeAccountID)
	if err != nil {
		return nil, err
	}
	return readAccount(r, d, id)
}

func decodeAccountID(b []byte) (gateway.AccountID, error) {
	if len(b) != 4 {
		return 0, errRecord
	}
	return gateway.AccountID(binary.BigEndian.Uint32(b)), nil
}

// CreateAccount makes an account with its standard mailboxes and fills a.ID. An
// implicit account of the same address becomes this one and keeps its mail.
func (s *Store) CreateAccount(ctx context.Context, sc gateway.Scope, a *gateway.Account) error {
	if !sc.CoversDomain(a.Domain) {
		return denied("domain")
	}
	return s.update(ctx, a.Domain, func(t *tx) error {
		if _, err := readDomain(t, a.Domain); err != nil {
			return missing(err, "domain")
		}
		old, err := accountAt(t, a.Domain, a.Email)
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return err
		}
		if old != nil && (!old.Implicit || !strings.EqualFold(old.Email, a.Email)) {
			return gateway.Errorf(gateway.AlreadyExists, "%s exists", a.Email)
		}
		return t.openAccount(a, old)
	})
}

// openAccount writes a new account, or a in the place of an implicit one.
func (t *tx) openAccount(a, old *gateway.Account) error {
	n, err := loadOr(t, key(subDomainSeq, t.domain), decodeNumbers)
	if err != nil {
		return err
	}
	a.CreatedAt = t.now
	if old != nil {
		a.ID, a.UUID, a.CreatedAt = old.ID, old.UUID, old.CreatedAt
		n[countImplicit]--
	} else {
		n[countAccounts]++
		a.ID = gateway.AccountID(n[countAccounts])
		if a.UUID.IsZero() {
			a.UUID = newID()
		}
	}
	if err := t.countAccount(a, &n); err != nil {
		return err
	}
	t.Set(key(subDomainSeq, t.domain), n.encode())
	for _, addr := range append([]string{a.Email}, a.Aliases...) {
		if err := t.takeAddress(a.ID, addr); err != nil {
			return err
		}
	}
	t.Set(accountKey(t.domain, a.ID), encodeAccount(a))
	if old == nil {
		return t.standardMailboxes(a, n[countValidity])
	}
	return t.setQuota(a)
}

// takeAddress makes addr lead to an account.
func (t *tx) takeAddress(a gateway.AccountID, addr string) error {
	owner, err := load(t, addressKey(t.domain, addr), decodeAccountID)
	switch {
	case errors.Is(err, engine.ErrNotFound) || err == nil && owner == a:
		t.Set(addressKey(t.domain, addr), encodeU32(uint32(a)))
		return nil
	case err != nil:
		return err
	}
	if gone, err := t.beingDeleted(addr); err != nil {
		return err
	} else if gone {
		return gateway.Errorf(gateway.InvalidState, "%s is being deleted; try again when that is done", addr)
	}
	return gateway.Errorf(gateway.AlreadyExists, "%s exists", addr)
}

// beingDeleted reports whether addr is that of an account whose deletion is under
// way: it still leads to a number, which has no record any more.
func (t *tx) beingDeleted(addr string) (bool, error) {
	owner, err := load(t, addressKey(t.domain, addr), decodeAccountID)
	if err != nil {
		return false, ignoreMissing(err)
	}
	_, err = readAccount(t, t.domain, owner)
	return errors.Is(err, engine.ErrNotFound), ignoreMissing(err)
}

func (t *tx) countAccount(a *gateway.Account, n *numbers) error {
	lim := t.store.cfg.Limits
	count, most := countFull, lim.AccountsPerDomain
	if a.Implicit {
		count, most = countImplicit, lim.ImplicitAccounts
	}
	if n[count] >= uint64(most) {
		return gateway.Errorf(gateway.InvalidState, "the domain has all the %d accounts it may have", most)
	}
	n[count]++
	return nil
}

// standardMailboxes makes those of a new account. Its address may be that of a former one,
// which clients knew: UIDVALIDITY goes on behind it, RFC 9051 section 2.3.1.1.
func (t *tx) standardMailboxes(a *gateway.Account, validity uint64) error {
	n := numbers{countFrom: 1, countQuota: uint64(a.Quota), countUIDValidity: validity}
	for i, m := range gateway.StandardMailboxes {
		n[countMailboxes]++
		n[countUIDValidity]++
		head := gateway.Mailbox{
			ID: gateway.MailboxID(i + 1), Name: m.Name, SpecialUse: m.SpecialUse,
			UIDValidity: uint32(n[countUIDValidity]), UIDNext: 1,
		}
		t.Set(mailboxKey(t.domain, a.ID, head.ID), encodeMailbox(&head))
	}
	t.Set(accountSeqKey(t.domain, a.ID), n.encode())
	return nil
}

// implicitAccount makes the account of an address by its first use.
func (t *tx) implicitAccount(addr string) (*gateway.Account, error) {
	a := &gateway.Account{Domain: t.domain, Email: gateway.FoldAddress(addr), Implicit: true}
	return a, t.openAccount(a, nil)
}

// Account finds an account by its address or an alias.
func (s *Store) Account(ctx context.Context, sc gateway.Scope, d gateway.DomainID, email string) (a *gateway.Account, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		if !sc.TouchesDomain(d) {
			return denied("account")
		}
		if a, err = accountAt(r, d, email); err != nil {
			return missing(err, "account")
		}
		if !sc.Covers(d, a.ID) {
			a = nil
			return denied("account")
		}
		return readUse(r, a)
	})
	return a, err
}

// AccountByID returns one account.
func (s *Store) AccountByID(ctx context.Context, sc gateway.Scope, d gateway.DomainID, id gateway.AccountID) (a *gateway.Account, err error) {
	if !sc.Covers(d, id) {
		return nil, denied("account")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		if a, err = readAccount(r, d, id); err != nil {
			return missing(err, "account")
		}
		return readUse(r, a)
	})
	return a, err
}

// Accounts lists the accounts of a domain that the scope reaches, oldest first:
// behind after, at most most; 0 is all.
func (s *Store) Accounts(ctx context.Context, sc gateway.Scope, d gateway.DomainID, after gateway.AccountID, most int) (all []gateway.Account, err error) {
	if !sc.TouchesDomain(d) {
		return nil, denied("domain")
	}
	rng := engine.Prefix(key(subAccount, d))
	rng.From = accountKey(d, after+1)
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func(k, v []byte) error {
			id := gateway.AccountID(binary.BigEndian.Uint32(k[5:]))
			if !sc.Covers(d, id) {
				return nil
			}
			a, err := decodeAccount(d, id, v)
			if err != nil {
				return err
			}
			if err := readUse(r, a); err != nil {
				return err
			}
			if all = append(all, *a); len(all) == most {
				return engine.ErrStop
			}
			return nil
		})
	})
	return all, err
}

// newID makes a UUID of version 7, which sorts by age.
func newID() gateway.ID { return gateway.ID(uuid.Must(uuid.NewV7())) }

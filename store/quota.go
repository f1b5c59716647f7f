package store

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// How many bytes an account holds is a counter that changes in the commits of its
// messages. Accounts that were made before it was kept have their older messages
// counted afterwards, the newest first: countFrom is how far that has come.

func accountSeqKey(d gateway.DomainID, a gateway.AccountID) []byte {
	return key(subAccountSeq, d).account(a)
}

// full reports whether an account's counters are over its quota.
func (n *numbers) full() bool { return n[countQuota] > 0 && n[countBytes] > n[countQuota] }

func overQuota(n *numbers) error {
	return gateway.Errorf(gateway.OverQuota, "the account may hold %d bytes and has no room for this", n[countQuota])
}

// readUse fills in what an account may hold, and holds.
func readUse(r engine.Reader, a *gateway.Account) error {
	n, err := loadOr(r, accountSeqKey(a.Domain, a.ID), decodeNumbers)
	a.Quota, a.Used = int64(n[countQuota]), int64(n[countBytes])
	return err
}

func (t *tx) setQuota(a *gateway.Account) error {
	n, err := load(t, accountSeqKey(t.domain, a.ID), decodeNumbers)
	if err != nil {
		return missing(err, "account")
	}
	n[countQuota] = uint64(a.Quota)
	a.Used = int64(n[countBytes])
	t.Set(accountSeqKey(t.domain, a.ID), n.encode())
	return nil
}

// mayGrow refuses more entries for an account that is over its quota already: a
// copy adds no bytes, and still is no way round it.
func (t *tx) mayGrow(a gateway.AccountID) error {
	n, err := load(t, accountSeqKey(t.domain, a), decodeNumbers)
	if err != nil {
		return missing(err, "account")
	}
	if n.full() {
		return overQuota(&n)
	}
	return nil
}

// letGo takes the size of a message off its account.
func (t *tx) letGo(m *stored) error {
	k := accountSeqKey(t.domain, m.Account)
	n, err := load(t, k, decodeNumbers)
	if err != nil {
		return ignoreMissing(err) // the account is being deleted
	}
	if from := n[countFrom]; from > 0 && uint64(m.Number) >= from {
		n[countBytes] -= min(n[countBytes], uint64(m.Size()))
		t.Set(k, n.encode())
	}
	return nil
}

// countPage is how many messages are counted in one commit.
const countPage = 500

// CountBytes counts what was stored before its bytes were counted. It goes on
// where a call before has stopped, and does nothing when all is counted.
func (s *Store) CountBytes(ctx context.Context, sc gateway.Scope) error {
	domains, err := s.Domains(ctx, sc)
	if err != nil {
		return err
	}
	for i := range domains {
		d := domains[i].ID
		var behind []gateway.AccountID
		err := s.view(ctx, func(r engine.Reader) error {
			return r.Scan(engine.Prefix(key(subAccountSeq, d)), func(k, v []byte) error {
				n, err := decodeNumbers(v)
				if err == nil && n[countFrom] != 1 {
					behind = append(behind, gateway.AccountID(binary.BigEndian.Uint32(k[5:])))
				}
				return err
			})
		})
		for _, a := range behind {
			for done := false; err == nil && !done; {
				err = s.frees(ctx, d, func(t *tx) (err error) {
					done, err = t.countBack(a)
					return err
				})
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// countBack counts the next older messages of an account; done when none is left.
func (t *tx) countBack(a gateway.AccountID) (done bool, err error) {
	n, err := load(t, accountSeqKey(t.domain, a), decodeNumbers)
	if errors.Is(err, engine.ErrNotFound) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	if n[countFrom] == 0 {
		n[countFrom] = n[countMessages] + 1
	}
	rng := engine.Prefix(key(subMessage, t.domain).account(a))
	rng.To = messageKey(t.domain, a, gateway.MessageNumber(n[countFrom]))
	rng.Reverse, rng.Limit = true, countPage
	seen := 0
	err = t.Scan(rng, func(k, v []byte) error {
		m, err := decodeMessage(t.domain, a, lastNumber(k), v)
		if err == nil {
			seen++
			n[countBytes] += uint64(m.Size())
			n[countFrom] = uint64(m.Number)
		}
		return err
	})
	if done = seen < countPage; done {
		n[countFrom] = 1
	}
	t.Set(accountSeqKey(t.domain, a), n.encode())
	return done, err
}

// UpdateAccount changes an account within a commit: its name, its aliases, its
// quota. AlreadyExists if an alias is another account's address.
func (s *Store) UpdateAccount(ctx context.Context, sc gateway.Scope, d gateway.DomainID, id gateway.AccountID, change func(*gateway.Account) error) (a *gateway.Account, err error) {
	if !sc.CoversDomain(d) {
		return nil, denied("account")
	}
	err = s.update(ctx, d, func(t *tx) error {
		if a, err = readAccount(t, d, id); err != nil {
			return missing(err, "account")
		}
		if err := readUse(t, a); err != nil {
			return err
		}
		before := *a
		if err := change(a); err != nil {
			return err
		}
		a.Email, a.UUID, a.Implicit, a.CreatedAt = before.Email, before.UUID, before.Implicit, before.CreatedAt
		for _, alias := range before.Aliases {
			t.Delete(addressKey(d, alias))
		}
		for _, addr := range append([]string{a.Email}, a.Aliases...) {
			if err := t.takeAddress(id, addr); err != nil {
				return err
			}
		}
		t.Set(accountKey(d, id), encodeAccount(a))
		return t.setQuota(a)
	})
	return a, err
}

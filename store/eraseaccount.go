package store

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// An account is deleted in many commits, since nobody knows how large it is. The
// first takes its record and its counters away: from then on nothing finds it and
// nothing can be put into it, while its addresses stay taken. The last one gives
// them back. In between a mark names it, so that a deletion which is cut short goes
// on at the next start.

func closingKey(d gateway.DomainID, a gateway.AccountID) []byte { return key(subErasing, d).account(a) }

// CloseAccount makes an account unreachable and revokes its keys. What it holds is
// for EraseAccount to remove.
func (s *Store) CloseAccount(ctx context.Context, sc gateway.Scope, d gateway.DomainID, id gateway.AccountID) error {
	if !sc.CoversDomain(d) {
		return denied("account")
	}
	err := s.frees(ctx, d, func(t *tx) error {
		a, err := readAccount(t, d, id)
		if err != nil {
			return missing(err, "account")
		}
		if err := t.outlive(id); err != nil {
			return err
		}
		t.Set(closingKey(d, id), encodeAccount(a))
		t.Delete(accountKey(d, id))
		t.Delete(accountSeqKey(d, id))
		return nil
	})
	if err != nil {
		return err
	}
	return s.revokeAll(ctx, d, id)
}

// revokeAll revokes the keys of an account. None is added meanwhile: a key is made
// for an account that is there.
func (s *Store) revokeAll(ctx context.Context, d gateway.DomainID, id gateway.AccountID) error {
	var live []gateway.ID
	err := s.view(ctx, func(r engine.Reader) error {
		return r.Scan(engine.Prefix(key(subKey, d)), func(_, v []byte) error {
			k, err := decodeKey(v)
			if err == nil && k.Account == id && k.RevokedAt.IsZero() {
				live = append(live, k.ID)
			}
			return err
		})
	})
	if err != nil || len(live) == 0 {
		return err
	}
	return s.frees(ctx, d, func(t *tx) error { // at most the live keys of a domain
		for _, id := range live {
			k, err := load(t, apiKeyKey(d, id), decodeKey)
			if err != nil || !k.RevokedAt.IsZero() {
				if err = ignoreMissing(err); err != nil {
					return err
				}
				continue
			}
			k.RevokedAt = t.now
			t.Set(apiKeyKey(d, id), encodeKey(k))
			t.emit(gateway.Event{Type: gateway.EventKeyChanged, Detail: id.String()})
			if err := t.countKey(-1); err != nil {
				return err
			}
		}
		return nil
	})
}

// EraseAccount removes what a closed account holds: mail, conversations, plugins
// and what waits to be delivered; then its addresses are free. For an account that
// is not closed, or is gone, it does nothing.
func (s *Store) EraseAccount(ctx context.Context, sc gateway.Scope, d gateway.DomainID, id gateway.AccountID) error {
	if !sc.CoversDomain(d) {
		return denied("account")
	}
	var a *gateway.Account
	err := s.view(ctx, func(r engine.Reader) (err error) {
		a, err = load(r, closingKey(d, id), func(b []byte) (*gateway.Account, error) { return decodeAccount(d, id, b) })
		return err
	})
	if err != nil {
		return ignoreMissing(err)
	}
	steps := []func(context.Context, *gateway.Account) error{
		func(ctx context.Context, a *gateway.Account) error { return s.revokeAll(ctx, a.Domain, a.ID) },
		s.eraseBoxes, s.eraseDeliveries, s.eraseMessages, s.eraseSegments, s.eraseThreads, s.erasePlugins, s.eraseWebhooks, s.eraseIntents, s.eraseRest,
	}
	for _, step := range steps {
		if err := step(ctx, a); err != nil {
			return err
		}
	}
	return s.frees(ctx, d, func(t *tx) error { return t.forgetAccount(a) })
}

// forgetAccount frees the addresses of an account, and its place in the domain.
func (t *tx) forgetAccount(a *gateway.Account) error {
	if _, err := t.Get(closingKey(t.domain, a.ID)); err != nil {
		return ignoreMissing(err) // somebody else has finished it
	}
	for _, addr := range append([]string{a.Email}, a.Aliases...) {
		owner, err := load(t, addressKey(t.domain, addr), decodeAccountID)
		if err == nil && owner == a.ID {
			t.Delete(addressKey(t.domain, addr))
		} else if ignoreMissing(err) != nil {
			return err
		}
	}
	n, err := loadOr(t, key(subDomainSeq, t.domain), decodeNumbers)
	if err != nil {
		return err
	}
	count := countFull
	if a.Implicit {
		count = countImplicit
	}
	n[count]--
	t.Set(key(subDomainSeq, t.domain), n.encode())
	t.Delete(closingKey(t.domain, a.ID))
	return nil
}

// eraseBoxes takes the mailboxes first: without one nobody changes an entry.
func (s *Store) eraseBoxes(ctx context.Context, a *gateway.Account) error {
	return s.eraseOf(ctx, a, subMailbox, subEntry, subFlags, subList, subVanished)
}

func (s *Store) eraseRest(ctx context.Context, a *gateway.Account) error {
	return s.eraseOf(ctx, a, subNode, subTrace, subStructure, subMember, subSubject, subOnce, subReplies)
}

// eraseOf removes an account's keys of some sub-spaces, so many in each commit.
func (s *Store) eraseOf(ctx context.Context, a *gateway.Account, subs ...byte) error {
	for _, sub := range subs {
		if _, err := s.eraseRange(ctx, a.Domain, engine.Prefix(key(sub, a.Domain).account(a.ID))); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eraseDeliveries(ctx context.Context, a *gateway.Account) error {
	return s.pageOf(ctx, a.Domain, key(subCarried, a.Domain).account(a.ID), func(t *tx, k, _ []byte) error {
		j, err := readDelivery(t, t.domain, lastID(k))
		if err != nil {
			return ignoreMissing(err)
		}
		t.unqueue(j)
		t.Delete(deliveryKey(t.domain, j.ID))
		t.Delete(waitingKey(t.domain, j.ID))
		if j.State.Ended() {
			return nil
		}
		return t.end(j)
	})
}

func (s *Store) eraseMessages(ctx context.Context, a *gateway.Account) error {
	return s.pageOf(ctx, a.Domain, key(subMessage, a.Domain).account(a.ID), func(t *tx, k, v []byte) error {
		m, err := decodeMessage(t.domain, a.ID, lastNumber(k), v)
		if err != nil {
			return err
		}
		t.Delete(uuidKey(t.domain, m.ID))
		t.Delete(threadKey(t.domain, m.Thread))
		if id := m.Content.MessageID; id != "" {
			t.Delete(messageIDKey(t.domain, id).account(a.ID).number(m.Number))
		}
		return t.Unlink(blobRef(m.Blob))
	})
}

// eraseThreads finds what the messages don't lead to: threads that were merged into
// others.
func (s *Store) eraseThreads(ctx context.Context, a *gateway.Account) error {
	rng := engine.Prefix(key(subThread, a.Domain))
	rng.Limit = eraseKeys
	for n := eraseKeys; n == eraseKeys; {
		var gone []gateway.ID
		n = 0
		err := s.view(ctx, func(r engine.Reader) error {
			return r.Scan(rng, func(k, v []byte) error {
				n++
				rng.From = append(append([]byte(nil), k...), 0)
				th, err := decodeThread(lastID(k), v)
				if err == nil && th.Account == a.ID {
					gone = append(gone, th.ID)
				}
				return err
			})
		})
		if err == nil && len(gone) > 0 {
			err = s.frees(ctx, a.Domain, func(t *tx) error {
				for _, id := range gone {
					t.Delete(threadKey(t.domain, id))
				}
				return nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// erasePlugins removes the account's installations: at most as many as a domain may
// have.
func (s *Store) erasePlugins(ctx context.Context, a *gateway.Account) error {
	err := s.frees(ctx, a.Domain, func(t *tx) error {
		all, err := readPlugins(t, t.domain)
		if err != nil {
			return err
		}
		for i := range all {
			if all[i].Account != a.ID {
				continue
			}
			if err := t.dropPlugin(&all[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.clearPlugins(ctx, a.Domain)
}

// finishAccounts goes on with deletions of accounts that were cut short.
func (s *Store) finishAccounts(ctx context.Context, sc gateway.Scope) error {
	type closed struct {
		domain  gateway.DomainID
		account gateway.AccountID
	}
	var all []closed
	err := s.view(ctx, func(r engine.Reader) error {
		return r.Scan(engine.Prefix([]byte{subErasing}), func(k, _ []byte) error {
			all = append(all, closed{gateway.DomainID(binary.BigEndian.Uint32(k[1:])), gateway.AccountID(binary.BigEndian.Uint32(k[5:]))})
			return nil
		})
	})
	for _, c := range all {
		if err == nil {
			err = s.EraseAccount(ctx, sc, c.domain, c.account)
		}
	}
	return err
}

// closing reports whether an account's deletion is under way.
func closing(r engine.Reader, d gateway.DomainID, a gateway.AccountID) (bool, error) {
	_, err := r.Get(closingKey(d, a))
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

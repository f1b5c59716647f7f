package store

import (
	"context"
	"encoding/binary"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// RFC 9051 section 2.3.1.1: a mailbox of a name, its UIDVALIDITY and a UID are one message
// for ever. UIDVALIDITY is a number of the account's, higher for each mailbox; so a name
// that comes again gets another. Here is what sees to that where the account itself, or
// what it had given out, is forgotten.

// firstDomain is the number of the first domain of a store: no address of it was ever
// somebody else's.
const firstDomain = 1

// seconds is the time as UIDVALIDITY, which RFC 9051 proposes.
func (t *tx) seconds() uint64 { return ms(t.now) / 1000 }

// beginValidity lets a new domain begin behind what an erased one of its name may have
// given out.
func (t *tx) beginValidity() error {
	if t.domain == firstDomain {
		return nil
	}
	return t.raiseValidity(t.seconds())
}

// outlive notes what an account that goes has given out, for who gets its address.
func (t *tx) outlive(a gateway.AccountID) error {
	n, err := loadOr(t, accountSeqKey(t.domain, a), decodeNumbers)
	if err != nil {
		return err
	}
	return t.raiseValidity(n[countUIDValidity])
}

func (t *tx) raiseValidity(to uint64) error {
	k := key(subDomainSeq, t.domain)
	n, err := loadOr(t, k, decodeNumbers)
	if err != nil || n[countValidity] >= to {
		return err
	}
	n[countValidity] = to
	t.Set(k, n.encode())
	return nil
}

const (
	// restoreStep is by how much at least a restore raises numbers, whatever the clock
	// says: more than an account makes mailboxes after a backup. Ours.
	restoreStep = 1 << 8
	// restoreBatch is how many mailboxes one commit of it writes, at least, if there are
	// so many; ours.
	restoreBatch = 1000
)

// Restored makes a store of a backup one that can be told from the lost one, before
// anybody uses it. UIDs given out after the backup was made are given out again, flags
// are what they were, and what was expunged is back: so every mailbox, and those that are
// made later, get a UIDVALIDITY and numbers that no mailbox of the lost store had, nor of
// one that was restored from the same backup before. For the latter the clock counts.
func (s *Store) Restored(ctx context.Context, sc gateway.Scope) error {
	if sc.Level() != gateway.LevelInstance {
		return denied("store")
	}
	domains, err := s.Domains(ctx, sc)
	if err != nil {
		return err
	}
	if err := s.frees(ctx, 0, (*tx).skipDomain); err != nil {
		return err
	}
	for _, d := range domains {
		if err := s.restoredDomain(ctx, d.ID); err != nil {
			return err
		}
	}
	return nil
}

// skipDomain leaves out a number, so that the next domain is not taken for the first.
func (t *tx) skipDomain() error {
	k := key(subSetting, 0).text(settingDomains)
	n, err := loadOr(t, k, decodeNumbers)
	if err != nil {
		return err
	}
	n[0]++
	t.Set(k, n.encode())
	return nil
}

func (s *Store) restoredDomain(ctx context.Context, d gateway.DomainID) error {
	err := s.frees(ctx, d, func(t *tx) error {
		n, err := loadOr(t, key(subDomainSeq, d), decodeNumbers)
		if err != nil {
			return err
		}
		return t.raiseValidity(t.beyond(n[countValidity]))
	})
	for from, more := gateway.AccountID(0), true; more && err == nil; {
		var last gateway.AccountID
		err = s.frees(ctx, d, func(t *tx) error {
			last, err = t.restoredAccounts(from)
			return err
		})
		from, more = last, last > 0
	}
	return err
}

// beyond is a number that nobody has had if numbers had come to n.
func (t *tx) beyond(n uint64) uint64 { return max(n+restoreStep, t.seconds()) }

// restoredAccounts gives some accounts behind one new numbers, and returns the last of
// them; 0 if there are no more.
func (t *tx) restoredAccounts(from gateway.AccountID) (last gateway.AccountID, err error) {
	var some []gateway.AccountID
	rng := engine.Prefix(key(subAccount, t.domain))
	rng.From, rng.KeysOnly, rng.Limit = accountKey(t.domain, from+1), true, restoreBatch
	if err := t.Scan(rng, func(k, _ []byte) error {
		some = append(some, gateway.AccountID(binary.BigEndian.Uint32(k[5:])))
		return nil
	}); err != nil {
		return 0, err
	}
	for written := 0; len(some) > 0 && written < restoreBatch; some = some[1:] {
		last = some[0]
		n, err := t.restoredAccount(last)
		if err != nil {
			return 0, err
		}
		written += n
	}
	return last, nil
}

func (t *tx) restoredAccount(a gateway.AccountID) (written int, err error) {
	k := accountSeqKey(t.domain, a)
	n, err := load(t, k, decodeNumbers)
	if err != nil {
		return 0, err
	}
	boxes, err := mailboxes(t, t.domain, a)
	if err != nil {
		return 0, err
	}
	n[countMailboxes], n[countUIDValidity] = t.beyond(n[countMailboxes]), t.beyond(n[countUIDValidity])
	for i := range boxes {
		n[countUIDValidity]++
		boxes[i].UIDValidity = uint32(n[countUIDValidity])
		t.Set(mailboxKey(t.domain, a, boxes[i].ID), encodeMailbox(&boxes[i]))
	}
	t.Set(k, n.encode())
	return len(boxes), nil
}

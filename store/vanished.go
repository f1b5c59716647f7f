package store

import (
	"context"
	"encoding/binary"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What left a mailbox is remembered for a while, by the mod-sequence at which it did:
// one record for each change that removed something. The mailbox names the newest of
// them and each names the one before, so that a reader sees by the chain alone, without
// a clock, whether all records behind a mod-sequence are still there.

func vanishedKey(d gateway.DomainID, a gateway.AccountID, m gateway.MailboxID, modseq uint64) []byte {
	return key(subVanished, d).account(a).mailbox(m).u64(modseq)
}

// vanished is one such record.
type vanished struct {
	Before uint64 // the record before it; or the mailbox's mod-sequence when there was none
	UIDs   []gateway.UIDRange
}

func (v *vanished) encode() []byte {
	e := newRecord(24)
	e.uint(1, v.Before)
	e.bytes(2, encodeRuns(v.UIDs))
	return e.b
}

// encodeRuns writes runs in order: from the end of the one before, and how many more.
func encodeRuns(all []gateway.UIDRange) (b []byte) {
	last := uint32(0)
	for _, r := range all {
		b = protowire.AppendVarint(b, uint64(r.First-last))
		b = protowire.AppendVarint(b, uint64(r.Last-r.First))
		last = r.Last
	}
	return b
}

func decodeVanished(b []byte) (v vanished, err error) {
	err = readRecord("vanished", b, func(f field) error {
		switch f.n {
		case 1:
			v.Before = f.v
		case 2:
			v.UIDs, err = decodeRuns(f.b)
		}
		return err
	})
	return v, err
}

func decodeRuns(b []byte) (all []gateway.UIDRange, err error) {
	for last := uint64(0); len(b) > 0; {
		gap, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return nil, errRecord
		}
		more, k := protowire.ConsumeVarint(b[n:])
		first := last + gap
		if last = first + more; k < 0 || gap > 1<<32 || more > 1<<32 || last >= 1<<32 {
			return nil, errRecord
		}
		all, b = append(all, gateway.UIDRange{First: uint32(first), Last: uint32(last)}), b[n+k:]
	}
	return all, nil
}

// departure is what a transaction removes from one mailbox in one change.
type departure struct {
	account gateway.AccountID
	mailbox gateway.MailboxID
	modseq  uint64
	vanished
}

// vanish notes that a UID leaves a mailbox, which then knows the change as its newest.
func (t *tx) vanish(a gateway.AccountID, box *gateway.Mailbox, uid uint32, modseq uint64) {
	i := len(t.left) - 1
	for i >= 0 && t.left[i].modseq == modseq && (t.left[i].account != a || t.left[i].mailbox != box.ID) {
		i--
	}
	if i < 0 || t.left[i].modseq != modseq {
		before := box.Vanished
		if before == 0 {
			before = box.ModSeq // what left before then was never noted
		}
		t.left = append(t.left, departure{a, box.ID, modseq, vanished{Before: before}})
		i, box.Vanished = len(t.left)-1, modseq
	}
	t.left[i].UIDs = append(t.left[i].UIDs, gateway.UIDRange{First: uid, Last: uid})
}

// keepVanished writes what vanish noted, at the end of the transaction.
func (t *tx) keepVanished() {
	for i := range t.left {
		l := &t.left[i]
		l.UIDs = gateway.MergeUIDs(l.UIDs)
		t.SetUntil(vanishedKey(t.domain, l.account, l.mailbox, l.modseq), l.encode(), until(t.now, gateway.VanishedRetention))
	}
}

// Vanished returns the UIDs that left a mailbox after a mod-sequence, in order. It is
// not all of them, and nothing is returned, when the mailbox no longer remembers so far
// back, or they are more than Limits.VanishedRuns.
func (s *Store) Vanished(ctx context.Context, sc gateway.Scope, at gateway.Selection, since uint64) (uids []gateway.UIDRange, all bool, err error) {
	if !sc.Covers(at.Domain, at.Account) {
		return nil, false, denied("folder")
	}
	rng := engine.Prefix(key(subVanished, at.Domain).account(at.Account).mailbox(at.Mailbox))
	if rng.From = vanishedKey(at.Domain, at.Account, at.Mailbox, since+1); since == 1<<64-1 {
		return nil, true, nil
	}
	err = s.view(ctx, func(r engine.Reader) error {
		box, err := readMailbox(r, at.Domain, at.Account, at.Mailbox)
		if err != nil {
			return missing(err, "folder")
		}
		newest := box.Vanished
		if newest == 0 {
			newest = box.ModSeq
		}
		before, most := since, int(s.cfg.Limits.VanishedRuns)
		if all = newest <= since; all {
			return nil
		}
		err = r.Scan(rng, func(k, b []byte) error {
			v, err := decodeVanished(b)
			if err != nil {
				return err
			}
			if len(uids)+len(v.UIDs) > most || v.Before > since && v.Before != before {
				return engine.ErrStop
			}
			uids, before = append(uids, v.UIDs...), binary.BigEndian.Uint64(k[len(k)-8:])
			return nil
		})
		all = before == newest
		return err
	})
	if err != nil || !all {
		return nil, false, err
	}
	return gateway.MergeUIDs(uids), true, nil
}

// eraseVanished forgets what left a mailbox that is gone.
func (s *Store) eraseVanished(ctx context.Context, at gateway.Selection) error {
	_, err := s.eraseRange(ctx, at.Domain, engine.Prefix(key(subVanished, at.Domain).account(at.Account).mailbox(at.Mailbox)))
	return err
}

// vanished looks at what a mailbox remembers: nothing of it may be there.
func (c *checker) vanished(a gateway.AccountID, box *gateway.Mailbox) error {
	newest := uint64(0)
	err := c.r.Scan(engine.Prefix(key(subVanished, c.domain).account(a).mailbox(box.ID)), func(k, b []byte) error {
		newest = binary.BigEndian.Uint64(k[len(k)-8:])
		v, err := decodeVanished(b)
		if err != nil {
			return err
		}
		if v.Before >= newest {
			c.report("account %d, %s: what left at %d names %d as the time before", a, box.Name, newest, v.Before)
		}
		for _, r := range v.UIDs {
			rng := engine.Range{From: entryKey(c.domain, a, box.ID, r.First), To: engine.After(entryKey(c.domain, a, box.ID, r.Last)), KeysOnly: true}
			if err := c.r.Scan(rng, func(k, _ []byte) error {
				c.report("account %d, %s: entry %d is there, and is said to have left at %d", a, box.Name, lastUID(k), newest)
				return nil
			}); err != nil {
				return err
			}
			if r.Last >= box.UIDNext {
				c.report("account %d, %s: entry %d left at %d, where UIDNEXT is %d", a, box.Name, r.Last, newest, box.UIDNext)
			}
		}
		return nil
	})
	if errors.Is(err, errRecord) {
		c.report("account %d, %s: what left it can't be read: %v", a, box.Name, err)
		err = nil
	}
	if newest > box.Vanished || box.Vanished > box.ModSeq {
		c.report("account %d, %s: something left at %d, the newest is said to have at %d of %d", a, box.Name, newest, box.Vanished, box.ModSeq)
	}
	return err
}

package store

import (
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What a plugin moves into the conversation of the message that it is asked about, in the
// commit that places this one: whole conversations, or single emails. It may name what is
// gone by then, or another account's: that stays where it is.

// gather moves into r, the thread of m, what the choice names; it returns whether r has to
// be renumbered, which adding m does.
func (t *tx) gather(r *threadRecord, m *stored, c *gateway.ThreadChoice) (moved bool, err error) {
	for _, id := range c.Merge {
		other, err := t.threads().live(id)
		if err != nil {
			return false, err
		}
		if other == nil || other.ID == r.ID || other.Account != m.Account {
			continue
		}
		done, err := t.mergeInto(r, other)
		if err != nil {
			return false, err
		}
		moved = moved || done
	}
	if !c.New {
		return moved, nil
	}
	taken, err := t.takeEmails(r, m, c.Take)
	return moved || taken, err
}

// takeEmails moves single emails into r. What answers one of them follows it; a thread that
// loses all leads to r.
func (t *tx) takeEmails(r *threadRecord, m *stored, ids []gateway.ID) (moved bool, err error) {
	left := make(map[gateway.ID]*threadRecord)
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		other, err := t.emailOf(m.Account, id)
		if err != nil {
			return false, err
		}
		if other == nil || other.Thread == r.ID || int64(r.Count)+1 >= t.store.cfg.Limits.ThreadMessages {
			continue
		}
		if left[other.Thread] == nil {
			was, err := readThread(t, t.domain, other.Thread)
			if err != nil {
				return false, err
			}
			if fits, err := t.rewrites(was); err != nil {
				return false, err
			} else if !fits {
				continue
			}
			left[other.Thread] = was
		}
		left[other.Thread].Count--
		t.Delete(other.memberKey(other.Thread))
		t.Set(other.memberKey(r.ID), nil)
		if own := other.Facts.MessageID; own != "" {
			t.Set(nodeKey(t.domain, m.Account, own), r.ID[:])
		}
		r.Count++
		moved = true
	}
	for _, was := range left {
		if was.Count > 0 {
			err = t.renumber(was, nil)
		} else {
			was.Into = r.ID
			t.Set(threadKey(t.domain, was.ID), encodeThread(was))
		}
		if err != nil {
			return false, err
		}
	}
	return moved, nil
}

// emailOf reads an account's message by its id; nil if the account has none.
func (t *tx) emailOf(a gateway.AccountID, id gateway.ID) (*stored, error) {
	b, err := t.Get(uuidKey(t.domain, id))
	if errors.Is(err, engine.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	account, n, err := messageRef(b)
	if err != nil || account != a {
		return nil, err
	}
	return readMessage(t, t.domain, account, n)
}

// checkThreads holds conversations to their members: each has its rank, and says so.
func (c *checker) checkThreads() error {
	return c.r.Scan(engine.Prefix(key(subThread, c.domain)), func(k, v []byte) error {
		th, err := decodeThread(lastID(k), v)
		if err != nil {
			return err
		}
		if gone, err := closing(c.r, c.domain, th.Account); gone || err != nil {
			return err // it goes with the rest of the account
		}
		members, err := keysOf(c.r, engine.Prefix(memberKey(c.domain, th.Account, th.ID)))
		if err != nil {
			return err
		}
		if len(members) != th.Count || (th.Count == 0) == th.Into.IsZero() {
			c.report("account %d: conversation %s has %d emails, counted %d; it leads to %s", th.Account, th.ID, th.Count, len(members), th.Into)
		}
		for i, next := 0, 0; i < len(members); i++ {
			m, err := readMessage(c.r, c.domain, th.Account, lastNumber(members[i]))
			if err != nil || m.Thread != th.ID || m.Position < next || m.Position > i+th.Gap {
				c.report("account %d: message %d isn't number %d of conversation %s: %v", th.Account, lastNumber(members[i]), i, th.ID, err)
				continue
			}
			next = m.Position + 1
		}
		return nil
	})
}

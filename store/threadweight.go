package store

import (
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// A message knows its place in its conversation, so whoever comes between others has their
// records written again. That must never keep the message itself from being stored, or it
// would be refused for good: what is too much for one commit stays where it is.

// rewriteBytes is how much of others' records one commit writes again for all conversations
// it changes. Ours: two thirds of what a commit takes on a small disk, about 600 messages
// with the trace fields of one hop.
const rewriteBytes = 768 << 10

// rewrites reports whether all records of some conversations may be written again, and
// counts them if so.
func (t *tx) rewrites(threads ...*threadRecord) (bool, error) {
	sum := int64(0)
	for _, r := range threads {
		if t.whole[r.ID] {
			continue
		}
		n, err := t.weigh(r.Account, engine.Prefix(memberKey(t.domain, r.Account, r.ID)))
		if err != nil {
			return false, err
		}
		sum += n
	}
	if t.moved+sum > rewriteBytes {
		return false, nil
	}
	t.moved += sum
	if t.whole == nil {
		t.whole = make(map[gateway.ID]bool)
	}
	for _, r := range threads {
		t.whole[r.ID] = true
	}
	return true, nil
}

// placeIn says whether m stands at the end of the conversation that it joins. If too many
// stand behind it, there is none, as if it were full.
func (t *tx) placeIn(r *threadRecord, m *stored) (_ *threadRecord, last bool, err error) {
	members := engine.Prefix(memberKey(t.domain, m.Account, r.ID))
	mine := m.memberKey(r.ID)
	end := members
	end.Reverse, end.KeysOnly, end.Limit, last = true, true, 1, true
	if err := t.Scan(end, func(k, _ []byte) error {
		last = slices.Compare(k, mine) < 0
		return nil
	}); err != nil || last {
		return r, last, err
	}
	if r.Gap == 0 { // else all get another place
		members.From = mine
	}
	n, err := t.weigh(m.Account, members)
	if err != nil || t.moved+n > rewriteBytes {
		return nil, true, err
	}
	t.moved += n
	return r, false, nil
}

// weigh is how many bytes the records of some members have; it looks no further than what
// is too much.
func (t *tx) weigh(a gateway.AccountID, members engine.Range) (sum int64, err error) {
	members.KeysOnly = true
	err = t.Scan(members, func(k, _ []byte) error {
		b, err := t.Get(messageKey(t.domain, a, lastNumber(k)))
		if err != nil {
			return err
		}
		if sum += int64(len(b)); t.moved+sum > rewriteBytes {
			return engine.ErrStop
		}
		return nil
	})
	return sum, err
}

// leaveGap takes a message out of a conversation that is too long to be written again: the
// place of it stays empty, since whoever deletes mail must not be refused.
func (t *tx) leaveGap(r *threadRecord) error {
	r.Count--
	r.Gap++
	for _, last := range []bool{false, true} {
		end := engine.Prefix(memberKey(t.domain, r.Account, r.ID))
		end.KeysOnly, end.Limit, end.Reverse = true, 1, last
		err := t.Scan(end, func(k, _ []byte) error {
			m, err := readMessage(t, t.domain, r.Account, lastNumber(k))
			switch {
			case err != nil:
			case last:
				r.Newest = m.Facts.Date
			default:
				r.Subject = m.Content.Subject
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	t.Set(threadKey(t.domain, r.ID), encodeThread(r))
	return nil
}

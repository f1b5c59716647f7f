package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// recentReach is how many messages one call looks at, so that no snapshot is kept for
// long; ours.
const recentReach = 1000

// RecentMessages returns whole messages, the newest first: those that arrived or, with
// sent, those that were sent, of an account or, with 0, of the scope's domain. There are
// at most most, and they stand behind a place that an earlier call returned as next; nil
// is the start, and the end. With newer they are those that are newer than a place, the
// oldest first.
func (s *Store) RecentMessages(ctx context.Context, sc gateway.Scope, a gateway.AccountID, sent, newer bool, behind []byte, most int) (all []*gateway.Message, next []byte, err error) {
	d := sc.Domain()
	if d == 0 || a == 0 && !sc.CoversDomain(d) || a != 0 && !sc.Covers(d, a) {
		return nil, nil, denied("email")
	}
	rng := engine.Prefix(key(subUUID, d)) // ids have the time in front
	if a != 0 {
		rng = engine.Prefix(key(subMessage, d).account(a))
	}
	if rng.Reverse = !newer; behind != nil {
		rng = beyond(rng, behind)
	}
	err = s.view(ctx, func(r engine.Reader) error {
		last, looked := []byte(nil), 0
		return r.Scan(rng, func(k, v []byte) (err error) {
			if looked++; len(all) == most || looked > recentReach {
				next = last
				return engine.ErrStop
			}
			last = append(last[:0], k...)
			owner, n := a, lastNumber(k)
			if a == 0 { // the key ends with an id
				if owner, n, err = messageRef(v); err != nil {
					return err
				}
			}
			m, err := recentMessage(r, d, owner, n, sent)
			if m != nil {
				all = append(all, m)
			}
			return ignoreMissing(err) // its account is being deleted
		})
	})
	return all, next, err
}

// recentMessage reads a message if it is of the right kind. What a mail program put there
// did not arrive: nobody checked who sent it.
func recentMessage(r engine.Reader, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber, sent bool) (*gateway.Message, error) {
	m, err := readMessage(r, d, a, n)
	switch {
	case err != nil:
		return nil, err
	case m.Sent != sent, sent && (m.LastEvent == "" || m.LastEvent == gateway.LastDraft), !sent && m.Auth == (gateway.AuthResults{}):
		return nil, nil
	}
	return wholeMessage(r, d, a, n)
}

// RecentPlace is where a message stands in RecentMessages.
func (s *Store) RecentPlace(ctx context.Context, sc gateway.Scope, a gateway.AccountID, id gateway.ID) (at []byte, err error) {
	d := sc.Domain()
	err = s.view(ctx, func(r engine.Reader) error {
		b, err := r.Get(uuidKey(d, id))
		if err != nil {
			return missing(err, "email")
		}
		owner, n, err := messageRef(b)
		switch {
		case err != nil:
			return err
		case d == 0 || !sc.Covers(d, owner) || a != 0 && owner != a:
			return denied("email")
		case a == 0:
			at = uuidKey(d, id)
		default:
			at = key(subMessage, d).account(a).number(n)
		}
		return nil
	})
	return at, err
}

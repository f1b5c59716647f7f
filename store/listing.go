package store

import (
	"context"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// List returns a page of a mailbox in list order, without structures.
func (s *Store) List(ctx context.Context, sc gateway.Scope, q gateway.ListQuery) (l gateway.Listing, err error) {
	if !sc.Covers(q.Domain, q.Account) {
		return l, denied("folder")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		head, err := readMailbox(r, q.Domain, q.Account, q.Mailbox)
		if err != nil {
			return missing(err, "folder")
		}
		l.Mailbox = *head
		rng, err := listRange(r, &q)
		if err != nil {
			return err
		}
		rng.Limit = q.Skip + q.Limit + 1
		at, err := scanList(r, rng, q.Skip)
		if err != nil {
			return err
		}
		if len(at) > q.Limit {
			l.More, at = true, at[:q.Limit]
		}
		if q.Before != nil {
			slices.Reverse(at)
		}
		entries := entriesOf(r, q.Domain)
		for _, e := range at {
			m, err := messageAt(entries, q, e)
			if err != nil {
				return err
			}
			l.Messages = append(l.Messages, m)
		}
		return nil
	})
	return l, err
}

// Walk shows fn the messages that q asks for, one after the other, without
// structures: in list order, with Before against it. It ends when fn returns false.
// cut says that it ended after q.Limit entries although there were more. All of it
// is one snapshot.
func (s *Store) Walk(ctx context.Context, sc gateway.Scope, q gateway.ListQuery, fn func(*gateway.Message) bool) (cut bool, err error) {
	if !sc.Covers(q.Domain, q.Account) {
		return false, denied("folder")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		if _, err := readMailbox(r, q.Domain, q.Account, q.Mailbox); err != nil {
			return missing(err, "folder")
		}
		rng, err := listRange(r, &q)
		if err != nil {
			return err
		}
		entries, seen := entriesOf(r, q.Domain), 0
		return r.Scan(rng, func(k, _ []byte) error {
			if seen++; seen > q.Limit {
				cut = true
				return engine.ErrStop
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			n, uid := listTail(k)
			m, err := messageAt(entries, q, entryAt{n, uid})
			if err == nil && !fn(m) {
				err = engine.ErrStop
			}
			return err
		})
	})
	return cut, err
}

// messageAt reads the message of a list key, with the one entry listed.
func messageAt(r *entryReader, q gateway.ListQuery, at entryAt) (*gateway.Message, error) {
	m, err := readMessage(r, q.Domain, q.Account, at.n)
	if err != nil {
		return nil, err
	}
	e, err := r.read(q.Account, q.Mailbox, at.uid)
	m.Entries = []gateway.Entry{e}
	return &m.Message, err
}

type entryAt struct {
	n   gateway.MessageNumber
	uid uint32
}

// scanList returns the entries of a range of list keys after skipping some.
func scanList(r engine.Reader, rng engine.Range, skip int) (at []entryAt, err error) {
	err = r.Scan(rng, func(k, _ []byte) error {
		if skip > 0 {
			skip--
			return nil
		}
		n, uid := listTail(k)
		at = append(at, entryAt{n, uid})
		return nil
	})
	return at, err
}

// listRange is the list keys that q asks for, in the order in which it asks.
func listRange(r engine.Reader, q *gateway.ListQuery) (engine.Range, error) {
	all := key(subList, q.Domain).account(q.Account).mailbox(q.Mailbox)
	rng := engine.Prefix(all)
	rng.KeysOnly, rng.Reverse = true, q.Before != nil
	// The times in these keys are complements: what is later stands first.
	if !q.Until.IsZero() {
		rng.From = slices.Concat(all, keyBuilder(nil).u64(^ceilMS(q.Until)+1))
		if ceilMS(q.Until) == 0 { // nothing is older
			rng.From = rng.To
		}
	}
	if !q.Since.IsZero() {
		rng.To = engine.After(slices.Concat(all, keyBuilder(nil).u64(^ceilMS(q.Since))))
	}
	if q.After != nil {
		at, err := listPosition(r, q, q.After)
		if err != nil {
			return rng, err
		}
		rng.From = later(rng.From, append(at, 0))
	}
	if q.Before != nil {
		at, err := listPosition(r, q, q.Before)
		if err != nil {
			return rng, err
		}
		if slices.Compare(at, rng.To) < 0 {
			rng.To = at
		}
	}
	if slices.Compare(rng.From, rng.To) > 0 {
		rng.From = rng.To
	}
	return rng, nil
}

func later(a, b []byte) []byte {
	if slices.Compare(a, b) < 0 {
		return b
	}
	return a
}

// ceilMS is ms, rounded up: what arrived at t or later has at least that.
func ceilMS(t time.Time) uint64 { return ms(t.Add(time.Millisecond - 1)) }

// listPosition is the list key of an entry.
func listPosition(r engine.Reader, q *gateway.ListQuery, at *gateway.Entry) ([]byte, error) {
	e, err := readEntry(r, q.Domain, q.Account, q.Mailbox, at.UID)
	if err != nil {
		return nil, missing(err, "email")
	}
	m, err := readMessage(r, q.Domain, q.Account, e.Message)
	if err != nil {
		return nil, missing(err, "email")
	}
	return listKey(q.Domain, q.Account, q.Mailbox, m.Arrived, m.Number, e.UID), nil
}

// Newest returns a conversation and its newest messages, at most most, newest
// first, with their entries and without structures. The id of a merged thread names
// what it was merged into.
func (s *Store) Newest(ctx context.Context, sc gateway.Scope, id gateway.ID, most int) (gateway.Thread, []*gateway.Message, error) {
	return s.newest(ctx, sc, id, most, filedMessage)
}

// messageReader reads a message, with as much of what belongs to it as it says.
type messageReader func(engine.Reader, gateway.DomainID, gateway.AccountID, gateway.MessageNumber) (*gateway.Message, error)

func (s *Store) newest(ctx context.Context, sc gateway.Scope, id gateway.ID, most int, read messageReader) (th gateway.Thread, all []*gateway.Message, err error) {
	d := sc.Domain()
	if d == 0 {
		return th, nil, denied("thread")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		rec, err := threadReader{r, s, d}.live(id)
		if err != nil {
			return err
		}
		if rec == nil || !sc.Covers(d, rec.Account) {
			return denied("thread")
		}
		th = rec.Thread
		rng := engine.Prefix(memberKey(d, rec.Account, rec.ID))
		rng.KeysOnly, rng.Reverse, rng.Limit = true, true, most
		return r.Scan(rng, func(k, _ []byte) error {
			m, err := read(r, d, rec.Account, lastNumber(k))
			if err == nil {
				all = append(all, m)
			}
			return err
		})
	})
	return th, all, err
}

// filedMessage reads a message with its entries.
func filedMessage(r engine.Reader, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) (*gateway.Message, error) {
	m, err := readMessage(r, d, a, n)
	if err != nil {
		return nil, err
	}
	for _, at := range m.Stands {
		e, err := readEntry(r, d, a, at.Mailbox, at.UID)
		if err != nil {
			return nil, err
		}
		m.Entries = append(m.Entries, e)
	}
	return &m.Message, nil
}

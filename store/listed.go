package store

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// scanPerRead is how many keys of a list are passed over in the time that it takes to
// read one message; measured.
const scanPerRead = 16

// Listed returns where wanted messages stand in a list, in list order, with Before
// against it: at most q.Limit of them. cut says that there are more. All of it is one
// snapshot.
func (s *Store) Listed(ctx context.Context, sc gateway.Scope, q gateway.ListQuery, w gateway.Wanted) (at []gateway.Listed, cut bool, err error) {
	if !sc.Covers(q.Domain, q.Account) {
		return nil, false, denied("folder")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		head, err := readMailbox(r, q.Domain, q.Account, q.Mailbox)
		if err != nil {
			return missing(err, "folder")
		}
		rng, err := listRange(r, &q)
		if err != nil {
			return err
		}
		list := lister{r, &q, rng}
		few, ok, err := list.few(w, int(head.Total)/scanPerRead)
		if err != nil {
			return err
		}
		if ok {
			at, err = list.read(ctx, few)
		} else {
			at, err = list.scan(ctx, w)
		}
		if len(at) > q.Limit {
			cut, at = true, at[:q.Limit]
		}
		return err
	})
	return at, cut, err
}

// lister finds messages in a range of a list.
type lister struct {
	r   engine.Reader
	q   *gateway.ListQuery
	rng engine.Range
}

// few returns the wanted messages if they are no more than some.
func (l lister) few(w gateway.Wanted, most int) (numbers []gateway.MessageNumber, ok bool, err error) {
	if len(w.Among) > most {
		return nil, false, nil
	}
	numbers = slices.Clone(w.Among)
	if w.Behind == math.MaxUint64 {
		return numbers, true, nil
	}
	rng := engine.Prefix(key(subMessage, l.q.Domain).account(l.q.Account))
	rng.From, rng.KeysOnly, rng.Limit = messageKey(l.q.Domain, l.q.Account, w.Behind+1), true, most-len(numbers)+1
	err = l.r.Scan(rng, func(k, _ []byte) error {
		numbers = append(numbers, lastNumber(k))
		return nil
	})
	return numbers, len(numbers) <= most, err
}

// read looks up where messages stand.
func (l lister) read(ctx context.Context, numbers []gateway.MessageNumber) ([]gateway.Listed, error) {
	var keys [][]byte
	for _, n := range numbers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, err := readMessage(l.r, l.q.Domain, l.q.Account, n)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		for _, at := range m.Stands {
			k := listKey(l.q.Domain, l.q.Account, at.Mailbox, m.Arrived, n, at.UID)
			if slices.Compare(k, l.rng.From) >= 0 && slices.Compare(k, l.rng.To) < 0 {
				keys = append(keys, k)
			}
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	if l.rng.Reverse {
		slices.Reverse(keys)
	}
	at := make([]gateway.Listed, len(keys))
	for i, k := range keys {
		at[i].Message, at[i].UID = listTail(k)
	}
	return at, nil
}

// scan goes over the list and picks: one more than is asked for.
func (l lister) scan(ctx context.Context, w gateway.Wanted) (at []gateway.Listed, err error) {
	err = l.r.Scan(l.rng, func(k, _ []byte) error {
		if len(at) > l.q.Limit {
			return engine.ErrStop
		}
		n, uid := listTail(k)
		if _, found := slices.BinarySearch(w.Among, n); found || n > w.Behind {
			at = append(at, gateway.Listed{Message: n, UID: uid})
			return ctx.Err()
		}
		return nil
	})
	return at, err
}

// ListedMessages reads listed messages, each with the one entry listed, without
// structures. One that is gone is nil.
func (s *Store) ListedMessages(ctx context.Context, sc gateway.Scope, q gateway.ListQuery, at []gateway.Listed) (all []*gateway.Message, err error) {
	if !sc.Covers(q.Domain, q.Account) {
		return nil, denied("email")
	}
	all = make([]*gateway.Message, len(at))
	err = s.view(ctx, func(r engine.Reader) error {
		entries := entriesOf(r, q.Domain)
		for i, one := range at {
			m, err := messageAt(entries, q, entryAt{one.Message, one.UID})
			if errors.Is(err, engine.ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			all[i] = m
		}
		return nil
	})
	return all, err
}

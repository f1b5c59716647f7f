package store

import (
	"context"
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// maxSparse is how many records may lie in a range for each that is wanted, so that
// reading all of it is cheaper than asking for one after the other. Ours.
const maxSparse = 2

// readMessages reads messages by number and shows each to fn with its place in
// numbers; those that are gone are left out. Numbers that lie close together and in
// order are read as one range.
func readMessages(r engine.Reader, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, fn func(int, *stored) error) error {
	if n := len(numbers); n > 1 && slices.IsSorted(numbers) && uint64(numbers[n-1]-numbers[0]) < uint64(n)*maxSparse {
		return scanMessages(r, d, a, numbers, fn)
	}
	for i, n := range numbers {
		m, err := readMessage(r, d, a, n)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		if err := fn(i, m); err != nil {
			return err
		}
	}
	return nil
}

func scanMessages(r engine.Reader, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, fn func(int, *stored) error) error {
	i := 0
	rng := engine.Range{From: messageKey(d, a, numbers[0]), To: engine.After(messageKey(d, a, numbers[len(numbers)-1]))}
	return r.Scan(rng, func(k, v []byte) error {
		n := lastNumber(k)
		for i < len(numbers) && numbers[i] < n {
			i++
		}
		for ; i < len(numbers) && numbers[i] == n; i++ { // one message may stand twice
			m, err := decodeMessage(d, a, n, v)
			if err == nil {
				err = fn(i, m)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Threaded reads of messages, by number, which conversation they are in and by what
// facts. One that is gone is nil.
func (s *Store) Threaded(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber) (all []*gateway.Threaded, err error) {
	if !sc.Covers(d, a) {
		return nil, denied("email")
	}
	all = make([]*gateway.Threaded, len(numbers))
	err = s.view(ctx, func(r engine.Reader) error {
		return readMessages(r, d, a, numbers, func(i int, m *stored) error {
			all[i] = &gateway.Threaded{Thread: m.Thread, Facts: m.Facts}
			return nil
		})
	})
	return all, err
}

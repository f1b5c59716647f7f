package store

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What IMAP sends of many messages: little of each, so that reading all else of it, and
// asking for each by its key, would be most of the work.

// Described shows fn, of messages by number, what clients are sent of their structure as
// it is stored: HeaderSize, Envelope, BodyStructure and Body. The content is fn's during
// the call only; those that are gone are passed over.
func (s *Store) Described(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, fn func(i int, c *gateway.Content)) error {
	if !sc.Covers(d, a) {
		return denied("email")
	}
	return s.view(ctx, func(r engine.Reader) error {
		var c gateway.Content
		return eachNumber(r, key(subStructure, d).account(a), numbers, func(i int, b []byte) error {
			c = gateway.Content{}
			err := describe(b, &c)
			fn(i, &c)
			return err
		})
	})
}

// describe decodes what Described shows; it refers to b.
func describe(b []byte, c *gateway.Content) error {
	b, err := inflated(b)
	if err != nil {
		return err
	}
	return readRecord("structure", b, func(f field) error {
		switch f.n {
		case 2:
			c.HeaderSize = f.int()
		case 5:
			c.Envelope = f.b
		case 6:
			c.BodyStructure = f.b
		case 7:
			c.Body = f.b
		}
		return nil
	})
}

// Bodies shows fn, of messages by number, their identity and where their bytes are: ID,
// Arrived, Prefix, Blob and Thread. The message is fn's during the call only; those that
// are gone are passed over.
func (s *Store) Bodies(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, fn func(i int, m *gateway.Message)) error {
	if !sc.Covers(d, a) {
		return denied("email")
	}
	return s.view(ctx, func(r engine.Reader) error {
		var m gateway.Message
		return eachNumber(r, key(subMessage, d).account(a), numbers, func(i int, b []byte) error {
			m = gateway.Message{Domain: d, Account: a, Number: numbers[i]}
			err := identify(b, &m)
			fn(i, &m)
			return err
		})
	})
}

// identify decodes what Bodies shows; it refers to b.
func identify(b []byte, m *gateway.Message) error {
	return readRecord("message", b, func(f field) error {
		switch f.n {
		case 1:
			m.ID = f.id()
		case 2:
			m.Arrived = f.time()
		case 6:
			m.Prefix = f.b
		case 7:
			return decodeBlob(f.b, &m.Blob)
		case 11:
			m.Thread = f.id()
		}
		return nil
	})
}

// eachNumber shows fn the records, under a prefix, of those message numbers that are
// there, with the place of each in numbers. Where many lie close together it walks over
// all that lie between.
func eachNumber(r engine.Reader, prefix keyBuilder, numbers []gateway.MessageNumber, fn func(i int, b []byte) error) error {
	order := make([]int, len(numbers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(numbers[i], numbers[j]) })
	n := len(order)
	if n < 8 || numbers[order[n-1]]-numbers[order[0]] > gateway.MessageNumber(4*n) {
		for _, i := range order {
			b, err := r.Get(slices.Clip(prefix).number(numbers[i]))
			if errors.Is(err, engine.ErrNotFound) {
				continue
			} else if err == nil {
				err = fn(i, b)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	rng := engine.Range{From: slices.Clip(prefix).number(numbers[order[0]]), To: slices.Clip(prefix).number(numbers[order[n-1]] + 1)}
	return r.Scan(rng, func(k, b []byte) error {
		number := lastNumber(k)
		for len(order) > 0 && numbers[order[0]] < number {
			order = order[1:]
		}
		for len(order) > 0 && numbers[order[0]] == number {
			if err := fn(order[0], b); err != nil {
				return err
			}
			order = order[1:]
		}
		return nil
	})
}

package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Searched shows fn, of messages by number and in any order, what a search looks at: Number,
// Prefix, Blob and the subject. With whole it has their HeaderSize and Parts too, and the
// bytes of those of at most so many, which are fn's during the call only; of others body is
// nil. Those that are gone are passed over.
func (s *Store) Searched(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, whole int64, fn func(i int, m *gateway.Message, body []byte) error) error {
	if !sc.Covers(d, a) {
		return denied("email")
	}
	found, there := make([]gateway.Message, len(numbers)), make([]bool, len(numbers))
	err := s.view(ctx, func(r engine.Reader) error {
		err := eachNumber(r, key(subMessage, d).account(a), numbers, func(i int, b []byte) error {
			found[i], there[i] = gateway.Message{Domain: d, Account: a, Number: numbers[i]}, true
			return decodeSearched(b, &found[i])
		})
		if err != nil || whole <= 0 {
			return err
		}
		return eachNumber(r, key(subStructure, d).account(a), numbers, func(i int, b []byte) error {
			return decodeParts(b, &found[i].Content)
		})
	})
	if err != nil {
		return err
	}
	var refs []engine.BlobRef
	var of []int
	for i := range found {
		if b := &found[i].Blob; there[i] && b.Size <= whole && b.Domain == d {
			refs, of = append(refs, blobRef(*b)), append(of, i)
		}
	}
	err = s.engine.Blobs().Read(ctx, refs, func(k int, body []byte) error {
		there[of[k]] = false // it is done
		return fn(of[k], &found[of[k]], body)
	})
	for i := 0; i < len(found) && err == nil; i++ {
		if there[i] {
			err = fn(i, &found[i], nil)
		}
	}
	return translate(err)
}

// decodeSearched decodes what a search looks at of a message's record.
func decodeSearched(b []byte, m *gateway.Message) error {
	return readRecord("message", b, func(f field) error {
		switch f.n {
		case 6:
			m.Prefix = f.clone()
		case 7:
			return decodeBlob(f.b, &m.Blob)
		case 16:
			return readFields(f.b, func(f field) error {
				if f.n == 4 {
					m.Content.Subject = f.text()
				}
				return nil
			})
		}
		return nil
	})
}

// decodeParts decodes HeaderSize and Parts of a structure.
func decodeParts(b []byte, c *gateway.Content) error {
	b, err := inflated(b)
	if err != nil {
		return err
	}
	return readRecord("structure", b, func(f field) error {
		switch f.n {
		case 2:
			c.HeaderSize = f.int()
		case 8:
			c.Parts = append(c.Parts, gateway.Part{})
			return decodePart(f.b, &c.Parts[len(c.Parts)-1])
		}
		return nil
	})
}

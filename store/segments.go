package store

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// The search index of an account is segments that follow each other without a gap, from
// its first message on. Their bytes are bodies: written once, read in pieces, dropped when
// a merged one takes their place. All of it can be made again from the mail.

func segmentKey(d gateway.DomainID, a gateway.AccountID, first gateway.MessageNumber) []byte {
	return key(subSegment, d).account(a).number(first)
}

func encodeSegment(s *gateway.IndexSegment) []byte {
	e := newRecord(64)
	e.uint(1, uint64(s.Last))
	e.uint(2, uint64(s.Messages))
	e.message(3, func(e *encoder) { encodeBlob(e, s.Blob) })
	return e.b
}

func decodeSegment(k, b []byte) (s gateway.IndexSegment, err error) {
	s.First = lastNumber(k)
	err = readRecord("segment", b, func(f field) error {
		switch f.n {
		case 1:
			s.Last = gateway.MessageNumber(f.v)
		case 2:
			s.Messages = int(f.v)
		case 3:
			return decodeBlob(f.b, &s.Blob)
		}
		return nil
	})
	return s, err
}

// Segments returns the search index of an account, and the number of its newest message.
func (s *Store) Segments(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID) (all []gateway.IndexSegment, newest gateway.MessageNumber, err error) {
	if !sc.Covers(d, a) {
		return nil, 0, denied("account")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		n, err := load(r, accountSeqKey(d, a), decodeNumbers)
		if err != nil {
			return missing(err, "account")
		}
		newest = gateway.MessageNumber(n[countMessages])
		all, err = segments(r, d, a)
		return err
	})
	return all, newest, err
}

func segments(r engine.Reader, d gateway.DomainID, a gateway.AccountID) (all []gateway.IndexSegment, err error) {
	err = r.Scan(engine.Prefix(key(subSegment, d).account(a)), func(k, v []byte) error {
		seg, err := decodeSegment(k, v)
		all = append(all, seg)
		return err
	})
	return all, err
}

// lastSegment is the newest segment of an account; zero if it has none.
func lastSegment(r engine.Reader, d gateway.DomainID, a gateway.AccountID) (last gateway.IndexSegment, err error) {
	rng := engine.Prefix(key(subSegment, d).account(a))
	rng.Reverse, rng.Limit = true, 1
	err = r.Scan(rng, func(k, v []byte) (err error) {
		last, err = decodeSegment(k, v)
		return err
	})
	return last, err
}

// AddSegment appends to the index of an account, whose body must be sealed. InvalidState
// when it does not follow what is there: somebody else has added meanwhile.
func (s *Store) AddSegment(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, seg *gateway.IndexSegment) error {
	if !sc.Covers(d, a) {
		return denied("account")
	}
	return s.update(ctx, d, func(t *tx) error {
		n, err := load(t, accountSeqKey(d, a), decodeNumbers)
		if err != nil {
			return missing(err, "account")
		}
		last, err := lastSegment(t, d, a)
		if err != nil {
			return err
		}
		if seg.First != last.Last+1 || seg.Last < seg.First || uint64(seg.Last) > n[countMessages] {
			return indexChanged()
		}
		return t.putSegment(a, seg)
	})
}

func (t *tx) putSegment(a gateway.AccountID, seg *gateway.IndexSegment) error {
	if err := t.Link(blobRef(seg.Blob)); err != nil {
		return missing(err, "body")
	}
	t.Set(segmentKey(t.domain, a, seg.First), encodeSegment(seg))
	return nil
}

func indexChanged() error {
	return gateway.Errorf(gateway.InvalidState, "the search index has changed meanwhile")
}

// MergeSegments puts one segment into the place of some that follow each other.
// InvalidState when one of them is not there any more.
func (s *Store) MergeSegments(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, old []gateway.IndexSegment, merged *gateway.IndexSegment) error {
	if !sc.Covers(d, a) {
		return denied("account")
	}
	if len(old) == 0 || merged.First != old[0].First || merged.Last != old[len(old)-1].Last {
		return gateway.Errorf(gateway.Internal, "a merged segment covers other messages than those it was made of")
	}
	return s.update(ctx, d, func(t *tx) error {
		for i := range old {
			k := segmentKey(d, a, old[i].First)
			now, err := load(t, k, func(b []byte) (gateway.IndexSegment, error) { return decodeSegment(k, b) })
			if errors.Is(err, engine.ErrNotFound) || err == nil && now.Blob.ID != old[i].Blob.ID {
				return indexChanged()
			} else if err != nil {
				return err
			}
			if err := t.dropSegment(k, &now); err != nil {
				return err
			}
		}
		return t.putSegment(a, merged)
	})
}

// dropSegment removes a segment. Its body may be lost already, if the store was repaired.
func (t *tx) dropSegment(k []byte, seg *gateway.IndexSegment) error {
	t.Delete(k)
	return ignoreMissing(t.Unlink(blobRef(seg.Blob)))
}

// DropSegments takes an account's search index away: it has to be made again.
func (s *Store) DropSegments(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID) error {
	if !sc.Covers(d, a) {
		return denied("account")
	}
	err := s.eraseSegments(ctx, &gateway.Account{Domain: d, ID: a})
	if err == nil {
		s.unindexed.add(d, a)
	}
	return err
}

// eraseSegments goes from the newest to the oldest, so that what is left has no gap.
func (s *Store) eraseSegments(ctx context.Context, a *gateway.Account) error {
	for n := erasePage; n == erasePage; {
		err := s.frees(ctx, a.Domain, func(t *tx) error {
			n = 0
			rng := engine.Prefix(key(subSegment, a.Domain).account(a.ID))
			rng.Reverse, rng.Limit = true, erasePage
			return t.Scan(rng, func(k, v []byte) error {
				n++
				seg, err := decodeSegment(k, v)
				if err != nil {
					return err
				}
				return t.dropSegment(append([]byte(nil), k...), &seg)
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// MessagesAfter returns messages behind a number, in order and with their structures, at
// most most; through is the number up to which there are no others.
func (s *Store) MessagesAfter(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, after gateway.MessageNumber, most int) (all []*gateway.Message, through gateway.MessageNumber, err error) {
	if !sc.Covers(d, a) {
		return nil, 0, denied("account")
	}
	rng := engine.Prefix(key(subMessage, d).account(a))
	rng.From, rng.Limit = messageKey(d, a, after+1), most
	err = s.view(ctx, func(r engine.Reader) error {
		n, err := load(r, accountSeqKey(d, a), decodeNumbers)
		if err != nil {
			return missing(err, "account")
		}
		through = gateway.MessageNumber(n[countMessages])
		return r.Scan(rng, func(k, v []byte) error {
			m, err := decodeMessage(d, a, lastNumber(k), v)
			if err != nil {
				return err
			}
			b, err := r.Get(structureKey(d, a, m.Number))
			if err == nil {
				err = decodeStructure(b, &m.Content)
			}
			if all = append(all, &m.Message); len(all) == most {
				through = m.Number
			}
			return err
		})
	})
	return all, through, err
}

// MessageNumbers lists which messages of a range are there.
func (s *Store) MessageNumbers(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, first, last gateway.MessageNumber) (all []gateway.MessageNumber, err error) {
	if !sc.Covers(d, a) {
		return nil, denied("account")
	}
	rng := engine.Range{From: messageKey(d, a, first), To: engine.After(messageKey(d, a, last)), KeysOnly: true}
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func(k, _ []byte) error {
			all = append(all, lastNumber(k))
			return nil
		})
	})
	return all, err
}

// segments counts the references of the search index, and finds gaps in it.
func (c *checker) segments() error {
	before := make(map[gateway.AccountID]gateway.MessageNumber)
	return c.r.Scan(engine.Prefix(key(subSegment, c.domain)), func(k, v []byte) error {
		a := gateway.AccountID(binary.BigEndian.Uint32(k[5:]))
		seg, err := decodeSegment(k, v)
		if err != nil {
			return err
		}
		c.refs[seg.Blob.ID]++
		if gone, err := closing(c.r, c.domain, a); gone || err != nil {
			return err
		}
		n, err := loadOr(c.r, accountSeqKey(c.domain, a), decodeNumbers)
		if err != nil {
			return err
		}
		if seg.First != before[a]+1 || seg.Last < seg.First || uint64(seg.Last) > n[countMessages] {
			c.report("account %d: a segment of the search index covers messages %d to %d, the one before ends at %d, the newest message is %d", a, seg.First, seg.Last, before[a], n[countMessages])
		}
		before[a] = seg.Last
		return nil
	})
}

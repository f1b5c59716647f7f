package store

import (
	"context"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What happened in a domain is counted by who reads its feed, away from the commits that
// make it happen. Here is how far that has come: the rest is in the feed, so a count that
// goes on from here is exact whenever the process ended.

func tallyKey(d gateway.DomainID) []byte { return key(subTally, d) }

func encodeHour(e *encoder, h *gateway.Hour) {
	e.time(1, h.At)
	e.int(2, h.Received)
	e.int(3, h.Sent)
	e.int(4, h.Delivered)
	e.int(5, h.Failed)
}

func decodeHour(b []byte) (h gateway.Hour, err error) {
	err = readFields(b, func(f field) error {
		switch f.n {
		case 1:
			h.At = f.time()
		case 2:
			h.Received = f.int()
		case 3:
			h.Sent = f.int()
		case 4:
			h.Delivered = f.int()
		case 5:
			h.Failed = f.int()
		}
		return nil
	})
	return h, err
}

func encodeTally(v *gateway.Tally) []byte {
	e := newRecord(32 + 16*len(v.Hours))
	e.uint(1, v.Sequence)
	e.message(2, func(e *encoder) { encodeHour(e, &v.Total) })
	for i := range v.Hours {
		e.message(3, func(e *encoder) { encodeHour(e, &v.Hours[i]) })
	}
	return e.b
}

func decodeTally(b []byte) (v gateway.Tally, err error) {
	err = readRecord("tally", b, func(f field) (err error) {
		switch f.n {
		case 1:
			v.Sequence = f.v
		case 2:
			v.Total, err = decodeHour(f.b)
		case 3:
			var h gateway.Hour
			h, err = decodeHour(f.b)
			v.Hours = append(v.Hours, h)
		}
		return err
	})
	return v, err
}

// Tally is how far the events of a domain were counted when that was last kept; the zero
// Tally if it never was.
func (s *Store) Tally(ctx context.Context, sc gateway.Scope, d gateway.DomainID) (v gateway.Tally, err error) {
	if !sc.CoversDomain(d) || d == 0 {
		return v, denied("domain")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		v, err = loadOr(r, tallyKey(d), decodeTally)
		return err
	})
	return v, err
}

// KeepTally keeps how far the events of a domain are counted, unless somebody has come
// further.
func (s *Store) KeepTally(ctx context.Context, sc gateway.Scope, d gateway.DomainID, v *gateway.Tally) error {
	if !sc.CoversDomain(d) || d == 0 {
		return denied("domain")
	}
	return s.update(ctx, d, func(t *tx) error {
		if _, err := readDomain(t, d); err != nil {
			return missing(err, "domain")
		}
		was, err := loadOr(t, tallyKey(d), decodeTally)
		if err == nil && was.Sequence < v.Sequence {
			t.Set(tallyKey(d), encodeTally(v))
		}
		return err
	})
}

// tally looks whether the hours that were counted are in order and fit their total.
func (c *checker) tally() error {
	v, err := loadOr(c.r, tallyKey(c.domain), decodeTally)
	if err != nil {
		return err
	}
	var sum gateway.Hour
	for i := range v.Hours {
		sum.Add(&v.Hours[i])
		if i > 0 && !v.Hours[i-1].At.Before(v.Hours[i].At) {
			c.report("the tally has the hour %s behind %s", v.Hours[i].At, v.Hours[i-1].At)
		}
	}
	if t := v.Total; sum.Received > t.Received || sum.Sent > t.Sent || sum.Delivered > t.Delivered || sum.Failed > t.Failed {
		c.report("the tally has counted %+v, and %+v in its hours", t, sum)
	}
	return nil
}

// QueueUse is how much of a domain's mail waits for other hosts.
func (s *Store) QueueUse(ctx context.Context, sc gateway.Scope, d gateway.DomainID) (use gateway.QueueUse, err error) {
	if !sc.CoversDomain(d) || d == 0 {
		return use, denied("domain")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		n, err := loadOr(r, key(subDomainSeq, d), decodeNumbers)
		use = gateway.QueueUse{Deliveries: int64(n[countQueued]), Bytes: int64(n[countQueuedBytes])}
		return err
	})
	return use, err
}

package store

import (
	"context"
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// threadReader looks threads up, inside a commit or before one.
type threadReader struct {
	engine.Reader
	store  *Store
	domain gateway.DomainID
}

func (t *tx) threads() threadReader { return threadReader{t, t.store, t.domain} }

// connected returns the threads that m belongs to by the nodes it names and by
// its subject, oldest id first, without those that are full. It is parted from some of
// them if a plugin has decided what belongs to one.
func (t threadReader) connected(m *stored) (found []*threadRecord, parted bool, err error) {
	var ids []gateway.ID
	for _, id := range m.nodes() {
		b, err := t.Get(nodeKey(t.domain, m.Account, id))
		if errors.Is(err, engine.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, false, err
		}
		ids = append(ids, gateway.ID(b))
	}
	bySubject, err := t.subjectThreads(m)
	if err != nil {
		return nil, false, err
	}
	for _, id := range append(ids, bySubject...) {
		r, err := t.live(id)
		if err != nil {
			return nil, false, err
		}
		known := func(o *threadRecord) bool { return r == nil || o.ID == r.ID }
		if r != nil && !slices.ContainsFunc(found, known) && int64(r.Count) < t.store.cfg.Limits.ThreadMessages {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *threadRecord) int { return slices.Compare(a.ID[:], b.ID[:]) })
	left, err := t.asDecided(m, found)
	return left, len(left) < len(found), err
}

// asDecided leaves of the threads that m belongs to those that may become one. An answer
// names all that its conversation began with, and so what a plugin has parted from it: then
// what it answers decides, which is named last (RFC 5322 section 3.6.4).
func (t threadReader) asDecided(m *stored, found []*threadRecord) ([]*threadRecord, error) {
	if len(found) < 2 || !slices.ContainsFunc(found, func(r *threadRecord) bool { return r.Decided }) {
		return found, nil
	}
	at := found[0]
	nearest := []string{m.Facts.MessageID}
	if n := len(m.Facts.Links); n > 0 {
		nearest = append(nearest, m.Facts.Links[n-1])
	}
	for _, msgid := range slices.Backward(nearest) { // others may know its own id already: that counts most
		b, err := t.Get(nodeKey(t.domain, m.Account, msgid))
		if errors.Is(err, engine.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		r, err := t.live(gateway.ID(b))
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(found, func(o *threadRecord) bool { return r != nil && o.ID == r.ID }); i >= 0 {
			at = found[i]
		}
	}
	if at.Decided {
		return []*threadRecord{at}, nil
	}
	return slices.DeleteFunc(slices.Clone(found), func(r *threadRecord) bool { return r.Decided }), nil
}

// live follows merges to the thread that lives; nil if it is gone.
func (t threadReader) live(id gateway.ID) (*threadRecord, error) {
	for {
		r, err := readThread(t, t.domain, id)
		if errors.Is(err, engine.ErrNotFound) {
			return nil, nil
		}
		if err != nil || r.Into.IsZero() {
			return r, err
		}
		id = r.Into // no merge leads to a thread that is merged into it
	}
}

func readThread(r engine.Reader, d gateway.DomainID, id gateway.ID) (*threadRecord, error) {
	return load(r, threadKey(d, id), func(b []byte) (*threadRecord, error) { return decodeThread(id, b) })
}

// subjectThreads returns the threads of the messages that m joins by subject.
func (t threadReader) subjectThreads(m *stored) (ids []gateway.ID, err error) {
	if m.Facts.Base == "" {
		return nil, nil
	}
	rows := headerlessKey // one of the two must be
	if m.Facts.Headerless() {
		rows = subjectKey
	}
	window := t.store.cfg.Threading.Window()
	rng := engine.Range{
		From:     rows(m).u64(ms(m.Facts.Date.Add(-window))),
		To:       rows(m).u64(ms(m.Facts.Date.Add(window)) + 1),
		KeysOnly: true, Limit: maxSubjectCandidates,
	}
	var near []gateway.MessageNumber
	err = t.Scan(rng, func(k, _ []byte) error {
		near = append(near, lastNumber(k))
		return nil
	})
	for _, n := range near {
		if err != nil {
			return nil, err
		}
		var other *stored
		if other, err = readMessage(t, t.domain, m.Account, n); err == nil && t.store.cfg.Threading.Joins(&m.Facts, &other.Facts) {
			ids = append(ids, other.Thread)
		}
	}
	return ids, err
}

// Candidates returns the conversations of an account that a message belongs to by
// its facts, the one it would join first. The commit looks again.
func (s *Store) Candidates(ctx context.Context, sc gateway.Scope, a gateway.AccountID, f *gateway.ThreadFacts) (all []gateway.Thread, err error) {
	d := sc.Domain()
	if !sc.Covers(d, a) {
		return nil, denied("account")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		found, _, err := threadReader{r, s, d}.connected(&stored{Message: gateway.Message{Domain: d, Account: a}, Facts: *f})
		for _, th := range found {
			all = append(all, th.Thread)
		}
		return err
	})
	return all, err
}

// Thread returns a conversation and its messages from position skip on, at most
// limit, oldest first. The id of a merged thread names what it was merged into.
func (s *Store) Thread(ctx context.Context, sc gateway.Scope, id gateway.ID, skip, limit int) (th gateway.Thread, all []*gateway.Message, err error) {
	d := sc.Domain()
	if d == 0 {
		return th, nil, denied("thread")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		rec, err := readThread(r, d, id)
		for err == nil && !rec.Into.IsZero() {
			rec, err = readThread(r, d, rec.Into)
		}
		if err != nil {
			return missing(err, "thread")
		}
		if !sc.Covers(d, rec.Account) {
			return denied("thread")
		}
		th = rec.Thread
		all, err = threadPage(r, d, rec, skip, limit)
		return err
	})
	return th, all, err
}

func threadPage(r engine.Reader, d gateway.DomainID, rec *threadRecord, skip, limit int) (all []*gateway.Message, err error) {
	rng := engine.Prefix(memberKey(d, rec.Account, rec.ID))
	rng.KeysOnly, rng.Limit = true, skip+limit
	err = r.Scan(rng, func(k, _ []byte) error {
		if skip > 0 {
			skip--
			return nil
		}
		m, err := wholeMessage(r, d, rec.Account, lastNumber(k))
		if err == nil {
			all = append(all, m)
		}
		return err
	})
	return all, err
}

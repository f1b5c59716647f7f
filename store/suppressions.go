package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func suppressionKey(d gateway.DomainID, id gateway.ID) []byte { return key(subSuppressed, d).id(id) }

func refusedKey(d gateway.DomainID, addr string) []byte {
	return key(subRefused, d).text(gateway.FoldAddress(addr))
}

func originKey(d gateway.DomainID, o gateway.SuppressionOrigin) keyBuilder {
	return key(subOrigin, d).hash(string(o))
}

func encodeSuppression(s *gateway.Suppression) []byte {
	e := newRecord(96)
	e.text(1, s.Email)
	e.text(2, string(s.Origin))
	e.time(3, s.CreatedAt)
	e.int(4, int64(s.Code))
	e.text(5, s.Text)
	e.id(6, s.Sent)
	return e.b
}

func decodeSuppression(d gateway.DomainID, id gateway.ID, b []byte) (*gateway.Suppression, error) {
	s := &gateway.Suppression{ID: id, Domain: d}
	err := readRecord("suppression", b, func(f field) error {
		switch f.n {
		case 1:
			s.Email = f.text()
		case 2:
			s.Origin = gateway.SuppressionOrigin(f.text())
		case 3:
			s.CreatedAt = f.time()
		case 4:
			s.Code = int(f.int())
		case 5:
			s.Text = f.text()
		case 6:
			s.Sent = f.id()
		}
		return nil
	})
	return s, err
}

func readSuppression(r engine.Reader, d gateway.DomainID, id gateway.ID) (*gateway.Suppression, error) {
	return load(r, suppressionKey(d, id), func(b []byte) (*gateway.Suppression, error) { return decodeSuppression(d, id, b) })
}

// suppressed finds the suppression of an address; engine.ErrNotFound if it has none.
func suppressed(r engine.Reader, d gateway.DomainID, addr string) (*gateway.Suppression, error) {
	b, err := r.Get(refusedKey(d, addr))
	if err != nil {
		return nil, err
	}
	if len(b) != len(gateway.ID{}) {
		return nil, errRecord
	}
	return readSuppression(r, d, gateway.ID(b))
}

// AddSuppression makes a domain send nothing to an address from the next message on.
// An address that is suppressed already stays as it is; added says which.
func (s *Store) AddSuppression(ctx context.Context, sc gateway.Scope, addr string, origin gateway.SuppressionOrigin) (sup *gateway.Suppression, added bool, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return nil, false, denied("domain")
	}
	err = s.update(ctx, d, func(t *tx) error {
		if _, err := readDomain(t, d); err != nil {
			return missing(err, "domain")
		}
		sup, added, err = t.addSuppression(gateway.Suppression{Email: addr, Origin: origin})
		return err
	})
	return sup, added, err
}

// addSuppression adds one that says whom it is about and what brought it about.
func (t *tx) addSuppression(one gateway.Suppression) (sup *gateway.Suppression, added bool, err error) {
	if sup, err = suppressed(t, t.domain, one.Email); !errors.Is(err, engine.ErrNotFound) {
		return sup, false, err
	}
	if err := t.countSuppression(1); err != nil {
		return nil, false, err
	}
	sup = &one
	sup.ID, sup.Domain, sup.Email, sup.CreatedAt = newID(), t.domain, gateway.FoldAddress(one.Email), t.now
	t.Set(suppressionKey(t.domain, sup.ID), encodeSuppression(sup))
	t.Set(refusedKey(t.domain, sup.Email), sup.ID[:])
	t.Set(originKey(t.domain, sup.Origin).id(sup.ID), nil)
	t.emit(gateway.Event{Type: gateway.EventSuppressionAdded, Detail: sup.Email})
	return sup, true, nil
}

func (t *tx) countSuppression(by int) error {
	n, err := loadOr(t, key(subDomainSeq, t.domain), decodeNumbers)
	if err != nil {
		return err
	}
	if most := t.store.cfg.Limits.Suppressions; by > 0 && n[countSuppressed] >= uint64(most) {
		return gateway.Errorf(gateway.InvalidState, "the domain has all the %d suppressions it may have", most)
	}
	n[countSuppressed] += uint64(by)
	t.Set(key(subDomainSeq, t.domain), n.encode())
	return nil
}

// RemoveSuppression lets mail to an address leave again.
func (s *Store) RemoveSuppression(ctx context.Context, sc gateway.Scope, id gateway.ID) error {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return denied("suppression")
	}
	return s.frees(ctx, d, func(t *tx) error {
		sup, err := readSuppression(t, d, id)
		if err != nil {
			return missing(err, "suppression")
		}
		t.Delete(suppressionKey(d, id))
		t.Delete(refusedKey(d, sup.Email))
		t.Delete(originKey(d, sup.Origin).id(id))
		t.emit(gateway.Event{Type: gateway.EventSuppressionRemoved, Detail: sup.Email})
		return t.countSuppression(-1)
	})
}

// Suppression finds a suppression by its id.
func (s *Store) Suppression(ctx context.Context, sc gateway.Scope, id gateway.ID) (*gateway.Suppression, error) {
	return s.suppression(ctx, sc, func(r engine.Reader, d gateway.DomainID) (*gateway.Suppression, error) {
		return readSuppression(r, d, id)
	})
}

// SuppressionOf finds the suppression of an address.
func (s *Store) SuppressionOf(ctx context.Context, sc gateway.Scope, addr string) (*gateway.Suppression, error) {
	return s.suppression(ctx, sc, func(r engine.Reader, d gateway.DomainID) (*gateway.Suppression, error) { return suppressed(r, d, addr) })
}

func (s *Store) suppression(ctx context.Context, sc gateway.Scope, find func(engine.Reader, gateway.DomainID) (*gateway.Suppression, error)) (sup *gateway.Suppression, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return nil, denied("suppression")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		sup, err = find(r, d)
		return missing(err, "suppression")
	})
	return sup, err
}

// Suppressions lists a span of a domain's suppressions, newest first: those of one origin
// if one is named.
func (s *Store) Suppressions(ctx context.Context, sc gateway.Scope, origin gateway.SuppressionOrigin, w gateway.Span) (all []gateway.Suppression, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return nil, denied("domain")
	}
	prefix := key(subSuppressed, d)
	if origin != "" {
		prefix = originKey(d, origin)
	}
	rng := engine.Prefix(prefix)
	rng.Reverse, rng.KeysOnly, rng.Limit = true, true, w.Most
	rng = span(rng, w, func(id gateway.ID) []byte { return slices.Clone(prefix).id(id) })
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func(k, _ []byte) error {
			sup, err := readSuppression(r, d, lastID(k))
			if err == nil {
				all = append(all, *sup)
			}
			return err
		})
	})
	return inOrder(all, w), err
}

// suppress ends the deliveries to suppressed addresses before they begin. It leaves
// the list as it is: the commit may run again.
func (t *tx) suppress(list []gateway.Delivery) ([]gateway.Delivery, error) {
	out := make([]gateway.Delivery, len(list))
	for i, d := range list {
		sup, err := suppressed(t, t.domain, d.Recipient)
		switch {
		case err == nil:
			d.State, d.Held, d.Then, d.Due, d.Until = gateway.DeliverySuppressed, "", "", t.now, time.Time{}
			d.LastText = "suppressed: " + string(sup.Origin)
		case !errors.Is(err, engine.ErrNotFound):
			return nil, err
		}
		out[i] = d
	}
	return out, nil
}

// leaving is the first delivery that is to be tried, or the first of all.
func leaving(list []gateway.Delivery) *gateway.Delivery {
	for i := range list {
		if !list[i].State.Ended() {
			return &list[i]
		}
	}
	return &list[0]
}

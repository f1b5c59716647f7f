package store

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What waits for other hosts is queued by site, and each site of a domain has one row in
// an index of times. So whoever looks for work meets a site once, however much waits for
// it, and puts off one that is dead by moving that row: the deliveries behind it are not
// read.

// mark is where a site's row stands in the index of times, and the earliest that any of
// its deliveries is due: what lies before that has been taken away, and need not be read
// over again.
type mark struct{ at, low time.Time }

func siteKey(d gateway.DomainID, site string) keyBuilder { return key(subSite, d).hash(site) }

func siteMarkKey(d gateway.DomainID, site string) keyBuilder { return key(subSiteMark, d).hash(site) }

// siteDueKey takes what siteMarkKey ends in.
func siteDueKey(at time.Time, d gateway.DomainID, hash []byte) keyBuilder {
	k := binary.BigEndian.AppendUint64([]byte{subSiteDue}, ms(at))
	return append(binary.BigEndian.AppendUint32(k, uint32(d)), hash...)
}

func fromMS(b []byte) time.Time { return time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC() }

func (t *tx) readMark(site string) (m mark, found bool, err error) {
	b, err := t.Get(siteMarkKey(t.domain, site))
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return m, false, nil
	case err == nil && len(b) != 16:
		err = errRecord
	case err == nil:
		m = mark{fromMS(b), fromMS(b[8:])}
	}
	return m, err == nil, err
}

// setMark moves the row of a site, from where it was if it had one.
func (t *tx) setMark(site string, was *mark, to mark) {
	k := siteMarkKey(t.domain, site)
	if hash := k[5:]; was == nil || !was.at.Equal(to.at) {
		if was != nil {
			t.Delete(siteDueKey(was.at, t.domain, hash))
		}
		t.Set(siteDueKey(to.at, t.domain, hash), []byte(site))
	}
	t.Set(k, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, ms(to.at)), ms(to.low)))
}

func (t *tx) dropMark(site string, was mark) {
	k := siteMarkKey(t.domain, site)
	t.Delete(siteDueKey(was.at, t.domain, k[5:]))
	t.Delete(k)
}

func (t *tx) forgetMark(k, v []byte) error {
	if len(v) == 16 {
		t.Delete(siteDueKey(fromMS(v), t.domain, k[5:]))
	}
	return nil
}

// queueUp puts a delivery where its time finds it.
func (t *tx) queueUp(j *gateway.Delivery) error {
	if j.Site == "" || j.State == gateway.DeliveryHeld {
		t.Set(timedKey(subDue, comes(j), t.domain, j.ID), nil)
		return nil
	}
	t.Set(siteKey(t.domain, j.Site).u64(ms(j.Due)).id(j.ID), nil)
	m, found, err := t.readMark(j.Site)
	switch {
	case err != nil:
		return err
	case !found:
		t.setMark(j.Site, nil, mark{j.Due, j.Due})
	case j.Due.Before(m.at), j.Due.Before(m.low):
		to := m
		if j.Due.Before(m.at) {
			to.at = j.Due
		}
		if j.Due.Before(m.low) {
			to.low = j.Due
		}
		t.setMark(j.Site, &m, to)
	}
	return nil
}

// DueSites lists sites at which something is due, those that wait longest first, behind
// one of the page before: at most most.
func (s *Store) DueSites(ctx context.Context, sc gateway.Scope, behind *gateway.DueSite, most int) (found []gateway.DueSite, err error) {
	if sc.Level() != gateway.LevelInstance {
		return nil, denied("queue")
	}
	index, end := timedIndex(subSiteDue), ms(s.cfg.Now())+1
	from, adds := s.fronts.begin(index)
	rng := engine.Range{From: siteDueKey(time.UnixMilli(int64(from)), 0, nil), To: siteDueKey(time.UnixMilli(int64(end)), 0, nil), Limit: most}
	if behind != nil {
		rng.From = append(siteDueKey(behind.At, behind.Domain, siteKey(0, behind.Site)[5:]), 0)
	} else if from >= end {
		return nil, nil
	}
	err = s.view(ctx, func(r engine.Reader) error {
		found = found[:0]
		return r.Scan(rng, func(k, v []byte) error {
			found = append(found, gateway.DueSite{At: fromMS(k[1:]), Domain: gateway.DomainID(binary.BigEndian.Uint32(k[9:])), Site: string(v)})
			return nil
		})
	})
	if err == nil && behind == nil {
		if len(found) > 0 {
			end = ms(found[0].At)
		}
		s.fronts.raise(index, adds, end)
	}
	return found, err
}

// sitePage is how many deliveries of a site one commit reads. Ours: what a commit holds
// stays far below what an engine takes.
const sitePage = 256

// LeaseSite takes due deliveries of a site for attempts that end within lease: of at most
// most messages, and at most each of one message. Nobody else gets them meanwhile.
func (s *Store) LeaseSite(ctx context.Context, sc gateway.Scope, at gateway.DueSite, most, each int, lease time.Duration) (leased []gateway.Delivery, err error) {
	if sc.Level() != gateway.LevelInstance {
		return nil, denied("queue")
	}
	err = s.frees(ctx, at.Domain, func(t *tx) error {
		leased = leased[:0]
		m, found, err := t.readMark(at.Site)
		if err != nil {
			return err
		}
		if !found || !m.at.Equal(at.At) {
			t.Delete(siteDueKey(at.At, t.domain, siteKey(0, at.Site)[5:])) // left over by a domain that is gone, or moved since
		}
		if !found {
			return nil
		}
		if leased, err = t.takeDue(at.Site, m, most, each, lease); err != nil {
			return err
		}
		return t.markNext(at.Site, m)
	})
	return leased, err
}

func (t *tx) takeDue(site string, m mark, most, each int, lease time.Duration) (taken []gateway.Delivery, err error) {
	prefix := siteKey(t.domain, site)
	to := append(keyBuilder(nil), prefix...).u64(ms(t.now) + 1)
	due, err := keysOf(t, engine.Range{From: append(keyBuilder(nil), prefix...).u64(ms(m.low)), To: to, Limit: sitePage, KeysOnly: true})
	if err != nil {
		return nil, err
	}
	of := make(map[gateway.ID]int)
	for _, k := range due {
		j, err := readDelivery(t, t.domain, lastID(k))
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return nil, err
		}
		if err != nil || j.State != gateway.DeliveryQueued || j.Site != site || ms(j.Due) != binary.BigEndian.Uint64(k[21:]) {
			t.Delete(k) // it went with its account
			continue
		}
		if of[j.Email] == 0 && len(of) == most || of[j.Email] == each {
			continue
		}
		of[j.Email]++
		if err := t.take(j, lease); err != nil {
			return nil, err
		}
		taken = append(taken, *j)
	}
	return taken, nil
}

func keysOf(r engine.Reader, rng engine.Range) (all [][]byte, err error) {
	err = r.Scan(rng, func(k, _ []byte) error {
		all = append(all, append([]byte(nil), k...))
		return nil
	})
	return all, err
}

// markNext lets a site's row stand where its earliest delivery is due.
func (t *tx) markNext(site string, was mark) error {
	prefix := siteKey(t.domain, site)
	first, err := keysOf(t, engine.Range{From: append(keyBuilder(nil), prefix...).u64(ms(was.low)), To: engine.After(prefix), Limit: 1, KeysOnly: true})
	if err != nil {
		return err
	}
	if len(first) == 0 {
		t.dropMark(site, was)
		return nil
	}
	next := fromMS(first[0][21:])
	t.setMark(site, &was, mark{next, next})
	return nil
}

// PostponeSite has nobody look at a site of a domain before a time, whatever is due.
func (s *Store) PostponeSite(ctx context.Context, sc gateway.Scope, at gateway.DueSite, until time.Time) error {
	if sc.Level() != gateway.LevelInstance {
		return denied("queue")
	}
	return s.frees(ctx, at.Domain, func(t *tx) error {
		m, found, err := t.readMark(at.Site)
		if err != nil {
			return err
		}
		if !found || !m.at.Equal(at.At) {
			t.Delete(siteDueKey(at.At, t.domain, siteKey(0, at.Site)[5:]))
			return nil
		}
		t.setMark(at.Site, &m, mark{until.Truncate(time.Millisecond), m.low})
		return nil
	})
}

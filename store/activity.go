package store

import (
	"context"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func activityKey(d gateway.DomainID, id gateway.ID) []byte { return key(subActivity, d).id(id) }

// logRow adds a row of the log to a commit.
func (t *tx) logRow(a *gateway.Activity) {
	if a.ID.IsZero() {
		a.ID = newID()
	}
	if a.At.IsZero() {
		a.At = t.now
	}
	exp := until(a.At, t.store.cfg.ActivityRetention)
	t.SetUntil(activityKey(t.domain, a.ID), encodeActivity(a), exp)
	if !a.Key.IsZero() {
		t.SetUntil(key(subByKey, t.domain).id(a.Key).id(a.ID), nil, exp)
	}
}

// AddActivity makes rows durable: one commit per domain they belong to.
func (s *Store) AddActivity(ctx context.Context, sc gateway.Scope, rows []gateway.Activity) error {
	byDomain := make(map[gateway.DomainID][]gateway.Activity)
	for _, row := range rows {
		if !sc.TouchesDomain(row.Domain) && sc.Level() != gateway.LevelInstance {
			return denied("domain")
		}
		byDomain[row.Domain] = append(byDomain[row.Domain], row)
	}
	for d, rows := range byDomain {
		err := s.update(ctx, d, func(t *tx) error {
			for i := range rows {
				t.logRow(&rows[i])
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Activity lists rows of the log, newest first. An account scope sees the rows
// of its account alone. At most FilterReach rows are looked at; more says that there
// are others that match, or may be, behind those.
func (s *Store) Activity(ctx context.Context, sc gateway.Scope, f gateway.ActivityFilter) (rows []gateway.Activity, more bool, err error) {
	d := sc.Domain()
	if sc.Level() == gateway.LevelInstance {
		d = f.Domain
	}
	if sc.Level() == gateway.LevelAccount {
		f.Account = sc.Account()
	}
	prefix := key(subActivity, d)
	if !f.Key.IsZero() {
		prefix = key(subByKey, d).id(f.Key)
	}
	rng := engine.Prefix(prefix)
	rng.Reverse = true
	w := gateway.Span{After: f.Before, Before: f.Newer}
	rng = span(rng, w, func(id gateway.ID) []byte { return slices.Clone(prefix).id(id) })
	seen := int64(0)
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func(k, v []byte) error {
			if seen++; seen > s.cfg.Limits.FilterReach {
				more = true
				return engine.ErrStop
			}
			a, err := activityAt(r, d, k, v, !f.Key.IsZero())
			if err != nil || !matches(&f, &a) {
				return err
			}
			if more = len(rows) == f.Limit; more {
				return engine.ErrStop
			}
			rows = append(rows, a)
			return ctx.Err()
		})
	})
	return inOrder(rows, w), more, err
}

// activityAt decodes the row of a key of the log, or of its index by key.
func activityAt(r engine.Reader, d gateway.DomainID, k, v []byte, indexed bool) (gateway.Activity, error) {
	id := lastID(k)
	if !indexed {
		return decodeActivity(d, id, v)
	}
	return load(r, activityKey(d, id), func(b []byte) (gateway.Activity, error) { return decodeActivity(d, id, b) })
}

func matches(f *gateway.ActivityFilter, a *gateway.Activity) bool {
	return (f.Account == 0 || a.Account == f.Account) &&
		(f.Protocol == "" || a.Protocol == f.Protocol) &&
		(f.Status == 0 || a.Status == f.Status) &&
		(f.Since.IsZero() || !a.At.Before(f.Since)) &&
		(f.Until.IsZero() || a.At.Before(f.Until)) &&
		(f.Tag == nil || f.Tag.In(a.Tags)) &&
		(len(f.Fates) == 0 || fated(f.Fates, a))
}

// fated reports whether a row says that a delivery came to one of these: logDelivery
// writes it.
func fated(fates []string, a *gateway.Activity) bool {
	what, _, ok := strings.Cut(a.Reason, ": ")
	return ok && a.Protocol == "system" && a.Method == "DELIVER" && slices.Contains(fates, what)
}

// ActivityByID returns one row.
func (s *Store) ActivityByID(ctx context.Context, sc gateway.Scope, d gateway.DomainID, id gateway.ID) (a *gateway.Activity, err error) {
	if !sc.TouchesDomain(d) && sc.Level() != gateway.LevelInstance {
		return nil, denied("log row")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		row, err := load(r, activityKey(d, id), func(b []byte) (gateway.Activity, error) { return decodeActivity(d, id, b) })
		if err != nil {
			return missing(err, "log row")
		}
		if sc.Level() == gateway.LevelAccount && row.Account != sc.Account() {
			return denied("log row")
		}
		a = &row
		return nil
	})
	return a, err
}

package store

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What a webhook was told is kept as long as the log: it is what a tenant looks at when
// an event did not arrive, and what can be told once more.

// keptAttempts bounds the attempts that are kept of an event, the newest ones. Ours: those
// of one life, and as many by hand.
const keptAttempts = 16

// heard writes down what came of telling a webhook of an event. It is the only one that
// stops a webhook: it said that it is gone, or took nothing for too long.
func (t *tx) heard(f *follows, id gateway.ID, told *gateway.Told) error {
	w, err := readWebhook(t, t.domain, id)
	if err != nil {
		return missing(err, "subscription")
	}
	row, err := readHeard(t, t.domain, id, told.Position)
	if errors.Is(err, engine.ErrNotFound) {
		row, err = &gateway.WebhookEvent{Position: told.Position, Event: told.Event}, nil
	}
	if err != nil {
		return err
	}
	row.Next = told.Again
	switch {
	case told.Skipped:
		row.State = gateway.WebhookSkipped
	case told.Error == "":
		row.State = gateway.WebhookDelivered
	case told.Again.IsZero():
		row.State = gateway.WebhookFailed
	default:
		row.State = gateway.WebhookPending
	}
	if !told.Skipped {
		row.Tried++
	}
	if told.Attempt != nil {
		row.Attempts = append(row.Attempts, *told.Attempt)
		row.Attempts = row.Attempts[max(0, len(row.Attempts)-keptAttempts):]
	}
	t.SetUntil(heardKey(t.domain, id, told.Position), encodeHeard(row), until(t.now, t.store.cfg.ActivityRetention))
	if told.Skipped { // it was not asked, so it is neither well nor ill
		return nil
	}
	return t.judgeWebhook(f, w, told)
}

func readHeard(r engine.Reader, d gateway.DomainID, id gateway.ID, p gateway.Position) (*gateway.WebhookEvent, error) {
	k := heardKey(d, id, p)
	return load(r, k, func(b []byte) (*gateway.WebhookEvent, error) { return decodeHeard(d, k, b) })
}

// judgeWebhook keeps since when a webhook takes nothing, and stops it when an event is
// given up and that is too long. Time in which there was nothing to take doesn't count: it
// begins anew with the first attempt of an event while no other waits.
func (t *tx) judgeWebhook(f *follows, w *gateway.Webhook, told *gateway.Told) error {
	since, others, final := w.FailingSince, f.Waiting, told.Again.IsZero()
	if !final {
		others-- // itself
	}
	switch {
	case told.Error == "":
		w.FailingSince = time.Time{}
	case since.IsZero(), told.Attempts == 1 && others == 0:
		w.FailingSince = t.now
	}
	stop := told.Stop
	if most := gateway.WebhookPatience; stop == "" && told.Error != "" && final && t.now.Sub(w.FailingSince) >= most {
		stop = "it took nothing for " + most.String()
	}
	if stop != "" && w.Enabled {
		w.Enabled, w.Stopped, w.UpdatedAt, f.Off = false, stop, t.now, true
		t.logRow(&gateway.Activity{
			Domain: t.domain, Account: w.Account, Protocol: "system", Method: "WEBHOOK", Endpoint: w.ID.String(), Status: gateway.Gone.Reply().Status, Reason: stop,
		})
	}
	if stop != "" || !w.FailingSince.Equal(since) {
		t.Set(webhookKey(t.domain, w.ID), encodeWebhook(w))
	}
	return nil
}

// WebhookEvents returns what a webhook was told, the newest event first: those before one,
// unless that is zero, at most most.
func (s *Store) WebhookEvents(ctx context.Context, sc gateway.Scope, id gateway.ID, before gateway.Position, most int) (page gateway.WebhookEventPage, err error) {
	d := sc.Domain()
	err = s.view(ctx, func(r engine.Reader) error {
		if _, err := webhookOf(r, sc, id); err != nil {
			return err
		}
		rng := engine.Prefix(key(subHeard, d).id(id))
		if rng.Reverse, rng.Limit = true, most+1; before != (gateway.Position{}) {
			rng.To = heardKey(d, id, before)
		}
		return r.Scan(rng, func(k, v []byte) error {
			if page.More = len(page.Events) == most; page.More {
				return engine.ErrStop
			}
			row, err := decodeHeard(d, k, v)
			if err == nil {
				page.Events = append(page.Events, *row)
			}
			return err
		})
	})
	return page, err
}

// WebhookEvent returns what a webhook was told of one event.
func (s *Store) WebhookEvent(ctx context.Context, sc gateway.Scope, id gateway.ID, p gateway.Position) (row *gateway.WebhookEvent, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		row, err = heardOf(r, sc, id, p)
		return err
	})
	return row, err
}

func heardOf(r engine.Reader, sc gateway.Scope, id gateway.ID, p gateway.Position) (*gateway.WebhookEvent, error) {
	if _, err := webhookOf(r, sc, id); err != nil {
		return nil, err
	}
	row, err := readHeard(r, sc.Domain(), id, p)
	return row, missing(err, "event")
}

// RetellWebhook has a webhook told of an event once more, now: one that is tried again
// anyway goes on with its attempts, any other begins anew. One that is due is left as it
// is, for it may be under way. InvalidState when the webhook is off, or has to be told too
// much again already.
func (s *Store) RetellWebhook(ctx context.Context, sc gateway.Scope, id gateway.ID, p gateway.Position) (row *gateway.WebhookEvent, err error) {
	err = s.update(ctx, sc.Domain(), func(t *tx) error {
		if row, err = heardOf(t, sc, id, p); err != nil {
			return err
		}
		f, err := load(t, followsKey(t.domain, id), decodeFollows)
		switch most := t.store.cfg.Limits.EventWaiting; {
		case err != nil:
			return missing(err, "webhook")
		case f.Off:
			return gateway.Errorf(gateway.InvalidState, "the webhook is disabled; enable it first")
		case row.Next.IsZero() && int64(f.Waiting) >= most:
			return gateway.Errorf(gateway.InvalidState, "the webhook is to be told of %d events again already", most)
		case !row.Next.IsZero() && !row.Next.After(t.now):
			return nil
		}
		return t.retell(f, id, row)
	})
	return row, err
}

// retell has an event waiting that is due now.
func (t *tx) retell(f *follows, id gateway.ID, row *gateway.WebhookEvent) error {
	w := gateway.Waiting{Position: row.Position, Event: row.Event, Due: t.now.Truncate(time.Millisecond)}
	if row.Next.IsZero() {
		f.Waiting++
	} else {
		old := againKey(t.domain, id, row.Next, row.Position)
		before, err := load(t, old, func(b []byte) (gateway.Waiting, error) { return decodeWaiting(t.domain, old, b) })
		if err != nil {
			return missing(err, "event")
		}
		w.Attempts, w.Error = before.Attempts, before.Error
		t.Delete(old)
	}
	t.Set(againKey(t.domain, id, w.Due, w.Position), encodeWaiting(&w))
	t.Set(followsKey(t.domain, id), encodeFollows(f))
	row.State, row.Next = gateway.WebhookPending, w.Due
	t.SetUntil(heardKey(t.domain, id, row.Position), encodeHeard(row), until(t.now, t.store.cfg.ActivityRetention))
	return nil
}

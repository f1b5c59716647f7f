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
	k := heardKey(t.domain, id, told.Position)
	row, err := load(t, k, func(b []byte) (*gateway.WebhookEvent, error) { return decodeHeard(t.domain, k, b) })
	if errors.Is(err, engine.ErrNotFound) {
		row, err = &gateway.WebhookEvent{Position: told.Position, Event: told.Event}, nil
	}
	if err != nil {
		return err
	}
	if row.Tried++; told.Attempt != nil {
		row.Attempts = append(row.Attempts, *told.Attempt)
		row.Attempts = row.Attempts[max(0, len(row.Attempts)-keptAttempts):]
	}
	switch row.State, row.Next = gateway.WebhookDelivered, told.Again; {
	case told.Error != "" && told.Again.IsZero():
		row.State = gateway.WebhookFailed
	case told.Error != "":
		row.State = gateway.WebhookPending
	}
	t.SetUntil(k, encodeHeard(row), until(t.now, t.store.cfg.ActivityRetention))
	return t.judgeWebhook(f, w, told)
}

// judgeWebhook keeps since when a webhook takes nothing, and stops it when that is too long.
func (t *tx) judgeWebhook(f *follows, w *gateway.Webhook, told *gateway.Told) error {
	since := w.FailingSince
	switch {
	case told.Error == "" && since.IsZero():
		return nil
	case told.Error == "":
		w.FailingSince = time.Time{}
	case since.IsZero():
		w.FailingSince = t.now
	}
	stop := told.Stop
	if most := gateway.WebhookPatience; stop == "" && !w.FailingSince.IsZero() && t.now.Sub(w.FailingSince) >= most {
		stop = "it took nothing for " + most.String()
	}
	if stop != "" && w.Enabled {
		w.Enabled, w.Stopped, w.UpdatedAt, f.Off = false, stop, t.now, true
		t.logRow(&gateway.Activity{
			Domain: t.domain, Account: w.Account, Protocol: "system", Method: "WEBHOOK", Endpoint: w.ID.String(), Status: gateway.Gone.Reply().Status, Reason: stop,
		})
	}
	if stop != "" || w.FailingSince != since {
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
	k := heardKey(sc.Domain(), id, p)
	row, err := load(r, k, func(b []byte) (*gateway.WebhookEvent, error) { return decodeHeard(sc.Domain(), k, b) })
	return row, missing(err, "event")
}

// RetellWebhook has a webhook told of an event once more, now: one that is tried again
// anyway goes on with its attempts, any other begins anew. InvalidState when the webhook is
// off, or has to be told too much again already.
func (s *Store) RetellWebhook(ctx context.Context, sc gateway.Scope, id gateway.ID, p gateway.Position) (row *gateway.WebhookEvent, err error) {
	d := sc.Domain()
	err = s.update(ctx, d, func(t *tx) error {
		if row, err = heardOf(t, sc, id, p); err != nil {
			return err
		}
		f, err := load(t, followsKey(d, id), decodeFollows)
		switch most := t.store.cfg.Limits.EventWaiting; {
		case err != nil:
			return missing(err, "webhook")
		case f.Off:
			return gateway.Errorf(gateway.InvalidState, "the webhook is disabled; enable it first")
		case row.Next.IsZero() && int64(f.Waiting) >= most:
			return gateway.Errorf(gateway.InvalidState, "the webhook is to be told of %d events again already", most)
		}
		w := gateway.Waiting{Position: p, Event: row.Event, Due: t.now.Truncate(time.Millisecond)}
		if row.Next.IsZero() {
			f.Waiting++
		} else {
			old := againKey(d, id, row.Next, p)
			before, err := load(t, old, func(b []byte) (gateway.Waiting, error) { return decodeWaiting(d, old, b) })
			if err != nil {
				return missing(err, "event") // it is under way just now, or the record is damaged
			}
			w.Attempts, w.Error = before.Attempts, before.Error
			t.Delete(old)
		}
		t.Set(againKey(d, id, w.Due, p), encodeWaiting(&w))
		t.Set(followsKey(d, id), encodeFollows(f))
		row.State, row.Next = gateway.WebhookPending, w.Due
		t.SetUntil(heardKey(d, id, p), encodeHeard(row), until(t.now, t.store.cfg.ActivityRetention))
		return nil
	})
	return row, err
}

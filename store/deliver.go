package store

import (
	"context"
	"errors"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Deliver makes a received message durable and visible in every copy's account,
// or in none. For mail from inside it is done once per delivery: a repeat
// changes nothing and succeeds.
func (s *Store) Deliver(ctx context.Context, sc gateway.Scope, f *gateway.Filing) error {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return denied("domain")
	}
	return s.update(ctx, d, func(t *tx) error {
		done, err := t.received(f)
		if err != nil {
			return err
		}
		if !done {
			if err := t.fileAll(f); err != nil {
				return err
			}
		}
		if f.Leased == nil {
			return nil
		}
		// The job that brought the message ends with it: so what became of it needs no note.
		// It ends last, since it may be the only one that holds the body.
		o := gateway.Outcome{State: gateway.DeliveryDelivered, Code: 250, Enhanced: [3]int{2, 1, 5}, Text: "delivered"}
		return t.finish(f.Leased, &o)
	})
}

// received reports whether a message was received before, and notes that it is now, if
// the job that brought it has no end in this commit.
func (t *tx) received(f *gateway.Filing) (done bool, err error) {
	switch {
	case f.Leased != nil: // from when such jobs had notes
		_, err = t.Get(key(subOutcome, t.domain).id(f.Leased.ID))
		return err == nil, ignoreMissing(err)
	case !f.Delivery.IsZero():
		return t.remember(f.Delivery)
	}
	return false, nil
}

// fileAll puts all copies into their accounts.
func (t *tx) fileAll(f *gateway.Filing) error {
	dom, err := readDomain(t, t.domain)
	if err != nil {
		return missing(err, "domain")
	}
	onward, err := t.sendOn(f, dom)
	if err != nil {
		return err
	}
	for i := range f.Copies {
		if err := t.fileOrSendOn(f, &f.Copies[i], onward, dom.CatchAll); err != nil {
			return err
		}
	}
	return t.effects(&f.Effects)
}

// remember notes that a delivery from inside is done; true if it was before.
func (t *tx) remember(id gateway.ID) (done bool, err error) {
	k := key(subOutcome, t.domain).id(id)
	if _, err = t.Get(k); err == nil {
		return true, nil
	} else if !errors.Is(err, engine.ErrNotFound) {
		return false, err
	}
	o := gateway.Outcome{State: gateway.DeliveryDelivered, Code: 250, Text: "delivered"}
	t.SetUntil(k, encodeOutcome(o), until(t.now, gateway.OutcomeRetention))
	return false, nil
}

// file puts one copy into its account.
func (t *tx) file(f *gateway.Filing, c *gateway.Copy, account gateway.AccountID, labels []string) (*stored, error) {
	m := &stored{Message: *f.Message, Facts: f.Facts}
	m.ID, m.Account, m.Prefix, m.Recipients = c.ID, account, c.Prefix, c.Recipients
	m.Sent, m.Entries, m.LastEvent = false, nil, ""
	if err := t.addMessage(m, placed{c.Thread, c.NewThread}); err != nil {
		return nil, err
	}
	box, err := t.folderFor(account, c.Folder, c.MakeFolder)
	if err != nil {
		return nil, err
	}
	// Each of several plugins may have as many as a message has.
	labels = relabel(nil, gateway.FlagChange{AddLabels: labels}, int(t.store.cfg.Limits.Labels))
	t.addEntry(m, box, c.Flags, labels, gateway.EventReceived)
	t.putMessage(m)
	t.tracedCopy(m, c.Address, f.Effects.Steps, len(f.Copies))
	return m, nil
}

// recipient is the account of a copy, read again inside the commit.
func (t *tx) recipient(c *gateway.Copy, catchAll bool) (gateway.AccountID, error) {
	if c.Account != 0 {
		_, err := readAccount(t, t.domain, c.Account)
		return c.Account, missing(err, "account")
	}
	a, err := accountAt(t, t.domain, c.Address)
	if errors.Is(err, engine.ErrNotFound) && catchAll {
		if gone, err := t.beingDeleted(c.Address); err != nil {
			return 0, err
		} else if gone {
			return 0, denied("account")
		}
		a, err = t.implicitAccount(c.Address)
	}
	if err != nil {
		return 0, missing(err, "account")
	}
	return a.ID, nil
}

// Received returns what became of a delivery from inside, if it is known.
func (s *Store) Received(ctx context.Context, sc gateway.Scope, id gateway.ID) (o gateway.Outcome, known bool, err error) {
	d := sc.Domain()
	if !sc.CoversDomain(d) || d == 0 {
		return o, false, denied("domain")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		o, err = load(r, key(subOutcome, d).id(id), decodeOutcome)
		known = err == nil
		if errors.Is(err, engine.ErrNotFound) {
			return nil
		}
		return err
	})
	return o, known, err
}

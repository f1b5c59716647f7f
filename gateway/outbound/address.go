package outbound

import (
	"context"
	"time"

	"github.com/centerleap/postern/gateway"
)

// address makes one delivery per recipient, and the acceptance of it all.
func (s *Sender) address(ctx context.Context, t *tray) error {
	s.lone(ctx, t)
	t.acceptance = &gateway.Acceptance{
		Message: t.message, From: t.from, Facts: t.facts, Thread: t.choice, NewThread: t.newThread,
		Effects: t.effects, Activity: t.sub.Activity, Intent: t.sub.Intent, Draft: t.sub.Draft, Replaces: t.sub.Stored != nil,
	}
	if t.sub.Draft {
		return nil
	}
	if len(t.message.Recipients) == 0 {
		return gateway.Fieldf(gateway.MissingField, "to", "at least one recipient is needed")
	}
	mode, err := s.cfg.Mode(ctx)
	if err != nil {
		return err
	}
	for _, rcpt := range t.message.Recipients {
		here, err := s.livesHere(ctx, rcpt)
		if err != nil {
			return err
		}
		t.leaves = t.leaves || !here
		t.acceptance.Deliveries = append(t.acceptance.Deliveries, t.delivery(rcpt, !here, mode == gateway.ModeCapture))
	}
	return nil
}

// delivery is the job for one recipient. What holds it: a plugin, then its time, then
// the capturing of foreign mail.
func (t *tray) delivery(rcpt string, foreign, capturing bool) gateway.Delivery {
	captured := foreign && capturing
	d := gateway.Delivery{
		ID: newID(), Recipient: rcpt, ReturnPath: t.returnPath, Author: t.domain.Name,
		State: gateway.DeliveryQueued, Due: t.now.Truncate(time.Millisecond), Held: t.held, Until: t.until,
	}
	if foreign {
		d.Site = siteOf(rcpt)
	}
	if !t.sub.At.IsZero() {
		d.Due = t.sub.At.UTC().Truncate(time.Millisecond)
		if d.Held == "" {
			d.Held = gateway.HeldScheduled
		}
	}
	switch {
	case captured && d.Held == "":
		d.Held = gateway.HeldCapture
	case captured:
		d.Then = gateway.HeldCapture
	}
	if d.Held != "" {
		d.State = gateway.DeliveryHeld
	}
	return d
}

// livesHere reports whether an address belongs to a domain of ours. Only one whose mail
// comes here counts: naming a domain must not catch other people's mail.
func (s *Sender) livesHere(ctx context.Context, addr string) (bool, error) {
	d, err := s.home(ctx, addr)
	return d != nil, err
}

// home is the domain of ours that an address belongs to, or nil.
func (s *Sender) home(ctx context.Context, addr string) (*gateway.Domain, error) {
	_, host := gateway.SplitAddress(addr)
	d, err := s.cfg.Store.DomainByName(ctx, s.cfg.System, host)
	switch {
	case err == nil && d.Receives():
		return d, nil
	case gateway.KindOf(err) == gateway.NotFound:
		err = nil
	}
	return nil, err
}

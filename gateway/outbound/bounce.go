package outbound

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// Bounce takes what came to a return path. It returns nil once what it says is durable,
// and also for what says nothing, or nothing of that message: nobody waits for an answer
// to such mail. NotFound if addr is no return path of ours.
func (s *Sender) Bounce(ctx context.Context, addr string, raw io.Reader) error {
	k, ours, err := s.token(ctx, addr)
	if err != nil || !ours {
		return errors.Join(err, unless(ours, gateway.Errorf(gateway.NotFound, "no such return path")))
	}
	log := s.cfg.Log.With(slog.String("message", k.email.String()))
	start, err := io.ReadAll(io.LimitReader(raw, s.cfg.Limits.ReportBytes))
	if err == nil {
		_, err = io.Copy(io.Discard, raw)
	}
	if err != nil {
		return err
	}
	rep := content.ReadReport(start, s.cfg.Limits)
	if rep == nil {
		log.LogAttrs(ctx, slog.LevelInfo, "mail to a return path is no report")
		return nil
	}
	sc := s.cfg.Internal(k.domain)
	m, err := s.cfg.Store.Message(ctx, sc, k.email)
	if err != nil {
		if gateway.KindOf(err) == gateway.NotFound {
			log.LogAttrs(ctx, slog.LevelInfo, "a report about a message that was deleted")
			return nil
		}
		return err
	}
	all, err := s.cfg.Store.Deliveries(ctx, sc, m.Domain, m.Account, m.Number)
	if err != nil {
		return err
	}
	for _, c := range said(rep, all) {
		if err := s.returned(ctx, sc, m, c, log); err != nil {
			return err
		}
	}
	return nil
}

func unless(ok bool, err error) error {
	if ok {
		return nil
	}
	return err
}

// claim is what a report says of one delivery; delivery is nil if it is none of the
// message's.
type claim struct {
	delivery *gateway.Delivery
	outcome  gateway.Outcome
}

// complaints are the feedback types that mean that mail is unwanted: RFC 5965 section
// 7.3, and opt-out as some providers say it. Others are about something else: that it
// was no junk after all, or a signature.
var complaints = map[string]bool{"abuse": true, "fraud": true, "virus": true, "opt-out": true, "opt-out-list": true}

// said turns a report into claims about the deliveries of its message.
func said(r *content.Report, all []gateway.Delivery) (out []claim) {
	fates := r.Fates
	if r.Feedback != "" {
		if !complaints[r.Feedback] {
			return nil
		}
		if len(fates) == 0 && len(all) == 1 { // providers leave out who complains
			fates = []content.Fate{{Recipients: []string{all[0].Recipient}}}
		}
	}
	for _, f := range fates {
		o := gateway.Outcome{Code: f.Code, Enhanced: f.Status, Text: f.Text, Remote: true}
		switch {
		case r.Feedback != "":
			o.State, o.Text, o.Suppress = gateway.DeliveryComplained, "reported as "+r.Feedback, gateway.SuppressedComplaint
		case f.Action == content.ActionFailed:
			o.State = gateway.DeliveryBounced
			if slices.Contains(goneFor, f.Status) {
				o.Suppress = gateway.SuppressedBounce
			}
		case f.Action == content.ActionDelayed:
			o.State = gateway.DeliveryQueued
		default:
			continue
		}
		out = append(out, claim{about(f.Recipients, all), o})
	}
	return out
}

// about finds the delivery to one of some addresses.
func about(addrs []string, all []gateway.Delivery) *gateway.Delivery {
	for _, addr := range addrs {
		for i := range all {
			if gateway.FoldAddress(all[i].Recipient) == gateway.FoldAddress(addr) {
				return &all[i]
			}
		}
	}
	return nil
}

// returned records what another host says later of a delivery, and tells its sender.
func (s *Sender) returned(ctx context.Context, sc gateway.Scope, m *gateway.Message, c claim, log *slog.Logger) error {
	d := c.delivery
	if d == nil || !d.Returns(c.outcome.State) {
		log.LogAttrs(ctx, slog.LevelInfo, "a report says nothing new of the message", slog.String("state", string(c.outcome.State)))
		return nil
	}
	d.Blob, d.Prefix = m.Blob, m.Prefix
	defer d.Drop()
	var err error
	switch c.outcome.State {
	case gateway.DeliveryBounced:
		err = s.notify(ctx, d, c.outcome, content.ActionFailed)
	case gateway.DeliveryQueued:
		err = s.notify(ctx, d, c.outcome, content.ActionDelayed)
	}
	if err != nil {
		return err
	}
	if err := s.cfg.Store.Returned(ctx, sc, *d, c.outcome); err != nil {
		return err
	}
	log.LogAttrs(ctx, slog.LevelInfo, "a report came back", slog.String("state", string(c.outcome.State)), slog.Int("code", c.outcome.Code))
	s.Wake() // for the report that it led to
	return nil
}

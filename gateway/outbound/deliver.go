package outbound

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/centerleap/postern/gateway"
)

// attemptTime bounds an attempt whatever the other side does. Ours: a large message over a
// slow line, and then the ten minutes that RFC 5321 section 4.5.3.2.6 gives the final dot.
const attemptTime = 2 * time.Hour

// attempt tries leased deliveries of one message to one hop, or one inside, and records
// how they ended. Whatever goes wrong with the recording leaves the lease to run out:
// they are tried again, and receiving knows a delivery it has seen.
func (s *Sender) attempt(ctx context.Context, hop string, trip []gateway.Delivery) {
	most, stop := attemptTime, func() {}
	if hop == "" {
		most = gateway.LeaseTime
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if hop != "" {
		stop = s.renew(ctx, trip)
	}
	outcomes := s.carry(ctx, trip)
	stop()
	until := s.noted(hop, outcomes)
	by := jitter()
	done := make([]gateway.Attempt, 0, len(trip))
	for i := range trip {
		o := classify(outcomes[i])
		switch {
		case o.State == gateway.DeliveryQueued && o.Untried:
			o.Retry = s.cfg.Now()
		case o.State == gateway.DeliveryQueued:
			o = s.again(&trip[i], o, jittered(pause(trip[i].Attempts), by))
		}
		if err := s.report(ctx, &trip[i], o); err != nil {
			// Without it its sender would not learn what became of it: so it is tried again.
			s.cfg.Log.LogAttrs(ctx, slog.LevelError, "delivery not reported", slog.String("message", trip[i].Email.String()), slog.Any("err", err))
			continue
		}
		done = append(done, gateway.Attempt{Delivery: trip[i], Outcome: o})
	}
	s.finish(ctx, done)
	if !until.IsZero() && s.cfg.Now().Sub(trip[0].CreatedAt) >= untoldAfter { // nothing else is older
		s.sweep(ctx, trip[0].Domain, trip[0].Site, outcomes[0])
	}
}

// noted remembers what an attempt showed of its hop; it returns until when the hop is left
// alone, the zero time if it is not.
func (s *Sender) noted(hop string, outcomes []gateway.Outcome) time.Time {
	if hop == "" {
		return time.Time{}
	}
	for i := range outcomes {
		if !outcomes[i].Down {
			s.hops.works(hop)
			return time.Time{}
		}
	}
	return s.hops.down(hop, s.cfg.Now())
}

// finish records how attempts ended.
func (s *Sender) finish(ctx context.Context, done []gateway.Attempt) {
	if len(done) == 0 {
		return
	}
	var err error
	if !done[0].Outcome.Recorded {
		err = s.cfg.Store.Finish(ctx, s.cfg.Internal(done[0].Delivery.Domain), done...)
	}
	if dropReports(done) {
		s.Wake()
	}
	for i := range done {
		d, o := &done[i].Delivery, &done[i].Outcome
		if o.State == gateway.DeliveryQueued {
			s.Wake() // it is due, some time
		}
		if o.Untried && err == nil {
			continue
		}
		log := s.cfg.Log.With(slog.String("message", d.Email.String()), slog.Int("attempt", d.Attempts), slog.String("state", string(o.State)))
		switch {
		case err != nil && gateway.KindOf(err) == gateway.NotFound:
			log.LogAttrs(ctx, slog.LevelDebug, "the delivery went with its account")
		case err != nil && gateway.KindOf(err) == gateway.InvalidState:
			log.LogAttrs(ctx, slog.LevelInfo, "the delivery ended before its attempt") // such as by a bounce
		case err != nil:
			log.LogAttrs(ctx, slog.LevelError, "delivery not recorded", slog.Any("err", err))
		case o.Unknown:
			log.LogAttrs(ctx, slog.LevelWarn, "no reply to a whole message: it may arrive twice", slog.String("host", o.Host))
		default:
			log.LogAttrs(ctx, slog.LevelInfo, "delivery attempted", slog.Int("code", o.Code), slog.String("status", o.Status()),
				slog.String("site", d.Site), slog.String("host", o.Host), slog.String("tls", o.TLS), slog.String("phase", o.Phase))
		}
	}
}

// dropReports lets go of the reports that no commit has taken; it returns whether there
// were any: those that a commit took are due.
func dropReports(done []gateway.Attempt) (reported bool) {
	for i := range done {
		reported = reported || done[i].Delivery.Report != nil
		done[i].Delivery.Drop()
	}
	return reported
}

// renew keeps the lease while an attempt takes long. Call stop when it has ended.
func (s *Sender) renew(ctx context.Context, trip []gateway.Delivery) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(gateway.LeaseTime / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := s.cfg.Store.Renew(ctx, s.cfg.Internal(trip[0].Domain), trip, gateway.LeaseTime); err != nil && ctx.Err() == nil {
				s.cfg.Log.LogAttrs(ctx, slog.LevelError, "a delivery's lease was not renewed", slog.Any("err", err))
			}
		}
	}()
	return func() { cancel(); <-done }
}

// carry takes the message to its recipients: into the receiving flow for those who live
// here, to the next hop otherwise. Where they live is asked now: a domain may have come
// here, or left, since the message was accepted.
func (s *Sender) carry(ctx context.Context, trip []gateway.Delivery) []gateway.Outcome {
	out := make([]gateway.Outcome, len(trip))
	here, err := s.home(ctx, trip[0].Recipient)
	switch {
	case err != nil:
		for i := range out {
			out[i] = failed(err)
		}
	case here != nil:
		for i := range trip {
			out[i] = s.receive(ctx, here, &trip[i])
		}
	case trip[0].Site == "":
		trip[0].Site = siteOf(trip[0].Recipient)
		out[0] = gateway.Outcome{State: gateway.DeliveryQueued, Untried: true}
	default:
		return s.travel(ctx, trip)
	}
	return out
}

// siteOf is where mail for an address goes. Sites that share their hosts may be one later;
// now each domain is one.
func siteOf(addr string) string {
	_, host := gateway.SplitAddress(addr)
	return gateway.FoldAddress(host)
}

// receive hands a message to the receiving flow. Within one domain that ends the delivery
// in the same commit; across two, receiving remembers what it has seen.
func (s *Sender) receive(ctx context.Context, at *gateway.Domain, d *gateway.Delivery) gateway.Outcome {
	env := gateway.Envelope{
		ReturnPath: d.ReturnPath, Recipients: []string{d.Recipient}, Delivery: d.ID, Author: d.Author, Body: d.Blob, Prefix: d.Prefix,
		RemoteIP: d.Client.IP, Helo: d.Client.Helo,
		Plugin: d.Plugin,
	}
	if at.ID == d.Domain {
		env.Leased = d
	}
	if err := s.cfg.Receiver.Receive(ctx, env, nil); err != nil {
		return failed(err)
	}
	return gateway.Outcome{
		State: gateway.DeliveryDelivered, Code: 250, Enhanced: [3]int{2, 1, 5}, Text: "delivered", Recorded: env.Leased != nil,
	}
}

// failed turns an error of the receiving flow into what an MX would have said.
func failed(err error) gateway.Outcome {
	r := gateway.KindOf(err).Reply()
	o := gateway.Outcome{State: gateway.DeliveryQueued, Code: r.SMTP, Enhanced: r.Enhanced, Text: "try again later"}
	if known, ok := errors.AsType[*gateway.Error](err); ok {
		o.Text, o.Code = known.Message, cmp.Or(known.Code, o.Code)
		if known.Code != 0 {
			o.Enhanced = cmp.Or(known.Enhanced, [3]int{known.Code / 100, 7, 1})
		}
	}
	if r.Permanent() {
		o.State = gateway.DeliveryFailed
	}
	return o
}

// sweepPage is how many deliveries behind a dead site are looked at in one go.
const sweepPage = 64

// sweep treats as tried what has long waited behind a site that is down: its senders have
// to learn that it is late, and at last that it failed. What is younger stays where it is.
func (s *Sender) sweep(ctx context.Context, domain gateway.DomainID, site string, o gateway.Outcome) {
	for {
		at := gateway.DueSite{Domain: domain, Site: site, At: time.Time{}}
		leased, err := s.cfg.Store.LeaseSite(ctx, s.cfg.System, at, sweepPage, 1, gateway.LeaseTime)
		if err != nil {
			s.cfg.Log.LogAttrs(ctx, slog.LevelError, "queue can't lease", slog.Any("err", err))
			return
		}
		var old []gateway.Attempt
		var young []gateway.Delivery
		for _, d := range leased {
			if s.cfg.Now().Sub(d.CreatedAt) < untoldAfter {
				young = append(young, d)
				continue
			}
			next := s.again(&d, o, jittered(pauseAt(s.cfg.Now().Sub(d.CreatedAt)), jitter()))
			if err := s.report(ctx, &d, next); err != nil {
				s.cfg.Log.LogAttrs(ctx, slog.LevelError, "delivery not reported", slog.Any("err", err))
				continue
			}
			old = append(old, gateway.Attempt{Delivery: d, Outcome: next})
		}
		s.finish(ctx, append(old, untried(young, s.cfg.Now())...))
		if len(old) == 0 {
			return
		}
	}
}

package outbound

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/centerleap/postern/gateway"
)

// attempt tries one leased delivery and records how it ended. Whatever goes
// wrong with the recording leaves the lease to run out: the delivery is tried
// again, and receiving knows a delivery it has seen.
func (s *Sender) attempt(ctx context.Context, d gateway.Delivery) {
	ctx, cancel := context.WithTimeout(ctx, gateway.LeaseTime)
	defer cancel()
	o := s.carry(ctx, d)
	if o.State == gateway.DeliveryQueued {
		o = s.again(d, o)
	}
	err := s.cfg.Store.Finish(ctx, s.cfg.Internal(d.Domain), d, o)
	log := s.cfg.Log.With(slog.String("message", d.Email.String()), slog.Int("attempt", d.Attempts), slog.String("state", string(o.State)))
	if err != nil && gateway.KindOf(err) == gateway.NotFound {
		log.LogAttrs(ctx, slog.LevelDebug, "the delivery went with its account")
		return
	}
	if err != nil {
		log.LogAttrs(ctx, slog.LevelError, "delivery not recorded", slog.Any("err", err))
		return
	}
	log.LogAttrs(ctx, slog.LevelInfo, "delivery attempted", slog.Int("code", o.Code))
}

// carry takes the message to its recipient: into the receiving flow for those
// who live here. There is no courier for the others yet; they wait.
func (s *Sender) carry(ctx context.Context, d gateway.Delivery) gateway.Outcome {
	here, err := s.livesHere(ctx, d.Recipient)
	if err != nil {
		return failed(err)
	}
	if !here {
		return gateway.Outcome{State: gateway.DeliveryQueued, Code: 450, Text: "4.4.0 this gateway has no courier for remote hosts yet"}
	}
	err = s.cfg.Receiver.Receive(ctx, gateway.Envelope{
		ReturnPath: d.ReturnPath, Recipients: []string{d.Recipient}, Delivery: d.ID, Author: d.Author, Body: d.Blob, Prefix: d.Prefix,
	}, nil)
	if err != nil {
		return failed(err)
	}
	return gateway.Outcome{State: gateway.DeliveryDelivered, Code: 250, Text: "2.1.5 delivered"}
}

// failed turns an error of the receiving flow into what an MX would have said.
func failed(err error) gateway.Outcome {
	r := gateway.KindOf(err).Reply()
	o := gateway.Outcome{State: gateway.DeliveryQueued, Code: r.SMTP, Text: "try again later"}
	if known, ok := errors.AsType[*gateway.Error](err); ok {
		o.Text, o.Code = known.Message, cmp.Or(known.Code, o.Code)
	}
	if r.Permanent() {
		o.State = gateway.DeliveryFailed
	}
	return o
}

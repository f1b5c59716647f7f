package smtpd

import (
	"context"
	"io"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/centerleap/postern/gateway"
)

// deliverer is the session of a server that delivers mail to us. It may name
// recipients that live here and no others: there is no relay.
type deliverer struct {
	*transaction
	guesses int // recipients that were refused
}

// Mail opens a transaction.
func (s *deliverer) Mail(from string, opts *smtp.MailOptions) error {
	return s.begin(from, func(string) (gateway.Scope, error) { return gateway.Scope{}, nil }, opts)
}

// Rcpt takes one recipient, if it lives here and in the domain of those before:
// every domain's plugins decide for themselves, and one reply speaks for all.
func (s *deliverer) Rcpt(to string, _ *smtp.RcptOptions) error {
	rcpt, err := s.recipient(to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
	defer cancel()
	if ours, err := s.door.cfg.Sender.Returns(ctx, rcpt); ours || err != nil {
		return s.returned(rcpt, err)
	}
	d, err := s.door.cfg.Receiver.Find(ctx, rcpt)
	switch {
	case gateway.KindOf(err) == gateway.NotFound && err != nil:
		return s.unknown()
	case err != nil:
		return s.failed(err)
	case d == nil:
		return s.guessed(reply(550, [3]int{5, 7, 1}, "relaying denied"))
	case s.bounce || s.domain != 0 && s.domain != d.ID:
		return oneDomain()
	}
	s.domain = d.ID
	s.add(rcpt)
	return nil
}

// returned takes a return path of ours, alone: what comes there is about one message.
func (s *deliverer) returned(rcpt string, err error) error {
	switch {
	case gateway.KindOf(err) == gateway.NotFound && err != nil:
		return s.unknown()
	case err != nil:
		return s.failed(err)
	case s.bounce || s.domain != 0:
		return oneDomain()
	}
	s.bounce = true
	s.add(rcpt)
	return nil
}

func oneDomain() error {
	return reply(452, [3]int{4, 5, 3}, "one domain per transaction; send to this recipient in another")
}

func (s *deliverer) unknown() error {
	return s.guessed(reply(550, [3]int{5, 1, 1}, "nobody here has this address"))
}

const (
	// guessesFree are refused recipients of a session that cost nothing. Ours: a
	// list's mail to a few dead addresses.
	guessesFree = 5
	// guessDelay is how long the answer to each further one takes. Ours.
	guessDelay = time.Second
)

// guessed refuses a recipient: late, to who tries one name after another, and at
// last not at all.
func (s *deliverer) guessed(r *smtp.SMTPError) error {
	s.guesses++
	switch {
	case s.conn.Refused():
		s.conn.hangUp("421 4.7.0 too many unknown recipients from your network")
	case s.guesses > guessesFree:
		s.conn.pause(guessDelay)
	}
	return r
}

// Data receives the message. The reply comes when it is durable.
func (s *deliverer) Data(r io.Reader) error {
	defer s.conn.begin()()
	env, _, ok := s.envelope()
	if !ok {
		return reply(503, [3]int{5, 5, 1}, "no transaction")
	}
	body, ctx := s.door.receive(s.conn, r)
	defer body.close()
	err := s.deliver(ctx, env, body)
	if err != nil {
		s.log(err)
		refusal := dataReply(err)
		body.discard(refusal.Error())
		return refusal
	}
	return reply(250, [3]int{2, 0, 0}, "Ok: delivered")
}

// deliver brings the message to whom it is for.
func (s *deliverer) deliver(ctx context.Context, env gateway.Envelope, body io.Reader) error {
	if s.bounce {
		return s.door.cfg.Sender.Bounce(ctx, env.Recipients[0], body)
	}
	return s.door.cfg.Receiver.Receive(ctx, env, body)
}

// Logout ends the session.
func (s *deliverer) Logout() error { return nil }

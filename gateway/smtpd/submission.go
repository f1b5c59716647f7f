package smtpd

import (
	"context"
	"io"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/outbound"
)

// submitter is the session of somebody who logs in with a key and sends.
type submitter struct {
	*transaction
	key     *keys.Session // nil before the login
	refused int64         // logins
}

// AuthMechanisms are what keys allow: they are stored hashed, so mechanisms that
// need the key itself on our side can't be.
func (s *submitter) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// Auth begins a login.
func (s *submitter) Auth(mechanism string) (sasl.Server, error) {
	if s.open {
		return nil, reply(503, [3]int{5, 5, 1}, "a transaction is open; RSET ends it") // RFC 4954 section 4
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(identity, username, password string) error {
			if identity != "" && identity != username {
				username = "" // nobody acts for others; refused as any other login
			}
			return s.login(username, gateway.Secret(password))
		}), nil
	case sasl.Login:
		return &loginServer{login: s.login}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// login recognises the key. All refusals sound the same.
func (s *submitter) login(username string, token gateway.Secret) error {
	ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
	defer cancel()
	key, err := s.door.cfg.Keys.Login(ctx, s.conn.IP, token, func(k *keys.Session) (bool, error) {
		return s.door.mayUse(ctx, k, username)
	})
	if err != nil {
		return s.denied(err)
	}
	s.key = key
	key.OnEnd(func() { s.conn.hangUp("421 4.7.0 the API key has ended") })
	return nil
}

// mayUse is the rule for usernames: the one that goes with any key, or the
// address of an account that the key reaches.
func (d *door) mayUse(ctx context.Context, k *keys.Session, username string) (bool, error) {
	if username == d.cfg.Username {
		return true, nil
	}
	a, err := d.cfg.Domains.Account(ctx, k.Scope(), username)
	if err == nil {
		k.ActFor(a.Domain, a.ID)
	}
	if err == nil || gateway.KindOf(err) == gateway.NotFound {
		return err == nil, nil //nolint:nilerr // an account that isn't there is an answer
	}
	return false, err
}

// denied answers a failed login, and hangs up after too many.
func (s *submitter) denied(err error) error {
	row := s.row("AUTH")
	if known, ok := keys.Refused(err); ok {
		row.Key, row.KeyPrefix, row.Domain, row.Account = known.ID, known.Prefix, known.Domain, known.Account
	}
	e := gateway.AsError(err)
	r := reply(535, [3]int{5, 7, 8}, "Authentication failed")
	if err != nil && e.Kind != gateway.InvalidKey && e.Kind != gateway.MissingKey {
		s.log(err)
		r = replyTo(err)
		r.Code, r.EnhancedCode = 454, smtp.EnhancedCode{4, 7, 0} // RFC 4954 section 4.7: a temporary failure
	}
	s.note(row, r.Code, e)
	if s.refused++; s.refused >= s.door.cfg.Limits.SessionLogins || e.Kind == gateway.RateLimited {
		s.conn.hangUp("421 4.7.0 too many failed logins")
	}
	return r
}

// Mail opens a transaction of a sender that the key may be.
func (s *submitter) Mail(from string, opts *smtp.MailOptions) error {
	if s.key == nil {
		return reply(530, [3]int{5, 7, 0}, "Authentication required")
	}
	return s.begin(from, func(from string) (gateway.Scope, error) {
		ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
		defer cancel()
		scope, err := s.sender(ctx, from)
		if err != nil {
			s.note(s.row("MAIL"), replyTo(err).Code, gateway.AsError(err))
		}
		return scope, err
	}, opts)
}

// sender checks that the reverse-path lies in the key's scope and returns the
// scope to send in. The author in the message is checked by Submit.
func (s *submitter) sender(ctx context.Context, from string) (gateway.Scope, error) {
	scope := s.key.Scope()
	if from == "" {
		if scope.Level() == gateway.LevelInstance {
			return scope, gateway.Errorf(gateway.DomainNotAuthorized, "with an instance key the sender must name a domain")
		}
		return scope, nil
	}
	_, host := gateway.SplitAddress(from)
	denied := gateway.Errorf(gateway.DomainNotAuthorized, "this key may not send as %s", from)
	d, err := s.door.cfg.Domains.Get(ctx, scope, host)
	if gateway.KindOf(err) == gateway.NotFound && err != nil {
		return scope, denied
	} else if err != nil {
		return scope, err
	}
	switch scope.Level() {
	case gateway.LevelInstance:
		return keys.Narrow(scope, d.ID, 0)
	case gateway.LevelAccount:
		if _, err := s.door.cfg.Domains.Account(ctx, scope, from); err != nil {
			return scope, denied
		}
	}
	return scope, nil
}

// Rcpt takes any recipient but one that would live here and doesn't.
func (s *submitter) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.key == nil {
		return reply(530, [3]int{5, 7, 0}, "Authentication required")
	}
	rcpt, err := s.recipient(to)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
	defer cancel()
	d, err := s.door.cfg.Receiver.Find(ctx, rcpt)
	switch {
	case err == nil:
	case gateway.KindOf(err) != gateway.NotFound:
		return s.failed(err)
	case d.Receives():
		return reply(550, [3]int{5, 1, 1}, "nobody here has this address")
	}
	s.add(rcpt)
	return nil
}

// Data submits the message. The reply comes when it is durable.
func (s *submitter) Data(r io.Reader) error {
	defer s.conn.begin()()
	env, scope, ok := s.envelope()
	if !ok || s.key == nil {
		return reply(503, [3]int{5, 5, 1}, "no transaction")
	}
	body, ctx := s.door.receive(s.conn, r)
	defer body.close()
	row := s.row("DATA")
	row.Status = 250
	receipt, err := s.door.cfg.Sender.Submit(ctx, scope, outbound.Submission{
		Written:  &outbound.Written{ReturnPath: env.ReturnPath, Recipients: env.Recipients, Body: body},
		Activity: &row,
	})
	if err != nil {
		s.log(err)
		refusal := dataReply(err)
		s.note(row, refusal.Code, gateway.AsError(err))
		body.discard(refusal.Error())
		return refusal
	}
	return reply(250, [3]int{2, 0, 0}, "Ok: queued as "+receipt.ID.String())
}

// row is a row of the log, about the session's key.
func (s *submitter) row(command string) gateway.Activity {
	row := gateway.Activity{
		At: s.door.cfg.Now(), Protocol: "smtp", Method: command, Endpoint: s.door.role.name,
		IP: s.conn.IP, UserAgent: heloName(s.library.Hostname()),
	}
	if s.key != nil {
		k := s.key.Key()
		row.Key, row.KeyPrefix, row.Domain, row.Account = k.ID, k.Prefix, k.Domain, k.Account
	}
	return row
}

// note logs what was refused.
func (s *submitter) note(row gateway.Activity, status int, e *gateway.Error) {
	row.Status, row.Error, row.Reason = status, e.Kind.String(), e.Reason
	if row.Reason == "" {
		row.Reason = e.Message
	}
	s.door.cfg.Activity.Add(row)
}

// Logout ends the session.
func (s *submitter) Logout() error {
	if s.key != nil {
		s.key.Close()
	}
	return nil
}

// loginServer is the server side of LOGIN, which no RFC has and many libraries
// speak: it asks for a name, then for a password.
type loginServer struct {
	login    func(username string, token gateway.Secret) error
	asked    int
	username string
}

// Next takes the client's answer to the last question.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if l.asked == 0 && response == nil {
		l.asked = 1
		return []byte("Username:"), false, nil
	}
	if l.asked <= 1 { // also for clients that send the name with the command
		l.asked, l.username = 2, string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.login(l.username, gateway.Secret(response))
}

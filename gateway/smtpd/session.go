package smtpd

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/emersion/go-smtp"

	"github.com/centerleap/postern/gateway"
)

// session makes what the library calls for a connection's commands.
func (d *door) session(lib *smtp.Conn) (smtp.Session, error) {
	c, ok := lib.Conn().(*conn)
	if !ok {
		return nil, fmt.Errorf("smtpd: a connection of type %T", lib.Conn())
	}
	t := &transaction{door: d, conn: c, library: lib}
	if d.role.submit {
		return &submitter{transaction: t}, nil
	}
	return &deliverer{transaction: t}, nil
}

// transaction is what both kinds of session keep: the envelope so far, and how
// often the client was refused. The library calls Data from another goroutine
// than the rest when the message comes in chunks; hence the lock.
type transaction struct {
	door    *door
	conn    *conn
	library *smtp.Conn

	mu      sync.Mutex
	open    bool
	env     gateway.Envelope
	scope   gateway.Scope    // to send in; an instance key acts for a domain
	domain  gateway.DomainID // of the recipients, on the MX
	faults  int64
	refused int64 // failed logins
}

// begin opens the transaction at MAIL. scope says what the sender may touch.
func (t *transaction) begin(from string, scope func(string) (gateway.Scope, error), opts *smtp.MailOptions) error {
	if t.open {
		return t.fault(reply(503, [3]int{5, 5, 1}, "a transaction is open; RSET ends it"))
	}
	if opts.Size > t.door.cfg.Limits.MessageBytes {
		return t.fault(reply(552, [3]int{5, 3, 4}, "the message is too large"))
	}
	env := gateway.Envelope{RemoteIP: t.conn.IP, Helo: heloName(t.library.Hostname())}
	if from != "" {
		addr, ok := path(from)
		if !ok {
			return t.fault(reply(553, [3]int{5, 1, 7}, "the sender's address is not valid"))
		}
		env.ReturnPath = addr
	}
	sc, err := scope(env.ReturnPath)
	if err != nil {
		return t.failed(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open, t.env, t.scope, t.domain = true, env, sc, 0
	return nil
}

// add takes one recipient that was found good.
func (t *transaction) add(rcpt string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.env.Recipients = append(t.env.Recipients, rcpt)
}

// recipient reads the address of a RCPT.
func (t *transaction) recipient(raw string) (string, error) {
	rcpt, ok := path(raw)
	if !ok {
		return "", t.fault(reply(553, [3]int{5, 1, 3}, "the recipient's address is not valid"))
	}
	return rcpt, nil
}

// envelope is a copy of the envelope as it stands; false after a reset.
func (t *transaction) envelope() (gateway.Envelope, gateway.Scope, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	env := t.env
	env.Recipients = append([]string(nil), env.Recipients...)
	return env, t.scope, t.open && len(env.Recipients) > 0
}

// Reset forgets the envelope.
func (t *transaction) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open, t.env, t.scope, t.domain = false, gateway.Envelope{}, gateway.Scope{}, 0
}

// fault counts a refusal; who is refused too often is hung up on.
func (t *transaction) fault(r *smtp.SMTPError) error {
	if t.faults++; t.faults >= t.door.cfg.Limits.SessionErrors {
		t.conn.hangUp("421 4.7.0 too many errors")
	}
	return r
}

// failed logs what a client can't be told, and returns the reply to a command.
func (t *transaction) failed(err error) error {
	t.log(err)
	r := replyTo(err)
	if r.Code >= 500 {
		return t.fault(r)
	}
	return r
}

func (t *transaction) log(err error) {
	if gateway.KindOf(err) == gateway.Internal {
		t.door.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "smtp command failed",
			slog.String("door", t.door.role.name), slog.Any("err", err))
	}
}

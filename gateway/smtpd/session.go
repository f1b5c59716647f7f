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

// transaction is what both kinds of session keep: the envelope so far. The library calls Data from another goroutine
// than the rest when the message comes in chunks; hence the lock.
type transaction struct {
	door    *door
	conn    *conn
	library *smtp.Conn

	mu     sync.Mutex
	open   bool
	env    gateway.Envelope
	scope  gateway.Scope    // to send in; an instance key acts for a domain
	domain gateway.DomainID // of the recipients, on the MX
	bounce bool             // the recipient is a return path
	utf8   bool             // SMTPUTF8 was said at MAIL
}

// begin opens the transaction at MAIL. scope says what the sender may touch.
func (t *transaction) begin(from string, scope func(string) (gateway.Scope, error), opts *smtp.MailOptions) error {
	if t.open {
		return reply(503, [3]int{5, 5, 1}, "a transaction is open; RSET ends it")
	}
	if opts.Size > t.door.cfg.Limits.MessageBytes {
		return reply(552, [3]int{5, 3, 4}, "the message is too large")
	}
	env := gateway.Envelope{RemoteIP: t.conn.IP, Helo: heloName(t.library.Hostname()), Protocol: t.protocol(opts.UTF8)}
	if from != "" {
		var err error
		if env.ReturnPath, err = path(from, opts.UTF8, [3]int{5, 1, 7}); err != nil {
			return err
		}
	}
	sc, err := scope(env.ReturnPath)
	if err != nil {
		return t.failed(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open, t.env, t.scope, t.domain, t.bounce, t.utf8 = true, env, sc, 0, false, opts.UTF8
	return nil
}

// protocol is the with-clause of Received, RFC 3848 and RFC 6531 section 4.3.
func (t *transaction) protocol(utf8 bool) string {
	p := "ESMTP"
	switch {
	case utf8:
		p = "UTF8SMTP"
	case !t.conn.extended:
		return "SMTP"
	}
	if t.conn.IsSecure() {
		p += "S"
	}
	if t.door.role.submit {
		p += "A"
	}
	return p
}

// add takes one recipient that was found good.
func (t *transaction) add(rcpt string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.env.Recipients = append(t.env.Recipients, rcpt)
}

// recipient reads the address of a RCPT. Mail of the null sender is a report to
// one sender, RFC 5321 section 4.5.5: only forgers send it to several.
func (t *transaction) recipient(raw string) (string, error) {
	if t.env.ReturnPath == "" && len(t.env.Recipients) > 0 {
		return "", reply(452, [3]int{4, 5, 3}, "mail of the null sender goes to one recipient; send to the next in another transaction")
	}
	return path(raw, t.utf8, [3]int{5, 1, 3})
}

// envelope is a copy of the envelope as it stands; false after a reset, and when
// nobody is there any more.
func (t *transaction) envelope() (gateway.Envelope, gateway.Scope, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	env := t.env
	env.Recipients = append([]string(nil), env.Recipients...)
	return env, t.scope, t.open && len(env.Recipients) > 0 && !t.conn.isOver()
}

// Reset forgets the envelope.
func (t *transaction) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open, t.env, t.scope, t.domain, t.bounce, t.utf8 = false, gateway.Envelope{}, gateway.Scope{}, 0, false, false
}

// failed logs what a client can't be told, and returns the reply to a command.
func (t *transaction) failed(err error) error {
	t.log(err)
	return replyTo(err)
}

func (t *transaction) log(err error) {
	if gateway.KindOf(err) == gateway.Internal {
		t.door.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "smtp command failed",
			slog.String("door", t.door.role.name), slog.Any("err", err))
	}
}

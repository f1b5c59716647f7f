package imapd

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-sasl"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
)

// session is what the library calls for the commands of one connection, one
// after the other; in IDLE it tells of news beside the reading of input.
type session struct {
	door    *door
	c       *conn
	ctx     context.Context //nolint:containedctx // the library passes none; it ends with the session
	cancel  context.CancelFunc
	key     *keys.Session // nil before the login
	scope   gateway.Scope // of the one account
	account *gateway.Account
	refused int64

	view     *mailbox.View // nil while no mailbox is selected
	readOnly bool
	saved    []uint32 // UIDs of the last SEARCH that asked to save, RFC 5182
	buf      []byte
}

var (
	_ imapserver.SessionNamespace   = (*session)(nil)
	_ imapserver.SessionMove        = (*session)(nil)
	_ imapserver.SessionSASL        = (*session)(nil)
	_ imapserver.SessionAppendLimit = (*session)(nil)
)

// Close ends the session, if its connection ends.
func (s *session) Close() error {
	if s.c.resting != nil {
		return nil
	}
	s.cancel()
	if s.view != nil {
		s.view.Close()
	}
	if s.key != nil {
		s.key.Close()
	}
	s.door.sessions.Done()
	return nil
}

// done ends a command with a tagged OK of our own: the library writes that line
// and nothing untagged before it.
func done(code, text string) error {
	return &imap.Error{Type: imap.StatusResponseTypeOK, Code: imap.ResponseCode(code), Text: text}
}

func refuse(code, text string) error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCode(code), Text: oneLine(text)}
}

// maxText bounds the text of a status line. Ours.
const maxText = 400

// oneLine makes any text fit for a status line.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text[:min(len(text), maxText)]), " ")
}

const boxDeleted = "the mailbox was deleted"

// failed gives an error the response code of its Kind.
func (s *session) failed(err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*imap.Error](err); ok {
		return known
	}
	if errors.Is(err, mailbox.ErrClosed) {
		s.c.endWith(boxDeleted)
		return refuse("NONEXISTENT", boxDeleted)
	}
	if errors.Is(err, gateway.ErrKeywords) {
		return refuse("LIMIT", gateway.ErrKeywords.Message)
	}
	e := gateway.AsError(err)
	if e.Kind == gateway.Internal && s.ctx.Err() == nil {
		s.door.cfg.Log.LogAttrs(s.ctx, slog.LevelError, "imap command failed", slog.String("door", s.door.name), slog.Any("err", err))
	}
	return refuse(e.Kind.Reply().IMAP, e.Message)
}

// AuthenticateMechanisms are what keys allow: they are stored hashed.
func (s *session) AuthenticateMechanisms() []string { return []string{sasl.Plain} }

// Authenticate begins a login by SASL.
func (s *session) Authenticate(mechanism string) (sasl.Server, error) {
	if mechanism != sasl.Plain {
		return nil, refuse("CANNOT", "this mechanism is not offered")
	}
	return sasl.NewPlainServer(func(identity, username, password string) error {
		if identity != "" && identity != username {
			return s.denied(nil)
		}
		return s.Login(username, password)
	}), nil
}

// Login recognises a key and finds whose mail is to be read. All refusals sound
// the same.
func (s *session) Login(username, password string) error {
	key, err := s.door.cfg.Keys.Login(s.ctx, s.c.IP, gateway.Secret(password), func(k *keys.Session) (bool, error) {
		return s.mayRead(k, username)
	})
	if err != nil {
		return s.denied(err)
	}
	s.key = key
	key.OnEnd(func() { s.c.hangUp("the API key has ended") })
	row := s.row("LOGIN")
	row.Status = gatewayOK
	s.door.cfg.Activity.Add(row)
	return nil
}

// gatewayOK is how the log marks a command that succeeded: IMAP has no numbers,
// so rows carry those of HTTP.
const gatewayOK = 200

// mayRead is the rule for usernames: an account's address with a full-access key
// that reaches it, or the username of the SMTP door with the account's own key.
func (s *session) mayRead(k *keys.Session, username string) (bool, error) {
	key := k.Key()
	if key.Permission != gateway.FullAccess || key.Level != gateway.LevelDomain && key.Level != gateway.LevelAccount {
		return false, nil
	}
	var a *gateway.Account
	var err error
	if username == s.door.cfg.Username && key.Level == gateway.LevelAccount {
		a, err = s.door.cfg.Domains.AccountByID(s.ctx, k.Scope(), key.Domain, key.Account)
	} else {
		a, err = s.door.cfg.Domains.Account(s.ctx, k.Scope(), username)
	}
	if err == nil {
		s.account = a
		k.ActFor(a.Domain, a.ID)
		s.scope, err = keys.Narrow(k.Scope(), a.Domain, a.ID)
	}
	if err != nil && gateway.KindOf(err) == gateway.NotFound {
		return false, nil
	}
	return err == nil, err
}

// denied answers a failed login, and hangs up after too many. It does so by
// closing: the library holds its lock during AUTHENTICATE.
func (s *session) denied(err error) error {
	e := gateway.AsError(err)
	row := s.row("LOGIN")
	if known, ok := keys.Refused(err); ok {
		row.Key, row.KeyPrefix, row.Domain, row.Account = known.ID, known.Prefix, known.Domain, known.Account
	}
	answer := refuse("AUTHENTICATIONFAILED", "Authentication failed")
	if err != nil && e.Kind != gateway.InvalidKey && e.Kind != gateway.MissingKey {
		answer = s.failed(err)
	}
	row.Status, row.Error, row.Reason = e.Kind.Reply().Status, e.Kind.String(), e.Reason
	s.door.cfg.Activity.Add(row)
	if s.refused++; s.refused >= s.door.cfg.Limits.SessionLogins {
		s.c.hangUp("too many failed logins")
	}
	return answer
}

// row is a row of the log, about the session's key.
func (s *session) row(command string) gateway.Activity {
	row := gateway.Activity{At: s.door.cfg.Now(), Protocol: "imap", Method: command, Endpoint: s.door.name, IP: s.c.IP}
	if s.key != nil {
		k := s.key.Key()
		row.Key, row.KeyPrefix, row.Domain, row.Account = k.ID, k.Prefix, k.Domain, s.account.ID
	}
	return row
}

// Namespace says that an account has its own mailboxes and no others.
func (s *session) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: '/'}}}, nil
}

// AppendLimit is the largest message that APPEND takes, RFC 7889.
func (s *session) AppendLimit() uint32 { return uint32(s.door.cfg.Limits.MessageBytes) }

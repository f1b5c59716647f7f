package imapd

import (
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// RFC 9208: an account has one quota root, named "", when its bytes are limited, and
// none when they are not. The resource is STORAGE, in units of 1,024 bytes.

const quotaUnit = 1024

// quotaCommand hands GETQUOTA, GETQUOTAROOT and SETQUOTA to the library as STATUS,
// which checks the state and reads a mailbox's name; the session answers.
func (n *note) quotaCommand(c *command) error {
	a, least := c.args, 1
	if c.name == "SETQUOTA" {
		least = 2
	}
	if len(a) < least || a[0].kind == opening || a[0].kind == closing || c.name != "SETQUOTA" && len(a) > 1 {
		return commandError("the arguments of " + c.name + " can't be read")
	}
	n.argument = a[0]
	name := token{atom, gateway.Inbox}
	if c.name == "GETQUOTAROOT" {
		name = a[0]
	}
	c.name, c.args = "STATUS", []token{name, {kind: opening}, {atom, "MESSAGES"}, {kind: closing}}
	return nil
}

// quota answers such a command; name is the mailbox that it is about.
func (s *session) quota(name string) error {
	n := s.c.note
	if n.name == "SETQUOTA" {
		return refuse("NOPERM", "quotas are set over REST")
	}
	if n.name == "GETQUOTAROOT" {
		if _, err := s.door.cfg.Mail.Box(s.ctx, s.scope, s.account, name); err != nil {
			return s.failed(err)
		}
	}
	a, err := s.door.cfg.Domains.AccountByID(s.ctx, s.scope, s.account.Domain, s.account.ID)
	if err != nil {
		return s.failed(err)
	}
	if n.name == "GETQUOTA" && (a.Quota == 0 || n.argument.text != "") {
		return refuse("NONEXISTENT", "there is no such quota root")
	}
	b := s.buf[:0]
	if n.name == "GETQUOTAROOT" {
		as := n.argument.text // as the client wrote it: the library has "&" another way
		if n.dialect.utf8 {
			as = strings.ReplaceAll(as, "&-", "&")
		}
		b = appendQuoted(append(b, "* QUOTAROOT "...), as)
		if a.Quota > 0 {
			b = append(b, ` ""`...)
		}
		b = append(b, "\r\n"...)
	}
	if a.Quota > 0 {
		b = append(b, `* QUOTA "" (STORAGE `...)
		b = append(strconv.AppendInt(b, (a.Used+quotaUnit-1)/quotaUnit, 10), ' ')
		b = append(strconv.AppendInt(b, a.Quota/quotaUnit, 10), ")\r\n"...)
	}
	return s.answer(b, "", n.name)
}

// answer writes data lines, what has changed, and the tagged OK of a command at whose
// end expunges may be told.
func (s *session) answer(b []byte, code, command string) error {
	s.buf = b[:0]
	if err := s.c.data(b); err != nil {
		return err
	}
	if err := s.tell(true); err != nil {
		return err
	}
	return done(code, command+" completed")
}

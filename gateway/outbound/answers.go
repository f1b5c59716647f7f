package outbound

import (
	"cmp"
	"context"
	"io"
	"strings"
	"unicode"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/threading"
)

// intended is the mail that a plugin wants sent, as a submission; silent, if set, is why
// it must not be. What it says was checked when the plugin said it, and is again: this
// is the last place before it leaves.
func (s *Sender) intended(ctx context.Context, in *gateway.Intent) (sub Submission, silent string, err error) {
	sc, c := s.cfg.Internal(in.Domain), in.Mail
	p, err := s.cfg.Store.Plugin(ctx, sc, in.Plugin)
	if err != nil {
		return sub, "", err
	}
	var answered *gateway.Message
	if !in.Answers.IsZero() {
		if answered, err = s.cfg.Store.Message(ctx, sc, in.Answers); err != nil {
			return sub, "", err
		}
	} else if err := s.ownParent(ctx, sc, p, c.InReplyTo); err != nil {
		return sub, "", err
	}
	own, err := s.author(ctx, sc, in, p, answered, &c)
	if err != nil {
		return sub, "", err
	}
	sub = Submission{Compose: &c, Intent: in, Activity: &gateway.Activity{Protocol: "plugin", Method: verbOf(in), Status: 200}}
	auto := "auto-generated"
	if answered != nil {
		auto, sub.Thread = "auto-replied", answered.Thread
		if silent, err = s.silence(ctx, sc, answered, own); silent != "" || err != nil {
			return sub, silent, err
		}
		answerTo(&c, answered)
	}
	// RFC 3834 section 5: a program says that it is one, whatever it is called.
	_, c.Headers = takeHeader(c.Headers, "Auto-Submitted")
	c.Headers = append(c.Headers, gateway.HeaderField{Name: "Auto-Submitted", Value: auto})
	return sub, "", checkMail(&c, s.cfg.Limits)
}

// ownParent holds an account's plugin to answer no email of another account, whose
// Message-ID it would learn.
func (s *Sender) ownParent(ctx context.Context, sc gateway.Scope, p *gateway.Plugin, parent string) error {
	id, err := gateway.ParseID(strings.TrimSpace(parent))
	if p.Account == 0 || err != nil {
		return nil //nolint:nilerr // it is a Message-ID, which is looked for in the account alone
	}
	m, err := s.cfg.Store.Message(ctx, sc, id)
	if err != nil && gateway.KindOf(err) != gateway.NotFound {
		return err
	}
	if err != nil || m.Account != p.Account {
		return gateway.Fieldf(gateway.InvalidParameter, "in_reply_to", "no email has the id %s", id)
	}
	return nil
}

// author completes who a mail is from, and returns all addresses of that mailbox. Whether
// the plugin may send as that one the commit decides.
func (s *Sender) author(
	ctx context.Context, sc gateway.Scope, in *gateway.Intent, p *gateway.Plugin, answered *gateway.Message, c *gateway.Compose,
) (own []string, err error) {
	var a *gateway.Account
	if c.From.Addr == "" {
		id := cmp.Or(in.Account, p.Account)
		if id == 0 && answered != nil {
			id = answered.Account
		}
		if id == 0 {
			return nil, gateway.Fieldf(gateway.MissingField, "from", "the plugin of a domain names an address of it in from")
		}
		if a, err = s.cfg.Store.AccountByID(ctx, sc, in.Domain, id); err != nil {
			return nil, err
		}
		c.From = gateway.Address{Name: a.Name, Addr: a.Email}
	} else {
		from, err := content.ParseAddress(c.From.Addr) // it may have its name with it
		if err != nil {
			return nil, gateway.Fieldf(gateway.InvalidFrom, "from", "from: %.100q is no address", c.From.Addr)
		}
		c.From = gateway.Address{Name: cmp.Or(c.From.Name, from.Name), Addr: from.Addr}
		if a, err = s.cfg.Store.Account(ctx, sc, in.Domain, from.Addr); err != nil && gateway.KindOf(err) != gateway.NotFound {
			return nil, err
		}
	}
	own = []string{c.From.Addr}
	if a != nil {
		own = append(append(own, a.Email), a.Aliases...)
	}
	if answered != nil && (a == nil || answered.Account == a.ID) {
		own = append(own, answered.Recipients...)
	}
	return own, nil
}

// silence is why nobody answers a message; empty if a program may.
func (s *Sender) silence(ctx context.Context, sc gateway.Scope, m *gateway.Message, own []string) (string, error) {
	r := content.Reading{Content: &m.Content, Prefix: m.Prefix, Limits: s.cfg.Limits, Open: func(off, n int64) (io.ReadCloser, error) {
		return s.cfg.Store.OpenBlob(ctx, sc, m.Blob, off, n)
	}}
	fields, err := r.Header()
	if err != nil {
		return "", err
	}
	about := content.Correspondence{ReturnPath: m.ReturnPath, Own: own, DMARC: m.Auth.DMARC.Result}
	return content.Automation(&m.Content, fields, about).Silent, nil
}

// maxSubject bounds the subject of a message as an answer quotes it, in bytes; ours: the
// line length of RFC 5322 section 2.1.1.
const maxSubject = 998

// answerTo completes an answer to m. It goes to one address: the author's, if SPF or DKIM
// say that the mail is from there, else that of the envelope. RFC 3834 section 4 and RFC
// 5230 section 4.4 have the envelope's alone, and warn of From, since it may name
// somebody who never wrote. But much mail of people is carried by services whose envelope
// is for bounces; so an author is believed where the gateway has checked it. Reply-To is
// never: whoever writes could have us write to anybody.
func answerTo(c *gateway.Compose, m *gateway.Message) {
	to := gateway.Address{Addr: m.ReturnPath}
	if m.Auth.FromAligned && len(m.Content.From) == 1 {
		to = m.Content.From[0]
	}
	c.To, c.Cc, c.Bcc, c.ReplyTo = []gateway.Address{to}, nil, nil, nil
	c.InReplyTo, c.References = m.ID.String(), nil // from which both fields are made, RFC 5322 section 3.6.4
	if c.Subject == "" {
		c.Subject = answerSubject(m.Content.Subject)
	}
}

// answerSubject puts Re: before a subject that has none.
func answerSubject(subject string) string {
	subject = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, subject))
	if len(subject) > maxSubject {
		subject = strings.ToValidUTF8(subject[:maxSubject], "")
	}
	if _, reply := threading.BaseSubject(subject); reply {
		return subject
	}
	return "Re: " + subject
}

// checkMail holds a mail to what a client may send.
func checkMail(c *gateway.Compose, lim gateway.Limits) error {
	from := []gateway.Address{c.From}
	for _, l := range []struct {
		field string
		list  []gateway.Address
	}{{"from", from}, {"to", c.To}, {"cc", c.Cc}, {"bcc", c.Bcc}, {"reply_to", c.ReplyTo}} {
		for i := range l.list {
			a, err := content.ParseAddress(l.list[i].Addr)
			if err != nil {
				return gateway.Fieldf(gateway.InvalidParameter, l.field, "%s: %.100q is no address", l.field, l.list[i].Addr)
			}
			l.list[i].Addr = a.Addr
		}
	}
	c.From = from[0]
	if int64(len(c.Tags)) > lim.Tags {
		return gateway.Fieldf(gateway.InvalidParameter, "tags", "%d tags; at most %d are allowed", len(c.Tags), lim.Tags)
	}
	return content.CheckCompose(c, lim)
}

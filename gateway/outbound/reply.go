package outbound

import (
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// Reply is what a person's reply to a message begins as: from its account, to where its
// author wants replies (RFC 5322 section 3.6.3), or for one that the account sent itself to
// whom that went; with all, to everybody else it went to besides. In-Reply-To and
// References follow from it when it is submitted.
func Reply(a *gateway.Account, m *gateway.Message, all bool) gateway.Compose {
	c := gateway.Compose{
		From: gateway.Address{Name: a.Name, Addr: a.Email}, Subject: answerSubject(m.Content.Subject), InReplyTo: m.ID.String(),
	}
	known := map[string]bool{gateway.FoldAddress(a.Email): true}
	for _, alias := range a.Aliases {
		known[gateway.FoldAddress(alias)] = true
	}
	to := m.Content.From
	switch {
	case m.Sent:
		to = m.Content.To
	case len(m.Content.ReplyTo) > 0:
		to = m.Content.ReplyTo
	}
	c.To = others(to, known)
	if len(c.To) == 0 { // a note to oneself
		c.To = to
	}
	if all {
		c.Cc = append(others(m.Content.To, known), others(m.Content.Cc, known)...)
	}
	return c
}

// others are the addresses of a list that are not known yet; then they are.
func others(list []gateway.Address, known map[string]bool) (out []gateway.Address) {
	for _, a := range list {
		if f := gateway.FoldAddress(a.Addr); a.Addr != "" && !known[f] {
			known[f] = true
			out = append(out, a)
		}
	}
	return out
}

// Addresses reads a list of addresses as a person writes it into a field of a form: with
// commas between them, or semicolons.
func Addresses(field, text string) ([]gateway.Address, error) {
	list, err := content.ParseAddresses(text)
	if err != nil {
		return nil, gateway.Fieldf(gateway.InvalidParameter, field, "%s: %s", field, gateway.AsError(err).Message)
	}
	return list, nil
}

// Check holds what a person wrote to what a client may send. It fails with the first
// fault, by its field.
func (s *Sender) Check(c *gateway.Compose) error {
	if len(c.To)+len(c.Cc)+len(c.Bcc) == 0 {
		return gateway.Fieldf(gateway.MissingField, "to", "say whom the mail is for")
	}
	if strings.TrimSpace(c.Text) == "" && strings.TrimSpace(c.HTML) == "" {
		return gateway.Fieldf(gateway.MissingField, "text", "the mail says nothing")
	}
	return checkMail(c, s.cfg.Limits)
}

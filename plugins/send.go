package plugins

import (
	"maps"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

const (
	// maxReferences bounds the Message-IDs that a mail refers to, maxMessageIDText each of
	// them, in bytes: a line of RFC 5322 section 2.1.1. Ours.
	maxReferences    = 100
	maxMessageIDText = 998
	// maxAddressText bounds one address with its name, in bytes; ours, as in REST.
	maxAddressText = 1 << 10
)

// Send takes a mail that the plugin wants sent. It is durable with what the plugin was
// asked about, if the call ends well, and sent afterwards, once.
func (g *guest) Send(doc []byte) error {
	lim := &g.plugins.cfg.Limits
	switch {
	case !g.may(abi.PermitSend), g.hook == gateway.HookThread:
		return abi.Denied
	case g.look.Via == "plugin" && g.hook == gateway.HookOutbound, g.look.Message != nil && !g.look.Message.Plugin.IsZero():
		return g.refuse("send", because(abi.Denied, "the mail of a plugin leads to no other"))
	case int64(len(g.intents)) >= lim.PluginSends:
		return abi.OverQuota
	case g.sent+int64(len(doc)) > lim.PluginVerdict+escaped*lim.PluginBody: // of all mails of the call
		return abi.TooLarge
	}
	in, err := g.outgoing(doc)
	if err != nil {
		return g.refuse("send", err)
	}
	g.sent += int64(len(doc))
	g.intents = append(g.intents, in)
	return nil
}

// outgoing reads a document strictly, and holds it to what a mail may be.
func (g *guest) outgoing(doc []byte) (in gateway.Intent, err error) {
	var out abi.Outgoing
	if err := strictly(doc, &out); err != nil {
		return in, err
	}
	in = gateway.Intent{Domain: g.inst.Domain, Account: g.inst.Account, Plugin: g.inst.ID}
	c := &in.Mail
	if err := g.author(&in, out.From); err != nil {
		return in, err
	}
	for _, l := range []struct {
		field string
		list  []string
		into  *[]gateway.Address
	}{{"to", out.To, &c.To}, {"cc", out.Cc, &c.Cc}, {"bcc", out.Bcc, &c.Bcc}, {"reply_to", out.ReplyTo, &c.ReplyTo}} {
		if *l.into, err = g.addressees(l.field, l.list); err != nil {
			return in, err
		}
	}
	if len(c.To) == 0 {
		return in, because(abi.BadArgument, "to is required")
	}
	switch most := g.plugins.cfg.Limits.PluginBody; {
	case out.Text == "" && out.HTML == "":
		return in, because(abi.BadArgument, "text or html is required")
	case int64(len(out.Text)+len(out.HTML)) > most:
		return in, because(abi.TooLarge, "text and html may have %d bytes", most)
	case strings.Contains(out.Text+out.HTML, "\x00"):
		return in, because(abi.BadArgument, "there is a NUL in the text")
	case len(out.Subject) > maxSubject || hasControl(out.Subject):
		return in, because(abi.BadArgument, "subject is one line of at most %d bytes", maxSubject)
	}
	c.Subject, c.Text, c.HTML, c.InReplyTo, c.References = out.Subject, out.Text, out.HTML, out.InReplyTo, out.References
	for _, name := range slices.Sorted(maps.Keys(out.Headers)) {
		c.Headers = append(c.Headers, gateway.HeaderField{Name: name, Value: out.Headers[name]})
	}
	if err := g.marks(c, &out); err != nil {
		return in, err
	}
	if err := g.plugins.cfg.CheckMail(c); err != nil {
		return in, because(abi.BadArgument, "%s", gateway.AsError(err).Message)
	}
	return in, nil
}

// author is whom a mail is from: an address of the domain, and of an account's plugin the
// account's. Whether there is such an address, and it may send, the commit decides.
func (g *guest) author(in *gateway.Intent, from string) error {
	if from == "" {
		if in.Account == 0 {
			in.Account = g.look.Account
		}
		if in.Account == 0 {
			return because(abi.BadArgument, "from is required: the plugin is the domain's")
		}
		return nil
	}
	if len(from) > maxAddressText {
		return because(abi.BadArgument, "from is over %d bytes", maxAddressText)
	}
	a, err := g.plugins.cfg.ParseAddress(from)
	if err != nil {
		return because(abi.BadArgument, "from: %s", gateway.AsError(err).Message)
	}
	_, host := gateway.SplitAddress(a.Addr)
	switch {
	case !strings.EqualFold(host, domainOf(g.look)):
		return because(abi.Denied, "from: %.100s is not of the domain %s", a.Addr, domainOf(g.look))
	case g.inst.Account != 0 && gateway.FoldAddress(a.Addr) != gateway.FoldAddress(g.look.Mailbox):
		return because(abi.Denied, "from: %.100s is not the account's address", a.Addr)
	}
	in.Mail.From = a
	return nil
}

func (g *guest) addressees(field string, list []string) (all []gateway.Address, err error) {
	if most := g.plugins.cfg.Limits.Recipients; int64(len(list)) > most {
		return nil, because(abi.BadArgument, "%s has more than %d addresses", field, most)
	}
	for _, text := range list {
		if len(text) > maxAddressText {
			return nil, because(abi.BadArgument, "%s: an address is over %d bytes", field, maxAddressText)
		}
		a, err := g.plugins.cfg.ParseAddress(text)
		if err != nil {
			return nil, because(abi.BadArgument, "%s: %s", field, gateway.AsError(err).Message)
		}
		all = append(all, a)
	}
	return all, nil
}

// marks reads tags, and checks what a mail refers to.
func (g *guest) marks(c *gateway.Compose, out *abi.Outgoing) error {
	if most := g.plugins.cfg.Limits.Tags; int64(len(out.Tags)) > most {
		return because(abi.BadArgument, "more than %d tags", most)
	}
	for _, t := range out.Tags {
		if !gateway.ValidTag(t.Name) || !gateway.ValidTag(t.Value) {
			return because(abi.BadArgument, "a tag's name and value are 1 to %d letters, digits, _ or -", gateway.TagLength)
		}
		c.Tags = append(c.Tags, gateway.Tag(t))
	}
	if len(out.References) > maxReferences {
		return because(abi.BadArgument, "more than %d references", maxReferences)
	}
	for _, id := range append([]string{out.InReplyTo}, out.References...) {
		if len(id) > maxMessageIDText || hasControl(id) {
			return because(abi.BadArgument, "in_reply_to and references name messages")
		}
	}
	return nil
}

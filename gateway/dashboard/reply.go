package dashboard

import (
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/outbound"
)

// replyForm is the reply below a conversation.
type replyForm struct {
	To, Cc, Subject, Text string
	Answers               gateway.ID // the message that it is a reply to
	From                  string
	All                   bool   // to everybody
	Everybody             string // the address of the form that is
}

// beginReply fills in the form: a reply to the message that is asked for, or to the
// newest one on the page.
func (d *Dashboard) beginReply(v *visit, p *conversationPage) error {
	a, err := d.account(v)
	if err != nil || len(p.Items) == 0 {
		return err
	}
	m := p.Items[len(p.Items)-1].Message
	if wanted := v.c.Query("reply"); wanted != "" {
		if m, err = d.answered(v, p, wanted); err != nil {
			return err
		}
	}
	all := v.c.Query("all") != ""
	c := outbound.Reply(a, m, all)
	p.Reply = replyForm{
		From: written([]gateway.Address{c.From}), To: written(c.To), Cc: written(c.Cc), Subject: c.Subject, Answers: m.ID, All: all,
		Everybody: prefix + p.Base + "?reply=" + m.ID.String() + "&all=1#reply",
	}
	return nil
}

// answered finds the message of this conversation that a reply is to.
func (d *Dashboard) answered(v *visit, p *conversationPage, id string) (*gateway.Message, error) {
	ref := mailbox.Ref{Email: p.Email}
	var err error
	if ref.ID, err = gateway.ParseID(id); err != nil {
		return nil, gateway.Errorf(gateway.NotFound, "there is no such message")
	}
	it, err := d.cfg.Mail.Get(v.ctx, v.scope, ref)
	if err != nil {
		return nil, err
	}
	if it.Message.Thread != p.Thread.ID {
		return nil, gateway.Errorf(gateway.NotFound, "the message is not in this thread")
	}
	return it.Message, nil
}

// written is a list of addresses as people write it.
func written(list []gateway.Address) string {
	var all []string
	for _, a := range list {
		if a.Name == "" {
			all = append(all, a.Addr)
		} else {
			all = append(all, a.String())
		}
	}
	return strings.Join(all, ", ")
}

// replyInThread sends a reply as the account, once, however often the form is sent.
func (d *Dashboard) replyInThread(v *visit) error {
	p, err := d.conversation(v)
	if err != nil {
		return err
	}
	a, err := d.account(v)
	if err != nil {
		return err
	}
	m, err := d.answered(v, p, v.field("answers"))
	if err != nil {
		return err
	}
	p.Reply = replyForm{
		To: v.field("to"), Cc: v.field("cc"), Subject: v.field("subject"), Text: v.form.Get("text"), Answers: m.ID,
		From: written([]gateway.Address{{Name: a.Name, Addr: a.Email}}),
	}
	if earlier, first := v.signin.once(v.field("once")); !first {
		if earlier != "" {
			v.signin.tell("That reply was sent already.")
		}
		return v.redirect(p.Base)
	}
	receipt, err := d.reply(v, a, m, &p.Reply)
	if err != nil {
		v.signin.became(v.field("once"), "")
	}
	if status, problem, again := mistake(err); again {
		p.Problem = problem
		return d.show(v, status, "thread", p.Subject(), p)
	}
	if err != nil {
		return err
	}
	v.signin.became(v.field("once"), receipt.ID.String())
	v.signin.tell("The reply to " + p.Reply.To + " is on its way.")
	return v.redirect(p.Base)
}

// reply submits what the form says. Its row of the log commits with it.
func (d *Dashboard) reply(v *visit, a *gateway.Account, m *gateway.Message, form *replyForm) (r outbound.Receipt, err error) {
	c := outbound.Reply(a, m, false)
	c.Subject, c.Text = form.Subject, strings.ReplaceAll(form.Text, "\r\n", "\n")
	if c.To, err = outbound.Addresses("to", form.To); err != nil {
		return r, err
	}
	if c.Cc, err = outbound.Addresses("cc", form.Cc); err != nil {
		return r, err
	}
	if err := d.cfg.Sender.Check(&c); err != nil {
		return r, err
	}
	row := v.row
	row.At, row.Status = d.clock(), 200
	if r, err = d.cfg.Sender.Submit(v.ctx, v.scope, outbound.Submission{Compose: &c, Thread: m.Thread, Activity: &row}); err == nil {
		v.committed = true
	}
	return r, err
}

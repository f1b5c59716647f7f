package inbound

import (
	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// reply makes intents of what plugins answer. A domain's plugins answer a message once, for
// the first copy that is accepted, and then nobody else does; an account's answer for their own.
// Whether an answer may be sent is judged when it is: RFC 3834, and who was answered
// already.
func (r *Receiver) reply(t *tray, domain bool, replies []*gateway.AutoReply) error {
	for i := range t.copies {
		c, answer, account := &t.copies[i], replies[i], t.copies[i].Account
		if answer == nil {
			continue
		}
		if domain {
			account = 0
		}
		c.Keep = true            // what is answered has to be there
		var from gateway.Address // none: the mailbox
		if answer.From != "" {
			var err error
			if from, err = content.ParseAddress(answer.From); err != nil {
				return err
			}
		}
		t.effects.Intents = append(t.effects.Intents, gateway.Intent{
			ID: newID(), Domain: t.domain.ID, Account: account, Plugin: answer.Plugin, Answers: c.ID,
			Mail:    gateway.Compose{From: from, Subject: answer.Subject, Text: answer.Text, HTML: answer.HTML},
			Created: t.arrived, Due: t.arrived,
		})
		if domain {
			return nil
		}
	}
	return nil
}

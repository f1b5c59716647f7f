package mailbox

import (
	"context"
	"io"

	"github.com/centerleap/postern/gateway"
)

// LookAtEvent is what an event is about, as it stands now: the message where the event
// found it, or where it is. There is no message in it if the event is about none, or the
// message is gone. NotFound if the account is.
func (m *Mail) LookAtEvent(ctx context.Context, s gateway.Scope, e *gateway.Event) (*gateway.Look, error) {
	d, err := m.cfg.Store.Domain(ctx, s, e.Domain)
	if err != nil {
		return nil, err
	}
	owner := ""
	if e.Account != 0 {
		a, err := m.cfg.Store.AccountByID(ctx, s, e.Domain, e.Account)
		if err != nil {
			return nil, err
		}
		owner = a.Email
	}
	msg, err := m.messageOf(ctx, s, e)
	if err != nil {
		return nil, err
	}
	if msg == nil {
		return &gateway.Look{Account: e.Account, Mailbox: owner, Domain: d.Name}, nil
	}
	look := m.look(msg, owner, msg.Prefix, func(off, n int64) (io.ReadCloser, error) {
		return m.cfg.Store.OpenBlob(ctx, s, msg.Blob, off, n)
	})
	look.Domain, look.Via = d.Name, ""
	look.Envelope = gateway.Envelope{ReturnPath: msg.ReturnPath, Recipients: msg.Recipients}
	look.Automation = m.automation(ctx, s, look)
	look.Conversation = m.conversation(ctx, s, look)
	at := placeOf(msg, e)
	boxes, err := m.folders(ctx, s, msg.Domain, msg.Account)
	look.Folder, look.Flags, look.Labels = boxes[at.Mailbox].Name, at.Flags, at.Labels
	return look, err
}

// messageOf finds the message of an event; nil if there is none.
func (m *Mail) messageOf(ctx context.Context, s gateway.Scope, e *gateway.Event) (msg *gateway.Message, err error) {
	switch {
	case !e.Email.IsZero():
		msg, err = m.cfg.Store.Message(ctx, s, e.Email)
	case e.UID != 0:
		msg, err = m.cfg.Store.MessageByUID(ctx, s, gateway.Place{Domain: e.Domain, Account: e.Account, Mailbox: e.Mailbox, UID: e.UID})
	}
	if gateway.KindOf(err) == gateway.NotFound || msg != nil && msg.Account != e.Account {
		return nil, nil
	}
	return msg, err
}

// placeOf is the entry that an event is about, or else the message's first.
func placeOf(msg *gateway.Message, e *gateway.Event) (at gateway.Entry) {
	for i := range msg.Entries {
		switch en := &msg.Entries[i]; {
		case en.Mailbox == e.Mailbox && en.UID == e.UID:
			return *en
		case at.UID == 0 || en.Mailbox < at.Mailbox:
			at = *en
		}
	}
	return at
}

// Happened is the message that an event is about, where the event found it or where it is
// now; Message is nil in it if there is none any more. NotFound if its account is gone.
func (m *Mail) Happened(ctx context.Context, s gateway.Scope, e *gateway.Event) (it Item, err error) {
	a, err := m.cfg.Store.AccountByID(ctx, s, e.Domain, e.Account)
	if err != nil {
		return it, err
	}
	it.Email = a.Email
	msg, err := m.messageOf(ctx, s, e)
	if err != nil || msg == nil {
		return it, err
	}
	boxes, err := m.folders(ctx, s, msg.Domain, msg.Account)
	it.Message, it.Entry = msg, placeOf(msg, e)
	it.Folder = boxes[it.Entry.Mailbox].Name
	return it, err
}

package mailbox

import (
	"bytes"
	"context"
	"io"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// Get finds one message to read. A Message-ID that names several takes the one
// in INBOX first, then the newest.
func (m *Mail) Get(ctx context.Context, s gateway.Scope, ref Ref) (Item, error) {
	found, err := m.find(ctx, s, ref)
	if err != nil {
		return Item{}, err
	}
	best := found[0]
	for _, it := range found[1:] {
		if better(&it, &best) {
			best = it
		}
	}
	return best, nil
}

func better(a, b *Item) bool {
	if ina, inb := a.Folder == gateway.Inbox, b.Folder == gateway.Inbox; ina != inb {
		return ina
	}
	return a.Message.Arrived.After(b.Message.Arrived)
}

// One finds the one message to act on, wherever it stands; several are a conflict,
// never a guess.
func (m *Mail) One(ctx context.Context, s gateway.Scope, ref Ref) (Item, error) {
	found, err := m.find(ctx, s, ref)
	if err != nil {
		return Item{}, err
	}
	if len(found) > 1 {
		return Item{}, ambiguous(found)
	}
	return found[0], nil
}

// one is One for a change of an entry: the message must not stand in two folders
// unless ref says which.
func (m *Mail) one(ctx context.Context, s gateway.Scope, ref Ref) (Item, error) {
	it, err := m.One(ctx, s, ref)
	if err == nil && ref.Folder == "" && len(it.Message.Entries) > 1 {
		err = ambiguous([]Item{it})
	}
	return it, err
}

func ambiguous(found []Item) error {
	e := gateway.Errorf(gateway.AmbiguousID, "the id names several emails; use an email_id, with folder if it stands in two:")
	for _, it := range found {
		e.Message += " " + it.Message.ID.String()
		e.IDs = append(e.IDs, it.Message.ID)
	}
	return e
}

// find returns all messages that ref names within the scope, at least one.
func (m *Mail) find(ctx context.Context, s gateway.Scope, ref Ref) ([]Item, error) {
	a, err := m.account(ctx, s, ref.Email)
	if err != nil {
		return nil, err
	}
	all, err := m.named(ctx, s, a, &ref)
	if err != nil {
		return nil, err
	}
	var found []Item
	for _, msg := range all {
		if a != nil && msg.Account != a.ID || !ref.Key.IsZero() && msg.Key != ref.Key {
			continue
		}
		owner, err := m.cfg.Store.AccountByID(ctx, s, msg.Domain, msg.Account)
		if err != nil {
			return nil, err
		}
		boxes, err := m.folders(ctx, s, msg.Domain, msg.Account)
		if err != nil {
			return nil, err
		}
		it := boxes.item(msg, owner, ref.Folder)
		for _, e := range msg.Entries { // it may stand there twice
			if e.UID == ref.UID && e.Mailbox == it.Entry.Mailbox {
				it.Entry = e
			}
		}
		if ref.Folder == "" || it.Folder == gateway.FoldMailbox(ref.Folder) {
			found = append(found, it)
		}
	}
	if len(found) == 0 {
		return nil, gateway.Errorf(gateway.NotFound, "no such email")
	}
	return found, nil
}

// named reads the messages that a ref's one name means.
func (m *Mail) named(ctx context.Context, s gateway.Scope, a *gateway.Account, ref *Ref) ([]*gateway.Message, error) {
	var msg *gateway.Message
	var err error
	switch {
	case !ref.ID.IsZero():
		msg, err = m.cfg.Store.Message(ctx, s, ref.ID)
	case ref.MessageID != "":
		var owner gateway.AccountID
		if a != nil {
			owner = a.ID
		}
		return m.cfg.Store.MessagesByMessageID(ctx, s, owner, ref.MessageID)
	default:
		if a == nil {
			return nil, needsEmail()
		}
		if ref.Folder == "" {
			ref.Folder = gateway.Inbox
		}
		boxes, err := m.folders(ctx, s, a.Domain, a.ID)
		if err != nil {
			return nil, err
		}
		box, err := boxes.named(ref.Folder)
		if err != nil {
			return nil, err
		}
		at := gateway.Place{Domain: a.Domain, Account: a.ID, Mailbox: box.ID, UID: ref.UID}
		msg, err = m.cfg.Store.MessageByUID(ctx, s, at)
		if err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	return []*gateway.Message{msg}, nil
}

// item shows a message at its entry in folder; without one, in INBOX or else
// where it stands.
func (f folders) item(msg *gateway.Message, a *gateway.Account, folder string) Item {
	it := Item{Message: msg, Email: a.Email}
	if folder == "" {
		folder = gateway.Inbox
	}
	for i, e := range msg.Entries {
		if name := f[e.Mailbox].Name; i == 0 || name == gateway.FoldMailbox(folder) {
			it.Entry, it.Folder = e, name
		}
	}
	return it
}

// Read returns what a message says. Without a text part, the text is that of
// the visible HTML.
func (m *Mail) Read(ctx context.Context, s gateway.Scope, it Item) (b Body, err error) {
	c := &it.Message.Content
	var cut bool
	if c.HTMLPart >= 0 {
		if b.HTML, b.Cut, err = m.text(ctx, s, it.Message, &c.Parts[c.HTMLPart]); err != nil {
			return b, err
		}
	}
	if c.TextPart >= 0 {
		b.TextFrom = "part"
		b.Text, cut, err = m.text(ctx, s, it.Message, &c.Parts[c.TextPart])
		b.Cut = b.Cut || cut
		return b, err
	}
	if b.HTML != "" {
		b.TextFrom = "html"
		b.Text, b.Hidden = content.VisibleText(b.HTML)
	}
	return b, nil
}

func (m *Mail) text(ctx context.Context, s gateway.Scope, msg *gateway.Message, p *gateway.Part) (string, bool, error) {
	r, err := m.cfg.Store.OpenBlob(ctx, s, msg.Blob, p.BodyAt, p.BodySize)
	if err != nil {
		return "", false, err
	}
	defer r.Close()
	return content.Text(r, p, gateway.MaxTextRead)
}

// Header lists the fields of a message as they stand, trace fields first.
func (m *Mail) Header(ctx context.Context, s gateway.Scope, it Item) ([]gateway.HeaderField, error) {
	msg := it.Message
	r := content.Reading{Content: &msg.Content, Prefix: msg.Prefix, Limits: m.cfg.Limits, Open: func(off, n int64) (io.ReadCloser, error) {
		return m.cfg.Store.OpenBlob(ctx, s, msg.Blob, off, n)
	}}
	return r.Header()
}

// Raw opens the whole message and tells its size.
func (m *Mail) Raw(ctx context.Context, s gateway.Scope, it Item) (io.ReadCloser, int64, error) {
	r, err := m.cfg.Store.OpenBlob(ctx, s, it.Message.Blob, 0, -1)
	if err != nil {
		return nil, 0, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(it.Message.Prefix), r), r}, it.Message.Size(), nil
}

// Deliveries lists what became of a sent message, recipient by recipient.
func (m *Mail) Deliveries(ctx context.Context, s gateway.Scope, it Item) ([]gateway.Delivery, error) {
	return m.cfg.Store.Deliveries(ctx, s, it.Message.Domain, it.Message.Account, it.Message.Number)
}

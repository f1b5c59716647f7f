package imapd

import (
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// Create makes a mailbox.
func (s *session) Create(name string, o *imap.CreateOptions) error {
	create := s.door.cfg.Mail.CreateFolder
	switch {
	case len(o.SpecialUse) == 1 && o.SpecialUse[0] == imap.MailboxAttrArchive:
		create = s.door.cfg.Mail.CreateArchive
	case len(o.SpecialUse) > 0: // RFC 6154 section 3
		return refuse("USEATTR", "one mailbox has this use, and is there from the start")
	}
	box, err := create(s.ctx, s.scope, s.account, strings.TrimSuffix(name, mailbox.Separator))
	if err != nil || !s.c.offers["OBJECTID"] {
		return s.failed(err)
	}
	id := appendObjectID(nil, mailbox.ObjectID(s.account, box.ID))
	return s.answer(s.buf[:0], "MAILBOXID "+string(id), "CREATE")
}

// Delete removes a mailbox with what is in it.
func (s *session) Delete(name string) error {
	return s.failed(s.door.cfg.Mail.DeleteFolder(s.ctx, s.scope, s.account, name))
}

// Rename gives a mailbox another name.
func (s *session) Rename(name, to string, _ *imap.RenameOptions) error {
	return s.failed(s.door.cfg.Mail.RenameFolder(s.ctx, s.scope, s.account, name, to))
}

// Subscribe shows a mailbox in LSUB.
func (s *session) Subscribe(name string) error { return s.subscribe(name, true) }

// Unsubscribe hides it there.
func (s *session) Unsubscribe(name string) error { return s.subscribe(name, false) }

func (s *session) subscribe(name string, on bool) error {
	return s.failed(s.door.cfg.Mail.Subscribe(s.ctx, s.scope, s.account, name, on))
}

// Status counts what is in a mailbox.
func (s *session) Status(name string, o *imap.StatusOptions) (*imap.StatusData, error) {
	if s.c.note.name != "STATUS" {
		return nil, s.quota(name)
	}
	box, err := s.door.cfg.Mail.Box(s.ctx, s.scope, s.account, name)
	if err != nil {
		return nil, s.failed(err)
	}
	s.known(&box)
	return s.status(&box, o)
}

func (s *session) status(box *gateway.Mailbox, o *imap.StatusOptions) (*imap.StatusData, error) {
	total, unseen, none, limit := uint32(box.Total), uint32(box.Unseen), uint32(0), s.AppendLimit()
	d := &imap.StatusData{
		Mailbox: box.Name, NumMessages: &total, NumRecent: &none, UIDNext: imap.UID(box.UIDNext),
		UIDValidity: box.UIDValidity, NumUnseen: &unseen, AppendLimit: &limit,
	}
	if o.Size || o.NumDeleted || o.DeletedStorage {
		t, err := s.door.cfg.Mail.Totals(s.ctx, s.scope, s.account, box.ID)
		if err != nil {
			return nil, s.failed(err)
		}
		deleted := uint32(t.Deleted)
		d.Size, d.NumDeleted, d.DeletedStorage = &t.Bytes, &deleted, &t.DeletedBytes
	}
	return d, nil
}

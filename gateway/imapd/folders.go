package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// Create makes a mailbox.
func (s *session) Create(name string, o *imap.CreateOptions) error {
	if len(o.SpecialUse) > 0 {
		return refuse("USEATTR", "the mailboxes of special use are there from the start")
	}
	box, err := s.door.cfg.Mail.CreateFolder(s.ctx, s.scope, s.account, strings.TrimSuffix(name, mailbox.Separator))
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

// List writes the mailboxes whose names match.
func (s *session) List(w *imapserver.ListWriter, ref string, patterns []string, o *imap.ListOptions) error {
	if len(patterns) == 0 || len(patterns) == 1 && patterns[0] == "" { // what separates levels, RFC 9051 section 6.3.9
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: '/'})
	}
	boxes, err := s.door.cfg.Mail.Boxes(s.ctx, s.scope, s.account)
	if err != nil {
		return s.failed(err)
	}
	slices.SortStableFunc(boxes, func(a, b gateway.Mailbox) int { return strings.Compare(sortName(a), sortName(b)) })
	for i := range boxes {
		box := &boxes[i]
		wanted := slices.ContainsFunc(patterns, func(p string) bool { return matches(ref+p, box.Name) })
		if !wanted || o.SelectSubscribed && box.Hidden || o.SelectSpecialUse && box.SpecialUse == "" {
			continue
		}
		data := &imap.ListData{Attrs: attributes(box, boxes, o), Delim: '/', Mailbox: box.Name}
		if o.ReturnStatus != nil {
			if data.Status, err = s.status(box, o.ReturnStatus); err != nil {
				return err
			}
			s.known(box)
		}
		if err := w.WriteList(data); err != nil {
			return err
		}
	}
	return nil
}

// sortName puts the mailboxes every account has before the others.
func sortName(m gateway.Mailbox) string {
	for i, known := range gateway.StandardMailboxes {
		if m.Name == known.Name {
			return string(rune(i))
		}
	}
	return "~" + m.Name
}

func attributes(box *gateway.Mailbox, all []gateway.Mailbox, o *imap.ListOptions) []imap.MailboxAttr {
	attrs := []imap.MailboxAttr{imap.MailboxAttrHasNoChildren}
	if slices.ContainsFunc(all, func(m gateway.Mailbox) bool { return strings.HasPrefix(m.Name, box.Name+mailbox.Separator) }) {
		attrs[0] = imap.MailboxAttrHasChildren
	}
	if box.SpecialUse != "" {
		attrs = append(attrs, imap.MailboxAttr(box.SpecialUse))
	}
	if !box.Hidden && (o.ReturnSubscribed || o.SelectSubscribed) {
		attrs = append(attrs, imap.MailboxAttrSubscribed)
	}
	return attrs
}

// matches compares a name with a LIST pattern in time that grows with both alone:
// "*" is any text, "%" any within a level. INBOX is the same in any case.
func matches(pattern, name string) bool {
	if strings.EqualFold(pattern, gateway.Inbox) {
		pattern = gateway.Inbox
	}
	reach := make([]bool, len(name)+1) // the prefixes of name that the pattern so far matches
	reach[0] = true
	for i := range len(pattern) {
		c := pattern[i]
		if c == '*' || c == '%' {
			for j := range len(name) {
				reach[j+1] = reach[j+1] || reach[j] && (c == '*' || name[j] != '/')
			}
			continue
		}
		for j := len(name); j > 0; j-- {
			reach[j] = reach[j-1] && name[j-1] == c
		}
		reach[0] = false
	}
	return reach[len(name)]
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

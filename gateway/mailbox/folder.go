package mailbox

import (
	"context"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/threading"
)

// Separator stands between the levels of a mailbox's name.
const Separator = gateway.MailboxSeparator

// CheckFolder says what is wrong with the name of a new mailbox.
func (m *Mail) CheckFolder(name string) error {
	why := gateway.MailboxFault(name)
	if int64(len(name)) > m.cfg.Limits.MailboxName {
		why = "it is too long"
	}
	if gateway.MailboxLevels(name) > m.cfg.Limits.MailboxLevels {
		why = "it has too many levels"
	}
	if why != "" {
		return gateway.Fieldf(gateway.InvalidParameter, "folder", "%.100q can't be a folder: %s", name, why)
	}
	return nil
}

// Box finds a mailbox of an account by name.
func (m *Mail) Box(ctx context.Context, s gateway.Scope, a *gateway.Account, name string) (gateway.Mailbox, error) {
	box, err := m.cfg.Store.MailboxNamed(ctx, s, a.Domain, a.ID, name)
	if gateway.KindOf(err) == gateway.NotFound {
		err = noFolder(name)
	}
	return box, err
}

// Boxes lists the mailboxes of an account.
func (m *Mail) Boxes(ctx context.Context, s gateway.Scope, a *gateway.Account) ([]gateway.Mailbox, error) {
	return m.cfg.Store.Mailboxes(ctx, s, a.Domain, a.ID)
}

// CreateFolder makes a mailbox.
func (m *Mail) CreateFolder(ctx context.Context, s gateway.Scope, a *gateway.Account, name string) (gateway.Mailbox, error) {
	name = gateway.FoldMailbox(name)
	if err := m.CheckFolder(name); err != nil {
		return gateway.Mailbox{}, err
	}
	return m.cfg.Store.CreateMailbox(ctx, s, a.Domain, a.ID, name)
}

// CreateArchive makes a mailbox for archived mail, besides the one every account has.
func (m *Mail) CreateArchive(ctx context.Context, s gateway.Scope, a *gateway.Account, name string) (gateway.Mailbox, error) {
	name = gateway.FoldMailbox(name)
	if err := m.CheckFolder(name); err != nil {
		return gateway.Mailbox{}, err
	}
	return m.cfg.Store.CreateMailboxFor(ctx, s, a.Domain, a.ID, name, gateway.UseArchive)
}

// RenameFolder gives a mailbox another name. To rename the inbox is to move what
// is in it to a new mailbox, RFC 9051 section 6.3.6.
func (m *Mail) RenameFolder(ctx context.Context, s gateway.Scope, a *gateway.Account, from, to string) error {
	to = gateway.FoldMailbox(to)
	if err := m.CheckFolder(to); err != nil {
		return err
	}
	box, err := m.Box(ctx, s, a, from)
	if err != nil {
		return err
	}
	if box.Name != gateway.Inbox {
		_, err = m.cfg.Store.RenameMailbox(ctx, s, selection(a, box.ID), to)
		return err
	}
	dest, err := m.cfg.Store.CreateMailbox(ctx, s, a.Domain, a.ID, to)
	if err != nil {
		return err
	}
	_, all, err := m.cfg.Store.Entries(ctx, s, selection(a, box.ID))
	if err != nil {
		return err
	}
	_, err = m.cfg.Store.Copy(ctx, s, selection(a, box.ID), uidsOf(all), dest.ID, true)
	return err
}

// maxEmptied is how often a mailbox is emptied that is to be deleted: mail may come
// meanwhile. Ours: who goes on filling it wants to have it.
const maxEmptied = 16

// DeleteFolder removes a mailbox and what is in it, for good.
func (m *Mail) DeleteFolder(ctx context.Context, s gateway.Scope, a *gateway.Account, name string) error {
	box, err := m.Box(ctx, s, a, name)
	if err != nil {
		return err
	}
	if err := m.mayDelete(box); err != nil {
		return err
	}
	for range maxEmptied {
		_, all, err := m.cfg.Store.Entries(ctx, s, selection(a, box.ID))
		if err != nil {
			return err
		}
		if _, err := m.cfg.Store.ExpungeAll(ctx, s, selection(a, box.ID), uidsOf(all), false); err != nil {
			return err
		}
		err = m.cfg.Store.DeleteMailbox(ctx, s, selection(a, box.ID))
		if err == nil || gateway.KindOf(err) != gateway.InvalidState { // else there is mail again
			return err
		}
	}
	return gateway.Errorf(gateway.InvalidState, "mail comes into the folder %s all the time", box.Name)
}

// RemoveFolder removes a mailbox that is empty. InvalidState if something is in it,
// or every account keeps it.
func (m *Mail) RemoveFolder(ctx context.Context, s gateway.Scope, a *gateway.Account, name string) error {
	box, err := m.Box(ctx, s, a, name)
	if err != nil {
		return err
	}
	return m.cfg.Store.DeleteMailbox(ctx, s, selection(a, box.ID))
}

// mayDelete refuses before anything is expunged.
func (m *Mail) mayDelete(box gateway.Mailbox) error {
	if int(box.ID) <= len(gateway.StandardMailboxes) {
		return gateway.Errorf(gateway.InvalidState, "every account keeps its folder %s", box.Name)
	}
	return nil
}

// Subscribe shows or hides a mailbox among those subscribed to. A mailbox that was
// deleted is among them no more: to hide it is done already.
func (m *Mail) Subscribe(ctx context.Context, s gateway.Scope, a *gateway.Account, name string, on bool) error {
	box, err := m.Box(ctx, s, a, name)
	if !on && err != nil && gateway.KindOf(err) == gateway.NotFound {
		return nil
	} else if err != nil {
		return err
	}
	return m.cfg.Store.SubscribeMailbox(ctx, s, selection(a, box.ID), on)
}

func selection(a *gateway.Account, box gateway.MailboxID) gateway.Selection {
	return gateway.Selection{Domain: a.Domain, Account: a.ID, Mailbox: box}
}

func uidsOf(all []gateway.Entry) []uint32 {
	uids := make([]uint32, len(all))
	for i := range all {
		uids[i] = all[i].UID
	}
	return uids
}

// Appended says where a message went.
type Appended struct {
	UIDValidity uint32
	UID         uint32
}

// Appending is a message that a client brings.
type Appending struct {
	Folder string
	At     time.Time // INTERNALDATE; zero: now
	Flags  gateway.Flags
	Labels []string
	Body   io.Reader
	Size   int64 // of Body
}

// appendBuffer is how much of a message is read at once, in bytes; ours.
const appendBuffer = 32 << 10

// Append puts a message into a mailbox, as an IMAP client does with what it sent
// or drafted. The bytes stay as they are. NotFound if there is no such mailbox.
func (m *Mail) Append(ctx context.Context, s gateway.Scope, a *gateway.Account, in Appending) (Appended, error) {
	box, err := m.Box(ctx, s, a, in.Folder)
	if err != nil {
		return Appended{}, err
	}
	if err := checkLabels(in.Labels); err != nil {
		return Appended{}, err
	}
	body, err := m.cfg.Store.CreateBlob(ctx, s, a.Domain, in.Size)
	if err != nil {
		return Appended{}, err
	}
	defer body.Close()
	if _, err := io.CopyBuffer(body, in.Body, make([]byte, min(max(in.Size, 1), appendBuffer))); err != nil {
		return Appended{}, err
	}
	msg, err := m.read(ctx, s, a, body, in.At)
	if err != nil {
		return Appended{}, err
	}
	e, err := m.cfg.Store.Append(ctx, s, selection(a, box.ID), &gateway.Appending{
		Message: msg, Facts: threading.Facts(&msg.Content, msg.Arrived), Flags: in.Flags, Labels: in.Labels,
	})
	if err == nil {
		m.selected.tell(selection(a, box.ID), &e)
	}
	return Appended{box.UIDValidity, e.UID}, err
}

// read makes a message of sealed bytes.
func (m *Mail) read(ctx context.Context, s gateway.Scope, a *gateway.Account, body gateway.BlobWriter, at time.Time) (*gateway.Message, error) {
	blob, err := body.Seal()
	if err != nil {
		return nil, err
	}
	in, err := m.cfg.Store.OpenBlob(ctx, s, blob, 0, -1)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	c, err := content.Scan(in, m.cfg.Limits)
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		at = m.cfg.Now()
	}
	return &gateway.Message{
		ID: gateway.ID(uuid.Must(uuid.NewV7())), Domain: a.Domain, Arrived: at.UTC(), Recipients: []string{a.Email}, Blob: blob, Content: *c,
	}, nil
}

// Totals is what is in a mailbox, in bytes.
type Totals struct {
	Bytes, DeletedBytes int64 // DeletedBytes is what expunging those that are marked gives back
	Deleted             int   // messages that are marked so
}

// lastOf reports whether to expunge what is marked in a mailbox frees the bytes of a
// message, and that by this entry: it may stand there twice, or elsewhere, too.
func (m *Mail) lastOf(ctx context.Context, s gateway.Scope, id gateway.ID, e gateway.Entry) (bool, error) {
	msg, err := m.cfg.Store.Message(ctx, s, id)
	if err != nil {
		if gateway.KindOf(err) == gateway.NotFound {
			err = nil // it went meanwhile
		}
		return false, err
	}
	for _, o := range msg.Entries {
		if o.Mailbox != e.Mailbox || !o.Flags.Has(gateway.Deleted) || o.UID > e.UID {
			return false, nil
		}
	}
	return true, nil
}

// Totals adds up a mailbox.
func (m *Mail) Totals(ctx context.Context, s gateway.Scope, a *gateway.Account, box gateway.MailboxID) (t Totals, err error) {
	_, all, err := m.cfg.Store.Entries(ctx, s, selection(a, box))
	if err != nil {
		return t, err
	}
	for len(all) > 0 {
		batch := all[:min(len(all), maxEventsRead)]
		all = all[len(batch):]
		numbers := make([]gateway.MessageNumber, len(batch))
		for i := range batch {
			numbers[i] = batch[i].Message
		}
		msgs, err := m.cfg.Store.Messages(ctx, s, a.Domain, a.ID, numbers, false)
		if err != nil {
			return t, err
		}
		for i, msg := range msgs {
			if msg == nil {
				continue
			}
			t.Bytes += msg.Size()
			if batch[i].Flags.Has(gateway.Deleted) {
				t.Deleted++
				if last, err := m.lastOf(ctx, s, msg.ID, batch[i]); err != nil {
					return t, err
				} else if last {
					t.DeletedBytes += msg.Size()
				}
			}
		}
	}
	return t, nil
}

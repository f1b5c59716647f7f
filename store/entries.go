package store

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func mailboxKey(d gateway.DomainID, a gateway.AccountID, m gateway.MailboxID) []byte {
	return key(subMailbox, d).account(a).mailbox(m)
}

func entryKey(d gateway.DomainID, a gateway.AccountID, m gateway.MailboxID, uid uint32) []byte {
	return key(subEntry, d).account(a).mailbox(m).u32(uid)
}

func readMailbox(r engine.Reader, d gateway.DomainID, a gateway.AccountID, m gateway.MailboxID) (*gateway.Mailbox, error) {
	return load(r, mailboxKey(d, a, m), func(b []byte) (*gateway.Mailbox, error) { return decodeMailbox(m, b) })
}

func readEntry(r engine.Reader, d gateway.DomainID, a gateway.AccountID, m gateway.MailboxID, uid uint32) (gateway.Entry, error) {
	return entriesOf(r, d).read(a, m, uid)
}

// mailboxNamed finds a mailbox of an account. Nearly all mail goes where every account's
// goes: those are looked at by their number first, for a walk over all costs a delivery
// more than everything else that it reads.
func mailboxNamed(r engine.Reader, d gateway.DomainID, a gateway.AccountID, name string) (found *gateway.Mailbox, err error) {
	name = gateway.FoldMailbox(name)
	if i := slices.IndexFunc(gateway.StandardMailboxes[:], func(m gateway.StandardMailbox) bool { return m.Name == name }); i >= 0 {
		m, err := readMailbox(r, d, a, gateway.MailboxID(i+1))
		if err == nil && m.Name == name || err != nil && !errors.Is(err, engine.ErrNotFound) {
			return m, err
		} // else it was renamed or deleted, and another may have its name
	}
	err = r.Scan(engine.Prefix(key(subMailbox, d).account(a)), func(k, v []byte) error {
		m, err := decodeMailbox(gateway.MailboxID(binary.BigEndian.Uint32(k[9:])), v)
		if err != nil {
			return err
		}
		if gateway.FoldMailbox(m.Name) == name { // one from before may begin with inbox
			found = m
			return engine.ErrStop
		}
		return nil
	})
	if err == nil && found == nil {
		err = denied("folder")
	}
	return found, err
}

// addEntry puts m into a mailbox: the next UID, and an event of the given type
// whose sequence is the entry's MODSEQ. m's record still has to be written. Labels that
// the mailbox has no room for are dropped.
func (t *tx) addEntry(m *stored, box *gateway.Mailbox, flags gateway.Flags, labels []string, typ gateway.EventType) gateway.Entry {
	e := gateway.Entry{
		Mailbox: box.ID, UID: box.UIDNext, Message: m.Number, Flags: flags, Labels: t.bring(box, labels), Saved: t.now, Arrived: m.Arrived, Size: m.Size(),
	}
	e.ModSeq = t.emit(gateway.Event{
		Type: typ, Account: m.Account, Mailbox: box.ID, Folder: box.Name, UID: e.UID, Message: m.Number, Email: m.ID,
	})
	box.UIDNext++
	box.Total++
	if !flags.Has(gateway.Seen) {
		box.Unseen++
	}
	box.ModSeq = e.ModSeq
	m.Stands = append(m.Stands, entryRef{box.ID, e.UID})
	t.Set(entryKey(t.domain, m.Account, box.ID, e.UID), encodeEntry(&e))
	t.Set(listKey(t.domain, m.Account, box.ID, m.Arrived, m.Number, e.UID), nil)
	t.Set(mailboxKey(t.domain, m.Account, box.ID), encodeMailbox(box))
	return e
}

// removeEntry takes m out of a mailbox. m's record still has to be written.
func (t *tx) removeEntry(m *stored, box *gateway.Mailbox, e gateway.Entry, modseq uint64) error {
	box.Total--
	if !e.Flags.Has(gateway.Seen) {
		box.Unseen--
	}
	t.vanish(m.Account, box, e.UID, modseq)
	box.ModSeq = modseq
	m.Stands = slices.DeleteFunc(m.Stands, func(r entryRef) bool { return r == entryRef{box.ID, e.UID} })
	t.Delete(listKey(t.domain, m.Account, box.ID, m.Arrived, m.Number, e.UID))
	t.Set(mailboxKey(t.domain, m.Account, box.ID), encodeMailbox(box))
	return t.dropEntry(m.Account, box.ID, e.UID)
}

// stand is an entry with all it hangs on.
type stand struct {
	message *stored
	box     *gateway.Mailbox
	entry   gateway.Entry
}

func (t *tx) stand(at gateway.Place) (st stand, err error) {
	if st.entry, err = t.entries.read(at.Account, at.Mailbox, at.UID); err != nil {
		return st, missing(err, "email")
	}
	if st.box, err = readMailbox(t, t.domain, at.Account, at.Mailbox); err != nil {
		return st, missing(err, "folder")
	}
	st.message, err = readMessage(t, t.domain, at.Account, st.entry.Message)
	return st, missing(err, "email")
}

// change runs fn on one entry in a commit of its domain, which is accepted when
// the disk is nearly full: mail must go to Trash, to be deleted there.
func (s *Store) change(ctx context.Context, sc gateway.Scope, at gateway.Place, fn func(*tx, stand) error) error {
	if !sc.Covers(at.Domain, at.Account) {
		return denied("email")
	}
	return s.frees(ctx, at.Domain, func(t *tx) error {
		st, err := t.stand(at)
		if err != nil {
			return err
		}
		return fn(t, st)
	})
}

// Change changes flags and labels of one entry and, with a folder, moves it
// there: one commit. The entry gets a new UID where it goes, and keeps its flags
// and labels. What changes nothing draws no sequence.
func (s *Store) Change(ctx context.Context, sc gateway.Scope, at gateway.Place, c gateway.FlagChange, folder string) (e gateway.Entry, err error) {
	err = s.change(ctx, sc, at, func(t *tx, st stand) error {
		if err := t.room(at.Account, st.box, c.AddLabels); err != nil {
			return err
		}
		t.flag(&st, c)
		if folder != "" {
			to, err := mailboxNamed(t, t.domain, at.Account, folder)
			if err != nil {
				return err
			}
			if to.ID != st.box.ID {
				if err := t.roomToMove(at.Account, to, st.entry.Labels); err != nil {
					return err
				}
				if st.entry, err = t.move(st, to); err != nil {
					return err
				}
			}
		}
		e = st.entry
		return nil
	})
	return e, err
}

// flag applies a change to st, whose entry and mailbox it updates. Labels that the mailbox
// has no room for are dropped.
func (t *tx) flag(st *stand, c gateway.FlagChange) {
	c.AddLabels = t.bring(st.box, c.AddLabels)
	e, changed := t.flagged(st.entry, c)
	if !changed {
		return
	}
	e.ModSeq = t.emit(st.event(gateway.EventUpdated))
	st.box.ModSeq = e.ModSeq
	st.box.Unseen += unseen(e.Flags) - unseen(st.entry.Flags)
	st.entry = e
	a := st.message.Account
	t.Set(entryKey(t.domain, a, e.Mailbox, e.UID), encodeEntry(&e))
	t.Set(mailboxKey(t.domain, a, e.Mailbox), encodeMailbox(st.box))
}

// flagged is e after a change.
func (t *tx) flagged(e gateway.Entry, c gateway.FlagChange) (after gateway.Entry, changed bool) {
	after = e
	if c.Replace {
		after.Flags, after.Labels = 0, nil
	}
	after.Flags = after.Flags&^c.Remove | c.Add
	after.Labels = relabel(after.Labels, c, int(t.store.cfg.Limits.Labels))
	return after, after.Flags != e.Flags || !slices.Equal(after.Labels, e.Labels)
}

// move takes st's entry to another mailbox.
func (t *tx) move(st stand, to *gateway.Mailbox) (gateway.Entry, error) {
	gone := st.event(gateway.EventMoved)
	gone.Detail = to.Name
	if err := t.removeEntry(st.message, st.box, st.entry, t.emit(gone)); err != nil {
		return gateway.Entry{}, err
	}
	e := t.addEntry(st.message, to, st.entry.Flags, st.entry.Labels, gateway.EventMoved)
	t.putMessage(st.message)
	return e, nil
}

// event is what the feed says about st.
func (st *stand) event(typ gateway.EventType) gateway.Event {
	return gateway.Event{
		Type: typ, Account: st.message.Account, Mailbox: st.box.ID, Folder: st.box.Name,
		UID: st.entry.UID, Message: st.entry.Message, Email: st.message.ID,
	}
}

func unseen(f gateway.Flags) int64 {
	if f.Has(gateway.Seen) {
		return 0
	}
	return 1
}

// relabel applies a change to a set of labels; keywords ignore case, RFC 9051
// section 2.3.2. What is over the limit is dropped.
func relabel(labels []string, c gateway.FlagChange, most int) []string {
	var out []string
	for _, l := range append(slices.Clone(labels), c.AddLabels...) {
		if len(out) < most && !hasLabel(out, l) && !hasLabel(c.RemoveLabels, l) {
			out = append(out, l)
		}
	}
	return out
}

// Expunge removes an entry for good; the message goes with its last entry.
func (s *Store) Expunge(ctx context.Context, sc gateway.Scope, at gateway.Place) error {
	return s.change(ctx, sc, at, func(t *tx, st stand) error {
		if err := t.removeEntry(st.message, st.box, st.entry, t.emit(st.event(gateway.EventDeleted))); err != nil {
			return err
		}
		if len(st.message.Stands) > 0 {
			t.putMessage(st.message)
			return nil
		}
		return t.dropMessage(st.message)
	})
}

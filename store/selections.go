package store

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What IMAP does to a selected mailbox: it means many entries at once, by UID.
// Entries that are gone meanwhile are passed over; the caller sees which by what
// is returned.

// maxSelected bounds the entries of one commit; callers go on with the rest in
// another. An engine takes about 100,000 writes in one, and a move is eight.
const maxSelected = 1000

func (t *tx) selected(at gateway.Selection, uid uint32) (st stand, found bool, err error) {
	st.entry, err = t.entries.read(at.Account, at.Mailbox, uid)
	if errors.Is(err, engine.ErrNotFound) {
		return st, false, nil
	} else if err != nil {
		return st, false, err
	}
	st.message, err = readMessage(t, t.domain, at.Account, st.entry.Message)
	return st, err == nil, missing(err, "email")
}

// selection runs fn, with the mailbox, on chunks of uids, each in one commit.
func (s *Store) selection(ctx context.Context, sc gateway.Scope, at gateway.Selection, uids []uint32, commit committer, fn func(*tx, *gateway.Mailbox, []uint32) error) error {
	if !sc.Covers(at.Domain, at.Account) {
		return denied("folder")
	}
	for len(uids) > 0 {
		chunk := uids[:min(len(uids), maxSelected)]
		uids = uids[len(chunk):]
		err := commit(ctx, at.Domain, func(t *tx) error {
			box, err := readMailbox(t, t.domain, at.Account, at.Mailbox)
			if err != nil {
				return missing(err, "folder")
			}
			return fn(t, box, chunk)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Entries returns a mailbox with all its entries, by UID.
func (s *Store) Entries(ctx context.Context, sc gateway.Scope, at gateway.Selection) (box gateway.Mailbox, all []gateway.Entry, err error) {
	box, err = s.WalkEntries(ctx, sc, at, func(_ *gateway.Mailbox, e *gateway.Entry) { all = append(all, *e) })
	return box, all, err
}

// WalkEntries returns a mailbox and shows fn all its entries, by UID, all of one moment.
func (s *Store) WalkEntries(ctx context.Context, sc gateway.Scope, at gateway.Selection, fn func(*gateway.Mailbox, *gateway.Entry)) (box gateway.Mailbox, err error) {
	if !sc.Covers(at.Domain, at.Account) {
		return box, denied("folder")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		head, err := readMailbox(r, at.Domain, at.Account, at.Mailbox)
		if err != nil {
			return missing(err, "folder")
		}
		box = *head
		return entriesOf(r, at.Domain).scan(at, 0, func(e gateway.Entry) error {
			fn(head, &e)
			return nil
		})
	})
	return box, err
}

// dense reports whether so many of the UIDs between the first and the last are meant, in
// order, that it is quicker to walk over all.
func dense(uids []uint32) bool {
	n := len(uids)
	return n >= 16 && int64(uids[n-1])-int64(uids[0]) < int64(4*n)
}

// some shows fn those of the UIDs, in order, that are there.
func (r *entryReader) some(at gateway.Selection, uids []uint32, fn func(gateway.Entry) error) error {
	if !dense(uids) {
		for _, uid := range uids {
			e, err := r.read(at.Account, at.Mailbox, uid)
			if errors.Is(err, engine.ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		return nil
	}
	rng := engine.Prefix(key(subEntry, at.Domain).account(at.Account).mailbox(at.Mailbox))
	rng.From = entryKey(at.Domain, at.Account, at.Mailbox, uids[0])
	return r.Scan(rng, func(k, v []byte) error {
		uid := lastUID(k)
		for len(uids) > 0 && uids[0] < uid {
			uids = uids[1:]
		}
		if len(uids) == 0 {
			return engine.ErrStop
		} else if uids[0] > uid {
			return nil
		}
		e, err := r.decode(at.Account, at.Mailbox, uid, v)
		if err != nil {
			return err
		}
		return fn(e)
	})
}

// EntriesAt reads some entries again; those that are gone are left out. The
// mailbox is nil when it is gone itself.
func (s *Store) EntriesAt(ctx context.Context, sc gateway.Scope, at gateway.Selection, uids []uint32) (box *gateway.Mailbox, some []gateway.Entry, err error) {
	if !sc.Covers(at.Domain, at.Account) {
		return nil, nil, denied("folder")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		if box, err = readMailbox(r, at.Domain, at.Account, at.Mailbox); errors.Is(err, engine.ErrNotFound) {
			box = nil
			return nil
		} else if err != nil {
			return err
		}
		entries := entriesOf(r, at.Domain)
		entries.newest = box.ModSeq // who has just arrived is in no page
		return entries.some(at, uids, func(e gateway.Entry) error {
			some = append(some, e)
			return nil
		})
	})
	return box, some, err
}

// Messages reads messages by number, with their structures if wanted, without
// their entries. One that is gone is nil.
func (s *Store) Messages(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber, structure bool) (all []*gateway.Message, err error) {
	if !sc.Covers(d, a) {
		return nil, denied("email")
	}
	all = make([]*gateway.Message, len(numbers))
	err = s.view(ctx, func(r engine.Reader) error {
		return readMessages(r, d, a, numbers, func(i int, m *stored) error {
			if structure {
				b, err := r.Get(structureKey(d, a, m.Number))
				if err != nil {
					return err
				}
				if err := decodeStructure(b, &m.Content); err != nil {
					return err
				}
			}
			all[i] = &m.Message
			return nil
		})
	})
	return all, err
}

// Overdue returns the UIDs of entries that came into a mailbox before a time: in
// order, from one UID on, at most most. Entries of unknown age are none of them.
func (s *Store) Overdue(ctx context.Context, sc gateway.Scope, at gateway.Selection, before time.Time, from uint32, most int) (uids []uint32, err error) {
	if !sc.Covers(at.Domain, at.Account) {
		return nil, denied("folder")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		return entriesOf(r, at.Domain).scan(at, from, func(e gateway.Entry) error {
			if len(uids) == most {
				return engine.ErrStop
			}
			if !e.Saved.IsZero() && e.Saved.Before(before) {
				uids = append(uids, e.UID)
			}
			return nil
		})
	})
	return uids, err
}

// Flag changes flags and labels of entries. All of one commit are one change:
// they have one sequence. It returns the entries as they stand then.
func (s *Store) Flag(ctx context.Context, sc gateway.Scope, at gateway.Selection, uids []uint32, c gateway.FlagChange) (after []gateway.Entry, err error) {
	after, _, err = s.FlagUnchanged(ctx, sc, at, uids, c, 1<<64-1)
	return after, err
}

// FlagUnchanged is Flag for those entries alone whose mod-sequence, in the commit, is
// since or less. It returns the UIDs of the others, too.
func (s *Store) FlagUnchanged(ctx context.Context, sc gateway.Scope, at gateway.Selection, uids []uint32, c gateway.FlagChange, since uint64) (after []gateway.Entry, others []uint32, err error) {
	var done []gateway.Entry
	var left []uint32
	err = s.selection(ctx, sc, at, uids, s.frees, func(t *tx, box *gateway.Mailbox, uids []uint32) error {
		after, others = done, left // Fn may run again
		f := flagging{t: t, at: at, box: box, change: c, since: since}
		known := make([]gateway.Entry, len(uids))
		for i, uid := range uids {
			known[i].UID = uid
		}
		if err := f.run(known); err != nil {
			return err
		}
		after, others = append(after, f.after...), append(others, f.others...)
		done, left = after, others
		return nil
	})
	return done, left, err
}

// ExpungeAll removes entries for good; messages go with their last entry. With
// marked, only those that have the flag Deleted. It returns what it removed.
func (s *Store) ExpungeAll(ctx context.Context, sc gateway.Scope, at gateway.Selection, uids []uint32, marked bool) (gone []uint32, err error) {
	var done []uint32
	err = s.selection(ctx, sc, at, uids, s.frees, func(t *tx, box *gateway.Mailbox, uids []uint32) error {
		gone = done
		event := gateway.Event{Type: gateway.EventDeleted, Account: at.Account, Mailbox: box.ID, Folder: box.Name}
		var stands []stand
		for _, uid := range uids {
			st, found, err := t.selected(at, uid)
			if err != nil {
				return err
			}
			if found && (!marked || st.entry.Flags.Has(gateway.Deleted)) {
				st.box = box
				stands = append(stands, st)
				event.UIDs = append(event.UIDs, uid)
			}
		}
		if len(stands) == 0 {
			return nil
		}
		seq := t.emit(event)
		for _, st := range stands {
			if err := t.expunge(st, seq); err != nil {
				return err
			}
		}
		gone = append(gone, event.UIDs...)
		done = gone
		return nil
	})
	return done, err
}

// expunge takes an entry out of its mailbox, and the message with its last one.
// Another entry of the same message may have changed it in this commit.
func (t *tx) expunge(st stand, seq uint64) error {
	m, err := readMessage(t, t.domain, st.message.Account, st.message.Number)
	if err != nil {
		return missing(err, "email")
	}
	if err := t.removeEntry(m, st.box, st.entry, seq); err != nil {
		return err
	}
	if len(m.Stands) > 0 {
		t.putMessage(m)
		return nil
	}
	return t.dropMessage(m)
}

// Copy adds entries for messages to another mailbox, or with move takes them
// there. Only entries are written, never bodies. It returns the new UIDs.
func (s *Store) Copy(ctx context.Context, sc gateway.Scope, at gateway.Selection, uids []uint32, to gateway.MailboxID, move bool) (out []gateway.Moved, err error) {
	commit, room := s.update, (*tx).room
	if move {
		commit, room = s.frees, (*tx).roomToMove
	}
	var done []gateway.Moved
	err = s.selection(ctx, sc, at, uids, commit, func(t *tx, from *gateway.Mailbox, uids []uint32) error {
		out = done
		dest := from
		if to != from.ID {
			if dest, err = readMailbox(t, t.domain, at.Account, to); err != nil {
				return missing(err, "folder")
			}
		}
		if !move {
			if err := t.mayGrow(at.Account); err != nil {
				return err
			}
		}
		for _, uid := range uids {
			st, found, err := t.selected(at, uid)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			st.box = from
			if err := room(t, at.Account, dest, st.entry.Labels); err != nil {
				return err
			}
			var e gateway.Entry
			if move {
				if e, err = t.move(st, dest); err != nil {
					return err
				}
			} else {
				e = t.addEntry(st.message, dest, st.entry.Flags, st.entry.Labels, gateway.EventAppended)
				t.putMessage(st.message)
			}
			out = append(out, gateway.Moved{From: uid, To: e.UID})
		}
		done = out
		return nil
	})
	return done, err
}

// Append puts a message into a mailbox. The mailbox of sent mail takes a
// Message-ID once: a client that sent over SMTP puts its copy beside ours.
func (s *Store) Append(ctx context.Context, sc gateway.Scope, at gateway.Selection, a *gateway.Appending) (e gateway.Entry, err error) {
	if !sc.Covers(at.Domain, at.Account) {
		return e, denied("folder")
	}
	err = s.update(ctx, at.Domain, func(t *tx) error {
		box, err := readMailbox(t, t.domain, at.Account, at.Mailbox)
		if err != nil {
			return missing(err, "folder")
		}
		if box.ID == gateway.SentMailbox {
			known, found, err := t.sentBefore(at, a.Message.Content.MessageID)
			if found || err != nil {
				e = known
				return err
			}
		}
		if err := t.room(at.Account, box, a.Labels); err != nil {
			return err
		}
		m := &stored{Message: *a.Message, Facts: a.Facts}
		m.Account, m.Sent, m.Entries = at.Account, box.ID == gateway.SentMailbox, nil
		if err := t.addMessage(m, placed{}); err != nil {
			return err
		}
		e = t.addEntry(m, box, a.Flags, a.Labels, gateway.EventAppended)
		t.putMessage(m)
		return nil
	})
	return e, err
}

// sentBefore finds a message of a Message-ID in the mailbox of sent mail.
func (t *tx) sentBefore(at gateway.Selection, msgid string) (e gateway.Entry, found bool, err error) {
	if msgid == "" {
		return e, false, nil
	}
	rng := engine.Prefix(messageIDKey(t.domain, msgid).account(at.Account))
	rng.KeysOnly, rng.Limit = true, maxNamesakes
	err = t.Scan(rng, func(k, _ []byte) error {
		m, err := readMessage(t, t.domain, at.Account, lastNumber(k))
		if err != nil {
			return err
		}
		for _, ref := range m.Stands {
			if ref.Mailbox == at.Mailbox && m.Content.MessageID == msgid {
				found = true
				if e, err = t.entries.read(at.Account, ref.Mailbox, ref.UID); err != nil {
					return err
				}
				return engine.ErrStop
			}
		}
		return nil
	})
	return e, found, err
}

package store

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// standing are the mailboxes that every account keeps, by number: flows name
// them.
func standing(id gateway.MailboxID) bool { return int(id) <= len(gateway.StandardMailboxes) }

// mailboxChange runs fn in a commit, with an event about the mailbox it returns.
func (s *Store) mailboxChange(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, commit committer, fn func(*tx) (*gateway.Mailbox, error)) (box gateway.Mailbox, err error) {
	if !sc.Covers(d, a) {
		return box, denied("folder")
	}
	err = commit(ctx, d, func(t *tx) error {
		m, err := fn(t)
		if err != nil {
			return err
		}
		t.emit(gateway.Event{Type: gateway.EventMailbox, Account: a, Mailbox: m.ID, Folder: m.Name})
		box = *m
		return nil
	})
	return box, err
}

// CreateMailbox makes a mailbox, and those above it that are missing. AlreadyExists if
// there is one of that name.
func (s *Store) CreateMailbox(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, name string) (gateway.Mailbox, error) {
	return s.CreateMailboxFor(ctx, sc, d, a, name, "")
}

// CreateMailboxFor is CreateMailbox with a special use.
func (s *Store) CreateMailboxFor(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, name, use string) (gateway.Mailbox, error) {
	return s.mailboxChange(ctx, sc, d, a, s.update, func(t *tx) (*gateway.Mailbox, error) {
		if err := t.nameFree(a, name); err != nil {
			return nil, err
		}
		return t.createMailbox(a, name, use)
	})
}

func (t *tx) nameFree(a gateway.AccountID, name string) error {
	_, err := mailboxNamed(t, t.domain, a, name)
	if err == nil {
		return gateway.Errorf(gateway.AlreadyExists, "there is a folder %s", name)
	}
	if gateway.KindOf(err) == gateway.NotFound {
		return nil
	}
	return err
}

// createMailbox makes a mailbox of a name that is free, and those above it that are
// missing, RFC 9051 section 6.3.4: all, or none if there would be too many. The event of
// the mailbox itself is the caller's.
func (t *tx) createMailbox(a gateway.AccountID, name, use string) (*gateway.Mailbox, error) {
	if err := t.createAbove(a, name, 1); err != nil {
		return nil, err
	}
	return t.makeMailbox(a, name, use)
}

// createAbove makes what is missing above a name, if there is room for that and for
// some others.
func (t *tx) createAbove(a gateway.AccountID, name string, others int) error {
	all, err := mailboxes(t, t.domain, a)
	if err != nil {
		return err
	}
	var missing []string
	for i := range name {
		above := gateway.FoldMailbox(name[:i])
		if name[i:i+1] == gateway.MailboxSeparator && !slices.ContainsFunc(all, func(m gateway.Mailbox) bool { return gateway.FoldMailbox(m.Name) == above }) {
			missing = append(missing, above)
		}
	}
	if most := t.store.cfg.Limits.MailboxesPerAccount; int64(len(all)+len(missing)+others) > most {
		return gateway.Errorf(gateway.InvalidState, "the account may have %d folders", most)
	}
	for _, above := range missing {
		m, err := t.makeMailbox(a, above, "")
		if err != nil {
			return err
		}
		t.emit(gateway.Event{Type: gateway.EventMailbox, Account: a, Mailbox: m.ID, Folder: m.Name})
	}
	return nil
}

func (t *tx) makeMailbox(a gateway.AccountID, name, use string) (*gateway.Mailbox, error) {
	k := accountSeqKey(t.domain, a)
	n, err := load(t, k, decodeNumbers)
	if err != nil {
		return nil, missing(err, "account")
	}
	n[countMailboxes]++
	n[countUIDValidity]++
	t.Set(k, n.encode())
	m := &gateway.Mailbox{ID: gateway.MailboxID(n[countMailboxes]), Name: name, SpecialUse: use, UIDValidity: uint32(n[countUIDValidity]), UIDNext: 1}
	t.Set(mailboxKey(t.domain, a, m.ID), encodeMailbox(m))
	return m, nil
}

// RenameMailbox gives a mailbox, and those below it, another name, and makes those above
// the new one that are missing. The mailbox keeps its UIDs.
func (s *Store) RenameMailbox(ctx context.Context, sc gateway.Scope, at gateway.Selection, name string) (gateway.Mailbox, error) {
	return s.mailboxChange(ctx, sc, at.Domain, at.Account, s.update, func(t *tx) (*gateway.Mailbox, error) {
		box, err := t.changeable(at)
		if err != nil {
			return nil, err
		}
		old := box.Name + "/"
		if err := t.nameFree(at.Account, name); err != nil {
			return nil, err
		}
		box.Name = name
		t.Set(mailboxKey(t.domain, at.Account, box.ID), encodeMailbox(box))
		below, err := mailboxes(t, t.domain, at.Account)
		if err != nil {
			return nil, err
		}
		for i := range below {
			rest, under := strings.CutPrefix(below[i].Name, old)
			if !under || below[i].ID == box.ID { // it may have moved below its own old name
				continue
			}
			below[i].Name = name + "/" + rest
			if most := t.store.cfg.Limits.MailboxName; int64(len(below[i].Name)) > most {
				return nil, gateway.Fieldf(gateway.InvalidParameter, "folder", "the name of a folder below it would have over %d bytes", most)
			}
			if most := t.store.cfg.Limits.MailboxLevels; gateway.MailboxLevels(below[i].Name) > most {
				return nil, gateway.Fieldf(gateway.InvalidParameter, "folder", "the name of a folder below it would have over %d levels", most)
			}
			if err := t.nameFree(at.Account, below[i].Name); err != nil {
				return nil, err
			}
			t.Set(mailboxKey(t.domain, at.Account, below[i].ID), encodeMailbox(&below[i]))
		}
		return box, t.createAbove(at.Account, name, 0)
	})
}

// changeable reads a mailbox that may be renamed or deleted.
func (t *tx) changeable(at gateway.Selection) (*gateway.Mailbox, error) {
	box, err := readMailbox(t, t.domain, at.Account, at.Mailbox)
	if err != nil {
		return nil, missing(err, "folder")
	}
	if standing(box.ID) {
		return nil, gateway.Errorf(gateway.InvalidState, "every account keeps its folder %s", box.Name)
	}
	return box, nil
}

// DeleteMailbox removes an empty mailbox for good; InvalidState if something is
// in it. Those below it stay.
func (s *Store) DeleteMailbox(ctx context.Context, sc gateway.Scope, at gateway.Selection) error {
	_, err := s.mailboxChange(ctx, sc, at.Domain, at.Account, s.frees, func(t *tx) (*gateway.Mailbox, error) {
		box, err := t.changeable(at)
		if err != nil {
			return nil, err
		}
		if box.Total > 0 {
			return nil, gateway.Errorf(gateway.InvalidState, "the folder %s is not empty", box.Name)
		}
		t.Delete(mailboxKey(t.domain, at.Account, at.Mailbox))
		return box, nil
	})
	if err != nil {
		return err
	}
	if err := s.eraseVanished(ctx, at); err != nil { // they expire: nobody reads them until then
		s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "what left a deleted folder is forgotten later", slog.Uint64("domain", uint64(at.Domain)), slog.Any("err", err))
	}
	return nil
}

// SubscribeMailbox shows or hides a mailbox in the list of those subscribed to.
func (s *Store) SubscribeMailbox(ctx context.Context, sc gateway.Scope, at gateway.Selection, on bool) error {
	_, err := s.mailboxChange(ctx, sc, at.Domain, at.Account, s.update, func(t *tx) (*gateway.Mailbox, error) {
		box, err := readMailbox(t, t.domain, at.Account, at.Mailbox)
		if err != nil {
			return nil, missing(err, "folder")
		}
		box.Hidden = !on
		t.Set(mailboxKey(t.domain, at.Account, at.Mailbox), encodeMailbox(box))
		return box, nil
	})
	return err
}

// folderFor finds the mailbox a copy is to be filed in; with create it is made
// if it is missing, and without, the mail goes to the inbox: a folder deleted
// meanwhile loses no mail.
func (t *tx) folderFor(a gateway.AccountID, name string, create bool) (*gateway.Mailbox, error) {
	box, err := mailboxNamed(t, t.domain, a, name)
	if gateway.KindOf(err) != gateway.NotFound || err == nil {
		return box, err
	}
	if create {
		box, err = t.createMailbox(a, name, "")
		if err == nil {
			t.emit(gateway.Event{Type: gateway.EventMailbox, Account: a, Mailbox: box.ID, Folder: box.Name})
			return box, nil
		}
		if _, full := errors.AsType[*gateway.Error](err); !full {
			return nil, err
		}
	}
	return mailboxNamed(t, t.domain, a, gateway.Inbox)
}

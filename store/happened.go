package store

import (
	"errors"
	"slices"

	"github.com/centerleap/postern/gateway"
)

// What telling a plugin of an event does to the message that the event is about.

// changeEntry does what a plugin wants done to the entry of an event: where the event
// found it, or where the message stands now. One that is gone is left alone.
func (t *tx) changeEntry(e *gateway.Event, c *gateway.MessageChange) error {
	if c.None() {
		return nil
	}
	st, found, err := t.standOf(e)
	if err != nil || !found {
		return err
	}
	t.flag(&st, c.FlagChange)
	if c.Folder == "" {
		return nil
	}
	to, err := t.wantedFolder(e.Account, c.Folder)
	if err == nil && to != nil && to.ID != st.box.ID {
		if _, err := t.move(st, to); err != nil {
			return err
		}
	}
	return err
}

// tracedEvent adds to the trace of the message that an event is about.
func (t *tx) tracedEvent(e *gateway.Event, steps []gateway.Step) error {
	for i := range steps {
		steps[i].Sequence = e.Sequence
	}
	n := e.Message
	if n == 0 && len(steps) > 0 {
		st, found, err := t.standOf(e)
		if err != nil || !found {
			return err
		}
		n = st.entry.Message
	}
	return t.tracedLater(e.Account, n, steps)
}

// standOf finds the entry of an event.
func (t *tx) standOf(e *gateway.Event) (st stand, found bool, err error) {
	at := gateway.Place{Domain: t.domain, Account: e.Account, Mailbox: e.Mailbox, UID: e.UID}
	st, err = t.stand(at)
	if err == nil || gateway.KindOf(err) != gateway.NotFound || e.Email.IsZero() {
		return st, err == nil, notFoundIsFine(err)
	}
	b, err := t.Get(uuidKey(t.domain, e.Email))
	if err != nil {
		return st, false, ignoreMissing(err)
	}
	a, n, err := messageRef(b)
	if err != nil {
		return st, false, err
	}
	m, err := readMessage(t, t.domain, a, n)
	if err != nil || len(m.Stands) == 0 || a != e.Account {
		return st, false, ignoreMissing(err)
	}
	first := slices.MinFunc(m.Stands, func(a, b entryRef) int { return int(a.Mailbox) - int(b.Mailbox) })
	at.Mailbox, at.UID = first.Mailbox, first.UID
	st, err = t.stand(at)
	return st, err == nil, err
}

// wantedFolder finds a folder or makes it; nil if the account may have no more.
func (t *tx) wantedFolder(a gateway.AccountID, name string) (*gateway.Mailbox, error) {
	box, err := mailboxNamed(t, t.domain, a, name)
	if err == nil || gateway.KindOf(err) != gateway.NotFound {
		return box, err
	}
	box, err = t.createMailbox(a, name, "")
	if _, full := errors.AsType[*gateway.Error](err); full {
		return nil, nil
	}
	if err == nil {
		t.emit(gateway.Event{Type: gateway.EventMailbox, Account: a, Mailbox: box.ID, Folder: box.Name})
	}
	return box, err
}

func notFoundIsFine(err error) error {
	if gateway.KindOf(err) == gateway.NotFound {
		return nil
	}
	return err
}

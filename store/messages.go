package store

import (
	"context"
	"encoding/binary"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

func messageKey(d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) []byte {
	return key(subMessage, d).account(a).number(n)
}

func structureKey(d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) []byte {
	return key(subStructure, d).account(a).number(n)
}

func uuidKey(d gateway.DomainID, id gateway.ID) []byte { return key(subUUID, d).id(id) }

func messageIDKey(d gateway.DomainID, msgid string) keyBuilder {
	return key(subMessageID, d).hash(msgid)
}

func readMessage(r engine.Reader, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) (*stored, error) {
	return load(r, messageKey(d, a, n), func(b []byte) (*stored, error) { return decodeMessage(d, a, n, b) })
}

// nextMessage draws the next message number of an account, for a message of some
// size. OverQuota if the account has no room for it.
func (t *tx) nextMessage(a gateway.AccountID, size int64) (gateway.MessageNumber, error) {
	k := accountSeqKey(t.domain, a)
	n, err := load(t, k, decodeNumbers)
	if err != nil {
		return 0, missing(err, "account")
	}
	n[countMessages]++
	if n[countFrom] == 0 {
		n[countFrom] = n[countMessages]
	}
	if n[countBytes] += uint64(size); n.full() {
		return 0, overQuota(&n)
	}
	t.Set(k, n.encode())
	t.got = append(t.got, a)
	return gateway.MessageNumber(n[countMessages]), nil
}

// addMessage writes a new message of an account: its two records, its names,
// its reference on the body, its thread. It stands in no mailbox yet.
func (t *tx) addMessage(m *stored, p placed) error {
	n, err := t.nextMessage(m.Account, m.Size())
	if err != nil {
		return err
	}
	m.Domain, m.Number = t.domain, n
	if err := t.Link(blobRef(m.Blob)); err != nil {
		return missing(err, "body")
	}
	if err := t.placeInThread(m, p); err != nil {
		return err
	}
	t.Set(uuidKey(t.domain, m.ID), key(0, 0).account(m.Account).number(n)[5:])
	if id := m.Content.MessageID; id != "" {
		t.Set(messageIDKey(t.domain, id).account(m.Account).number(n), nil)
	}
	t.Set(structureKey(t.domain, m.Account, n), encodeStructure(&m.Content))
	t.putMessage(m)
	return nil
}

func (t *tx) putMessage(m *stored) {
	t.Set(messageKey(t.domain, m.Account, m.Number), m.encode())
}

// dropMessage removes a message that stands in no mailbox any more. What of it is held
// goes with it: nobody could find it to cancel it.
func (t *tx) dropMessage(m *stored) error {
	if err := t.leaveDeliveries(m); err != nil {
		return err
	}
	if err := t.leaveThread(m); err != nil {
		return err
	}
	if err := t.letGo(m); err != nil {
		return err
	}
	t.Delete(messageKey(t.domain, m.Account, m.Number))
	t.Delete(structureKey(t.domain, m.Account, m.Number))
	t.Delete(traceKey(t.domain, m.Account, m.Number))
	t.Delete(uuidKey(t.domain, m.ID))
	if id := m.Content.MessageID; id != "" {
		t.Delete(messageIDKey(t.domain, id).account(m.Account).number(m.Number))
	}
	return t.Unlink(blobRef(m.Blob))
}

// Message returns a message by its public id, whole, with its entries.
func (s *Store) Message(ctx context.Context, sc gateway.Scope, id gateway.ID) (m *gateway.Message, err error) {
	err = s.view(ctx, func(r engine.Reader) error {
		d := sc.Domain()
		if d == 0 {
			return denied("email")
		}
		b, err := r.Get(uuidKey(d, id))
		if err != nil {
			return missing(err, "email")
		}
		a, n, err := messageRef(b)
		if err != nil {
			return err
		}
		if !sc.Covers(d, a) {
			return denied("email")
		}
		m, err = wholeMessage(r, d, a, n)
		return missing(err, "email")
	})
	return m, err
}

// messageRef is what a public id leads to.
func messageRef(b []byte) (gateway.AccountID, gateway.MessageNumber, error) {
	if len(b) != 12 {
		return 0, 0, errRecord
	}
	return gateway.AccountID(binary.BigEndian.Uint32(b)), gateway.MessageNumber(binary.BigEndian.Uint64(b[4:])), nil
}

// wholeMessage reads a message with structure and entries.
func wholeMessage(r engine.Reader, d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber) (*gateway.Message, error) {
	m, err := filedMessage(r, d, a, n)
	if err != nil {
		return nil, err
	}
	b, err := r.Get(structureKey(d, a, n))
	if err != nil {
		return nil, err
	}
	return m, decodeStructure(b, &m.Content)
}

// maxNamesakes bounds how many messages of one Message-ID are told apart.
const maxNamesakes = 100

// MessagesByMessageID returns the messages of a Message-ID: those of one
// account, or with account 0 those of all that the scope reaches.
func (s *Store) MessagesByMessageID(ctx context.Context, sc gateway.Scope, a gateway.AccountID, msgid string) (all []*gateway.Message, err error) {
	d := sc.Domain()
	if a == 0 {
		a = sc.Account()
	}
	if d == 0 || a != 0 && !sc.Covers(d, a) {
		return nil, denied("email")
	}
	prefix := messageIDKey(d, msgid)
	if a != 0 {
		prefix = prefix.account(a)
	}
	rng := engine.Prefix(prefix)
	rng.KeysOnly, rng.Limit = true, maxNamesakes
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func(k, _ []byte) error {
			owner := gateway.AccountID(binary.BigEndian.Uint32(k[21:]))
			m, err := wholeMessage(r, d, owner, lastNumber(k))
			if err == nil && m.Content.MessageID == msgid {
				all = append(all, m)
			}
			return err
		})
	})
	return all, err
}

// MessageByUID returns the message of an entry.
func (s *Store) MessageByUID(ctx context.Context, sc gateway.Scope, at gateway.Place) (m *gateway.Message, err error) {
	if !sc.Covers(at.Domain, at.Account) {
		return nil, denied("email")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		e, err := readEntry(r, at.Domain, at.Account, at.Mailbox, at.UID)
		if err != nil {
			return missing(err, "email")
		}
		m, err = wholeMessage(r, at.Domain, at.Account, e.Message)
		return missing(err, "email")
	})
	return m, err
}

// Mailboxes lists an account's mailboxes in the order they were made.
func (s *Store) Mailboxes(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID) (all []gateway.Mailbox, err error) {
	if !sc.Covers(d, a) {
		return nil, denied("account")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		all, err = mailboxes(r, d, a)
		return err
	})
	return all, err
}

// MailboxNamed finds a mailbox of an account; names match exactly, but for INBOX.
func (s *Store) MailboxNamed(ctx context.Context, sc gateway.Scope, d gateway.DomainID, a gateway.AccountID, name string) (box gateway.Mailbox, err error) {
	if !sc.Covers(d, a) {
		return box, denied("folder")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		found, err := mailboxNamed(r, d, a, name)
		if err == nil {
			box = *found
		}
		return err
	})
	return box, err
}

func mailboxes(r engine.Reader, d gateway.DomainID, a gateway.AccountID) (all []gateway.Mailbox, err error) {
	err = r.Scan(engine.Prefix(key(subMailbox, d).account(a)), func(k, v []byte) error {
		m, err := decodeMailbox(gateway.MailboxID(binary.BigEndian.Uint32(k[9:])), v)
		if err == nil {
			all = append(all, *m)
		}
		return err
	})
	return all, err
}

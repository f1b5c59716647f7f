package store

import (
	"encoding/binary"
	"time"

	"github.com/centerleap/postern/gateway"
)

// One encode and one decode per record; field numbers are never reused.

func encodeDomain(d *gateway.Domain) []byte {
	e := newRecord(96)
	e.id(1, d.UUID)
	e.text(2, d.Name)
	e.text(3, string(d.Status))
	e.bool(4, d.Local)
	e.bool(5, d.CatchAll)
	e.time(6, d.CreatedAt)
	e.int(7, d.Limits.Messages)
	e.int(8, d.Limits.Recipients)
	e.text(9, string(d.TLS))
	return e.b
}

func decodeDomain(id gateway.DomainID, b []byte) (*gateway.Domain, error) {
	d := &gateway.Domain{ID: id, TLS: gateway.TLSOpportunistic}
	err := readRecord("domain", b, func(f field) error {
		switch f.n {
		case 1:
			d.UUID = f.id()
		case 2:
			d.Name = f.text()
		case 3:
			d.Status = gateway.DomainStatus(f.text())
		case 4:
			d.Local = f.bool()
		case 5:
			d.CatchAll = f.bool()
		case 6:
			d.CreatedAt = f.time()
		case 7:
			d.Limits.Messages = f.int()
		case 8:
			d.Limits.Recipients = f.int()
		case 9:
			d.TLS = gateway.TLSPolicy(f.text())
		}
		return nil
	})
	return d, err
}

func encodeAccount(a *gateway.Account) []byte {
	e := newRecord(96)
	e.id(1, a.UUID)
	e.text(2, a.Email)
	e.text(3, a.Name)
	e.texts(4, a.Aliases)
	e.bool(5, a.Implicit)
	e.time(6, a.CreatedAt)
	return e.b
}

func decodeAccount(d gateway.DomainID, id gateway.AccountID, b []byte) (*gateway.Account, error) {
	a := &gateway.Account{Domain: d, ID: id}
	err := readRecord("account", b, func(f field) error {
		switch f.n {
		case 1:
			a.UUID = f.id()
		case 2:
			a.Email = f.text()
		case 3:
			a.Name = f.text()
		case 4:
			a.Aliases = append(a.Aliases, f.text())
		case 5:
			a.Implicit = f.bool()
		case 6:
			a.CreatedAt = f.time()
		}
		return nil
	})
	return a, err
}

func encodeKey(k *gateway.Key) []byte {
	e := newRecord(160)
	e.id(1, k.ID)
	e.text(2, k.Name)
	e.text(3, k.Prefix)
	e.text(4, k.Last4)
	e.bytes(5, k.Digest[:])
	e.text(6, string(k.Permission))
	e.uint(7, uint64(k.Level))
	e.uint(8, uint64(k.Domain))
	e.uint(9, uint64(k.Account))
	e.time(10, k.CreatedAt)
	e.time(11, k.ExpiresAt)
	e.time(12, k.RevokedAt)
	e.time(13, k.LastUsedAt)
	e.int(14, k.Limits.Messages)
	e.int(15, k.Limits.Recipients)
	return e.b
}

func decodeKey(b []byte) (*gateway.Key, error) {
	k := &gateway.Key{}
	err := readRecord("key", b, func(f field) error {
		switch f.n {
		case 1:
			k.ID = f.id()
		case 2:
			k.Name = f.text()
		case 3:
			k.Prefix = f.text()
		case 4:
			k.Last4 = f.text()
		case 5:
			copy(k.Digest[:], f.b)
		case 6:
			k.Permission = gateway.Permission(f.text())
		case 7:
			k.Level = gateway.Level(f.v)
		case 8:
			k.Domain = gateway.DomainID(f.v)
		case 9:
			k.Account = gateway.AccountID(f.v)
		default:
			readKeyTimes(k, f)
		}
		return nil
	})
	return k, err
}

func readKeyTimes(k *gateway.Key, f field) {
	switch f.n {
	case 10:
		k.CreatedAt = f.time()
	case 11:
		k.ExpiresAt = f.time()
	case 12:
		k.RevokedAt = f.time()
	case 13:
		k.LastUsedAt = f.time()
	case 14:
		k.Limits.Messages = f.int()
	case 15:
		k.Limits.Recipients = f.int()
	}
}

func encodeUsage(u gateway.Usage) []byte {
	e := newRecord(24)
	e.time(1, u.Opened)
	e.int(2, u.Messages)
	e.int(3, u.Recipients)
	return e.b
}

func decodeUsage(b []byte) (u gateway.Usage, err error) {
	err = readRecord("usage", b, func(f field) error {
		switch f.n {
		case 1:
			u.Opened = f.time()
		case 2:
			u.Messages = f.int()
		case 3:
			u.Recipients = f.int()
		}
		return nil
	})
	return u, err
}

func encodeMailbox(m *gateway.Mailbox) []byte {
	e := newRecord(64)
	e.text(1, m.Name)
	e.text(2, m.SpecialUse)
	e.uint(3, uint64(m.UIDValidity))
	e.uint(4, uint64(m.UIDNext))
	e.uint(5, m.ModSeq)
	e.int(6, m.Total)
	e.int(7, m.Unseen)
	e.bool(8, m.Hidden)
	e.uint(9, m.Vanished)
	e.texts(10, m.Keywords)
	return e.b
}

func decodeMailbox(id gateway.MailboxID, b []byte) (*gateway.Mailbox, error) {
	m := &gateway.Mailbox{ID: id}
	err := readRecord("mailbox", b, func(f field) error {
		switch f.n {
		case 1:
			m.Name = f.text()
		case 2:
			m.SpecialUse = f.text()
		case 3:
			m.UIDValidity = uint32(f.v)
		case 4:
			m.UIDNext = uint32(f.v)
		case 5:
			m.ModSeq = f.v
		case 6:
			m.Total = f.int()
		case 7:
			m.Unseen = f.int()
		case 8:
			m.Hidden = f.bool()
		case 9:
			m.Vanished = f.v
		case 10:
			m.Keywords = append(m.Keywords, f.text())
		}
		return nil
	})
	return m, err
}

func encodeEntry(n *gateway.Entry) []byte { return appendEntry(make([]byte, 0, entryBytes), n) }

// entryBytes is the room for an entry without labels, and some.
const entryBytes = 48

// appendEntry is encodeEntry behind what is in b.
func appendEntry(b []byte, n *gateway.Entry) []byte {
	e := encoder{append(b, recordVersion)}
	e.uint(1, uint64(n.Message))
	e.uint(2, n.ModSeq)
	e.uint(3, uint64(n.Flags))
	e.texts(4, n.Labels)
	e.time(5, n.Saved)
	e.time(6, n.Arrived)
	e.int(7, n.Size)
	return e.b
}

func decodeEntry(m gateway.MailboxID, uid uint32, b []byte) (gateway.Entry, error) {
	n := gateway.Entry{Mailbox: m, UID: uid}
	err := readRecord("entry", b, func(f field) error {
		switch f.n {
		case 1:
			n.Message = gateway.MessageNumber(f.v)
		case 2:
			n.ModSeq = f.v
		case 3:
			n.Flags = gateway.Flags(f.v)
		case 4:
			n.Labels = append(n.Labels, f.text())
		case 5:
			n.Saved = f.time()
		case 6:
			n.Arrived = f.time()
		case 7:
			n.Size = f.int()
		}
		return nil
	})
	return n, err
}

func encodeThread(t *threadRecord) []byte {
	e := newRecord(96)
	e.text(1, t.Subject)
	e.int(2, int64(t.Count))
	e.time(3, t.Newest)
	e.id(4, t.Into)
	e.uint(5, uint64(t.Account))
	e.bool(6, t.Decided)
	e.int(7, int64(t.Gap))
	return e.b
}

func decodeThread(id gateway.ID, b []byte) (*threadRecord, error) {
	t := &threadRecord{}
	t.ID = id
	err := readRecord("thread", b, func(f field) error {
		switch f.n {
		case 1:
			t.Subject = f.text()
		case 2:
			t.Count = int(f.int())
		case 3:
			t.Newest = f.time()
		case 4:
			t.Into = f.id()
		case 5:
			t.Account = gateway.AccountID(f.v)
		case 6:
			t.Decided = f.bool()
		case 7:
			t.Gap = int(f.int())
		}
		return nil
	})
	return t, err
}

func encodeOutcome(o gateway.Outcome) []byte {
	e := newRecord(64)
	e.text(1, string(o.State))
	e.int(2, int64(o.Code))
	e.text(3, o.Text)
	return e.b
}

func decodeOutcome(b []byte) (o gateway.Outcome, err error) {
	err = readRecord("outcome", b, func(f field) error {
		switch f.n {
		case 1:
			o.State = gateway.DeliveryState(f.text())
		case 2:
			o.Code = int(f.int())
		case 3:
			o.Text = f.text()
		}
		return nil
	})
	return o, err
}

// numbers is a record of counters.
type numbers [8]uint64

func (n *numbers) encode() []byte {
	e := newRecord(32)
	for i, v := range n {
		e.uint(protoNumber(i+1), v)
	}
	return e.b
}

func decodeNumbers(b []byte) (n numbers, err error) {
	err = readRecord("counters", b, func(f field) error {
		if i := int(f.n) - 1; i >= 0 && i < len(n) {
			n[i] = f.v
		}
		return nil
	})
	return n, err
}

func encodeU32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// expiry of what is kept for a time, from the moment of the commit.
func until(now time.Time, keep time.Duration) time.Time { return now.Add(keep) }

package store

import (
	"github.com/centerleap/postern/gateway"
)

// A message is two records. The first has what lists, threads and the queue
// need; it changes when the message moves or its thread is renumbered. The
// second, its structure, is written once.

// stored is the message record: a gateway.Message without its structure, plus
// what only the store needs.
type stored struct {
	gateway.Message
	Facts  gateway.ThreadFacts
	Stands []entryRef
}

// entryRef says where a message stands.
type entryRef struct {
	Mailbox gateway.MailboxID
	UID     uint32
}

func (m *stored) encode() []byte {
	e := newRecord(768)
	e.id(1, m.ID)
	e.time(2, m.Arrived)
	e.bool(3, m.Sent)
	e.text(4, m.ReturnPath)
	e.texts(5, m.Recipients)
	e.bytes(6, m.Prefix)
	e.message(7, func(e *encoder) { encodeBlob(e, m.Blob) })
	encodeTags(e, 8, m.Tags)
	e.message(9, func(e *encoder) { encodeAuth(e, &m.Auth) })
	e.id(10, m.Key)
	e.id(11, m.Thread)
	e.int(12, int64(m.Position))
	e.text(13, m.LastEvent)
	for _, r := range m.Stands {
		e.message(14, func(e *encoder) { e.uint(1, uint64(r.Mailbox)); e.uint(2, uint64(r.UID)) })
	}
	e.message(15, func(e *encoder) { encodeFacts(e, &m.Facts) })
	e.message(16, func(e *encoder) { encodeSummary(e, &m.Content) })
	e.time(17, m.Scheduled)
	e.id(18, m.Plugin)
	return e.b
}

func decodeMessage(d gateway.DomainID, a gateway.AccountID, n gateway.MessageNumber, b []byte) (*stored, error) {
	m := &stored{}
	m.Domain, m.Account, m.Number = d, a, n
	err := readRecord("message", b, func(f field) error {
		switch f.n {
		case 1:
			m.ID = f.id()
		case 2:
			m.Arrived = f.time()
		case 3:
			m.Sent = f.bool()
		case 4:
			m.ReturnPath = f.text()
		case 5:
			m.Recipients = append(m.Recipients, f.text())
		case 6:
			m.Prefix = f.clone()
		case 10:
			m.Key = f.id()
		case 11:
			m.Thread = f.id()
		case 12:
			m.Position = int(f.int())
		case 13:
			m.LastEvent = f.text()
		default:
			return readMessageParts(m, f)
		}
		return nil
	})
	return m, err
}

// readMessageParts reads the nested records of a message.
func readMessageParts(m *stored, f field) error {
	switch f.n {
	case 7:
		return decodeBlob(f.b, &m.Blob)
	case 8:
		return decodeTag(f.b, &m.Tags)
	case 9:
		return decodeAuth(f.b, &m.Auth)
	case 14:
		var r entryRef
		err := readFields(f.b, func(f field) error {
			switch f.n {
			case 1:
				r.Mailbox = gateway.MailboxID(f.v)
			case 2:
				r.UID = uint32(f.v)
			}
			return nil
		})
		m.Stands = append(m.Stands, r)
		return err
	case 15:
		return decodeFacts(f.b, &m.Facts)
	case 16:
		return decodeSummary(f.b, &m.Content)
	case 17:
		m.Scheduled = f.time()
	case 18:
		m.Plugin = f.id()
	}
	return nil
}

func encodeTags(e *encoder, n int, tags []gateway.Tag) {
	for _, t := range tags {
		e.message(protoNumber(n), func(e *encoder) { e.text(1, t.Name); e.text(2, t.Value) })
	}
}

// decodeTag appends one tag to a list.
func decodeTag(b []byte, tags *[]gateway.Tag) error {
	var t gateway.Tag
	err := readFields(b, func(f field) error {
		switch f.n {
		case 1:
			t.Name = f.text()
		case 2:
			t.Value = f.text()
		}
		return nil
	})
	*tags = append(*tags, t)
	return err
}

func encodeBlob(e *encoder, b gateway.Blob) {
	e.uint(1, uint64(b.Domain))
	e.uint(2, b.ID)
	e.int(3, b.Size)
	if b.SHA256 != [32]byte{} {
		e.bytes(4, b.SHA256[:])
	}
	e.uint(5, uint64(b.CRC32C))
}

func decodeBlob(b []byte, blob *gateway.Blob) error {
	return readFields(b, func(f field) error {
		switch f.n {
		case 1:
			blob.Domain = gateway.DomainID(f.v)
		case 2:
			blob.ID = f.v
		case 3:
			blob.Size = f.int()
		case 4:
			copy(blob.SHA256[:], f.b)
		case 5:
			blob.CRC32C = uint32(f.v)
		}
		return nil
	})
}

func encodeAuth(e *encoder, a *gateway.AuthResults) {
	for i, r := range []gateway.AuthResult{a.SPF, a.DKIM, a.DMARC} {
		if r == (gateway.AuthResult{}) {
			continue
		}
		e.message(protoNumber(i+1), func(e *encoder) { e.text(1, r.Result); e.text(2, r.Reason); e.text(3, r.Domain) })
	}
	e.bool(4, a.FromAligned)
	e.text(5, string(a.Policy))
	e.text(6, string(a.Disposition))
}

func decodeAuth(b []byte, a *gateway.AuthResults) error {
	return readFields(b, func(f field) error {
		switch f.n {
		case 1:
			return decodeAuthResult(f.b, &a.SPF)
		case 2:
			return decodeAuthResult(f.b, &a.DKIM)
		case 3:
			return decodeAuthResult(f.b, &a.DMARC)
		case 4:
			a.FromAligned = f.bool()
		case 5:
			a.Policy = gateway.Disposition(f.text())
		case 6:
			a.Disposition = gateway.Disposition(f.text())
		}
		return nil
	})
}

func decodeAuthResult(b []byte, r *gateway.AuthResult) error {
	return readFields(b, func(f field) error {
		switch f.n {
		case 1:
			r.Result = f.text()
		case 2:
			r.Reason = f.text()
		case 3:
			r.Domain = f.text()
		}
		return nil
	})
}

func encodeFacts(e *encoder, t *gateway.ThreadFacts) {
	e.text(1, t.MessageID)
	e.texts(2, t.Links)
	e.text(3, t.Base)
	e.bool(4, t.Reply)
	e.time(5, t.Date)
	e.texts(6, t.People)
	e.text(7, t.Rank)
}

func decodeFacts(b []byte, t *gateway.ThreadFacts) error {
	return readFields(b, func(f field) error {
		switch f.n {
		case 1:
			t.MessageID = f.text()
		case 2:
			t.Links = append(t.Links, f.text())
		case 3:
			t.Base = f.text()
		case 4:
			t.Reply = f.bool()
		case 5:
			t.Date = f.time()
		case 6:
			t.People = append(t.People, f.text())
		case 7:
			t.Rank = f.text()
		}
		return nil
	})
}

func encodeAddresses(e *encoder, n int, list []gateway.Address) {
	for _, a := range list {
		e.message(protoNumber(n), func(e *encoder) { e.text(1, a.Name); e.text(2, a.Addr) })
	}
}

func decodeAddress(b []byte) (a gateway.Address, err error) {
	err = readFields(b, func(f field) error {
		switch f.n {
		case 1:
			a.Name = f.text()
		case 2:
			a.Addr = f.text()
		}
		return nil
	})
	return a, err
}

// encodeSummary writes what lists show of a content.
func encodeSummary(e *encoder, c *gateway.Content) {
	e.text(1, c.MessageID)
	e.text(2, c.InReplyTo)
	e.time(3, c.Date)
	e.text(4, c.Subject)
	encodeAddresses(e, 5, c.From)
	encodeAddresses(e, 6, c.Sender)
	encodeAddresses(e, 7, c.ReplyTo)
	encodeAddresses(e, 8, c.To)
	encodeAddresses(e, 9, c.Cc)
	encodeAddresses(e, 10, c.Bcc)
	e.text(11, c.Preview)
	e.bool(12, c.AutoReply)
	e.uint(13, uint64(c.Defects))
	e.bool(14, c.HasAttachments())
}

// attachedMark stands for the structure in a summary: it says that there are
// attachments without listing them.
var attachedMark = []gateway.Part{{Attachment: true}}

func decodeSummary(b []byte, c *gateway.Content) error {
	c.TextPart, c.HTMLPart = -1, -1
	return readFields(b, func(f field) error {
		switch f.n {
		case 1:
			c.MessageID = f.text()
		case 2:
			c.InReplyTo = f.text()
		case 3:
			c.Date = f.time()
		case 4:
			c.Subject = f.text()
		case 11:
			c.Preview = f.text()
		case 12:
			c.AutoReply = f.bool()
		case 13:
			c.Defects = gateway.Defects(f.v)
		case 14:
			if f.bool() {
				c.Parts = attachedMark
			}
		default:
			return decodeSummaryAddress(c, f)
		}
		return nil
	})
}

func decodeSummaryAddress(c *gateway.Content, f field) error {
	var list *[]gateway.Address
	switch f.n {
	case 5:
		list = &c.From
	case 6:
		list = &c.Sender
	case 7:
		list = &c.ReplyTo
	case 8:
		list = &c.To
	case 9:
		list = &c.Cc
	case 10:
		list = &c.Bcc
	default:
		return nil
	}
	a, err := decodeAddress(f.b)
	*list = append(*list, a)
	return err
}

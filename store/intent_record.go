package store

import (
	"github.com/centerleap/postern/gateway"
)

func encodeIntent(in *gateway.Intent) []byte {
	m := &in.Mail
	e := newRecord(len(m.Text) + len(m.HTML) + 256)
	e.uint(1, uint64(in.Account))
	e.id(2, in.Plugin)
	e.id(3, in.Answers)
	e.time(4, in.Created)
	e.time(5, in.Due)
	e.int(6, int64(in.Tried))
	e.uint(7, in.Fence)
	e.message(8, func(e *encoder) { encodeCompose(e, m) })
	return e.b
}

// encodeCompose writes a description of a message, without attachments.
func encodeCompose(e *encoder, m *gateway.Compose) {
	encodeAddresses(e, 1, []gateway.Address{m.From})
	encodeAddresses(e, 2, m.To)
	encodeAddresses(e, 3, m.Cc)
	encodeAddresses(e, 4, m.Bcc)
	encodeAddresses(e, 5, m.ReplyTo)
	e.text(6, m.Subject)
	e.text(7, m.Text)
	e.text(8, m.HTML)
	for _, f := range m.Headers {
		e.message(9, func(e *encoder) { e.text(1, f.Name); e.text(2, f.Value) })
	}
	encodeTags(e, 10, m.Tags)
	e.text(11, m.InReplyTo)
	e.texts(12, m.References)
}

func decodeIntent(d gateway.DomainID, id gateway.ID, b []byte) (*gateway.Intent, error) {
	in := &gateway.Intent{ID: id, Domain: d}
	err := readRecord("intent", b, func(f field) error {
		switch f.n {
		case 1:
			in.Account = gateway.AccountID(f.v)
		case 2:
			in.Plugin = f.id()
		case 3:
			in.Answers = f.id()
		case 4:
			in.Created = f.time()
		case 5:
			in.Due = f.time()
		case 6:
			in.Tried = int(f.int())
		case 7:
			in.Fence = f.v
		case 8:
			return readFields(f.b, func(f field) error { return readCompose(&in.Mail, f) })
		}
		return nil
	})
	return in, err
}

func readCompose(m *gateway.Compose, f field) (err error) {
	switch f.n {
	case 1:
		m.From, err = decodeAddress(f.b)
	case 2, 3, 4, 5:
		var a gateway.Address
		a, err = decodeAddress(f.b)
		list := []*[]gateway.Address{&m.To, &m.Cc, &m.Bcc, &m.ReplyTo}[f.n-2]
		*list = append(*list, a)
	case 6:
		m.Subject = f.text()
	case 7:
		m.Text = f.text()
	case 8:
		m.HTML = f.text()
	case 9:
		var h gateway.HeaderField
		err = readFields(f.b, func(f field) error {
			switch f.n {
			case 1:
				h.Name = f.text()
			case 2:
				h.Value = f.text()
			}
			return nil
		})
		m.Headers = append(m.Headers, h)
	case 10:
		err = decodeTag(f.b, &m.Tags)
	case 11:
		m.InReplyTo = f.text()
	case 12:
		m.References = append(m.References, f.text())
	}
	return err
}

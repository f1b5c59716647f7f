package store

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/centerleap/postern/gateway"
)

func protoNumber(n int) protowire.Number { return protowire.Number(n) }

// A structure that is long says nearly the same of each of its parts, so it is deflated:
// ten thousand parts would be more than a value of an engine holds.
const (
	deflateFrom = 32 << 10 // bytes; ours: no mail of people is described at such length
	deflated    = 2        // the version of a record whose rest is one of recordVersion, deflated
	// inflatedMost is what reading such a record may cost, in bytes; ours: three times what
	// 10,000 parts with a name each take. What is longer stays as it is, and so is refused
	// as too large: else a mail of parameters that deflate well would be read at a hundred
	// times its price.
	inflatedMost = 8 << 20
)

// encodeStructure writes what only a reader of the whole message needs.
func encodeStructure(c *gateway.Content) []byte {
	b := plainStructure(c)
	if len(b) < deflateFrom || len(b) > inflatedMost {
		return b
	}
	out := bytes.NewBuffer([]byte{deflated})
	w, err := flate.NewWriter(out, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil { // neither fails: the level is legal and a buffer takes all
		return b
	}
	return out.Bytes()
}

func plainStructure(c *gateway.Content) []byte {
	e := newRecord(512)
	e.texts(1, c.References)
	e.int(2, c.HeaderSize)
	e.int(3, int64(c.TextPart)+1) // so that "none" costs nothing
	e.int(4, int64(c.HTMLPart)+1)
	e.bytes(5, c.Envelope)
	e.bytes(6, c.BodyStructure)
	e.bytes(7, c.Body)
	for i := range c.Parts {
		e.message(8, func(e *encoder) { encodePart(e, &c.Parts[i]) })
	}
	return e.b
}

// inflated is a structure's record as it was before it was deflated, if it was.
func inflated(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] != deflated {
		return b, nil
	}
	whole, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b[1:])), inflatedMost+1))
	if err != nil {
		return nil, fmt.Errorf("structure: %w: %w", errRecord, err)
	} else if len(whole) > inflatedMost {
		return nil, fmt.Errorf("structure: %w: over %d bytes", errRecord, inflatedMost)
	}
	return whole, nil
}

func decodeStructure(b []byte, c *gateway.Content) error {
	b, err := inflated(b)
	if err != nil {
		return err
	}
	c.Parts = nil
	return readRecord("structure", b, func(f field) error {
		switch f.n {
		case 1:
			c.References = append(c.References, f.text())
		case 2:
			c.HeaderSize = f.int()
		case 3:
			c.TextPart = int(f.int()) - 1
		case 4:
			c.HTMLPart = int(f.int()) - 1
		case 5:
			c.Envelope = f.clone()
		case 6:
			c.BodyStructure = f.clone()
		case 7:
			c.Body = f.clone()
		case 8:
			var p gateway.Part
			if err := decodePart(f.b, &p); err != nil {
				return err
			}
			c.Parts = append(c.Parts, p)
		}
		return nil
	})
}

func encodePart(e *encoder, p *gateway.Part) {
	e.text(1, p.Number)
	e.int(2, int64(p.Parent)+1)
	e.text(3, p.Type)
	for _, q := range p.Params {
		e.message(4, func(e *encoder) { e.text(1, q.Name); e.text(2, q.Value) })
	}
	e.text(5, p.Charset)
	e.text(6, p.Encoding)
	e.text(7, p.Filename)
	e.text(8, p.ContentID)
	e.bool(9, p.Attachment)
	e.bool(10, p.Inline)
	e.int(11, p.HeaderAt)
	e.int(12, p.HeaderSize)
	e.int(13, p.BodyAt)
	e.int(14, p.BodySize)
	e.int(15, p.Lines)
	e.int(16, p.DecodedSize)
}

func decodePart(b []byte, p *gateway.Part) error {
	p.Parent = -1
	return readFields(b, func(f field) error {
		switch f.n {
		case 1:
			p.Number = f.text()
		case 2:
			p.Parent = int(f.int()) - 1
		case 3:
			p.Type = f.text()
		case 4:
			var q gateway.Param
			if err := readFields(f.b, func(f field) error {
				switch f.n {
				case 1:
					q.Name = f.text()
				case 2:
					q.Value = f.text()
				}
				return nil
			}); err != nil {
				return err
			}
			p.Params = append(p.Params, q)
		case 5:
			p.Charset = f.text()
		case 6:
			p.Encoding = f.text()
		case 7:
			p.Filename = f.text()
		case 8:
			p.ContentID = f.text()
		default:
			readPartNumbers(p, f)
		}
		return nil
	})
}

func readPartNumbers(p *gateway.Part, f field) {
	switch f.n {
	case 9:
		p.Attachment = f.bool()
	case 10:
		p.Inline = f.bool()
	case 11:
		p.HeaderAt = f.int()
	case 12:
		p.HeaderSize = f.int()
	case 13:
		p.BodyAt = f.int()
	case 14:
		p.BodySize = f.int()
	case 15:
		p.Lines = f.int()
	case 16:
		p.DecodedSize = f.int()
	}
}

func encodeDelivery(d *gateway.Delivery) []byte {
	e := newRecord(256)
	e.uint(1, uint64(d.Account))
	e.uint(2, uint64(d.Message))
	e.id(3, d.Email)
	e.id(4, d.Key)
	e.text(5, d.ReturnPath)
	e.text(6, d.Author)
	e.message(7, func(e *encoder) { encodeBlob(e, d.Blob) })
	e.text(8, d.Recipient)
	e.text(9, string(d.State))
	e.text(10, string(d.Held))
	e.int(11, int64(d.Attempts))
	e.time(12, d.Due)
	e.int(13, int64(d.LastCode))
	e.text(14, d.LastText)
	e.time(15, d.CreatedAt)
	e.time(16, d.UpdatedAt)
	e.uint(17, d.Fence)
	e.bool(25, d.Redirected)
	e.text(26, d.Client.IP)
	e.text(27, d.Client.Helo)
	e.text(18, string(d.Then))
	e.bytes(19, d.Prefix)
	e.text(20, d.Site)
	e.bool(21, d.Warned)
	e.id(22, d.Plugin)
	e.time(23, d.Until)
	for i := range d.Turns {
		e.message(24, func(e *encoder) { encodeTurn(e, &d.Turns[i]) })
	}
	return e.b
}

func decodeDelivery(dom gateway.DomainID, id gateway.ID, b []byte) (*gateway.Delivery, error) {
	d := &gateway.Delivery{ID: id, Domain: dom}
	err := readRecord("delivery", b, func(f field) error {
		switch f.n {
		case 1:
			d.Account = gateway.AccountID(f.v)
		case 2:
			d.Message = gateway.MessageNumber(f.v)
		case 3:
			d.Email = f.id()
		case 4:
			d.Key = f.id()
		case 5:
			d.ReturnPath = f.text()
		case 6:
			d.Author = f.text()
		case 7:
			return decodeBlob(f.b, &d.Blob)
		case 8:
			d.Recipient = f.text()
		case 24:
			t, err := decodeTurn(f.b)
			d.Turns = append(d.Turns, t)
			return err
		default:
			readDeliveryState(d, f)
		}
		return nil
	})
	return d, err
}

func readDeliveryState(d *gateway.Delivery, f field) {
	switch f.n {
	case 9:
		d.State = gateway.DeliveryState(f.text())
	case 10:
		d.Held = gateway.HeldReason(f.text())
	case 11:
		d.Attempts = int(f.int())
	case 12:
		d.Due = f.time()
	case 13:
		d.LastCode = int(f.int())
	case 14:
		d.LastText = f.text()
	case 15:
		d.CreatedAt = f.time()
	case 16:
		d.UpdatedAt = f.time()
	case 17:
		d.Fence = f.v
	case 18:
		d.Then = gateway.HeldReason(f.text())
	case 19:
		d.Prefix = f.clone()
	case 20:
		d.Site = f.text()
	case 21:
		d.Warned = f.bool()
	case 22:
		d.Plugin = f.id()
	case 25:
		d.Redirected = f.bool()
	case 26:
		d.Client.IP = f.text()
	case 27:
		d.Client.Helo = f.text()
	case 23:
		d.Until = f.time()
	}
}

func encodeEvent(v *gateway.Event) []byte {
	e := newRecord(96 + 6*len(v.UIDs))
	e.text(1, string(v.Type))
	e.time(2, v.At)
	e.uint(3, uint64(v.Account))
	e.uint(4, uint64(v.Mailbox))
	e.text(5, v.Folder)
	e.uint(6, uint64(v.UID))
	e.uint(7, uint64(v.Message))
	e.id(8, v.Email)
	e.id(9, v.Delivery)
	e.text(10, v.Detail)
	for _, uid := range v.UIDs {
		e.uint(11, uint64(uid))
	}
	e.id(12, v.Plugin)
	e.id(13, v.Subject)
	return e.b
}

func decodeEvent(d gateway.DomainID, seq uint64, b []byte) (gateway.Event, error) {
	v := gateway.Event{Domain: d, Sequence: seq}
	err := readRecord("event", b, func(f field) error {
		switch f.n {
		case 1:
			v.Type = gateway.EventType(f.text())
		case 2:
			v.At = f.time()
		case 3:
			v.Account = gateway.AccountID(f.v)
		case 4:
			v.Mailbox = gateway.MailboxID(f.v)
		case 5:
			v.Folder = f.text()
		case 6:
			v.UID = uint32(f.v)
		case 7:
			v.Message = gateway.MessageNumber(f.v)
		case 8:
			v.Email = f.id()
		case 9:
			v.Delivery = f.id()
		case 10:
			v.Detail = f.text()
		case 11:
			v.UIDs = append(v.UIDs, uint32(f.v))
		case 12:
			v.Plugin = f.id()
		case 13:
			v.Subject = f.id()
		}
		return nil
	})
	return v, err
}

func encodeActivity(a *gateway.Activity) []byte {
	e := newRecord(192)
	e.time(1, a.At)
	e.uint(2, uint64(a.Account))
	e.id(3, a.Key)
	e.text(4, a.KeyPrefix)
	e.text(5, a.Protocol)
	e.text(6, a.Method)
	e.text(7, a.Endpoint)
	e.int(8, int64(a.Status))
	e.text(9, a.IP)
	e.text(10, a.UserAgent)
	e.id(11, a.Email)
	e.text(12, a.Error)
	e.text(13, a.Reason)
	encodeTags(e, 14, a.Tags)
	return e.b
}

func decodeActivity(d gateway.DomainID, id gateway.ID, b []byte) (gateway.Activity, error) {
	a := gateway.Activity{ID: id, Domain: d}
	err := readRecord("activity", b, func(f field) error {
		switch f.n {
		case 1:
			a.At = f.time()
		case 2:
			a.Account = gateway.AccountID(f.v)
		case 3:
			a.Key = f.id()
		case 4:
			a.KeyPrefix = f.text()
		case 5:
			a.Protocol = f.text()
		case 6:
			a.Method = f.text()
		case 7:
			a.Endpoint = f.text()
		case 8:
			a.Status = int(f.int())
		case 9:
			a.IP = f.text()
		case 10:
			a.UserAgent = f.text()
		case 11:
			a.Email = f.id()
		case 12:
			a.Error = f.text()
		case 13:
			a.Reason = f.text()
		case 14:
			return decodeTag(f.b, &a.Tags)
		}
		return nil
	})
	return a, err
}

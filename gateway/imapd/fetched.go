package imapd

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// What FETCH says of one message.

// one adds the answer about one message to what is to be sent, and sends it when it
// is enough.
func (f *fetching) one(n int, m *gateway.Message) (b []byte, err error) {
	s, p := f.session, &f.plan
	if p.binaries+p.sizes > 0 && !p.decodable(m) {
		return nil, errUndecodable
	}
	r := s.view.Row(n)
	b = appendNumber(f.b, n, "FETCH (")
	streamed := false
	for i := range p.items {
		item := &p.items[i]
		if i > 0 {
			b = append(b, ' ')
		}
		if item.section != nil || item.decoded != nil {
			var sent bool
			write := s.appendSection
			if item.decoded != nil {
				write = s.appendBinary
			}
			if b, sent, err = write(b, item, m); err != nil {
				return b, err
			}
			streamed = streamed || sent
			continue
		}
		b = appendItem(b, item, r, m)
	}
	if _, marked := slices.BinarySearch(f.marked, n); marked {
		b = s.appendMarked(b, p, r)
	}
	b = append(b, ")\r\n"...)
	if len(b) < gather && !streamed {
		return b, nil
	}
	err = s.c.data(b)
	if streamed {
		s.c.streamed()
	}
	return b[:0], err
}

// appendMarked writes that \Seen was set, if the client has not asked for it anyhow.
func (s *session) appendMarked(b []byte, p *fetchPlan, r *mailbox.Row) []byte {
	if !p.has("FLAGS") {
		b = appendFlags(append(b, " FLAGS "...), r)
	}
	if s.c.knows.modseq && !p.has("MODSEQ") {
		b = appendModSeq(append(b, ' '), r)
	}
	if s.c.knows.modseq && !p.has("UID") {
		b = appendUID(append(b, ' '), r)
	}
	return b
}

func (p *fetchPlan) has(what string) bool {
	return slices.ContainsFunc(p.items, func(i fetchItem) bool { return i.what == what })
}

// appendItem writes one item that a row, or a record, answers.
func appendItem(b []byte, item *fetchItem, r *mailbox.Row, m *gateway.Message) []byte {
	if item.what == "MODSEQ" {
		return appendModSeq(b, r)
	}
	b = append(append(b, item.what...), ' ')
	switch item.what {
	case "EMAILID":
		b = appendObjectID(b, m.ID)
	case "THREADID":
		b = appendObjectID(b, m.Thread)
	case "UID":
		b = strconv.AppendUint(b, uint64(r.UID), 10)
	case "FLAGS":
		b = appendFlags(b, r)
	case "INTERNALDATE":
		at, _, ok := r.Stored()
		if !ok {
			at = m.Arrived
		}
		b = appendDate(b, at)
	case "RFC822.SIZE":
		_, size, ok := r.Stored()
		if !ok {
			size = m.Size()
		}
		b = strconv.AppendInt(b, size, 10)
	case "ENVELOPE":
		b = append(b, m.Content.Envelope...)
	case "BODYSTRUCTURE":
		b = append(b, m.Content.BodyStructure...)
	case "BODY":
		b = append(b, m.Content.Body...)
	}
	return b
}

// appendDate writes a date-time of RFC 9051 section 9, in UTC.
func appendDate(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append(b, '"', ' ', byte('0'+day%10), '-')
	if day >= 10 {
		b[len(b)-3] = byte('0' + day/10)
	}
	b = append(append(b, month.String()[:3]...), '-', byte('0'+year/1000%10), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10), ' ')
	for i, n := range [...]int{hour, minute, second} {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, byte('0'+n/10), byte('0'+n%10))
	}
	return append(b, " +0000\""...)
}

// inlineBody is how many bytes of a body are copied into the line that holds it; what is
// larger streams. It is no limit of a client's: the answer is the same. Ours, half of gather.
const inlineBody = 8 << 10

// appendSection writes the bytes of a section; a large one goes to the client at
// once, with what stands before it, and sent says so.
func (s *session) appendSection(b []byte, item *fetchItem, m *gateway.Message) (_ []byte, sent bool, err error) {
	b = append(append(b, item.name...), ' ')
	sec := item.section
	span, ok := mailbox.Locate(m, mailbox.Section{Part: sec.Part, What: string(sec.Specifier)})
	if !ok {
		return append(b, "NIL"...), false, nil
	}
	if sec.HeaderFields != nil || sec.HeaderFieldsNot != nil {
		b, err = s.appendFields(b, sec, m, span)
		return b, false, err
	}
	if sec.Partial != nil {
		span = span.Cut(sec.Partial.Offset, sec.Partial.Size)
	}
	b = append(strconv.AppendInt(append(b, '{'), span.Size, 10), "}\r\n"...)
	r, err := s.view.Open(s.ctx, m, span)
	if err != nil {
		return b, false, err
	}
	defer r.Close()
	if span.Size > inlineBody {
		return b[:0], true, s.c.stream(b, r, span.Size)
	}
	at := len(b)
	b = slices.Grow(b, int(span.Size))[:at+int(span.Size)]
	_, err = io.ReadFull(r, b[at:])
	return b, false, err
}

// appendFields writes some fields of a header.
func (s *session) appendFields(b []byte, sec *imap.FetchItemBodySection, m *gateway.Message, span mailbox.Span) ([]byte, error) {
	names, others := sec.HeaderFields, false
	if sec.HeaderFieldsNot != nil {
		names, others = sec.HeaderFieldsNot, true
	}
	fields, err := s.view.Fields(s.ctx, m, span, names, others)
	if err != nil {
		return b, err
	}
	if sec.Partial != nil {
		part := mailbox.Span{Size: int64(len(fields))}.Cut(sec.Partial.Offset, sec.Partial.Size)
		fields = fields[part.At : part.At+part.Size]
	}
	b = append(strconv.AppendInt(append(b, '{'), int64(len(fields)), 10), "}\r\n"...)
	return append(b, bytes.Clone(fields)...), nil
}

package imapd

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// fetchBatch is how many message records are read in one go. Ours.
const fetchBatch = 256

// fetchItem is one thing that FETCH asks for.
type fetchItem struct {
	name    string // as it is written, with the space or literal still to come
	what    string // in upper case: UID, FLAGS, ENVELOPE ...; BODY[ for bytes
	section *imap.FetchItemBodySection
}

// fetchPlan is what a FETCH needs of each message.
type fetchPlan struct {
	items     []fetchItem
	record    bool // the message record
	structure bool // and its structure
	marks     bool // it is read: \Seen is set
}

// macros of RFC 9051 section 6.4.5.
var macros = map[string][]string{
	"ALL":  {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"},
	"FAST": {"FLAGS", "INTERNALDATE", "RFC822.SIZE"},
	"FULL": {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"},
}

// plan reads the items in the client's order; the library has parsed the
// sections, in the same order.
func plan(n *note, o *imap.FetchOptions) (p fetchPlan) {
	items := n.items
	if len(items) == 1 && macros[strings.ToUpper(items[0])] != nil {
		items = macros[strings.ToUpper(items[0])]
	}
	if strings.HasPrefix(n.name, "UID ") && !slices.ContainsFunc(items, func(i string) bool { return strings.EqualFold(i, "UID") }) {
		items = append([]string{"UID"}, items...)
	}
	sections := o.BodySection
	for _, text := range items {
		item := fetchItem{name: text, what: strings.ToUpper(text)}
		switch item.what {
		case "UID", "FLAGS":
		case "INTERNALDATE", "RFC822.SIZE":
			p.record = true
		case "ENVELOPE", "BODY", "BODYSTRUCTURE":
			p.record, p.structure = true, true
		default: // BODY[...], RFC822 and its like
			if len(sections) == 0 {
				continue // the library refused what it doesn't know
			}
			item.section, sections = sections[0], sections[1:]
			item.what, item.name = "BODY[", sectionName(text, item.section)
			p.record, p.structure = true, true
			p.marks = p.marks || !item.section.Peek
		}
		p.items = append(p.items, item)
	}
	return p
}

// sectionName is how a section is named in the answer: without PEEK, and with
// the origin alone of a partial.
func sectionName(text string, s *imap.FetchItemBodySection) string {
	if len(text) > 9 && strings.EqualFold(text[:9], "BODY.PEEK") {
		text = "BODY" + text[9:]
	}
	if s.Partial != nil {
		text = text[:strings.LastIndexByte(text, '<')] + "<" + strconv.FormatInt(s.Partial.Offset, 10) + ">"
	}
	return text
}

// Fetch writes what a client wants to know of messages.
func (s *session) Fetch(_ *imapserver.FetchWriter, set imap.NumSet, o *imap.FetchOptions) error {
	p := plan(s.c.note, o)
	numbers := s.pick(set)
	var marked map[int]bool
	if p.marks && !s.readOnly {
		var err error
		if marked, err = s.markSeen(numbers); err != nil {
			return s.failed(err)
		}
	}
	gone := false
	for len(numbers) > 0 {
		batch := numbers[:min(len(numbers), fetchBatch)]
		numbers = numbers[len(batch):]
		msgs := make([]*gateway.Message, len(batch))
		if p.record {
			var err error
			if msgs, err = s.view.Messages(s.ctx, batch, p.structure); err != nil {
				return s.failed(err)
			}
		}
		for i, n := range batch {
			if s.view.IsGone(n) || p.record && msgs[i] == nil {
				gone = true
				continue
			}
			err := s.fetchOne(&p, n, msgs[i], marked[n])
			if err != nil && s.c.halfSaid() {
				s.c.hangUp("")
			}
			if err != nil && gateway.KindOf(err) == gateway.NotFound {
				gone = true // it was removed since its record was read
			} else if err != nil {
				return s.failed(err)
			}
		}
	}
	if gone {
		return refuse("EXPUNGEISSUED", "some of the messages are gone")
	}
	return nil
}

// markSeen sets \Seen on those that lack it, and returns which.
func (s *session) markSeen(numbers []int) (map[int]bool, error) {
	var fresh []int
	for _, n := range numbers {
		if !s.view.Entry(n).Flags.Has(gateway.Seen) {
			fresh = append(fresh, n)
		}
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	now, err := s.view.Flag(s.ctx, fresh, gateway.FlagChange{Add: gateway.Seen})
	marked := make(map[int]bool, len(now))
	for _, n := range now {
		marked[n] = true
	}
	return marked, err
}

// fetchOne writes the answer about one message.
func (s *session) fetchOne(p *fetchPlan, n int, m *gateway.Message, marked bool) (err error) {
	e := s.view.Entry(n)
	b := appendNumber(s.buf[:0], n, "FETCH (")
	start, flags := len(b), false
	for i := range p.items {
		item := &p.items[i]
		if len(b) > start {
			b = append(b, ' ')
		}
		if item.section != nil {
			if b, err = s.appendSection(b, item, m); err != nil {
				return err
			}
			start = -1 // whatever was sent, a space comes next
			continue
		}
		flags = flags || item.what == "FLAGS"
		b = appendItem(b, item, e, m)
	}
	if marked && !flags {
		b = append(b, " FLAGS "...)
		b = appendFlags(b, e)
	}
	b = append(b, ")\r\n"...)
	s.buf = b[:0]
	err = s.c.data(b)
	s.c.streamed()
	return err
}

// appendItem writes one item that a record answers.
func appendItem(b []byte, item *fetchItem, e gateway.Entry, m *gateway.Message) []byte {
	b = append(append(b, item.what...), ' ')
	switch item.what {
	case "UID":
		b = strconv.AppendUint(b, uint64(e.UID), 10)
	case "FLAGS":
		b = appendFlags(b, e)
	case "INTERNALDATE":
		b = m.Arrived.AppendFormat(b, `"_2-Jan-2006 15:04:05 -0700"`)
	case "RFC822.SIZE":
		b = strconv.AppendInt(b, m.Size(), 10)
	case "ENVELOPE":
		b = append(b, m.Content.Envelope...)
	case "BODYSTRUCTURE":
		b = append(b, m.Content.BodyStructure...)
	case "BODY":
		b = append(b, m.Content.Body...)
	}
	return b
}

// inlineBody is how much of a body is copied into the line that holds it; what is
// larger streams.
const inlineBody = 8 << 10

// appendSection writes the bytes of a section; a large one goes to the client at
// once, with what stands before it.
func (s *session) appendSection(b []byte, item *fetchItem, m *gateway.Message) ([]byte, error) {
	b = append(append(b, item.name...), ' ')
	sec := item.section
	span, ok := mailbox.Locate(m, mailbox.Section{Part: sec.Part, What: string(sec.Specifier)})
	if !ok {
		return append(b, "NIL"...), nil
	}
	if sec.HeaderFields != nil || sec.HeaderFieldsNot != nil {
		return s.appendFields(b, sec, m, span)
	}
	if sec.Partial != nil {
		span = span.Cut(sec.Partial.Offset, sec.Partial.Size)
	}
	b = append(strconv.AppendInt(append(b, '{'), span.Size, 10), "}\r\n"...)
	r, err := s.view.Open(s.ctx, m, span)
	if err != nil {
		return b, err
	}
	defer r.Close()
	if span.Size > inlineBody {
		return b[:0], s.c.stream(b, r, span.Size)
	}
	at := len(b)
	b = slices.Grow(b, int(span.Size))[:at+int(span.Size)]
	_, err = io.ReadFull(r, b[at:])
	return b, err
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

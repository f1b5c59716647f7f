package imapd

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

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
	decoded *imap.FetchItemBinarySection // of BINARY, and its size
}

// fetchPlan is what a FETCH needs of each message.
type fetchPlan struct {
	items  []fetchItem
	need   mailbox.Need // of the message itself
	stored bool         // what its row has, if that was kept
	marks  bool         // it is read: \Seen is set

	binaries, sizes int // how many of those the library has read are in items
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
	if n.since != nil && !slices.ContainsFunc(items, func(i string) bool { return strings.EqualFold(i, "MODSEQ") }) {
		items = append(slices.Clone(items), "MODSEQ") // RFC 7162 section 3.1.4.1
	}
	sections := o.BodySection
	for _, text := range items {
		item := fetchItem{name: text, what: strings.ToUpper(text)}
		switch item.what {
		case "UID", "FLAGS", "MODSEQ":
		case "INTERNALDATE", "RFC822.SIZE":
			p.stored = true
		case "EMAILID", "THREADID":
			p.need |= mailbox.NeedBody
		case "ENVELOPE", "BODY", "BODYSTRUCTURE":
			p.need |= mailbox.NeedText
		default: // BODY[...], RFC822 and its like
			if strings.HasPrefix(item.what, "BINARY") {
				p.binary(item, o)
				continue
			}
			if len(sections) == 0 {
				continue // the library refused what it doesn't know
			}
			item.section, sections = sections[0], sections[1:]
			item.what, item.name = "BODY[", sectionName(text, item.section)
			p.need |= sectionNeed(item.section)
			p.marks = p.marks || !item.section.Peek
		}
		p.items = append(p.items, item)
	}
	return p
}

// sectionNeed is what has to be known to find a section.
func sectionNeed(s *imap.FetchItemBodySection) mailbox.Need {
	switch {
	case len(s.Part) > 0:
		return mailbox.NeedParts
	case s.Specifier == imap.PartSpecifierNone:
		return mailbox.NeedBody
	}
	return mailbox.NeedBody | mailbox.NeedText
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
	n := s.c.note
	s.enable()
	p := plan(n, o)
	if n.vanished {
		if err := s.vanished(set); err != nil {
			return err
		}
	}
	numbers := s.pick(set)
	if n.since != nil {
		numbers = s.newer(numbers, *n.since)
	}
	var marked map[int]bool
	if p.marks && !s.readOnly {
		var err error
		if marked, err = s.markSeen(numbers); err != nil {
			return s.halfStored(slices.Sorted(maps.Keys(marked)), err)
		}
	}
	var messages mailbox.Batch
	var refused error
	gone := false
	b := s.buf[:0]
	for len(numbers) > 0 {
		batch := numbers[:min(len(numbers), fetchBatch)]
		numbers = numbers[len(batch):]
		need := s.needOf(&p, batch)
		if need != 0 {
			if err := s.view.Read(s.ctx, batch, need, &messages); err != nil {
				return s.failed(err)
			}
		}
		for i, n := range batch {
			var m *gateway.Message
			if need != 0 {
				m = messages.Message(i)
			}
			if s.view.IsGone(n) || need != 0 && m == nil {
				gone = true
				continue
			}
			next, err := s.fetchOne(b, &p, n, m, marked[n])
			if err != nil && s.c.halfSaid() {
				s.c.hangUp("")
			}
			switch {
			case err == nil:
				b = next
			case errors.Is(err, errUndecodable):
				refused = refuse("UNKNOWN-CTE", "the encoding of some parts is not known")
			case gateway.KindOf(err) == gateway.NotFound:
				gone = true // it was removed since its record was read
			default:
				return s.failed(err)
			}
		}
	}
	s.buf = b[:0]
	if err := s.c.data(b); err != nil {
		return err
	}
	if gone {
		refused = refuse("EXPUNGEISSUED", "some of the messages are gone")
	}
	return refused
}

// needOf is what has to be read of some messages: what their rows have is not.
func (s *session) needOf(p *fetchPlan, numbers []int) mailbox.Need {
	if p.stored && p.need&(mailbox.NeedBody|mailbox.NeedParts) == 0 {
		for _, n := range numbers {
			if _, _, ok := s.view.Row(n).Stored(); !ok {
				return p.need | mailbox.NeedBody
			}
		}
	}
	return p.need
}

// markSeen sets \Seen on those that lack it, and returns which.
func (s *session) markSeen(numbers []int) (map[int]bool, error) {
	var fresh []int
	for _, n := range numbers {
		if !s.view.Row(n).Flags.Has(gateway.Seen) {
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

// fetchOne adds the answer about one message to what is to be sent, and sends it when it
// is enough.
func (s *session) fetchOne(b []byte, p *fetchPlan, n int, m *gateway.Message, marked bool) (_ []byte, err error) {
	if p.binaries+p.sizes > 0 && !p.decodable(m) {
		return b, errUndecodable
	}
	r := s.view.Row(n)
	b = appendNumber(b, n, "FETCH (")
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
	if marked {
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

// inlineBody is how much of a body is copied into the line that holds it; what is
// larger streams.
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

package imapd

import (
	"errors"
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

// fetching is a FETCH that runs.
type fetching struct {
	*session
	plan    fetchPlan
	marked  []int // messages that it marked as read, in order
	gone    bool  // some of the messages are
	refused error

	messages mailbox.Batch
	b        []byte // not written yet
}

// Fetch writes what a client wants to know of messages.
func (s *session) Fetch(_ *imapserver.FetchWriter, set imap.NumSet, o *imap.FetchOptions) (err error) {
	n := s.c.note
	s.enable()
	f := fetching{session: s, plan: plan(n, o), b: s.buf[:0]}
	if n.vanished {
		if err := s.vanished(set); err != nil {
			return err
		}
	}
	numbers := s.pick(set)
	if n.since != nil {
		numbers = s.newer(numbers, *n.since)
	}
	if f.plan.marks && !s.readOnly {
		if f.marked, err = s.markSeen(numbers); err != nil {
			return s.halfStored(f.marked, err)
		}
	}
	for batch := range slices.Chunk(numbers, fetchBatch) {
		if err := f.batch(batch); err != nil {
			return err
		}
	}
	s.buf = f.b[:0]
	if err := s.c.data(f.b); err != nil {
		return err
	}
	if f.gone {
		return refuse("EXPUNGEISSUED", "some of the messages are gone")
	}
	return f.refused
}

// batch answers about some messages, whose records it reads in one go.
func (f *fetching) batch(numbers []int) error {
	need := f.needOf(numbers)
	if need != 0 {
		if err := f.view.Read(f.ctx, numbers, need, &f.messages); err != nil {
			return f.failed(err)
		}
	}
	for i, n := range numbers {
		var m *gateway.Message
		if need != 0 {
			m = f.messages.Message(i)
		}
		if f.view.IsGone(n) || need != 0 && m == nil {
			f.gone = true
			continue
		}
		if err := f.answered(f.one(n, m)); err != nil {
			return err
		}
	}
	return nil
}

// answered takes what became of the answer about one message, and returns what ends the
// command.
func (f *fetching) answered(b []byte, err error) error {
	if err != nil && f.c.halfSaid() {
		f.c.hangUp("")
	}
	switch {
	case err == nil:
		f.b = b
	case errors.Is(err, errUndecodable):
		f.refused = refuse("UNKNOWN-CTE", "the encoding of some parts is not known")
	case gateway.KindOf(err) == gateway.NotFound:
		f.gone = true // it was removed since its record was read
	default:
		return f.failed(err)
	}
	return nil
}

// needOf is what has to be read of some messages: what their rows have is not.
func (f *fetching) needOf(numbers []int) mailbox.Need {
	need := f.plan.need
	if f.plan.stored && need&(mailbox.NeedBody|mailbox.NeedParts) == 0 {
		for _, n := range numbers {
			if _, _, ok := f.view.Row(n).Stored(); !ok {
				return need | mailbox.NeedBody
			}
		}
	}
	return need
}

// markSeen sets \Seen on those that lack it, and returns which.
func (s *session) markSeen(numbers []int) ([]int, error) {
	fresh, err := s.view.Which(s.ctx, numbers, 0, gateway.Seen)
	if err != nil || len(fresh) == 0 {
		return nil, err
	}
	return s.view.Flag(s.ctx, fresh, gateway.FlagChange{Add: gateway.Seen})
}

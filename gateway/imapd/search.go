package imapd

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/centerleap/postern/gateway"
)

// searchTime is how long a SEARCH may read messages; past it: NO, never a result
// that is short. Ours.
const searchTime = 30 * time.Second

// search is one SEARCH on its way over the messages.
type search struct {
	s     *session
	until time.Time
	sets  map[string]map[int]bool // number sets, resolved once
	n     int                     // the message looked at
	entry gateway.Entry
	msg   *gateway.Message // read when it is needed
}

// Search writes which messages match.
func (s *session) Search(kind imapserver.NumKind, c *imap.SearchCriteria, o *imap.SearchOptions) (*imap.SearchData, error) {
	found, err := s.find(c)
	if err != nil {
		return nil, err
	}
	if o.ReturnSave {
		s.saved = s.saved[:0]
		for _, n := range found {
			s.saved = append(s.saved, s.view.Entry(n).UID)
		}
	}
	if s.c.note.arrange != nil {
		return nil, s.arranged(found, kind == imapserver.NumKindUID, o)
	}
	ids := s.ids(found, kind == imapserver.NumKindUID)
	if err := s.c.data(s.searchLine(ids, kind == imapserver.NumKindUID, o)); err != nil {
		return nil, err
	}
	if err := s.tell(kind == imapserver.NumKindUID); err != nil {
		return nil, err
	}
	return nil, done("", s.c.note.name+" completed")
}

// find returns the numbers of the messages that match, in order. Its error is what
// the client is told.
func (s *session) find(c *imap.SearchCriteria) (found []int, err error) {
	q := &search{s: s, until: time.Now().Add(searchTime), sets: make(map[string]map[int]bool)}
	for n := range s.view.Len() {
		if s.view.IsGone(n) {
			continue
		}
		q.n, q.entry, q.msg = n, s.view.Entry(n), nil
		ok, err := q.matches(c)
		if err != nil {
			return nil, s.failed(err)
		}
		if ok {
			found = append(found, n)
		}
	}
	return found, nil
}

// searchLine is the result, as SEARCH or as ESEARCH (RFC 4731).
func (s *session) searchLine(ids []uint32, uid bool, o *imap.SearchOptions) []byte {
	n := s.c.note
	b := s.buf[:0]
	if !n.extended {
		b = append(b, "* SEARCH"...)
		for _, id := range ids {
			b = strconv.AppendUint(append(b, ' '), uint64(id), 10)
		}
		return append(b, "\r\n"...)
	}
	if o.ReturnSave && !o.ReturnMin && !o.ReturnMax && !o.ReturnCount && !s.asksAll() {
		return nil // RFC 5182 section 2.1: SAVE alone has no answer
	}
	b = append(b, `* ESEARCH (TAG "`...)
	b = append(append(b, n.tag...), `")`...)
	if uid {
		b = append(b, " UID"...)
	}
	if len(ids) > 0 {
		if o.ReturnMin {
			b = strconv.AppendUint(append(b, " MIN "...), uint64(ids[0]), 10)
		}
		if o.ReturnMax {
			b = strconv.AppendUint(append(b, " MAX "...), uint64(ids[len(ids)-1]), 10)
		}
		if o.ReturnAll {
			b = appendSet(append(b, " ALL "...), ids)
		}
	}
	if o.ReturnCount {
		b = strconv.AppendInt(append(b, " COUNT "...), int64(len(ids)), 10)
	}
	return append(b, "\r\n"...)
}

// asksAll reports whether the client named ALL: the library sets it, too, when
// nothing but SAVE is asked for.
func (s *session) asksAll() bool { return s.c.note.all }

func (q *search) matches(c *imap.SearchCriteria) (bool, error) {
	if !q.numbers(c) || !q.flags(c) {
		return false, nil
	}
	if ok, err := q.record(c); !ok || err != nil {
		return false, err
	}
	for i := range c.Not {
		if ok, err := q.matches(&c.Not[i]); ok || err != nil {
			return false, err
		}
	}
	for i := range c.Or {
		ok, err := q.matches(&c.Or[i][0])
		if err == nil && !ok {
			ok, err = q.matches(&c.Or[i][1])
		}
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// numbers checks sequence numbers and UIDs.
func (q *search) numbers(c *imap.SearchCriteria) bool {
	in := func(set imap.NumSet, kind string) bool {
		key := kind + set.String()
		if q.sets[key] == nil {
			q.sets[key] = make(map[int]bool)
			for _, n := range q.s.pick(set) {
				q.sets[key][n] = true
			}
		}
		return q.sets[key][q.n]
	}
	for _, set := range c.SeqNum {
		if !in(set, "seq ") {
			return false
		}
	}
	for _, set := range c.UID {
		if !in(set, "uid ") {
			return false
		}
	}
	return true
}

func (q *search) flags(c *imap.SearchCriteria) bool {
	return !slices.ContainsFunc(c.Flag, func(f imap.Flag) bool { return !isCarrier(f) && !q.has(f) }) &&
		!slices.ContainsFunc(c.NotFlag, q.has)
}

func (q *search) has(f imap.Flag) bool {
	for _, known := range systemFlags {
		if strings.EqualFold(string(f), string(known.name)) {
			return q.entry.Flags.Has(known.flag)
		}
	}
	return slices.ContainsFunc(q.entry.Labels, func(l string) bool { return strings.EqualFold(l, string(f)) })
}

func isCarrier(f imap.Flag) bool { return strings.HasPrefix(strings.ToLower(string(f)), carrier) }

// record checks what the message itself answers.
func (q *search) record(c *imap.SearchCriteria) (bool, error) {
	sized := slices.ContainsFunc(c.Flag, isCarrier)
	dated := !c.Since.IsZero() || !c.Before.IsZero() || !c.SentSince.IsZero() || !c.SentBefore.IsZero()
	if !sized && !dated && len(c.Header)+len(c.Body)+len(c.Text) == 0 {
		return true, nil
	}
	if ok, err := q.read(); !ok || err != nil {
		return false, err
	}
	for _, f := range c.Flag {
		if isCarrier(f) && !q.size(string(f)) {
			return false, nil
		}
	}
	sent := q.msg.Content.Date
	if !within(q.msg.Arrived, c.Since, c.Before) || (!c.SentSince.IsZero() || !c.SentBefore.IsZero()) && (sent.IsZero() || !within(sent, c.SentSince, c.SentBefore)) {
		return false, nil
	}
	return q.words(c)
}

// read reads the message; false if it is gone.
func (q *search) read() (bool, error) {
	if q.msg == nil {
		if time.Now().After(q.until) {
			return false, refuse("LIMIT", "the search takes too long; narrow it")
		}
		msgs, err := q.s.view.Messages(q.s.ctx, []int{q.n}, true)
		if err != nil || msgs[0] == nil {
			return false, err
		}
		q.msg = msgs[0]
	}
	return true, nil
}

// size checks LARGER or SMALLER, which come as keywords.
func (q *search) size(keyword string) bool {
	what, number, _ := strings.Cut(strings.ToLower(keyword)[len(carrier):], ".")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return false
	}
	if what == "larger" {
		return q.msg.Size() > n
	}
	return q.msg.Size() < n
}

// within compares dates; times and zones don't count, RFC 9051 section 6.4.4.
func within(t, since, before time.Time) bool {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return (since.IsZero() || !day.Before(since)) && (before.IsZero() || day.Before(before))
}

func (q *search) words(c *imap.SearchCriteria) (bool, error) {
	v := q.s.view
	for _, h := range c.Header {
		if ok, err := v.HeaderHas(q.s.ctx, q.msg, h.Key, h.Value); !ok || err != nil {
			return false, err
		}
	}
	for _, text := range c.Body {
		if ok, err := v.TextHas(q.s.ctx, q.msg, text, false); !ok || err != nil {
			return false, err
		}
	}
	for _, text := range c.Text {
		if ok, err := v.TextHas(q.s.ctx, q.msg, text, true); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

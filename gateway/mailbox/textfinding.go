package mailbox

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/search"
)

// textKey is one text that a search asks for.
type textKey struct {
	cost  cost
	query search.Query
	sure  bool // what is sure for the index is an answer
	look  look
}

// look says whether a text stands in a message.
type look struct {
	text  string
	whole bool // it needs more than the subject
	in    func(t *texts, f *search.Finder) (bool, error)
}

// indexed are the fields that the index knows by name.
var indexed = map[string]search.Fields{"from": search.From, "to": search.To, "cc": search.Cc, "bcc": search.Bcc, "subject": search.Subject}

// texts are the texts asked for. Each text holds the empty one.
func (c *Criteria) texts() (all []textKey) {
	for _, h := range c.Headers {
		fields, sure := indexed[strings.ToLower(h.Name)]
		query := search.Query{Text: h.Text, Fields: fields}
		if !sure {
			query.Fields = search.Header
		}
		if h.Text == "" { // the names of all fields are among Header
			query, sure = search.Query{Text: h.Name, Fields: search.Header}, false
		}
		subject := query.Fields == search.Subject && h.Text != ""
		all = append(all, textKey{ofHeaders, query, sure, look{h.Text, !subject, func(t *texts, f *search.Finder) (bool, error) {
			if subject {
				return f.In(t.msg.Content.Subject), nil
			}
			return t.headerHas(h.Name, f)
		}}})
	}
	for _, text := range c.Bodies {
		all = append(all, ofText(text, search.Body))
	}
	for _, text := range c.Texts {
		all = append(all, ofText(text, search.Text))
	}
	return slices.DeleteFunc(all, func(k textKey) bool { return k.cost == ofTexts && k.query.Text == "" })
}

// ofText asks for a text in those of a message, or in all of it.
func ofText(text string, fields search.Fields) textKey {
	return textKey{ofTexts, search.Query{Text: text, Fields: fields}, true, look{text, true, func(t *texts, f *search.Finder) (bool, error) {
		return t.has(f, fields == search.Text)
	}}}
}

// Index says what is known of the messages of an account and a text. What it does not
// know, behind Found.Through, and what it says may match, has to be looked at.
type Index func(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, q search.Query) (search.Found, error)

// text asks the index first, and looks later at what that leaves open.
func (f *finder) text(t textKey) []step {
	var sure marks // nil: none
	ask := step{ofIndex, func(ctx context.Context, in marks) error {
		if in.count() <= fewMessages || t.query.Text == "" {
			return nil
		}
		found, err := f.v.mail.indexInTurn(ctx, f.v.scope, f.v.at.Domain, f.v.at.Account, t.query, f.until)
		if err != nil {
			return err
		}
		if t.sure && len(found.Sure) > 0 && f.sures < maxSures {
			f.sures++
			sure = newMarks(f.v.Len())
		}
		known := newKnowledge(found)
		for i := range in.all() {
			switch known.of(f.v.Row(i).Message) {
			case matchesNot:
				in.clear(i)
			case matchesMaybe:
			case matches:
				if sure != nil {
					sure.set(i)
				}
			}
		}
		return nil
	}}
	look := step{t.cost, func(ctx context.Context, in marks) error {
		return f.through(ctx, in, sure, &t.look)
	}}
	return []step{ask, look}
}

// maxSures is of how many texts at once a search remembers which messages have them for
// sure. Ours: it is a bit for each message; with more texts, these are looked at.
const maxSures = 64

// match is what is known of a message and a text.
type match uint8

const (
	matchesNot match = iota
	matchesMaybe
	matches
)

// knowledge looks messages up in what an index found.
type knowledge struct {
	sure, maybe rising
	through     gateway.MessageNumber
}

func newKnowledge(f search.Found) *knowledge {
	return &knowledge{rising{list: f.Sure}, rising{list: f.Maybe}, f.Through}
}

func (k *knowledge) of(n gateway.MessageNumber) match {
	switch {
	case n > k.through:
		return matchesMaybe
	case k.sure.has(n):
		return matches
	case k.maybe.has(n):
		return matchesMaybe
	}
	return matchesNot
}

// rising is a list in order that is asked mostly for rising numbers: then each answer
// is next to the one before.
type rising struct {
	list []gateway.MessageNumber
	next int // what is before it is less than what was asked for last, or equal
}

func (r *rising) has(n gateway.MessageNumber) bool {
	if r.next > 0 && r.list[r.next-1] >= n {
		r.next = 0
	}
	if r.next == len(r.list) || r.list[r.next] > n {
		return false
	}
	i, found := slices.BinarySearch(r.list[r.next:], n)
	if r.next += i; found {
		r.next++
	}
	return found
}

// zones is how far the day in a Date field may be from the day in UTC.
const zones = 25 * time.Hour

// sent compares the day in the Date field as it stands there: its zone doesn't count.
// The record has the time alone; the field is read where the zone decides.
func (v *View) sent(ctx context.Context, m *gateway.Message, since, before time.Time) (bool, error) {
	t := m.Content.Date
	if t.IsZero() {
		return false, nil
	}
	early, late := t.Add(-zones), t.Add(zones)
	if within(early, since, before) && within(late, since, before) {
		return true, nil
	}
	if !within(late, since, time.Time{}) || !within(early, time.Time{}, before) {
		return false, nil
	}
	whole, err := v.mail.cfg.Store.Messages(ctx, v.scope, m.Domain, m.Account, []gateway.MessageNumber{m.Number}, true)
	if err != nil || whole[0] == nil {
		return false, err
	}
	fields, err := v.mail.Header(ctx, v.scope, Item{Message: whole[0]})
	if gateway.KindOf(err) == gateway.TooLarge { // nobody can say in which zone it is written
		return within(t, since, before), nil
	} else if err != nil {
		return false, err
	}
	for _, f := range fields {
		if strings.EqualFold(f.Name, "Date") {
			return within(content.Date(f.Value), since, before), nil
		}
	}
	return false, nil
}

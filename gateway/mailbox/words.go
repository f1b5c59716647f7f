package mailbox

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// terms are what words ask for, folded: each of them occurs. A term is one word, that
// may be a part of a longer one, or the words of a phrase, whatever space is between
// them.
type terms [][]string

// wordFields are where words are looked for.
const wordFields = search.From | search.To | search.Cc | search.Bcc | search.Subject | search.Body

// readTerms reads words and, in quotes, phrases.
func readTerms(q string, lim gateway.Limits) (t terms, err error) {
	if int64(len(q)) > lim.FilterBytes {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "q", "q is over %d bytes", lim.FilterBytes)
	}
	pieces, count := strings.Split(search.Fold(q), `"`), 0
	for i, piece := range pieces {
		words := strings.Fields(piece)
		count += len(words)
		if quoted := i%2 == 1 && i < len(pieces)-1; quoted && len(words) > 0 {
			t = append(t, words)
			continue
		}
		for _, w := range words {
			t = append(t, []string{w})
		}
	}
	if count == 0 {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "q", "q holds no word")
	}
	if int64(count) > lim.FilterWords {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "q", "q has over %d words", lim.FilterWords)
	}
	return t, nil
}

// in reports whether a term occurs in a folded text.
func in(folded string, term []string) bool {
	if len(term) == 1 {
		return strings.Contains(folded, term[0])
	}
	return strings.Contains(folded, term[0]) && strings.Contains(oneSpace(folded), strings.Join(term, " "))
}

func oneSpace(s string) string { return strings.Join(strings.Fields(s), " ") }

// hits are what the index knows of the messages that have all terms.
type hits struct {
	terms  terms
	wanted gateway.Wanted // they may
	sure   []gateway.MessageNumber
}

// hits asks the index, until a time.
func (m *Mail) hits(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, t terms, until time.Time) (*hits, error) {
	h := &hits{terms: t, wanted: gateway.Wanted{Behind: math.MaxUint64}}
	first, exact := true, true
	for _, term := range t {
		exact = exact && len(term) == 1
		query := search.Query{Text: strings.Join(term, " "), Fields: wordFields, AnySpace: len(term) > 1}
		found, err := m.indexInTurn(ctx, s, d, a, query, until)
		if err != nil {
			return nil, err
		}
		some := append(slices.Clone(found.Sure), found.Maybe...)
		slices.Sort(some)
		if first {
			h.wanted.Among, h.sure = some, found.Sure
		} else {
			h.wanted.Among, h.sure = both(h.wanted.Among, some), both(h.sure, found.Sure)
		}
		h.wanted.Behind, first = min(h.wanted.Behind, found.Through), false
	}
	end, _ := slices.BinarySearch(h.wanted.Among, h.wanted.Behind+1)
	h.wanted.Among = h.wanted.Among[:end]
	if !exact {
		h.sure = nil
	}
	return h, nil
}

// both is what two lists, in order, have in common.
func both(a, b []gateway.MessageNumber) (out []gateway.MessageNumber) {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return out
}

// of says what is known of a message.
func (h *hits) of(n gateway.MessageNumber) match {
	if n > h.wanted.Behind {
		return matchesMaybe
	}
	if _, sure := slices.BinarySearch(h.sure, n); sure {
		return matches
	}
	if _, may := slices.BinarySearch(h.wanted.Among, n); may {
		return matchesMaybe
	}
	return matchesNot
}

// wordSearch is a search of a list for words, and perhaps more.
type wordSearch struct {
	*hits
	m     *Mail
	scope gateway.Scope
	match func(*gateway.Message) bool // the rest of the filter; nil if there is none
	until time.Time
}

func (m *Mail) wordSearch(ctx context.Context, s gateway.Scope, q *gateway.ListQuery, f *Filter, match func(*gateway.Message) bool) (*wordSearch, error) {
	t, err := readTerms(f.Words, m.cfg.Limits)
	if err != nil {
		return nil, err
	}
	w := &wordSearch{m: m, scope: s, until: m.searchEnd()}
	if w.hits, err = m.hits(ctx, s, q.Domain, q.Account, t, w.until); err != nil {
		return nil, err
	}
	if !f.onlyWords() {
		w.match = match
	}
	return w, nil
}

// walk shows fn what matches, in list order, as Store.Walk does. A message that did not
// have to be read is nil.
func (w *wordSearch) walk(ctx context.Context, q gateway.ListQuery, fn func(gateway.Listed, *gateway.Message) bool) (cut bool, err error) {
	at, cut, err := w.listed(ctx, q, w.wanted)
	if err != nil {
		return false, err
	}
	for chunk := range slices.Chunk(at, readAtOnce) {
		msgs, ok, err := w.judge(ctx, q, chunk)
		if err != nil {
			return false, err
		}
		for i := range chunk {
			if ok[i] && !fn(chunk[i], msgs[i]) {
				return false, nil
			}
		}
	}
	return cut, nil
}

// listed is the store's, in a turn of the domain: it may go over a whole folder.
func (w *wordSearch) listed(ctx context.Context, q gateway.ListQuery, wanted gateway.Wanted) (at []gateway.Listed, cut bool, err error) {
	give, err := w.m.reads.take(ctx, q.Domain, w.until)
	if err != nil {
		return nil, false, err
	}
	defer give()
	return w.m.cfg.Store.Listed(ctx, w.scope, q, wanted)
}

// judge says which of some listed messages match, and returns those that it read.
func (w *wordSearch) judge(ctx context.Context, q gateway.ListQuery, at []gateway.Listed) (msgs []*gateway.Message, ok []bool, err error) {
	msgs, ok = make([]*gateway.Message, len(at)), make([]bool, len(at))
	var read []gateway.Listed
	var which []int
	for i, one := range at {
		if ok[i] = w.of(one.Message) == matches; !ok[i] || w.match != nil {
			read, which = append(read, one), append(which, i)
		}
	}
	if len(read) == 0 {
		return msgs, ok, nil
	}
	give, err := w.m.reads.take(ctx, q.Domain, w.until)
	if err != nil {
		return nil, nil, err
	}
	defer give()
	got, err := w.m.cfg.Store.ListedMessages(ctx, w.scope, q, read)
	if err != nil {
		return nil, nil, err
	}
	var open []gateway.MessageNumber
	var openAt []int
	for k, i := range which {
		known := ok[i]
		msgs[i], ok[i] = got[k], got[k] != nil && (w.match == nil || w.match(got[k]))
		if ok[i] && !known {
			open, openAt = append(open, at[i].Message), append(openAt, i)
		}
	}
	say, err := w.say(ctx, q.Domain, q.Account, open)
	for k, i := range openAt {
		ok[i] = err == nil && say[k]
	}
	return msgs, ok, err
}

// say looks whether the terms occur in messages. It is the domain's turn.
func (w *wordSearch) say(ctx context.Context, d gateway.DomainID, a gateway.AccountID, numbers []gateway.MessageNumber) ([]bool, error) {
	out := make([]bool, len(numbers))
	if len(numbers) == 0 {
		return out, nil
	}
	err := w.m.cfg.Store.Searched(ctx, w.scope, d, a, numbers, searchWhole, func(i int, msg *gateway.Message, body []byte) (err error) {
		if time.Now().After(w.until) {
			return ErrSearchTime
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if out[i], err = w.m.textsOf(ctx, w.scope, msg, body).say(w.terms); gateway.KindOf(err) == gateway.NotFound {
			return nil // it was deleted meanwhile
		}
		return err
	})
	return out, err
}

// say reports whether each term occurs in the message: its subject, a name or an address
// of it, or its texts.
func (t *texts) say(all terms) (bool, error) {
	left := slices.Clone(all)
	see := func(text string) {
		folded := search.Fold(text)
		left = slices.DeleteFunc(left, func(term []string) bool { return in(folded, term) })
	}
	see(t.msg.Content.Subject)
	fields, err := t.fields()
	if err != nil {
		return false, err
	}
	for _, f := range fields {
		if headerFields[strings.ToLower(f.Name)] != 0 {
			see(f.Value)
		}
	}
	if len(left) > 0 {
		err = t.bodies(func(text string) bool {
			see(text)
			return len(left) > 0
		})
	}
	return len(left) == 0 && err == nil, err
}

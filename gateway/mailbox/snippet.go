package mailbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/search"
)

// Snippet is a piece of a message's text, around the first place where it has what was
// searched for: one line, with "…" where it was cut.
type Snippet struct {
	Text string
	Hits []Hit // in order; none if only other parts of the message have it
}

// Hit is where in a snippet something stands that was searched for, in Unicode code
// points: from Start, and before End.
type Hit struct{ Start, End int }

const (
	// snippetRunes is the length of a snippet, in Unicode code points, without its
	// marks of cutting; ours. snippetLead is how much of it stands before the first hit.
	snippetRunes = 160
	snippetLead  = 50
	// snippetBytes is how much of a message's text is looked at for one; ours.
	snippetBytes = 256 << 10
)

// snippets gives items theirs. An email that is deleted meanwhile has none, nor one of which
// the disk has kept other bytes: the list knows that it matches.
func (m *Mail) snippets(ctx context.Context, s gateway.Scope, a *gateway.Account, items []Item, words string) error {
	t, err := readTerms(words, m.cfg.Limits)
	if err != nil {
		return err
	}
	numbers := make([]gateway.MessageNumber, len(items))
	for i := range items {
		numbers[i] = items[i].Message.Number
	}
	msgs, err := m.cfg.Store.Messages(ctx, s, a.Domain, a.ID, numbers, true)
	if err != nil {
		return err
	}
	for i, msg := range msgs {
		if msg == nil {
			continue // it was deleted meanwhile
		}
		text, err := m.readable(ctx, s, msg)
		if gateway.KindOf(err) == gateway.NotFound || errors.Is(err, gateway.ErrDamaged) {
			continue
		} else if err != nil {
			return err
		}
		sn := newSnippet(text, t)
		items[i].Snippet = &sn
	}
	return nil
}

// readable is the beginning of what a message says to people.
func (m *Mail) readable(ctx context.Context, s gateway.Scope, msg *gateway.Message) (string, error) {
	c := &msg.Content
	part := c.TextPart
	if part < 0 {
		part = c.HTMLPart
	}
	if part < 0 {
		return "", nil
	}
	p := &c.Parts[part]
	r, err := m.cfg.Store.OpenBlob(ctx, s, msg.Blob, p.BodyAt, p.BodySize)
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, _, err := content.Text(r, p, snippetBytes)
	if err == nil && c.TextPart < 0 {
		text, _ = content.VisibleText(text)
	}
	return text, err
}

// newSnippet cuts a snippet out of a text.
func newSnippet(text string, t terms) Snippet {
	text = oneSpace(strings.ToValidUTF8(text, ""))
	folded := search.Fold(text) // letter by letter: places are the same, counted in runes
	first := len(folded)
	for _, term := range t {
		if i := strings.Index(folded, strings.Join(term, " ")); i >= 0 {
			first = min(first, i)
		}
	}
	if first == len(folded) {
		first = 0
	}
	runes := []rune(text)
	from := wordStart(runes, utf8.RuneCountInString(folded[:first])-snippetLead)
	to := wordEnd(runes, from+snippetRunes)
	sn := Snippet{Text: string(runes[from:to])}
	shown := []rune(folded)[from:to]
	for _, term := range t {
		sn.mark(shown, []rune(strings.Join(term, " ")))
	}
	sn.join()
	if from > 0 {
		sn.Text = "…" + sn.Text
		for i := range sn.Hits {
			sn.Hits[i].Start++
			sn.Hits[i].End++
		}
	}
	if to < len(runes) {
		sn.Text += "…"
	}
	return sn
}

// wordStart is the place of the first word from a place on, if there is one near.
func wordStart(runes []rune, at int) int {
	if at <= 0 {
		return 0
	}
	for i := at; i < at+snippetLead/2; i++ {
		if unicode.IsSpace(runes[i]) {
			return i + 1
		}
	}
	return at
}

// wordEnd is the place behind the last word before a place, if that is near.
func wordEnd(runes []rune, at int) int {
	if at >= len(runes) {
		return len(runes)
	}
	for i := at; i > at-snippetLead/2; i-- {
		if unicode.IsSpace(runes[i]) {
			return i
		}
	}
	return at
}

// mark adds the places of a term in folded text.
func (sn *Snippet) mark(shown, term []rune) {
	for i := 0; i+len(term) <= len(shown); i++ {
		if slices.Equal(shown[i:i+len(term)], term) {
			sn.Hits = append(sn.Hits, Hit{i, i + len(term)})
			i += len(term) - 1
		}
	}
}

// join puts hits in order, and those that touch together.
func (sn *Snippet) join() {
	slices.SortFunc(sn.Hits, func(a, b Hit) int { return a.Start - b.Start })
	var out []Hit
	for _, h := range sn.Hits {
		if n := len(out); n > 0 && h.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, h.End)
		} else {
			out = append(out, h)
		}
	}
	sn.Hits = out
}

package mailbox

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// Filter narrows a list; what is zero does not. Texts are compared in any case.
type Filter struct {
	From, To, Subject string    // each occurs there, in a name or an address
	Words             string    // each of them occurs in the subject, an address or the preview
	Since, Until      time.Time // arrivals from one time on and before another

	Read, Starred, Attachments *bool
	Label                      string
	Tag                        *gateway.TagFilter
	Thread                     gateway.ID
}

// filtered finds the page that q asks for among what matches. It looks at no more
// than FilterReach entries, from the top; from a cursor, at as many again.
func (m *Mail) filtered(ctx context.Context, s gateway.Scope, q gateway.ListQuery, f *Filter, p *Page) ([]*gateway.Message, error) {
	match, err := m.matcher(ctx, s, f)
	if err != nil {
		return nil, err
	}
	want, skip := q.Limit, q.Skip
	q.Since, q.Until, q.Skip, q.Limit = f.Since, f.Until, 0, int(m.cfg.Limits.FilterReach)
	var found []*gateway.Message // of the page, and one more
	top := q
	top.After, top.Before = nil, nil
	cut, err := m.walk(ctx, s, top, func(msg *gateway.Message) bool {
		if !match(msg) {
			return true
		}
		if p.Total++; p.Total > int64(skip) && len(found) <= want {
			found = append(found, msg)
		}
		return p.Total <= m.cfg.Limits.PageReach
	})
	if err != nil {
		return nil, err
	}
	p.Capped = cut || p.Total > m.cfg.Limits.PageReach
	p.Total = min(p.Total, m.cfg.Limits.PageReach)
	if q.After != nil || q.Before != nil {
		found = found[:0]
		cut, err = m.walk(ctx, s, q, func(msg *gateway.Message) bool {
			if match(msg) {
				found = append(found, msg)
			}
			return len(found) <= want
		})
	}
	p.HasMore = len(found) > want || cut && len(found) > 0
	found = found[:min(len(found), want)]
	if q.Before != nil {
		slices.Reverse(found)
	}
	return found, err
}

// walk is the store's Walk when it is its domain's turn, and within the time of a
// request: nobody tells that a client has left.
func (m *Mail) walk(ctx context.Context, s gateway.Scope, q gateway.ListQuery, fn func(*gateway.Message) bool) (cut bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, gateway.RequestTimeout)
	defer cancel()
	give, err := m.turn(ctx, q.Domain, time.Now().Add(gateway.RequestTimeout))
	if err != nil {
		return false, err
	}
	defer give()
	return m.cfg.Store.Walk(ctx, s, q, fn)
}

// matcher makes a function of a filter, which is held to the limits.
func (m *Mail) matcher(ctx context.Context, s gateway.Scope, f *Filter) (func(*gateway.Message) bool, error) {
	for _, v := range []struct{ name, text string }{{"from", f.From}, {"to", f.To}, {"subject", f.Subject}, {"q", f.Words}} {
		if int64(len(v.text)) > m.cfg.Limits.FilterBytes {
			return nil, gateway.Fieldf(gateway.InvalidParameter, v.name, "%s is over %d bytes", v.name, m.cfg.Limits.FilterBytes)
		}
	}
	words := strings.Fields(search.Fold(f.Words))
	if int64(len(words)) > m.cfg.Limits.FilterWords {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "q", "q has over %d words", m.cfg.Limits.FilterWords)
	}
	thread := f.Thread
	if !thread.IsZero() {
		th, _, err := m.cfg.Store.Newest(ctx, s, thread, 1)
		if err == nil {
			thread = th.ID // it may have been merged into another
		} else if gateway.KindOf(err) != gateway.NotFound {
			return nil, err
		}
	}
	from, to, subject := search.Fold(f.From), search.Fold(f.To), search.Fold(f.Subject)
	return func(msg *gateway.Message) bool {
		c := &msg.Content
		return f.stands(msg) && (thread.IsZero() || msg.Thread == thread) &&
			(subject == "" || strings.Contains(search.Fold(c.Subject), subject)) &&
			(from == "" || named(c.From, from)) && (to == "" || named(c.To, to)) &&
			(len(words) == 0 || hasWords(c, words))
	}, nil
}

// stands compares what needs no text.
func (f *Filter) stands(msg *gateway.Message) bool {
	e := &msg.Entries[0]
	is := func(want *bool, got bool) bool { return want == nil || *want == got }
	return is(f.Read, e.Flags.Has(gateway.Seen)) && is(f.Starred, e.Flags.Has(gateway.Flagged)) &&
		is(f.Attachments, msg.Content.HasAttachments()) && (f.Tag == nil || f.Tag.In(msg.Tags)) &&
		(f.Label == "" || slices.ContainsFunc(e.Labels, func(l string) bool { return strings.EqualFold(l, f.Label) }))
}

// named reports whether a folded text occurs in a name or an address of a list.
func named(list []gateway.Address, text string) bool {
	return slices.ContainsFunc(list, func(a gateway.Address) bool {
		return strings.Contains(search.Fold(a.Addr), text) || strings.Contains(search.Fold(a.Name), text)
	})
}

// hasWords reports whether all folded words occur in what a list shows of a message.
func hasWords(c *gateway.Content, words []string) bool {
	var b strings.Builder
	b.WriteString(c.Subject)
	for _, list := range [][]gateway.Address{c.From, c.ReplyTo, c.To, c.Cc, c.Bcc} {
		for _, a := range list {
			b.WriteString("\n" + a.Name + "\n" + a.Addr)
		}
	}
	b.WriteString("\n" + c.Preview)
	text := search.Fold(b.String())
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

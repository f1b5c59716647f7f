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
	Words             string    // each word, or phrase in quotes, occurs in the subject, a name, an address, the texts or what is attached
	Since, Until      time.Time // arrivals from one time on and before another

	Read, Starred, Attachments *bool
	Label                      string
	Tag                        *gateway.TagFilter
	Thread                     gateway.ID
}

// walker shows fn what matches a filter, in list order, with Before against it, until it
// returns false. A message that did not have to be read is nil. cut says that it ended
// after q.Limit entries although there were more.
type walker func(ctx context.Context, q gateway.ListQuery, fn func(gateway.Listed, *gateway.Message) bool) (cut bool, err error)

// walker is the way to find what matches: by the index for words, else entry by entry.
func (m *Mail) walker(ctx context.Context, s gateway.Scope, q *gateway.ListQuery, f *Filter) (walker, error) {
	match, err := m.matcher(ctx, s, f)
	if err != nil {
		return nil, err
	}
	if f.Words != "" {
		w, err := m.wordSearch(ctx, s, q, f, match)
		if err != nil {
			return nil, err
		}
		return w.walk, nil
	}
	return func(ctx context.Context, q gateway.ListQuery, fn func(gateway.Listed, *gateway.Message) bool) (bool, error) {
		return m.walk(ctx, s, q, func(msg *gateway.Message) bool {
			return !match(msg) || fn(gateway.Listed{Message: msg.Number, UID: msg.Entries[0].UID}, msg)
		})
	}, nil
}

// filtered finds the page that q asks for among what matches. It looks at no more
// than FilterReach entries, from the top; from a cursor, at as many again.
func (m *Mail) filtered(ctx context.Context, s gateway.Scope, q gateway.ListQuery, f *Filter, p *Page) ([]*gateway.Message, error) {
	walk, err := m.walker(ctx, s, &q, f)
	if err != nil {
		return nil, err
	}
	want, skip := q.Limit, q.Skip
	q.Since, q.Until, q.Skip, q.Limit = f.Since, f.Until, 0, int(m.cfg.Limits.FilterReach)
	var found items // and one more
	top := q
	top.After, top.Before = nil, nil
	cut, err := walk(ctx, top, func(at gateway.Listed, msg *gateway.Message) bool {
		if p.Total++; p.Total > int64(skip) && len(found.at) <= want {
			found.add(at, msg)
		}
		return p.Total <= m.cfg.Limits.PageReach
	})
	if err != nil {
		return nil, err
	}
	p.Capped = cut || p.Total > m.cfg.Limits.PageReach
	p.Total = min(p.Total, m.cfg.Limits.PageReach)
	if q.After != nil || q.Before != nil {
		found = items{}
		cut, err = walk(ctx, q, func(at gateway.Listed, msg *gateway.Message) bool {
			found.add(at, msg)
			return len(found.at) <= want
		})
		if err != nil {
			return nil, err
		}
	}
	p.HasMore = len(found.at) > want || cut && len(found.at) > 0
	found.at, found.msgs = found.at[:min(len(found.at), want)], found.msgs[:min(len(found.at), want)]
	if q.Before != nil {
		slices.Reverse(found.at)
		slices.Reverse(found.msgs)
	}
	return m.whole(ctx, s, q, found)
}

// items are what was found; a message that was not read is nil.
type items struct {
	at   []gateway.Listed
	msgs []*gateway.Message
}

func (p *items) add(at gateway.Listed, msg *gateway.Message) {
	p.at, p.msgs = append(p.at, at), append(p.msgs, msg)
}

// whole reads what was not read of a page. What is gone meanwhile is left out.
func (m *Mail) whole(ctx context.Context, s gateway.Scope, q gateway.ListQuery, p items) ([]*gateway.Message, error) {
	var unread []gateway.Listed
	for i, msg := range p.msgs {
		if msg == nil {
			unread = append(unread, p.at[i])
		}
	}
	read, err := m.cfg.Store.ListedMessages(ctx, s, q, unread)
	for i, msg := range p.msgs {
		if msg == nil && err == nil {
			p.msgs[i], read = read[0], read[1:]
		}
	}
	return slices.DeleteFunc(p.msgs, func(msg *gateway.Message) bool { return msg == nil }), err
}

// walk is the store's Walk when it is its domain's turn, and within the time of a
// request: nobody tells that a client has left.
func (m *Mail) walk(ctx context.Context, s gateway.Scope, q gateway.ListQuery, fn func(*gateway.Message) bool) (cut bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, gateway.RequestTimeout)
	defer cancel()
	give, err := m.reads.take(ctx, q.Domain, time.Now().Add(gateway.RequestTimeout))
	if err != nil {
		return false, err
	}
	defer give()
	return m.cfg.Store.Walk(ctx, s, q, fn)
}

// matcher makes a function of a filter but for its words, which is held to the limits.
func (m *Mail) matcher(ctx context.Context, s gateway.Scope, f *Filter) (func(*gateway.Message) bool, error) {
	for _, v := range []struct{ name, text string }{{"from", f.From}, {"to", f.To}, {"subject", f.Subject}} {
		if int64(len(v.text)) > m.cfg.Limits.FilterBytes {
			return nil, gateway.Fieldf(gateway.InvalidParameter, v.name, "%s is over %d bytes", v.name, m.cfg.Limits.FilterBytes)
		}
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
			(from == "" || named(c.From, from)) && (to == "" || named(c.To, to))
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

// onlyWords reports whether the filter asks for nothing else that is in a message.
func (f *Filter) onlyWords() bool {
	rest := *f
	rest.Words, rest.Since, rest.Until = "", time.Time{}, time.Time{}
	return rest == Filter{}
}

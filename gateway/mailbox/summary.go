package mailbox

import (
	"context"
	"slices"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/search"
)

// Summary is a conversation as a list of a folder shows it.
type Summary struct {
	Thread gateway.Thread
	Newest *gateway.Message // of those in the folder
	Unread int              // messages, in any folder
	People []string         // addresses, each once, in the order of the conversation
}

// Summaries is a page of conversations.
type Summaries struct {
	Items   []Summary
	HasMore bool // perhaps, when the list looked no further
	Page    int
	Size    int
}

// Conversations returns a page of the conversations of a folder, that with the
// folder's newest message first. With a filter, whose words alone count, one message of a conversation in
// the folder has to have its words. It looks at no more than FilterReach entries, and for
// what it tells of a page at as many messages of its conversations.
func (m *Mail) Conversations(ctx context.Context, s gateway.Scope, q Query) (Summaries, error) {
	a, box, err := m.listed(ctx, s, &q)
	if err != nil {
		return Summaries{}, err
	}
	lq, err := m.listQuery(ctx, s, a, box, &q)
	if err != nil {
		return Summaries{}, err
	}
	want, out := lq.Skip+lq.Limit, Summaries{Page: q.Page, Size: q.Limit}
	lq.Skip, lq.Limit = 0, int(m.cfg.Limits.FilterReach)
	all, cut, err := m.topics(ctx, s, lq, q.Filter, want)
	if err != nil {
		return out, err
	}
	page := all[min(want-q.Limit, len(all)):min(want, len(all))]
	out.HasMore = len(all) > want || cut && len(page) > 0
	budget := int(m.cfg.Limits.FilterReach)
	for _, t := range page {
		sum, read, err := m.summary(ctx, s, gateway.Place{Domain: a.Domain, Account: a.ID, Mailbox: box.ID, UID: t.newest}, max(budget, 1))
		if gateway.KindOf(err) == gateway.NotFound && err != nil {
			continue // it was deleted meanwhile
		} else if err != nil {
			return out, err
		}
		budget -= read
		out.Items = append(out.Items, sum)
	}
	return out, nil
}

// topic is a conversation as a walk meets it.
type topic struct {
	newest  uint32 // UID
	matches bool
	open    []gateway.MessageNumber // that may match
}

// topics lists the conversations of a folder that match, in order: the first want
// of them and, if there are, more.
func (m *Mail) topics(ctx context.Context, s gateway.Scope, q gateway.ListQuery, f *Filter, want int) (all []*topic, cut bool, err error) {
	met := make(meeting)
	if f == nil {
		cut, err = m.walk(ctx, s, q, func(msg *gateway.Message) bool {
			all, _ = met.topic(all, msg.Thread, msg.Entries[0].UID)
			return len(all) <= want
		})
		return all, cut, err
	}
	w, err := m.wordSearch(ctx, s, &q, f, nil)
	if err != nil {
		return nil, false, err
	}
	return w.topics(ctx, q, want)
}

// meeting finds the topics that a walk has met.
type meeting map[gateway.ID]*topic

// topic is that of a conversation, which is appended to all if it is new.
func (m meeting) topic(all []*topic, thread gateway.ID, uid uint32) ([]*topic, *topic) {
	t := m[thread]
	if t == nil {
		t = &topic{newest: uid}
		m[thread], all = t, append(all, t)
	}
	return all, t
}

// summary describes the conversation of an entry, from at most most messages, and
// says how many it read.
func (m *Mail) summary(ctx context.Context, s gateway.Scope, newest gateway.Place, most int) (sum Summary, read int, err error) {
	if sum.Newest, err = m.cfg.Store.MessageByUID(ctx, s, newest); err != nil {
		return sum, 0, err
	}
	th, all, err := m.cfg.Store.Newest(ctx, s, sum.Newest.Thread, most)
	sum.Thread = th
	known := make(map[string]bool)
	for _, msg := range slices.Backward(all) {
		if slices.ContainsFunc(msg.Entries, func(e gateway.Entry) bool { return !e.Flags.Has(gateway.Seen) }) {
			sum.Unread++
		}
		for _, list := range [][]gateway.Address{msg.Content.From, msg.Content.To, msg.Content.Cc} {
			for _, a := range list {
				if name := search.Fold(a.Addr); a.Addr != "" && !known[name] && int64(len(sum.People)) < m.cfg.Limits.Participants {
					known[name] = true
					sum.People = append(sum.People, a.Addr)
				}
			}
		}
	}
	return sum, len(all), err
}

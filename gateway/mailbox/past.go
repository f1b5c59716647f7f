package mailbox

import (
	"context"
	"iter"
	"slices"

	"github.com/centerleap/postern/gateway"
)

// PastQuery asks for messages that were decided about.
type PastQuery struct {
	Email string // of this account; empty: of all in the scope
	Sent  bool   // those that were sent, rather than received
	Later bool   // as the event hook sees them
	Last  int    // so many, the newest ones
	Refs  []Ref  // instead of Last: these
}

// pastPage is how many messages stand in memory at a time; ours.
const pastPage = 20

// Past shows messages one after the other as a hook saw them, as far as that is known:
// see LookAt. It looks until there are as many as are asked for, or ctx ends; it ends with
// an error.
func (m *Mail) Past(ctx context.Context, s gateway.Scope, q PastQuery) iter.Seq2[gateway.Past, error] {
	return func(yield func(gateway.Past, error) bool) {
		if err := m.past(ctx, s, &q, func(one gateway.Past) bool { return yield(one, nil) }); err != nil {
			yield(gateway.Past{}, err)
		}
	}
}

func (m *Mail) past(ctx context.Context, s gateway.Scope, q *PastQuery, show func(gateway.Past) bool) error {
	if len(q.Refs) > 0 {
		return m.pastRefs(ctx, s, q, show)
	}
	a, err := m.account(ctx, s, q.Email)
	if err != nil {
		return err
	}
	var owner gateway.AccountID
	if a != nil {
		owner = a.ID
	}
	owners := make(owners)
	var at []byte
	for left := q.Last; left > 0; {
		page, next, err := m.cfg.Store.RecentMessages(ctx, s, owner, q.Sent, false, at, min(left, pastPage))
		if err != nil {
			return err
		}
		for _, msg := range page {
			it, err := m.ownedItem(ctx, s, owners, msg)
			if gateway.KindOf(err) == gateway.NotFound {
				continue // its account is being deleted
			} else if err != nil {
				return err
			}
			if more, err := m.show(ctx, s, q, it, show); err != nil || !more {
				return err
			}
		}
		left -= len(page)
		if err := ctx.Err(); err != nil || next == nil { // a call may find none of this kind
			return err
		}
		at = next
	}
	return nil
}

// owners are accounts whose messages were met, with their folders.
type owners map[gateway.AccountID]*owned

type owned struct {
	account *gateway.Account
	boxes   folders
}

// ownedItem is a message where it stands.
func (m *Mail) ownedItem(ctx context.Context, s gateway.Scope, known owners, msg *gateway.Message) (Item, error) {
	o := known[msg.Account]
	if o == nil {
		a, err := m.cfg.Store.AccountByID(ctx, s, msg.Domain, msg.Account)
		if err != nil {
			return Item{}, err
		}
		boxes, err := m.folders(ctx, s, msg.Domain, msg.Account)
		if err != nil {
			return Item{}, err
		}
		o = &owned{a, boxes}
		known[msg.Account] = o
	}
	return o.boxes.item(msg, o.account, ""), nil
}

// pastRefs shows the messages that somebody names.
func (m *Mail) pastRefs(ctx context.Context, s gateway.Scope, q *PastQuery, show func(gateway.Past) bool) error {
	for _, ref := range q.Refs {
		ref.Email = q.Email
		it, err := m.Get(ctx, s, ref)
		if err != nil {
			return err
		}
		if more, err := m.show(ctx, s, q, it, show); err != nil || !more {
			return err
		}
	}
	return nil
}

func (m *Mail) show(ctx context.Context, s gateway.Scope, q *PastQuery, it Item, show func(gateway.Past) bool) (more bool, err error) {
	msg := it.Message
	tr, err := m.cfg.Store.Trace(ctx, s, msg.Domain, msg.Account, msg.Number)
	if err != nil {
		return false, err
	}
	look := m.LookAt
	if q.Later {
		look = m.LookAtLater
	}
	return show(gateway.Past{Look: look(s, it), Steps: tr.Steps}), nil
}

// RecentQuery asks for what was sent, or arrived, lately.
type RecentQuery struct {
	Email string // of this account; empty: of all in the scope
	Sent  bool   // what was sent, rather than what arrived
	gateway.Span
}

// recentTurns bounds how often the store is asked for one page: each time it looks at so
// many messages of either kind.
const recentTurns = 50

// Recent lists messages of all folders, the newest first. more says that there may be
// others where the span ends. NotFound if what the span names is none of them.
func (m *Mail) Recent(ctx context.Context, s gateway.Scope, q RecentQuery) (items []Item, more bool, err error) {
	owner, at, err := m.recentStart(ctx, s, &q)
	if err != nil {
		return nil, false, err
	}
	newer, known, most := !q.Before.IsZero(), make(owners), q.Wider().Most
	for range recentTurns {
		page, next, err := m.cfg.Store.RecentMessages(ctx, s, owner, q.Sent, newer, at, most-len(items))
		if err != nil {
			return nil, false, err
		}
		for _, msg := range page {
			it, err := m.ownedItem(ctx, s, known, msg)
			if gateway.KindOf(err) == gateway.NotFound && err != nil {
				continue // its account is being deleted
			} else if err != nil {
				return nil, false, err
			}
			items = append(items, it)
		}
		if at = next; next == nil || len(items) == most {
			break
		}
	}
	if newer {
		slices.Reverse(items)
	}
	looked := at == nil || len(items) == most
	items, more = gateway.Cut(items, q.Span)
	return items, more || !looked, nil
}

// recentStart is whose messages they are, and the place that they begin behind; nil is the
// end of the list.
func (m *Mail) recentStart(ctx context.Context, s gateway.Scope, q *RecentQuery) (owner gateway.AccountID, at []byte, err error) {
	a, err := m.account(ctx, s, q.Email)
	if err != nil {
		return 0, nil, err
	}
	if a != nil {
		owner = a.ID
	}
	from := q.After
	if !q.Before.IsZero() {
		from = q.Before
	}
	if !from.IsZero() {
		at, err = m.cfg.Store.RecentPlace(ctx, s, owner, from)
	}
	return owner, at, err
}

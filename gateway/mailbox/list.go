package mailbox

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// List returns a page of a folder, newest first, without structures.
func (m *Mail) List(ctx context.Context, s gateway.Scope, q Query) (Page, error) {
	a, box, err := m.listed(ctx, s, &q)
	if err != nil {
		return Page{}, err
	}
	lq, err := m.listQuery(ctx, s, a, box, &q)
	if err != nil {
		return Page{}, err
	}
	p := Page{Page: q.Page, Size: q.Limit}
	var found []*gateway.Message
	if q.Filter != nil {
		found, err = m.filtered(ctx, s, lq, q.Filter, &p)
	} else {
		var l gateway.Listing
		l, err = m.cfg.Store.List(ctx, s, lq)
		p.Total, p.HasMore, found = l.Mailbox.Total, l.More, l.Messages
	}
	for _, msg := range found {
		p.Items = append(p.Items, Item{Message: msg, Entry: msg.Entries[0], Folder: box.Name, Email: a.Email})
	}
	if err == nil && q.Filter != nil && q.Filter.Words != "" {
		err = m.snippets(ctx, s, a, p.Items, q.Filter.Words)
	}
	return p, err
}

// listed finds the folder that a query means.
func (m *Mail) listed(ctx context.Context, s gateway.Scope, q *Query) (*gateway.Account, gateway.Mailbox, error) {
	a, err := m.oneAccount(ctx, s, q.Email)
	if err != nil {
		return nil, gateway.Mailbox{}, err
	}
	if q.Folder == "" {
		q.Folder = gateway.Inbox
	}
	box, err := m.Box(ctx, s, a, q.Folder)
	return a, box, err
}

// listQuery puts a page, or a cursor, in the store's terms.
func (m *Mail) listQuery(ctx context.Context, s gateway.Scope, a *gateway.Account, box gateway.Mailbox, q *Query) (gateway.ListQuery, error) {
	lim := m.cfg.Limits
	lq := gateway.ListQuery{Domain: a.Domain, Account: a.ID, Mailbox: box.ID, Limit: q.Limit}
	if q.Limit < 1 || int64(q.Limit) > lim.PageSize {
		return lq, gateway.Fieldf(gateway.InvalidParameter, "limit", "limit must be 1 to %d", lim.PageSize)
	}
	for _, cursor := range []struct {
		ref *Ref
		to  **gateway.Entry
	}{{q.After, &lq.After}, {q.Before, &lq.Before}} {
		if cursor.ref == nil {
			continue
		}
		ref := *cursor.ref
		ref.Email, ref.Folder = a.Email, box.Name
		it, err := m.Get(ctx, s, ref)
		*cursor.to = &it.Entry
		return lq, err
	}
	q.Page = max(q.Page, 1)
	if int64(q.Page) > lim.PageReach/int64(q.Limit) {
		return lq, gateway.Fieldf(gateway.InvalidParameter, "page", "pages reach %d items; go on with after=<id of the last item>", lim.PageReach)
	}
	lq.Skip = (q.Page - 1) * q.Limit
	return lq, nil
}

// Thread returns a page of a conversation, oldest first.
func (m *Mail) Thread(ctx context.Context, s gateway.Scope, id gateway.ID, page, limit int) (Conversation, error) {
	page = max(page, 1)
	if limit < 1 || int64(limit) > m.cfg.Limits.ThreadMessages || int64(page) > m.cfg.Limits.PageReach/int64(limit) {
		return Conversation{}, gateway.Fieldf(gateway.InvalidParameter, "page", "page and limit reach too far")
	}
	th, all, err := m.cfg.Store.Thread(ctx, s, id, (page-1)*limit, limit)
	if err != nil {
		return Conversation{}, err
	}
	a, err := m.cfg.Store.AccountByID(ctx, s, s.Domain(), th.Account)
	if err != nil {
		return Conversation{}, err
	}
	boxes, err := m.folders(ctx, s, a.Domain, a.ID)
	if err != nil {
		return Conversation{}, err
	}
	c := Conversation{Thread: th, Email: a.Email, HasMore: page*limit < th.Count}
	for _, msg := range all {
		c.Items = append(c.Items, boxes.item(msg, a, ""))
	}
	return c, nil
}

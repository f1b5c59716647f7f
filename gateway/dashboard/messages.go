package dashboard

import (
	"net/url"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// mailList is what the pages of an account's messages and of its threads have in common:
// which folder, narrowed by what, and which page of it.
type mailList struct {
	Email   string
	Base    string // the path of the list
	Folders []folderLink
	Folder  string
	Words   string
	Unread  bool
	Problem string

	Earlier, Later string // paths of the pages beside this one, "" if there is none
	Number         int    // of this page
	Total          string // how many there are, "" if nobody counted
}

// folderLink is a folder beside a list.
type folderLink struct {
	gateway.Mailbox
	To   string
	Here bool
}

// openList reads which list a page is to show.
func (d *Dashboard) openList(v *visit, section string) (list mailList, q mailbox.Query, err error) {
	a, err := d.account(v)
	if err != nil {
		return list, q, err
	}
	list = mailList{
		Email: a.Email, Base: "/" + joined([]string{"domains", v.domain.Name, "accounts", a.Email, section}),
		Folder: gateway.FoldMailbox(v.c.Query("folder", gateway.Inbox)), Words: v.c.Query("q"), Unread: v.c.Query("unread") != "",
	}
	list.Number, err = strconv.Atoi(v.c.Query("page", "1"))
	if err != nil || list.Number < 1 {
		return list, q, gateway.Fieldf(gateway.InvalidParameter, "page", "page is a number from 1 on")
	}
	folders, err := d.cfg.Mail.Folders(v.ctx, v.scope, a.Email)
	if err != nil {
		return list, q, err
	}
	for _, f := range folders {
		list.Folders = append(list.Folders, folderLink{f, prefix + list.Base + "?folder=" + url.QueryEscape(f.Name), f.Name == list.Folder})
	}
	return list, mailbox.Query{Email: a.Email, Folder: list.Folder, Page: list.Number, Limit: pageSize}, nil
}

// beside links the pages before and after this one.
func (list *mailList) beside(more bool) {
	at := func(n int) string {
		q := url.Values{"folder": {list.Folder}, "page": {strconv.Itoa(n)}}
		if list.Words != "" {
			q.Set("q", list.Words)
		}
		if list.Unread {
			q.Set("unread", "1")
		}
		return prefix + list.Base + "?" + q.Encode()
	}
	if list.Number > 1 {
		list.Earlier = at(list.Number - 1)
	}
	if more {
		list.Later = at(list.Number + 1)
	}
}

// messageList is a page of a folder.
type messageList struct {
	mailList
	Items []mailbox.Item
}

func (d *Dashboard) listMessages(v *visit) error {
	list, q, err := d.openList(v, "messages")
	if err != nil {
		return err
	}
	if list.Words != "" || list.Unread {
		q.Filter = &mailbox.Filter{Words: list.Words}
		if read := false; list.Unread {
			q.Filter.Read = &read
		}
	}
	page, err := d.cfg.Mail.List(v.ctx, v.scope, q)
	status, problem, again := mistake(err)
	switch {
	case again:
		list.Problem = problem
	case err != nil:
		return err
	default:
		status = fiber.StatusOK
		list.beside(page.HasMore)
		if list.Total = counted(int(page.Total), "message"); page.Capped {
			list.Total = "at least " + list.Total
		}
	}
	return d.show(v, status, "messages", list.Folder+" of "+list.Email, messageList{list, page.Items})
}

// People are whom a message in a list is with: who wrote it or, of one that the account
// sent, to whom.
func (messageList) People(it mailbox.Item) []gateway.Address { return people(it.Message) }

func people(m *gateway.Message) []gateway.Address {
	if m.Sent {
		return m.Content.To
	}
	return m.Content.From
}

// Read and Starred are its flags.
func (messageList) Read(it mailbox.Item) bool    { return it.Entry.Flags.Has(gateway.Seen) }
func (messageList) Starred(it mailbox.Item) bool { return it.Entry.Flags.Has(gateway.Flagged) }

// To is the page of a message.
func (list messageList) To(it mailbox.Item) string {
	return prefix + list.Base + "/" + it.Message.ID.String() + "?folder=" + url.QueryEscape(it.Folder)
}

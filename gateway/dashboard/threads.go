package dashboard

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// threadList is a page of the conversations of a folder.
type threadList struct {
	mailList
	Items []mailbox.Summary
}

// To is the page of a conversation.
func (list threadList) To(s mailbox.Summary) string {
	return prefix + list.Base + "/" + s.Thread.ID.String()
}

// Subject is never empty, since it is a link.
func (threadList) Subject(s mailbox.Summary) string { return subjectOf(s.Thread.Subject) }

func (d *Dashboard) listThreads(v *visit) error {
	list, q, err := d.openList(v, "threads")
	if err != nil {
		return err
	}
	if list.Words != "" {
		q.Filter = &mailbox.Filter{Words: list.Words}
	}
	page, err := d.cfg.Mail.Conversations(v.ctx, v.scope, q)
	status, problem, again := mistake(err)
	switch {
	case again:
		list.Problem = problem
	case err != nil:
		return err
	default:
		status = fiber.StatusOK
		list.beside(page.HasMore)
	}
	return d.show(v, status, "threads", "Threads in "+list.Folder+" of "+list.Email, threadList{list, page.Items})
}

const (
	// threadPage is how many messages of a conversation stand on a page. Ours: their texts
	// do, too.
	threadPage = 20
	// saidShown is how much of the text of each, in bytes. Ours; its own page has all.
	saidShown = 64 << 10
)

// conversationPage is a page of a conversation, oldest first, and the reply to it.
type conversationPage struct {
	mailbox.Conversation
	Base           string // its path
	Said           []said
	Earlier, Later string // addresses of the pages beside this one
	Reply          replyForm
	Problem        string
}

// said is one message of a conversation with what it says.
type said struct {
	mailbox.Item
	Text    string
	Cut     bool
	To      string // its page
	Reply   string // where it is answered
	Own     bool   // the account sent it
	Newest  bool
	Unread  bool
	Starred bool
}

// Subject is never empty, since it is the page's heading.
func (p *conversationPage) Subject() string { return subjectOf(p.Thread.Subject) }

func (d *Dashboard) showThread(v *visit) error {
	p, err := d.conversation(v)
	if err != nil {
		return err
	}
	if err := d.beginReply(v, p); err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "thread", p.Subject(), p)
}

// conversation reads the page of a conversation that is asked for; without a number the
// last one, where people go on.
func (d *Dashboard) conversation(v *visit) (p *conversationPage, err error) {
	a, err := d.account(v)
	if err != nil {
		return nil, err
	}
	id, err := gateway.ParseID(v.param("thread"))
	if err != nil {
		return nil, gateway.Errorf(gateway.NotFound, "there is no such thread")
	}
	number, err := strconv.Atoi(v.c.Query("page", "0"))
	if err != nil || number < 0 {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "page", "page is a number from 1 on")
	}
	p = &conversationPage{}
	if p.Conversation, err = d.cfg.Mail.Thread(v.ctx, v.scope, id, max(number, 1), threadPage); err != nil {
		return nil, err
	}
	if p.Thread.Account != a.ID {
		return nil, gateway.Errorf(gateway.NotFound, "there is no such thread")
	}
	if last := (p.Thread.Count + threadPage - 1) / threadPage; number == 0 {
		if number = max(last, 1); number > 1 {
			if p.Conversation, err = d.cfg.Mail.Thread(v.ctx, v.scope, id, number, threadPage); err != nil {
				return nil, err
			}
		}
	}
	p.Base = "/" + joined([]string{"domains", v.domain.Name, "accounts", a.Email, "threads", p.Thread.ID.String()})
	if number > 1 {
		p.Earlier = prefix + p.Base + "?page=" + strconv.Itoa(number-1)
	}
	if p.HasMore {
		p.Later = prefix + p.Base + "?page=" + strconv.Itoa(number+1)
	}
	return p, d.readAll(v, p)
}

// readAll reads what the messages of a page say.
func (d *Dashboard) readAll(v *visit, p *conversationPage) error {
	messages := prefix + "/" + joined([]string{"domains", v.domain.Name, "accounts", p.Email, "messages"}) + "/"
	for i, it := range p.Items {
		whole, err := d.cfg.Mail.Get(v.ctx, v.scope, mailbox.Ref{ID: it.Message.ID, Email: p.Email})
		if gateway.KindOf(err) == gateway.NotFound && err != nil {
			continue // it went meanwhile
		} else if err != nil {
			return err
		}
		s := said{
			Item: it, Own: it.Message.Sent, Newest: i == len(p.Items)-1 && !p.HasMore,
			Unread: !it.Entry.Flags.Has(gateway.Seen), Starred: it.Entry.Flags.Has(gateway.Flagged),
			To:    messages + it.Message.ID.String() + "?folder=" + url.QueryEscape(it.Folder),
			Reply: prefix + p.Base + "?reply=" + it.Message.ID.String() + "#reply",
		}
		if s.Text, s.Cut, err = d.cfg.Mail.LookAt(v.scope, whole).Reading.Text(saidShown); err != nil {
			return err
		}
		s.Text = strings.TrimSpace(s.Text)
		p.Said = append(p.Said, s)
	}
	return nil
}

package dashboard

import (
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// messagePage is what all tabs of a message show above their own part.
type messagePage struct {
	mailbox.Item
	Base    string // its path
	Tabs    []place
	Checks  []mailbox.Check
	Folders []string // that it can be moved to
	Problem string
}

// Subject is never empty, since it is the page's heading.
func (p *messagePage) Subject() string { return subjectOf(p.Message.Content.Subject) }

func subjectOf(subject string) string {
	if strings.TrimSpace(subject) == "" {
		return "No subject"
	}
	return subject
}

// Read, Starred and InTrash are where and how it stands.
func (p *messagePage) Read() bool    { return p.Entry.Flags.Has(gateway.Seen) }
func (p *messagePage) Starred() bool { return p.Entry.Flags.Has(gateway.Flagged) }
func (p *messagePage) InTrash() bool { return p.Folder == gateway.Trash }

// At is the address of one of its pages; the folder goes with it, since a message may
// stand in two.
func (p *messagePage) At(parts ...string) string {
	to := prefix + p.Base
	if len(parts) > 0 {
		to += "/" + joined(parts)
	}
	return to + "?folder=" + url.QueryEscape(p.Folder)
}

// List is the folder that it stands in.
func (p *messagePage) List() string { return p.list("messages", p.Folder) }

// Thread is its conversation.
func (p *messagePage) Thread() string {
	return p.account() + "/threads/" + p.Message.Thread.String()
}

func (p *messagePage) list(section, folder string) string {
	return p.account() + "/" + section + "?folder=" + url.QueryEscape(folder)
}

// account is the address of the account's pages.
func (p *messagePage) account() string {
	return prefix + p.Base[:strings.LastIndex(p.Base, "/messages/")]
}

// messageTabs are the pages of a message, in order. What is not there has no tab.
var messageTabs = []struct{ at, name string }{
	{"", "HTML"}, {"text", "Text"}, {"headers", "Headers"}, {"raw", "Raw"}, {"attachments", "Attachments"}, {"trace", "Trace"},
}

// message finds the message of the path, in the folder that is asked for, and what its
// pages have in common; tab is which of them it is.
func (d *Dashboard) message(v *visit, tab string) (p *messagePage, err error) {
	a, err := d.account(v)
	if err != nil {
		return nil, err
	}
	ref, err := messageRef(v, a)
	if err != nil {
		return nil, err
	}
	it, err := d.cfg.Mail.Get(v.ctx, v.scope, ref)
	if err != nil {
		return nil, err
	}
	v.row.Email = it.Message.ID
	p = &messagePage{Item: it, Checks: mailbox.Checks(it.Message)}
	p.Base = "/" + joined([]string{"domains", v.domain.Name, "accounts", a.Email, "messages", it.Message.ID.String()})
	for _, t := range messageTabs {
		if t.name == "HTML" && it.Message.Content.HTMLPart < 0 {
			continue
		}
		to := p.At()
		if t.at != "" {
			to = p.At(t.at)
		}
		p.Tabs = append(p.Tabs, place{to, t.name, t.at == tab})
	}
	folders, err := d.cfg.Mail.Folders(v.ctx, v.scope, a.Email)
	for _, f := range folders {
		if f.Name != it.Folder {
			p.Folders = append(p.Folders, f.Name)
		}
	}
	return p, err
}

// messageRef is the message that a path names: by its id alone, which no other account
// shares.
func messageRef(v *visit, a *gateway.Account) (ref mailbox.Ref, err error) {
	ref.Email, ref.Folder = a.Email, v.c.Query("folder")
	if ref.ID, err = gateway.ParseID(v.param("id")); err != nil {
		err = gateway.Errorf(gateway.NotFound, "there is no such message")
	}
	return ref, err
}

// changeMessage does what one of the buttons above a message says. Looking at a message
// marks nothing: who looks here is often not who reads the mailbox.
func (d *Dashboard) changeMessage(v *visit) error {
	p, err := d.message(v, "")
	if err != nil {
		return err
	}
	yes, no := true, false
	var c mailbox.Change
	var said string
	switch v.field("do") {
	case "read":
		c.Read, said = &yes, "The message is marked read."
	case "unread":
		c.Read, said = &no, "The message is marked unread."
	case "star":
		c.Starred, said = &yes, "The message has a star."
	case "unstar":
		c.Starred, said = &no, "The star is gone."
	case "trash":
		return d.moveMessage(v, p, gateway.Trash)
	case "move":
		return d.moveMessage(v, p, v.field("to"))
	default:
		return gateway.Fieldf(gateway.InvalidParameter, "do", "a form says what to do with the message: read, unread, star, unstar, move or trash")
	}
	ref := mailbox.Ref{ID: p.Message.ID, Email: p.Email, Folder: p.Folder}
	if _, err := d.cfg.Mail.Update(v.ctx, v.scope, ref, c); err != nil {
		return err
	}
	v.signin.tell(said)
	return v.redirect(strings.TrimPrefix(p.At(), prefix))
}

// moveMessage files a message elsewhere and goes on with the folder that it left.
func (d *Dashboard) moveMessage(v *visit, p *messagePage, folder string) error {
	ref := mailbox.Ref{ID: p.Message.ID, Email: p.Email, Folder: p.Folder}
	it, err := d.cfg.Mail.Update(v.ctx, v.scope, ref, mailbox.Change{Folder: &folder})
	if status, problem, again := mistake(err); again {
		p.Problem = problem
		return d.show(v, status, "movemessage", "Move a message", p)
	}
	if err != nil {
		return err
	}
	v.signin.tell("“" + p.Subject() + "” is in " + it.Folder + " now.")
	return v.redirect(strings.TrimPrefix(p.List(), prefix))
}

// deleteMessageForm asks before a message is gone for good.
func (d *Dashboard) deleteMessageForm(v *visit) error {
	p, err := d.message(v, "delete")
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "deletemessage", "Delete for good", p)
}

func (d *Dashboard) deleteMessage(v *visit) error {
	p, err := d.message(v, "delete")
	if err != nil {
		return err
	}
	ref := mailbox.Ref{ID: p.Message.ID, Email: p.Email, Folder: p.Folder}
	if _, err := d.cfg.Mail.Delete(v.ctx, v.scope, ref, true); err != nil {
		return err
	}
	v.signin.tell("“" + p.Subject() + "” is deleted.")
	return v.redirect(strings.TrimPrefix(p.List(), prefix))
}

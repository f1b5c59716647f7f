package store

import (
	"errors"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What a plugin may send is decided in the commit that sends it: whether the plugin is
// still there and may, for whom it sends, and how much of that there was. Counters that
// several tries at once could pass are no limits.

// Permissions that sending needs. Source: the ABI.
const (
	permitReply = "reply"
	permitSend  = "send"
)

// fulfil ends the intent of a that author sends, if its plugin still may. InvalidState if
// it ended before, or if nobody is to be answered any more; Restricted if the plugin may
// not; RateLimited if it sent too much.
func (t *tx) fulfil(a *gateway.Acceptance, author *gateway.Account) error {
	in, err := t.held(a.Intent)
	if err != nil {
		return err
	}
	p, err := readPlugin(t, t.domain, in.Plugin)
	if err != nil {
		return missing(err, "plugin")
	}
	permission := permitSend
	if !in.Answers.IsZero() {
		permission = permitReply
	}
	switch {
	case !p.Enabled:
		return gateway.Errorf(gateway.Restricted, "the plugin was switched off before its mail was sent")
	case !slices.Contains(p.Grants, permission):
		return gateway.Errorf(gateway.Restricted, "the plugin is not granted %s any more", permission)
	case p.Account != 0 && p.Account != author.ID:
		return gateway.Errorf(gateway.DomainNotAuthorized, "the plugin of an account may not send as %s", author.Email)
	}
	lim := &t.store.cfg.Limits
	if _, err := t.addUsage(pluginUsageKey(t.domain, p.ID), lim.PluginSendsHour, lim.KeyRecipients, len(a.Deliveries), "plugin_"); err != nil {
		return err
	}
	if !in.Answers.IsZero() {
		if err := t.reply(in, p, author, a.Message.Recipients); err != nil {
			return err
		}
	}
	if a.Activity != nil {
		a.Activity.Endpoint = p.Name
	}
	return t.dropIntent(in)
}

// reply counts an answer: what RFC 3834 section 2 and RFC 5230 section 4.2 want of it
// besides what can be seen in the mail that it answers.
func (t *tx) reply(in *gateway.Intent, p *gateway.Plugin, author *gateway.Account, to []string) error {
	if len(to) != 1 {
		return gateway.Errorf(gateway.InvalidParameter, "an answer goes to one address")
	}
	switch at, err := accountAt(t, t.domain, to[0]); {
	case errors.Is(err, engine.ErrNotFound):
	case err != nil:
		return err
	case at.ID == author.ID:
		return gateway.Errorf(gateway.InvalidState, "the mailbox would answer itself")
	}
	b, err := t.Get(uuidKey(t.domain, in.Answers))
	if err != nil {
		return missing(err, "email")
	}
	account, n, err := messageRef(b)
	if err != nil {
		return err
	}
	if p.Account != 0 && p.Account != account {
		return denied("email")
	}
	m, err := readMessage(t, t.domain, account, n)
	if err != nil {
		return missing(err, "email")
	}
	if err := t.countReply(p.ID, author.ID, to[0]); err != nil {
		return err
	}
	return t.countReplies(account, m.Thread)
}

// countReply notes that a plugin answers an address from an account. InvalidState if it
// did so a short time ago.
func (t *tx) countReply(plugin gateway.ID, from gateway.AccountID, to string) error {
	hours := t.store.cfg.Limits.ReplyHours
	if hours == 0 {
		return nil
	}
	k := key(subReplied, t.domain).id(plugin).account(from).hash(gateway.FoldAddress(to))
	last, err := t.Get(k)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	keep := time.Duration(hours) * time.Hour
	if err == nil && len(last) == 8 && t.now.Before(fromMS(last).Add(keep)) {
		return gateway.Errorf(gateway.InvalidState, "its sender was answered less than %d hours ago", hours)
	}
	t.SetUntil(k, keyBuilder(nil).u64(ms(t.now)), until(t.now, keep))
	return nil
}

// countReplies notes an answer in a conversation. InvalidState if there were too many that
// day.
func (t *tx) countReplies(a gateway.AccountID, thread gateway.ID) error {
	const day = 24 * time.Hour
	most := t.store.cfg.Limits.RepliesThreadDay
	k := key(subReplies, t.domain).account(a).id(thread)
	n, err := loadOr(t, k, decodeNumbers)
	if err != nil {
		return err
	}
	began := time.UnixMilli(int64(n[0]))
	if !t.now.Before(began.Add(day)) {
		n, began = numbers{ms(t.now)}, t.now
	}
	if n[1]++; n[1] > uint64(most) {
		return gateway.Errorf(gateway.InvalidState, "plugins answered %d times in the conversation within a day", most)
	}
	t.SetUntil(k, n.encode(), until(began, day))
	return nil
}

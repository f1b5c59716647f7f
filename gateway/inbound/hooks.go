package inbound

import (
	"cmp"
	"context"
	"io"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/threading"
)

// Hooks is what decides about arriving mail besides us: the plugins of the
// recipients' domain and accounts. A gateway without plugins has none. An error is
// a failure of the gateway; that of a plugin has been turned into a verdict.
type Hooks interface {
	// Inbound says what becomes of a message: for all recipients when look.Account
	// is 0, else for the copy of that account.
	Inbound(ctx context.Context, s gateway.Scope, look *gateway.Look) (gateway.Verdict, error)
	// Thread says which conversation a copy belongs to.
	Thread(ctx context.Context, s gateway.Scope, look *gateway.Look) (gateway.ThreadChoice, error)
}

// Labels that say why a copy is in Junk although somebody refused it: another
// recipient of the same message took it, so the sender can't be told.
const (
	labelRejected = "rejected-by-plugin"
	labelFailed   = "plugin-error"
	labelHeld     = "quarantined"
)

// look is the message as plugins see it.
func (r *Receiver) look(ctx context.Context, t *tray) (gateway.Look, *added) {
	if t.hooksUntil.IsZero() {
		t.hooksUntil = time.Now().Add(time.Duration(r.cfg.Limits.PluginMessageMillis) * time.Millisecond)
	}
	reading := r.reading(ctx, t)
	look := gateway.Look{
		Message: r.message(t), Envelope: t.env, Until: t.hooksUntil, Effects: &t.effects, Reading: reading,
	}
	look.Automation = r.automation(t, reading, t.env.Recipients)
	plus := &added{reading: reading, came: t.env.Prefix, copies: len(t.copies), limits: r.cfg.Limits}
	look.Edit = plus.edit
	return look, plus
}

// reading reads the message as it came: with what stood before the bytes of mail from
// inside.
func (r *Receiver) reading(ctx context.Context, t *tray) *content.Reading {
	open := func(off, n int64) (io.ReadCloser, error) { return r.cfg.Store.OpenBlob(ctx, t.scope, t.blob, off, n) }
	return &content.Reading{Open: open, Content: t.content, Prefix: t.env.Prefix, Fields: t.header, Limits: r.cfg.Limits}
}

// automation says whether a program wrote the message, and may answer it for own addresses.
func (r *Receiver) automation(t *tray, reading gateway.Reading, own []string) func() (gateway.Automation, error) {
	return func() (gateway.Automation, error) {
		fields, err := reading.Header()
		if err != nil {
			return gateway.Automation{}, err
		}
		about := content.Correspondence{ReturnPath: t.env.ReturnPath, Own: own, DMARC: t.auth.DMARC.Result}
		return content.Automation(t.content, fields, about), nil
	}
}

// hooks asks the domain, then each account. When all refuse, the sender hears it:
// the first code, or "later" if one of them says later. When some accept, the
// refused copies go to Junk. A discarded copy is gone; if all are, the sender hears
// that all is well.
func (r *Receiver) hooks(ctx context.Context, t *tray) error {
	if r.cfg.Hooks == nil || t.known {
		return nil
	}
	verdicts, answers, err := r.ask(ctx, t)
	if err != nil {
		return err
	}
	if err := refusal(verdicts); err != nil {
		return cmp.Or(r.remember(ctx, t), error(err))
	}
	var replies []*gateway.AutoReply
	t.copies, replies = applied(t.copies, verdicts)
	if t.discarded = len(t.copies) == 0; t.discarded && t.env.Delivery.IsZero() {
		return r.remember(ctx, t)
	}
	if err := r.reply(t, answers, replies); err != nil {
		return err
	}
	return r.redirect(ctx, t)
}

// ask returns one verdict per copy, and whether the domain's plugins answer.
func (r *Receiver) ask(ctx context.Context, t *tray) (verdicts []gateway.Verdict, answers bool, err error) {
	look, plus := r.look(ctx, t)
	look.Folder = t.copies[0].Folder // all are where DMARC has them
	all, err := r.cfg.Hooks.Inbound(ctx, t.scope, &look)
	if err != nil {
		return nil, false, err
	}
	folder, flags, labels, score, fields := look.Folder, look.Flags, look.Labels, look.Score, plus.fields
	verdicts = make([]gateway.Verdict, len(t.copies))
	for i := range t.copies {
		verdicts[i] = all
		if c := &t.copies[i]; all.Action == gateway.ActionAccept && !all.Final && c.Account != 0 {
			r.about(ctx, &look, t, c)
			look.Folder, look.Flags, look.Labels, look.Score = folder, flags, labels, score
			plus.show(fields)
			plus.copies = 1
			v, err := r.cfg.Hooks.Inbound(ctx, t.scope, &look)
			if err != nil {
				return nil, false, err
			}
			verdicts[i].Add(&v)
		}
	}
	return verdicts, all.Reply != nil, nil
}

// about makes a look that of one copy. Who else got the message is not for its owner
// to know: it may be a blind copy.
func (r *Receiver) about(ctx context.Context, look *gateway.Look, t *tray, c *gateway.Copy) {
	look.Account, look.Mailbox, look.Envelope.Recipients = c.Account, c.Address, c.Recipients
	look.Automation = r.automation(t, look.Reading, slices.Concat([]string{c.Address}, t.aliases[c.Account], c.Recipients))
	look.Conversation = func() (*gateway.Conversation, error) { return r.conversation(ctx, t, c.Account) }
}

// conversation is the one that the message goes into, unless somebody says otherwise.
func (r *Receiver) conversation(ctx context.Context, t *tray, a gateway.AccountID) (*gateway.Conversation, error) {
	if a == 0 { // of an address that gets its account with this mail
		return nil, nil
	}
	facts := threading.Facts(t.content, t.arrived)
	found, err := r.cfg.Store.Candidates(ctx, t.scope, a, &facts)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return content.ReadConversation(ctx, t.scope, r.cfg.Store, a, found[0].ID, r.cfg.Limits)
}

// refusal is what the sender hears when nobody takes the message.
func refusal(verdicts []gateway.Verdict) *gateway.Error {
	var refused, later *gateway.Verdict
	for i := range verdicts {
		switch v := &verdicts[i]; v.Action {
		case gateway.ActionReject:
			refused = cmp.Or(refused, v)
		case gateway.ActionTempfail:
			later = cmp.Or(later, v)
		default:
			return nil
		}
	}
	if later != nil {
		return &gateway.Error{
			Kind: gateway.Unavailable, Code: cmp.Or(later.Code, 451), Message: cmp.Or(later.Text, "try again later"), Reason: "a plugin asked to try later",
		}
	}
	return &gateway.Error{
		Kind: gateway.PluginRejected, Code: refused.Code, Message: cmp.Or(refused.Text, "message refused"), Reason: "rejected by a plugin",
	}
}

// remember makes durable what plugins want to remember of a message that is not
// stored.
func (r *Receiver) remember(ctx context.Context, t *tray) error {
	if len(t.effects.KV)+len(t.effects.Intents) == 0 {
		return nil
	}
	return r.cfg.Store.RemindPlugins(ctx, t.scope, t.effects)
}

// applied returns the copies that are left, each where its verdict wants it, and what is
// answered for each. Only one that is accepted is answered or sent on.
func applied(copies []gateway.Copy, verdicts []gateway.Verdict) (kept []gateway.Copy, replies []*gateway.AutoReply) {
	for i, c := range copies {
		v := &verdicts[i]
		if v.Folder != "" {
			c.Folder, c.MakeFolder = v.Folder, true
		}
		c.Flags |= v.Flags
		c.Labels = append(c.Labels, v.Labels...)
		c.Headers = append(c.Headers, v.Headers...)
		junk := func(label string) { c.Folder, c.Labels = gateway.Junk, append(c.Labels, label) }
		var reply *gateway.AutoReply
		switch v.Action {
		case gateway.ActionAccept:
			reply, c.Keep = v.Reply, v.Keep
			for _, addr := range v.Redirect {
				c.Redirects = append(c.Redirects, gateway.Redirect{Recipient: addr})
			}
		case gateway.ActionDiscard:
			continue
		case gateway.ActionReject:
			junk(labelRejected)
		case gateway.ActionTempfail:
			junk(labelFailed)
		case gateway.ActionQuarantine:
			junk(labelHeld)
		}
		kept, replies = append(kept, c), append(replies, reply)
	}
	return kept, replies
}

// choose asks which conversation each copy belongs to.
func (r *Receiver) choose(ctx context.Context, t *tray) error {
	if r.cfg.Hooks == nil {
		return nil
	}
	for i := range t.copies {
		c, found := &t.copies[i], []gateway.Thread(nil)
		if len(c.Redirects) > 0 && !c.Keep {
			continue // it goes away
		}
		look, plus := r.look(ctx, t)
		r.about(ctx, &look, t, c)
		plus.show(c.Headers)
		look.Folder, look.Flags, look.Labels = c.Folder, c.Flags, c.Labels // as the hooks before left it
		look.NewThread = newID()
		asked := false
		look.Candidates = func() (_ []gateway.Thread, err error) {
			if asked = true; c.Account != 0 {
				found, err = r.cfg.Store.Candidates(ctx, t.scope, c.Account, &t.facts)
			}
			return found, err
		}
		choice, err := r.cfg.Hooks.Thread(ctx, t.scope, &look)
		if err != nil {
			return err
		}
		if c.Thread = choice; choice.New || asked && len(found) == 0 {
			c.NewThread = look.NewThread
		}
	}
	return nil
}

package outbound

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/threading"
)

// Hooks is what decides about leaving mail besides us: the plugins of the
// sender's domain and account. A gateway without plugins has none. An error is a
// failure of the gateway; that of a plugin has been turned into a verdict.
type Hooks interface {
	// Outbound says whether a message may leave. It is asked while the sender waits. What
	// its verdict changes of the message it has done by look.Edit.
	Outbound(ctx context.Context, s gateway.Scope, look *gateway.Look) (gateway.Verdict, error)
	// Thread says which conversation it belongs to.
	Thread(ctx context.Context, s gateway.Scope, look *gateway.Look) (gateway.ThreadChoice, error)
}

// Signer vouches for a message with its domain's keys.
type Signer interface {
	// Sign returns the fields to stand before a message's bytes. Of one that stays inside
	// nobody verifies them on arrival, so a cheap signature does.
	Sign(ctx context.Context, s gateway.Scope, d *gateway.Domain, inside bool, message io.Reader) ([]byte, error)
}

// hooks asks whether the message may leave: a refusal is told now, not by a
// report later.
func (s *Sender) hooks(ctx context.Context, t *tray) error {
	if s.cfg.Hooks == nil || t.sub.Draft {
		return nil
	}
	look, had := s.look(ctx, t), len(t.recipients)
	look.Edit = func(v *gateway.Verdict) error { return s.edit(ctx, t, &look, v) }
	v, err := s.cfg.Hooks.Outbound(ctx, s.cfg.Internal(t.domain.ID), &look)
	if err != nil {
		return err
	}
	switch v.Action {
	case gateway.ActionDeny:
		err = &gateway.Error{Kind: gateway.PluginRejected, Code: v.Code, Message: cmp.Or(v.Text, "message refused"), Reason: "denied by a plugin"}
	case gateway.ActionTempfail:
		err = &gateway.Error{Kind: gateway.Unavailable, Code: 451, Message: cmp.Or(v.Text, "try again later"), Reason: "a plugin failed", Retry: time.Minute}
	case gateway.ActionHold:
		t.held, t.until = gateway.HeldPlugin, s.holdUntil(v.Until, t.now)
	}
	if err == nil && len(t.recipients) == 0 && had > 0 {
		err = &gateway.Error{Kind: gateway.PluginRejected, Message: "message refused: no recipient is left", Reason: "a plugin took all recipients away"}
	}
	if err == nil {
		return nil
	}
	return cmp.Or(s.remember(ctx, t), err)
}

// holdUntil is when a hold ends by itself; never, if until is zero.
func (s *Sender) holdUntil(until, now time.Time) time.Time {
	if until.IsZero() {
		return until
	}
	if last := now.Add(time.Duration(s.cfg.Limits.PluginHoldDays) * 24 * time.Hour); until.After(last) {
		until = last
	}
	return until.UTC().Truncate(time.Millisecond)
}

// remember makes durable what plugins want to remember of a message that is not
// accepted.
func (s *Sender) remember(ctx context.Context, t *tray) error {
	s.lone(ctx, t)
	if len(t.effects.KV)+len(t.effects.Intents) == 0 {
		return nil
	}
	return s.cfg.Store.RemindPlugins(ctx, s.cfg.Internal(t.domain.ID), t.effects)
}

// look is the message as plugins see it.
func (s *Sender) look(ctx context.Context, t *tray) gateway.Look {
	if t.hooksUntil.IsZero() {
		t.hooksUntil = time.Now().Add(time.Duration(s.cfg.Limits.PluginMessageMillis) * time.Millisecond)
	}
	if t.reading == nil {
		open := func(off, n int64) (io.ReadCloser, error) { return s.cfg.Store.OpenBlob(ctx, t.scope, t.blob, off, n) }
		t.reading = &content.Reading{Open: open, Content: t.content, Prefix: t.message.Prefix, Limits: s.cfg.Limits}
	}
	look := gateway.Look{
		Message: t.message, Envelope: gateway.Envelope{ReturnPath: t.returnPath, Recipients: t.recipients}, Mailbox: t.from.Addr,
		Via: "rest", Until: t.hooksUntil, Effects: &t.effects, Reading: t.reading,
		Folder: gateway.Sent, Flags: gateway.Seen, // as the commit files it
	}
	switch {
	case t.sub.Intent != nil:
		look.Via = "plugin"
	case t.sub.Written != nil:
		look.Via = "smtp"
	}
	own := []string{t.from.Addr}
	if t.account != nil {
		look.Account, look.Mailbox = t.account.ID, t.account.Email
		own = append(append(own, t.account.Email), t.account.Aliases...)
	}
	look.Automation = func() (gateway.Automation, error) {
		fields, err := look.Reading.Header()
		if err != nil {
			return gateway.Automation{}, err
		}
		return content.Automation(t.content, fields, content.Correspondence{ReturnPath: t.returnPath, Own: own}), nil
	}
	if look.Account != 0 {
		look.Conversation = func() (*gateway.Conversation, error) { return s.conversation(ctx, t, look.Account) }
	}
	return look
}

// conversation is the one that the message goes into, unless somebody says otherwise.
func (s *Sender) conversation(ctx context.Context, t *tray, a gateway.AccountID) (*gateway.Conversation, error) {
	internal, id := s.cfg.Internal(t.domain.ID), t.sub.Thread
	if id.IsZero() {
		facts := threading.Facts(t.content, t.now)
		found, err := s.cfg.Store.Candidates(ctx, internal, a, &facts)
		if err != nil || len(found) == 0 {
			return nil, err
		}
		id = found[0].ID
	}
	return content.ReadConversation(ctx, internal, s.cfg.Store, a, id, s.cfg.Limits)
}

// choose asks which conversation the message belongs to.
func (s *Sender) choose(ctx context.Context, t *tray) (err error) {
	if s.cfg.Hooks == nil || t.sub.Draft {
		return nil
	}
	internal := s.cfg.Internal(t.domain.ID)
	look, found, asked := s.look(ctx, t), []gateway.Thread(nil), false
	look.NewThread = newID()
	look.Candidates = func() (_ []gateway.Thread, err error) {
		if asked = true; look.Account != 0 {
			found, err = s.cfg.Store.Candidates(ctx, internal, look.Account, &t.facts)
		}
		return found, err
	}
	if t.choice, err = s.cfg.Hooks.Thread(ctx, internal, &look); err != nil {
		return err
	}
	if t.choice.New || asked && len(found) == 0 {
		t.newThread = look.NewThread
	}
	return nil
}

// sign puts in front what proves the message to be the domain's: over the fields that
// plugins added and the body, which are final now. Each attempt to deliver carries these
// bytes. Without a signer the message leaves unsigned.
func (s *Sender) sign(ctx context.Context, t *tray) error {
	if s.cfg.Signer == nil || t.sub.Draft {
		return nil
	}
	r, err := s.cfg.Store.OpenBlob(ctx, t.scope, t.blob, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	whole := io.MultiReader(bytes.NewReader(t.message.Prefix), r)
	fields, err := s.cfg.Signer.Sign(ctx, s.cfg.Internal(t.domain.ID), t.domain, !t.leaves, whole)
	if err != nil {
		return err
	}
	t.message.Prefix = append(fields, t.message.Prefix...)
	return nil
}

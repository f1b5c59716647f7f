package inbound

import (
	"cmp"
	"context"

	"github.com/centerleap/postern/gateway"
)

// Hooks is what decides about arriving mail besides us: the plugins of the
// recipients' domain and accounts. A gateway without plugins has none.
type Hooks interface {
	// Inbound says what becomes of one copy of m. An error is a temporary
	// failure of the hook; its own policy has been applied before.
	Inbound(ctx context.Context, s gateway.Scope, m *gateway.Message, c *gateway.Copy) (gateway.Verdict, error)
}

// Labels that say why a copy is in Junk although somebody refused it: another
// recipient of the same message took it, so the sender can't be told.
const (
	labelRejected = "rejected-by-plugin"
	labelFailed   = "plugin-error"
	labelHeld     = "quarantined"
)

// hooks asks about each copy. When all refuse, the sender hears it: the first
// code, or "later" if one of them says later. When some accept, the refused
// copies go to Junk. A discarded copy is gone; if all are, the sender hears that
// all is well.
func (r *Receiver) hooks(ctx context.Context, t *tray) error {
	if r.cfg.Hooks == nil || t.known {
		return nil
	}
	m := r.message(t)
	verdicts := make([]gateway.Verdict, len(t.copies))
	var refused, later *gateway.Verdict
	taken := 0
	for i := range t.copies {
		v, err := r.cfg.Hooks.Inbound(ctx, t.scope, m, &t.copies[i])
		if err != nil {
			return err
		}
		switch verdicts[i] = v; v.Action {
		case gateway.ActionReject:
			refused = cmp.Or(refused, &verdicts[i])
		case gateway.ActionTempfail:
			later = cmp.Or(later, &verdicts[i])
		default:
			taken++
		}
	}
	switch {
	case taken == 0 && later != nil:
		return &gateway.Error{Kind: gateway.Unavailable, Message: cmp.Or(later.Text, "try again later"), Reason: "plugin asked to try later"}
	case taken == 0 && refused != nil:
		return &gateway.Error{Kind: gateway.PluginRejected, Message: cmp.Or(refused.Text, "message refused"), Reason: "rejected by plugin"}
	}
	t.copies = applied(t.copies, verdicts)
	t.discarded = len(t.copies) == 0
	return nil
}

// applied returns the copies that are left, each where its verdict wants it.
func applied(copies []gateway.Copy, verdicts []gateway.Verdict) (kept []gateway.Copy) {
	for i, c := range copies {
		v := &verdicts[i]
		c.Folder = cmp.Or(v.Folder, c.Folder)
		c.Flags |= v.Flags
		c.Labels = append(c.Labels, v.Labels...)
		junk := func(label string) { c.Folder, c.Labels = gateway.Junk, append(c.Labels, label) }
		switch v.Action {
		case gateway.ActionDiscard:
			continue
		case gateway.ActionReject:
			junk(labelRejected)
		case gateway.ActionTempfail:
			junk(labelFailed)
		case gateway.ActionQuarantine:
			junk(labelHeld)
		}
		kept = append(kept, c)
	}
	return kept
}

package outbound

import (
	"cmp"
	"context"
	"io"

	"github.com/centerleap/postern/gateway"
)

// Hooks is what decides about leaving mail besides us: the plugins of the
// sender's domain and account. A gateway without plugins has none.
type Hooks interface {
	// Outbound says whether m may leave. It is asked while the sender waits.
	Outbound(ctx context.Context, s gateway.Scope, m *gateway.Message) (gateway.Verdict, error)
}

// Signer vouches for a message with its domain's keys.
type Signer interface {
	// Sign returns the fields to stand before a message's bytes.
	Sign(ctx context.Context, s gateway.Scope, d *gateway.Domain, message io.Reader) ([]byte, error)
}

// hooks asks whether the message may leave: a refusal is told now, not by a
// report later.
func (s *Sender) hooks(ctx context.Context, t *tray) error {
	if s.cfg.Hooks == nil {
		return nil
	}
	v, err := s.cfg.Hooks.Outbound(ctx, t.scope, t.message)
	if err != nil {
		return err
	}
	switch v.Action {
	case gateway.ActionDeny, gateway.ActionReject:
		return &gateway.Error{Kind: gateway.PluginRejected, Message: cmp.Or(v.Text, "message refused"), Reason: "denied by plugin"}
	case gateway.ActionHold:
		t.held = gateway.HeldPlugin
	}
	return nil
}

// sign adds what proves the message to be the domain's. Without a signer it
// leaves unsigned.
func (s *Sender) sign(ctx context.Context, t *tray) error {
	if s.cfg.Signer == nil {
		return nil
	}
	r, err := s.cfg.Store.OpenBlob(ctx, t.scope, t.blob, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	t.message.Prefix, err = s.cfg.Signer.Sign(ctx, t.scope, t.domain, r)
	return err
}

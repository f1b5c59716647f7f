package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
)

// labelFailed marks mail whose plugin failed.
const labelFailed = "plugin-error"

// Inbound asks about mail that arrives: the domain's plugins when look names no
// account, else those of the account. A refusal, a discard or a final verdict ends
// the questions. s is the scope of the domain.
func (p *Plugins) Inbound(ctx context.Context, s gateway.Scope, look *gateway.Look) (gateway.Verdict, error) {
	return p.chain(ctx, s, gateway.HookInbound, look, look.Account)
}

// Outbound asks about mail that leaves: the domain's plugins, then the account's.
func (p *Plugins) Outbound(ctx context.Context, s gateway.Scope, look *gateway.Look) (gateway.Verdict, error) {
	return p.chain(ctx, s, gateway.HookOutbound, look, 0, look.Account)
}

// Thread asks which conversation a message belongs to: the domain's plugins, then
// the account's.
func (p *Plugins) Thread(ctx context.Context, s gateway.Scope, look *gateway.Look) (gateway.ThreadChoice, error) {
	v, err := p.chain(ctx, s, gateway.HookThread, look, 0, look.Account)
	return v.Thread, err
}

// chain asks the plugins of owners, each owner's in their order, and adds up what
// they say.
func (p *Plugins) chain(ctx context.Context, s gateway.Scope, hook gateway.Hook, look *gateway.Look, owners ...gateway.AccountID) (total gateway.Verdict, err error) {
	all, err := p.cfg.Store.Plugins(ctx, s)
	if err != nil {
		return total, err
	}
	turns := inTurn(all, hook, slices.Compact(owners))
	if len(turns) == 0 {
		return total, nil
	}
	timed := &until{Context: ctx, at: look.Until}
	defer timed.stop()
	look.Effects.Steps = slices.Grow(look.Effects.Steps, len(turns))
	shown := &view{look: look, hook: hook}
	for _, inst := range turns {
		v, err := p.ask(ctx, timed, s, inst, shown)
		if err != nil {
			return total, fmt.Errorf("plugin %s: %w", inst.Name, err)
		}
		if total.Add(&v); ends(&v) {
			return total, nil
		}
		shown.decided(&v)
	}
	return total, nil
}

// inTurn are those of a domain's plugins that are asked at a hook, one after the other.
func inTurn(all []gateway.Plugin, hook gateway.Hook, owners []gateway.AccountID) (turns []*gateway.Plugin) {
	for _, owner := range owners {
		for i := range all {
			if inst := &all[i]; inst.Enabled && inst.Account == owner && slices.Contains(inst.Hooks, hook) {
				turns = append(turns, inst)
			}
		}
	}
	return turns
}

// ends reports whether nobody is asked after a verdict.
func ends(v *gateway.Verdict) bool {
	return refuses(v) || v.Final
}

// ask runs one plugin, unless it failed too often. What it remembers counts if it ends
// well; if it fails, its policy answers. An error is a failure of the gateway. timed ends
// before ctx when the time of all who are asked is over.
func (p *Plugins) ask(ctx, timed context.Context, s gateway.Scope, inst *gateway.Plugin, shown *view) (gateway.Verdict, error) {
	hook, look, now := shown.hook, shown.look, p.cfg.Now()
	turn := p.health.admit(inst, hook, now)
	if !turn.may {
		return pausedStep(inst, shown, now), nil
	}
	g := newGuest(ctx, p, s, inst, shown, now)
	defer g.close()
	used, err := p.run(timed, s, g)
	lost := err != nil && gateway.KindOf(err) == gateway.NotFound // its code, perhaps with it
	if err == nil {
		err = g.accepted()
	}
	change := p.health.went(turn, now.Add(used.Wall), used.Wall, err, &p.cfg.Limits)
	if lost {
		return p.askAgain(ctx, timed, s, inst, shown, err)
	}
	if host, ours := errors.AsType[*sandbox.HostError](err); ours {
		return gateway.Verdict{}, temporary(host)
	}
	if err != nil && ctx.Err() != nil {
		return gateway.Verdict{}, ctx.Err()
	}
	if p.cfg.Log.Enabled(ctx, slog.LevelDebug) { // what is to be said costs more than to ask
		p.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "plugin asked", slog.String("plugin", inst.ID.String()), slog.String("hook", string(hook)),
			slog.Duration("took", used.Wall), slog.Int64("fuel", used.Fuel), slog.Any("err", err))
	}
	g.step(&used, err)
	if g.reason != "" {
		g.Log(int(gateway.LineInfo), "reason: "+g.reason)
	}
	p.note(inst, hook, look, g.lines, err)
	if change != changedNothing {
		p.tell(ctx, inst, hook, look, change)
	}
	if err != nil {
		return failed(inst.Failure, hook), nil
	}
	look.Effects.KV = append(look.Effects.KV, g.writes...)
	look.Effects.Intents = append(look.Effects.Intents, g.intents...)
	return g.verdict, nil
}

// askAgain asks what became of a plugin whose code was not there any more: nobody if
// it was deleted or switched off meanwhile, or its new code.
func (p *Plugins) askAgain(ctx, timed context.Context, s gateway.Scope, old *gateway.Plugin, shown *view, cause error) (gateway.Verdict, error) {
	inst, err := p.cfg.Store.Plugin(ctx, s, old.ID)
	switch {
	case err != nil && gateway.KindOf(err) == gateway.NotFound:
		return gateway.Verdict{}, nil
	case err != nil:
		return gateway.Verdict{}, temporary(err)
	case !inst.Enabled || !slices.Contains(inst.Hooks, shown.hook):
		return gateway.Verdict{}, nil
	case inst.SHA256 == old.SHA256:
		return gateway.Verdict{}, temporary(cause)
	}
	return p.ask(ctx, timed, s, inst, shown)
}

// temporary makes of a fault of ours an error that asks the sender to come again,
// whatever Kind is inside: what a store did not find is not the sender's mistake.
func temporary(err error) error {
	return &gateway.Error{Kind: gateway.Unavailable, Code: 451, Message: "a plugin could not be asked; try again", Retry: time.Second, Err: err}
}

// run is one call.
func (p *Plugins) run(ctx context.Context, s gateway.Scope, g *guest) (used sandbox.Usage, err error) {
	l, err := p.modules.get(ctx, s, g.inst)
	if fault, ok := errors.AsType[*sandbox.FaultError](err); ok {
		return used, fault // stored by a version that took it
	} else if err != nil {
		return used, &sandbox.HostError{Err: err}
	}
	defer p.modules.release(l)
	shares := &p.shares
	if isLate(g.hook) { // or one that waits for a server keeps its domain's mail waiting
		shares = &p.late
	}
	share, err := shares.Take(ctx, g.inst.Domain)
	if err != nil {
		return used, err // the message's time is over: others of the domain were asked all along
	}
	defer share.Give()
	own := &g.inst.Limits
	return l.module.CallWithin(ctx, sandbox.Owner(g.inst.ID), string(g.hook), g, sandbox.Bounds{
		Time: time.Duration(own.Millis) * time.Millisecond, Fuel: own.Fuel, MemoryBytes: own.Memory,
	})
}

// isLate reports whether nobody waits for what plugins say at a hook.
func isLate(hook gateway.Hook) bool { return hook == gateway.HookEvent || hook == gateway.HookTick }

// failed is what a policy answers.
func failed(policy gateway.FailurePolicy, hook gateway.Hook) gateway.Verdict {
	switch {
	case hook == gateway.HookThread, isLate(hook): // our own rule decides; nobody waits
		return gateway.Verdict{}
	case policy == gateway.FailClosed:
		return gateway.Verdict{Action: gateway.ActionTempfail, Text: "a plugin of the mailbox failed; try again later"}
	case policy == gateway.FailQuarantine && hook == gateway.HookInbound:
		return gateway.Verdict{Action: gateway.ActionQuarantine}
	case policy == gateway.FailQuarantine: // what Junk is to arriving mail
		return gateway.Verdict{Action: gateway.ActionHold}
	case hook == gateway.HookInbound:
		return gateway.Verdict{Labels: []string{labelFailed}}
	}
	return gateway.Verdict{}
}

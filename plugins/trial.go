package plugins

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
)

// Try asks a version of a plugin, enabled or not, about a message as its hook would, in
// the same slots and limits. What it reads is real; nothing is kept of what it does. The
// verdict says what it would change of the message, which stays as it is: nobody is asked
// after it.
// Unavailable when there was no slot in time.
func (p *Plugins) Try(ctx context.Context, s gateway.Scope, id gateway.ID, t gateway.PluginTrial, look *gateway.Look) (out gateway.PluginOutcome, err error) {
	inst, err := p.cfg.Store.Plugin(ctx, s, id)
	if err != nil {
		return out, err
	}
	if inst, err = versionFor(inst, t.Hook, "version", t.Version); err != nil {
		return out, err
	}
	millis := p.cfg.Limits.PluginMessageMillis
	if isLate(t.Hook) {
		millis = p.cfg.Limits.PluginEventMillis
	}
	if t.Event != "" && t.Hook == gateway.HookEvent {
		look.Event = &gateway.Happening{ID: dryRun, Type: t.Event, Attempt: 1}
	}
	return p.try(ctx, inst, t.Hook, look, time.Now().Add(time.Duration(millis)*time.Millisecond))
}

// try asks an installation's code in a dry run, whose turn comes before until.
func (p *Plugins) try(ctx context.Context, inst *gateway.Plugin, hook gateway.Hook, look *gateway.Look, until time.Time) (out gateway.PluginOutcome, err error) {
	out.Version = inst.Active()
	look.DryRun, look.Effects, look.Until = true, &gateway.Effects{}, until
	if inst.Account == 0 && hook == gateway.HookInbound { // it is asked for all recipients at once
		look.Account, look.Mailbox = 0, ""
	}
	foresee(look, hook)
	switch {
	case hook == gateway.HookEvent && look.Event == nil:
		look.Event = &gateway.Happening{ID: dryRun, Type: gateway.EventReceived, Attempt: 1}
	case hook == gateway.HookTick && look.Tick == nil:
		look.Tick = &gateway.Tick{ID: dryRun, Scheduled: p.cfg.Now()}
	}
	inside := p.cfg.Internal(inst.Domain)
	g := newGuest(ctx, p, inside, inst, &view{look: look, hook: hook}, p.cfg.Now())
	defer g.close()
	timed, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	used, err := p.run(timed, inside, g)
	out.HostCalls, out.Fuel, out.Memory, out.Took, out.Lines = used.HostCalls, used.Fuel, used.MemoryBytes, used.Wall, g.lines
	if err == nil {
		err = g.refused
	}
	if _, ours := errors.AsType[*sandbox.HostError](err); ours || errors.Is(err, context.DeadlineExceeded) {
		return out, temporary(err)
	}
	if err != nil {
		out.Failure, out.Verdict = cut(err.Error(), p.cfg.Limits.PluginLogLine), failed(inst.Failure, hook)
		return out, ctx.Err()
	}
	out.Verdict, out.Reason, out.Writes, out.Sends = g.verdict, g.reason, g.writes, g.intents
	return out, nil
}

// foresee has a look say where the message would go if it passed now, as its flow does. One
// of an event says where it is, if it is stored.
func foresee(look *gateway.Look, hook gateway.Hook) {
	switch m := look.Message; {
	case m == nil || look.Folder != "":
	case hook == gateway.HookOutbound, hook == gateway.HookThread && m.Sent:
		look.Folder, look.Flags = gateway.Sent, gateway.Seen
	default:
		look.Folder, look.Via = gateway.Inbox, ""
		if m.Auth.Disposition == gateway.DispositionQuarantine {
			look.Folder = gateway.Junk
		}
	}
}

// dryRun is the id of an event, or a turn, that somebody makes up.
const dryRun = "dry-run"

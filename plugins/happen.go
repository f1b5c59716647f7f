package plugins

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
)

// What happens is told to plugins at their event hook, afterwards and at least once. Who
// keeps count of that is the notify room; here is what one of them is told, and what
// becomes of its answer.

// Subscriptions are the plugins of a domain that are told what happens.
func (p *Plugins) Subscriptions(ctx context.Context, s gateway.Scope, d gateway.DomainID) (subs []gateway.Subscription, err error) {
	all, err := p.cfg.Store.Plugins(ctx, s)
	for i := range all {
		inst := &all[i]
		if !inst.Enabled || !slices.Contains(inst.Hooks, gateway.HookEvent) {
			continue
		}
		types := inst.Events
		if len(types) == 0 {
			types = []gateway.EventType{gateway.EventReceived}
		}
		subs = append(subs, gateway.Subscription{ID: inst.ID, Domain: d, Account: inst.Account, Types: types, Plugin: true})
	}
	return subs, err
}

// Tell asks a plugin at its event hook about what happened. NotFound when it is not to be
// told of anything any more; InvalidState, with how long, when it failed too often to be
// asked now; Unavailable when it is the gateway that failed. Any other error is the
// plugin's failure, of which its tenant reads in its log.
func (p *Plugins) Tell(ctx context.Context, s gateway.Scope, sub *gateway.Subscription, at gateway.Position, e *gateway.Event, attempt int) (gateway.Result, error) {
	inst, err := p.lateOf(ctx, s, sub.ID, gateway.HookEvent)
	if err != nil {
		return gateway.Result{}, err
	}
	if e.Type == gateway.EventMoved && e.Detail != "" { // a move is two events: this says where it was
		return gateway.Result{Skipped: true}, nil
	}
	look, err := p.cfg.Look(ctx, s, e)
	switch {
	case gateway.KindOf(err) == gateway.NotFound: // its account is being erased
		return gateway.Result{Skipped: true}, nil
	case err != nil:
		return gateway.Result{}, temporary(err)
	case look.Message == nil, // it is gone
		look.Message.Plugin == inst.ID: // it sent that itself
		return gateway.Result{Skipped: true}, nil
	}
	look.Event = &gateway.Happening{ID: eventID(inst.ID, at, e), Type: e.Type, Detail: e.Detail, Attempt: attempt}
	v, err := p.askLate(ctx, s, inst, gateway.HookEvent, look)
	out := gateway.Result{Effects: *look.Effects}
	if err != nil {
		return out, err
	}
	out.Change = gateway.MessageChange{FlagChange: gateway.FlagChange{Add: v.Flags, AddLabels: v.Labels, RemoveLabels: v.Unlabel}, Folder: v.Folder}
	if v.Reply != nil {
		out.Effects.Intents = append(out.Effects.Intents, answerTo(inst, look, v.Reply))
	}
	return out, nil
}

// Tick is a turn of a plugin that is asked at intervals. Its errors are those of Tell.
func (p *Plugins) Tick(ctx context.Context, s gateway.Scope, id gateway.ID, t *gateway.Tick) (gateway.Effects, error) {
	inst, err := p.lateOf(ctx, s, id, gateway.HookTick)
	if err != nil {
		return gateway.Effects{}, err
	}
	look, err := p.cfg.Look(ctx, s, &gateway.Event{Domain: inst.Domain, Account: inst.Account})
	if err != nil {
		return gateway.Effects{}, temporary(err)
	}
	tick := *t
	tick.ID = "tick_" + nameOf(inst.ID, uint64(t.Scheduled.UnixMilli())) //nolint:gosec // turns are after 1970
	look.Tick = &tick
	_, err = p.askLate(ctx, s, inst, gateway.HookTick, look)
	return *look.Effects, err
}

// lateOf is the plugin of an installation that is asked at a late hook.
func (p *Plugins) lateOf(ctx context.Context, s gateway.Scope, id gateway.ID, hook gateway.Hook) (*gateway.Plugin, error) {
	inst, err := p.cfg.Store.Plugin(ctx, s, id)
	switch {
	case gateway.KindOf(err) == gateway.NotFound:
		return nil, err
	case err != nil:
		return nil, temporary(err)
	case !inst.Enabled || !slices.Contains(inst.Hooks, hook):
		return nil, errGone
	}
	return inst, nil
}

// errGone ends the telling.
var errGone = gateway.Errorf(gateway.NotFound, "the plugin is not asked any more")

// askLate asks at a hook that no failure policy answers for.
func (p *Plugins) askLate(ctx context.Context, s gateway.Scope, inst *gateway.Plugin, hook gateway.Hook, look *gateway.Look) (v gateway.Verdict, err error) {
	look.Effects = &gateway.Effects{}
	look.Until = time.Now().Add(time.Duration(p.cfg.Limits.PluginEventMillis) * time.Millisecond)
	timed := &until{Context: ctx, at: look.Until}
	defer timed.stop()
	v, err = p.ask(ctx, timed, s, inst, &view{look: look, hook: hook})
	switch steps := look.Effects.Steps; {
	case err != nil:
		return v, err
	case len(steps) == 0: // it was deleted or switched off while it was called
		return v, errGone
	case steps[0].Paused:
		look.Effects.Steps = nil // it is asked again, perhaps often
		wait := p.health.resting(inst, hook, p.cfg.Now())
		return v, &gateway.Error{Kind: gateway.InvalidState, Message: "the plugin failed too often: it is not asked for a while", Retry: wait}
	case steps[0].Failure != "":
		return v, errors.New(steps[0].Failure)
	}
	return v, nil
}

// eventID names an event for one plugin, the same each time it is told of it. The time
// tells apart what has one number since a backup was restored.
func eventID(plugin gateway.ID, at gateway.Position, e *gateway.Event) string {
	return "evt_" + nameOf(plugin, at.Sequence, uint64(at.Part), uint64(e.At.UnixMilli())) //nolint:gosec // events are after 1970
}

// nameOf is a UUID (version 5) of numbers, for one plugin.
func nameOf(plugin gateway.ID, numbers ...uint64) string {
	var b []byte
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return uuid.NewSHA1(uuid.UUID(plugin), b).String()
}

// answerTo is the mail that answers a stored message.
func answerTo(inst *gateway.Plugin, look *gateway.Look, r *gateway.AutoReply) gateway.Intent {
	return gateway.Intent{
		Domain: inst.Domain, Account: look.Account, Plugin: inst.ID, Answers: look.Message.ID,
		Mail: gateway.Compose{From: gateway.Address{Addr: r.From}, Subject: r.Subject, Text: r.Text, HTML: r.HTML},
	}
}

// changed tells whoever keeps track that a domain's plugins are not what they were.
func (p *Plugins) changed(d gateway.DomainID) {
	if p.cfg.Changed != nil {
		p.cfg.Changed(d)
	}
}

// noLook is for those who tell plugins of nothing.
func noLook(context.Context, gateway.Scope, *gateway.Event) (*gateway.Look, error) {
	return nil, gateway.Errorf(gateway.NotFound, "nothing is kept that could be looked at")
}

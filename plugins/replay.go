package plugins

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Replay asks a version of a plugin about mail that was decided about before, which past
// shows, and compares what it says with another version, or with what was decided then.
// Nothing is done of it.
// Each call takes a share of the plugin's domain, as those about arriving mail do, and
// gives it back: so mail waits for one call at most.
func (p *Plugins) Replay(ctx context.Context, s gateway.Scope, id gateway.ID, r gateway.PluginReplay, past func(context.Context) iter.Seq2[gateway.Past, error]) (out gateway.ReplayReport, err error) {
	inst, err := p.cfg.Store.Plugin(ctx, s, id)
	if err != nil {
		return out, err
	}
	sides := []side{{tally: &out.Now}}
	if sides[0].inst, err = versionFor(inst, r.Hook, "version", r.Version); err != nil {
		return out, err
	}
	out.Version = sides[0].inst.Active()
	if r.Against != "" {
		sides = append(sides, side{tally: &out.Then})
		if sides[1].inst, err = versionFor(inst, r.Hook, "against", r.Against); err != nil {
			return out, err
		}
		out.Against = sides[1].inst.Active()
	}
	re := replay{plugins: p, hook: r.Hook, sides: sides, out: &out, then: side{tally: &out.Then}}
	re.until = time.Now().Add(time.Duration(p.cfg.Limits.ReplaySeconds) * time.Second)
	ctx, cancel := context.WithDeadline(ctx, re.until)
	defer cancel()
	for one, err := range past(ctx) {
		if err == nil {
			err = re.message(ctx, &one)
		}
		if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil && gateway.KindOf(err) == gateway.Unavailable {
			out.Truncated = true
			break
		}
		if err != nil {
			return out, err
		}
	}
	for i := range re.sides {
		re.sides[i].sum()
	}
	re.then.sum()
	return out, nil
}

// versionFor is an installation that uses one of its versions, at a hook that this has.
func versionFor(inst *gateway.Plugin, hook gateway.Hook, field, name string) (*gateway.Plugin, error) {
	one := *inst
	if name != "" {
		v, err := inst.Find(name)
		if err != nil {
			return nil, gateway.Fieldf(gateway.InvalidParameter, field, "%s", gateway.AsError(err).Message)
		}
		one.Use(v)
	}
	if !slices.Contains(one.Hooks, hook) {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "hook", "the plugin is not for the hook %.40q; it has %q", hook, one.Hooks)
	}
	return &one, nil
}

// side is one of the two that are compared.
type side struct {
	inst  *gateway.Plugin
	tally *gateway.ReplayTally
	took  []time.Duration
}

// count adds what a side said of one message.
func (s *side) count(o *gateway.ReplayOutcome, fuel int64, took time.Duration) {
	if s.tally.Actions == nil {
		s.tally.Actions = make(map[gateway.Action]int)
	}
	s.tally.Actions[o.Verdict.Action]++
	if o.Failure != "" {
		s.tally.Failures++
	}
	s.tally.Fuel += fuel
	s.took = append(s.took, took)
}

// sum ends the counting.
func (s *side) sum() {
	if n := len(s.took); n > 0 {
		slices.Sort(s.took)
		s.tally.P50, s.tally.P99 = s.took[n/2], s.took[n*99/100]
	}
}

// replay is one under way.
type replay struct {
	plugins *Plugins
	hook    gateway.Hook
	until   time.Time
	sides   []side // the version, and the one it is compared with
	then    side   // what was decided then, if there is no such
	out     *gateway.ReplayReport
}

// message asks about one, and compares.
func (r *replay) message(ctx context.Context, one *gateway.Past) error {
	var said [2]gateway.ReplayOutcome
	var fuel [2]int64
	var took [2]time.Duration
	for i := range r.sides {
		look := *one.Look
		out, err := r.plugins.try(ctx, r.sides[i].inst, r.hook, &look, r.until)
		if err != nil {
			return err
		}
		said[i] = gateway.ReplayOutcome{Verdict: out.Verdict.Brief(), Reason: out.Reason, Failure: out.Failure}
		fuel[i], took[i] = out.Fuel, out.Took
	}
	r.out.Asked++ // all sides have answered
	for i := range r.sides {
		r.sides[i].count(&said[i], fuel[i], took[i])
	}
	if len(r.sides) == 1 {
		step := stepThen(one.Steps, r.sides[0].inst.ID, r.hook)
		if step == nil {
			r.out.Unknown++
			return nil
		}
		said[1] = gateway.ReplayOutcome{Verdict: step.Verdict, Reason: step.Reason, Failure: step.Failure}
		r.then.count(&said[1], step.Fuel, step.Took)
	}
	if said[0].Verdict.Same(&said[1].Verdict) && (said[0].Failure == "") == (said[1].Failure == "") {
		return nil
	}
	if r.out.Differs++; int64(len(r.out.Differences)) < r.plugins.cfg.Limits.ReplayDifferences {
		d := gateway.ReplayDifference{Message: one.Look.Message, Mailbox: one.Look.Mailbox, Now: said[0], Then: said[1]}
		r.out.Differences = append(r.out.Differences, d)
	}
	return nil
}

// stepThen is what a plugin said then, if it was asked: of several answers the last one.
func stepThen(steps []gateway.Step, id gateway.ID, hook gateway.Hook) *gateway.Step {
	for i := range slices.Backward(steps) {
		if s := &steps[i]; s.Plugin == id && s.Hook == hook && !s.Paused {
			return s
		}
	}
	return nil
}

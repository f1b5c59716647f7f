package rest

import (
	"context"
	"encoding/hex"
	"iter"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// pluginReplay says what to ask a plugin about again: one of last and ids.
type pluginReplay struct {
	Hook    gateway.Hook `json:"hook"`
	Last    *int         `json:"last"`
	IDs     []string     `json:"ids"`
	Version string       `json:"version"`
	Against string       `json:"against"`
	Email   string       `json:"email"`
}

// replayShape is what came of it. Nothing was done.
type replayShape struct {
	Object      string            `json:"object"`
	PluginID    string            `json:"plugin_id"`
	Hook        gateway.Hook      `json:"hook"`
	DryRun      bool              `json:"dry_run"`
	Version     replayVersion     `json:"version"`
	Against     *replayVersion    `json:"against"`
	Asked       int               `json:"asked"`
	Truncated   bool              `json:"truncated"`
	Unknown     int               `json:"unknown"`
	Now         replayTally       `json:"now"`
	Then        replayTally       `json:"then"`
	Differs     int               `json:"differs"`
	Differences []differenceShape `json:"differences"`
}

type replayVersion struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

type replayTally struct {
	Actions  map[string]int `json:"actions"`
	Failures int            `json:"failures"`
	Fuel     int64          `json:"fuel"`
	P50US    int64          `json:"p50_us"`
	P99US    int64          `json:"p99_us"`
}

type differenceShape struct {
	EmailID   string        `json:"email_id"`
	Email     string        `json:"email"`
	MessageID *string       `json:"message_id"`
	From      string        `json:"from"`
	Subject   string        `json:"subject"`
	Then      replayOutcome `json:"then"`
	Now       replayOutcome `json:"now"`
}

type replayOutcome struct {
	Verdict verdictShape `json:"verdict"`
	Changes changesShape `json:"changes"`
	Error   *string      `json:"error"`
}

// replayPlugin shows what a plugin would decide about mail that is here already, and where
// that differs. It does nothing of it.
func (s *Server) replayPlugin(k *call) error {
	sc, id, err := s.pluginCall(k)
	if err != nil {
		return err
	}
	var in pluginReplay
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	p, err := s.cfg.Plugins.Get(k.ctx, sc, id)
	if err != nil {
		return err
	}
	q, err := s.pastOf(k, sc, p, &in)
	if err != nil {
		return err
	}
	release, err := s.cfg.Replays.Take(p.Domain)
	if err != nil {
		return err
	}
	defer release()
	r := gateway.PluginReplay{Hook: in.Hook, Version: in.Version, Against: in.Against}
	out, err := s.cfg.Plugins.Replay(k.ctx, sc, id, r, func(ctx context.Context) iter.Seq2[gateway.Past, error] {
		return s.cfg.Mail.Past(ctx, sc, q)
	})
	if err != nil {
		return err
	}
	return k.json(replayOf(p, in.Hook, &out))
}

// pastOf is the mail that a replay is about.
func (s *Server) pastOf(k *call, sc gateway.Scope, p *gateway.Plugin, in *pluginReplay) (q mailbox.PastQuery, err error) {
	most := int(s.cfg.Limits.ReplayMessages)
	switch {
	case in.Hook == "":
		return q, gateway.Fieldf(gateway.MissingField, "hook", "say at which hook the plugin is to be asked")
	case in.Hook == gateway.HookTick:
		return q, gateway.Fieldf(gateway.InvalidParameter, "hook", "the tick hook is about no mail")
	case (in.Last == nil) == (len(in.IDs) == 0):
		return q, gateway.Fieldf(gateway.MissingField, "last", "say how many of the last messages, or name them in ids")
	case in.Last != nil && (*in.Last < 1 || *in.Last > most):
		return q, gateway.Fieldf(gateway.InvalidParameter, "last", "last is 1 to %d", most)
	case len(in.IDs) > most:
		return q, gateway.Fieldf(gateway.InvalidParameter, "ids", "there are more than %d ids", most)
	}
	q.Email, q.Sent, q.Later = in.Email, in.Hook == gateway.HookOutbound, in.Hook == gateway.HookEvent
	if p.Account != 0 { // nobody else's mail is its business
		a, err := s.cfg.Domains.AccountByID(k.ctx, sc, p.Domain, p.Account)
		if err != nil {
			return q, err
		}
		if q.Email != "" && gateway.FoldAddress(q.Email) != gateway.FoldAddress(a.Email) {
			return q, gateway.Fieldf(gateway.InvalidParameter, "email", "the plugin is that of %s", a.Email)
		}
		q.Email = a.Email
	}
	if in.Last != nil {
		q.Last = *in.Last
	}
	for _, id := range in.IDs {
		ref, err := parseRef(id)
		if err != nil {
			return q, err
		}
		q.Refs = append(q.Refs, ref)
	}
	return q, nil
}

func replayOf(p *gateway.Plugin, hook gateway.Hook, r *gateway.ReplayReport) replayShape {
	out := replayShape{
		Object: "plugin_replay", PluginID: p.ID.String(), Hook: hook, DryRun: true, Version: replayVersionOf(&r.Version),
		Asked: r.Asked, Truncated: r.Truncated, Unknown: r.Unknown, Now: tallyOf(hook, &r.Now), Then: tallyOf(hook, &r.Then),
		Differs: r.Differs, Differences: []differenceShape{},
	}
	if r.Against.SHA256 != ([32]byte{}) {
		v := replayVersionOf(&r.Against)
		out.Against = &v
	}
	for i := range r.Differences {
		d := &r.Differences[i]
		c := &d.Message.Content
		out.Differences = append(out.Differences, differenceShape{
			d.Message.ID.String(), d.Mailbox, orNull(c.MessageID), firstAddr(c.From), c.Subject, outcomeOf(hook, &d.Then), outcomeOf(hook, &d.Now),
		})
	}
	return out
}

func replayVersionOf(v *gateway.PluginVersion) replayVersion {
	return replayVersion{v.Version, hex.EncodeToString(v.SHA256[:])}
}

func tallyOf(hook gateway.Hook, t *gateway.ReplayTally) replayTally {
	out := replayTally{map[string]int{}, t.Failures, t.Fuel, t.P50.Microseconds(), t.P99.Microseconds()}
	for a, n := range t.Actions {
		out.Actions[actionOf(hook, a)] += n
	}
	return out
}

func outcomeOf(hook gateway.Hook, o *gateway.ReplayOutcome) replayOutcome {
	return replayOutcome{verdictOf(hook, &o.Verdict, o.Reason), changesOf(&o.Verdict), orNull(o.Failure)}
}

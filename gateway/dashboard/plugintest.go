package dashboard

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// trialPage is a plugin's test: what it is to be tried on, and what came of it.
type trialPage struct {
	pluginRow
	Base    string
	Problem string

	Hook, Chosen, Against, Email, ID, Sample, Raw string // as they were sent

	Sides []trialSide // one, or two to compare
}

// trialSide is what one version would do. Nothing of it was done.
type trialSide struct {
	Name    string
	Outcome gateway.PluginOutcome
	Header  []diffLine
	Text    []diffLine
	Fate    []diffLine // where it goes, what it is marked with, who gets it
}

// Hooks, Codes and Samples are what may be chosen.
func (p *trialPage) Hooks() (all []choice) {
	for _, h := range p.Plugin.Hooks {
		all = append(all, choice{string(h), string(h)})
	}
	return all
}

// Codes are the versions that are kept.
func (p *trialPage) Codes() (all []choice) {
	for _, v := range p.Versions() {
		all = append(all, choice{digest(&v), cmp.Or(v.Version, "without a name") + " (" + digest(&v)[:8] + ")"})
	}
	return all
}

// Samples are the messages that come with the gateway.
func (*trialPage) Samples() []choice {
	all := []choice{{"", "none"}}
	for _, name := range mailbox.Samples {
		all = append(all, choice{name, name})
	}
	return all
}

func (d *Dashboard) trialForm(v *visit) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	page := trialPage{ID: v.c.Query("id"), Email: v.c.Query("email"), Chosen: digest(&gateway.PluginVersion{SHA256: p.SHA256}), Sample: "personal"}
	if page.ID != "" {
		page.Sample = ""
	}
	return d.showTrial(v, fiber.StatusOK, p, page)
}

func (d *Dashboard) showTrial(v *visit, status int, p *gateway.Plugin, page trialPage) error {
	page.pluginRow, page.Base = d.pluginRow(v, *p), v.pluginPath(p)
	return d.show(v, status, "plugintest", p.Name, &page)
}

// tryPlugin asks one version, or two, about a message.
func (d *Dashboard) tryPlugin(v *visit) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	page := trialPage{
		Hook: v.field("hook"), Chosen: v.field("version"), Against: v.field("against"), Email: v.field("email"), ID: v.field("id"), Sample: v.field("sample"), Raw: v.form.Get("raw"),
	}
	for _, version := range []string{page.Against, page.Chosen} {
		if version == "" {
			continue
		}
		side, err := d.side(v, p, &page, version)
		if status, problem, again := mistake(err); again {
			page.Problem, page.Sides = problem, nil
			return d.showTrial(v, status, p, page)
		}
		if err != nil {
			return err
		}
		page.Sides = append(page.Sides, side)
	}
	return d.showTrial(v, fiber.StatusOK, p, page)
}

// side asks one version. Each sees a message of its own, since it may be changed by it.
func (d *Dashboard) side(v *visit, p *gateway.Plugin, page *trialPage, version string) (side trialSide, err error) {
	hook := gateway.Hook(page.Hook)
	look, err := d.lookFor(v, p, page)
	if err != nil {
		return side, err
	}
	before, err := d.before(look)
	if err != nil {
		return side, err
	}
	if side.Outcome, err = d.cfg.Plugins.Try(v.ctx, v.scope, p.ID, gateway.PluginTrial{Hook: hook, Version: version}, look); err != nil {
		return side, err
	}
	side.Name = cmp.Or(side.Outcome.Version.Version, digest(&side.Outcome.Version)[:8])
	side.Header, side.Text, side.Fate = before.diff(hook, &side.Outcome.Verdict)
	return side, nil
}

// lookFor finds or makes the message that a plugin is tried on.
func (d *Dashboard) lookFor(v *visit, p *gateway.Plugin, page *trialPage) (*gateway.Look, error) {
	if page.Hook == string(gateway.HookTick) {
		return d.cfg.Mail.LookAtEvent(v.ctx, v.scope, &gateway.Event{Domain: p.Domain, Account: p.Account})
	}
	email := page.Email
	if p.Account != 0 {
		a, err := d.cfg.Domains.AccountByID(v.ctx, v.scope, p.Domain, p.Account)
		if err != nil {
			return nil, err
		}
		email = a.Email
	}
	switch {
	case page.ID != "":
		id, err := gateway.ParseID(page.ID)
		if err != nil {
			return nil, gateway.Fieldf(gateway.InvalidParameter, "id", "the id of a stored message is expected")
		}
		it, err := d.cfg.Mail.Get(v.ctx, v.scope, mailbox.Ref{ID: id, Email: email})
		if err != nil {
			return nil, err
		}
		if page.Hook == string(gateway.HookEvent) {
			return d.cfg.Mail.LookAtLater(v.scope, it), nil
		}
		return d.cfg.Mail.LookAt(v.scope, it), nil
	case page.Sample != "":
		raw := mailbox.Sample(page.Sample, cmp.Or(email, "somebody@"+v.domain.Name))
		if raw == "" {
			return nil, gateway.Fieldf(gateway.InvalidParameter, "sample", "there is no such sample")
		}
		return d.cfg.Mail.LookAtRaw(v.ctx, v.scope, email, raw)
	case page.Raw != "":
		return d.cfg.Mail.LookAtRaw(v.ctx, v.scope, email, page.Raw)
	}
	return nil, gateway.Fieldf(gateway.MissingField, "id", "name a stored message, choose a sample, or paste one")
}

// replayPage is what a plugin says of mail that is here already.
type replayPage struct {
	trialPage
	Last   int
	Report *gateway.ReplayReport
}

// Actions are all that either side said, with how often.
func (p *replayPage) Actions() (all []actionCount) {
	for a, n := range p.Report.Now.Actions {
		all = append(all, actionCount{actionName(gateway.Hook(p.Hook), a), p.Report.Then.Actions[a], n})
	}
	for a, n := range p.Report.Then.Actions {
		if _, both := p.Report.Now.Actions[a]; !both {
			all = append(all, actionCount{actionName(gateway.Hook(p.Hook), a), n, 0})
		}
	}
	slices.SortFunc(all, func(a, b actionCount) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

type actionCount struct {
	Name      string
	Then, Now int
}

func (d *Dashboard) replayForm(v *visit) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	return d.showReplay(v, fiber.StatusOK, p, replayPage{Last: replayLast})
}

// replayLast is how many messages a replay is about unless somebody says otherwise. Ours.
const replayLast = 100

func (d *Dashboard) showReplay(v *visit, status int, p *gateway.Plugin, page replayPage) error {
	page.pluginRow, page.Base = d.pluginRow(v, *p), v.pluginPath(p)
	return d.show(v, status, "pluginreplay", p.Name, &page)
}

// replay asks about the last messages, and compares with what was decided then, or with
// another version. It does nothing of it.
func (d *Dashboard) replay(v *visit) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	page := replayPage{trialPage: trialPage{Hook: v.field("hook"), Chosen: v.field("version"), Against: v.field("against"), Email: v.field("email")}}
	report, err := d.runReplay(v, p, &page)
	if status, problem, again := mistake(err); again {
		page.Problem = problem
		return d.showReplay(v, status, p, page)
	}
	if err != nil {
		return err
	}
	page.Report = &report
	return d.showReplay(v, fiber.StatusOK, p, page)
}

func (d *Dashboard) runReplay(v *visit, p *gateway.Plugin, page *replayPage) (r gateway.ReplayReport, err error) {
	most := int(d.cfg.Limits.ReplayMessages)
	if page.Last, err = strconv.Atoi(v.field("last")); err != nil || page.Last < 1 || page.Last > most {
		return r, gateway.Fieldf(gateway.InvalidParameter, "last", "say how many of the last messages: 1 to %d", most)
	}
	hook := gateway.Hook(page.Hook)
	if hook == gateway.HookTick {
		return r, gateway.Fieldf(gateway.InvalidParameter, "hook", "the tick hook is about no mail")
	}
	q := mailbox.PastQuery{Email: page.Email, Sent: hook == gateway.HookOutbound, Later: hook == gateway.HookEvent, Last: page.Last}
	if p.Account != 0 { // nobody else's mail is its business
		a, err := d.cfg.Domains.AccountByID(v.ctx, v.scope, p.Domain, p.Account)
		if err != nil {
			return r, err
		}
		q.Email = a.Email
	}
	done, err := d.cfg.Replays.Take(p.Domain)
	if err != nil {
		return r, err
	}
	defer done()
	return d.cfg.Plugins.Replay(v.ctx, v.scope, p.ID, gateway.PluginReplay{Hook: hook, Version: page.Chosen, Against: page.Against}, func(ctx context.Context) iter.Seq2[gateway.Past, error] {
		return d.cfg.Mail.Past(ctx, v.scope, q)
	})
}

package dashboard

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// Plugins are the programs in the mail path.
type Plugins interface {
	// Slot takes one of the few places for modules being read; done gives it back.
	Slot() (done func(), err error)
	Install(ctx context.Context, s gateway.Scope, u gateway.PluginUpload) (p gateway.Plugin, created bool, err error)
	List(ctx context.Context, s gateway.Scope) ([]gateway.Plugin, error)
	Get(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Plugin, error)
	Change(ctx context.Context, s gateway.Scope, id gateway.ID, c gateway.PluginChange) (*gateway.Plugin, error)
	Replace(ctx context.Context, s gateway.Scope, id gateway.ID, u gateway.PluginUpload) (*gateway.Plugin, error)
	Delete(ctx context.Context, s gateway.Scope, id gateway.ID) error
	Lines(ctx context.Context, s gateway.Scope, id gateway.ID, f gateway.LineFilter) (gateway.LinePage, error)
	// Failures are those before one, unless that is 0, the newest first.
	Failures(ctx context.Context, s gateway.Scope, id gateway.ID, before uint64, most int) (gateway.FailurePage, error)
	RetryFailure(ctx context.Context, s gateway.Scope, id gateway.ID, n uint64) (*gateway.Failure, error)
	DropFailure(ctx context.Context, s gateway.Scope, id gateway.ID, n uint64) error
	// Stats are of this process alone.
	Stats(p *gateway.Plugin) gateway.PluginStats
	Try(ctx context.Context, s gateway.Scope, id gateway.ID, t gateway.PluginTrial, look *gateway.Look) (gateway.PluginOutcome, error)
	Replay(ctx context.Context, s gateway.Scope, id gateway.ID, r gateway.PluginReplay, past func(context.Context) iter.Seq2[gateway.Past, error]) (gateway.ReplayReport, error)
}

// pluginRow is a plugin in a list, and how it does.
type pluginRow struct {
	gateway.Plugin
	Email string // of an account's
	Stats gateway.PluginStats
}

// State is what becomes of mail at the plugin.
func (r *pluginRow) State() string {
	switch {
	case !r.Enabled:
		return "disabled"
	case r.Stats.Paused:
		return "paused"
	}
	return "enabled"
}

// Budget is which part of its calls failed, in percent.
func (r *pluginRow) Budget() string {
	if r.Stats.Calls == 0 {
		return "not asked yet"
	}
	return strconv.FormatFloat(float64(r.Stats.Errors)*100/float64(r.Stats.Calls), 'f', 1, 64) + " %"
}

func (d *Dashboard) pluginRow(v *visit, p gateway.Plugin) pluginRow {
	row := pluginRow{Plugin: p, Stats: d.cfg.Plugins.Stats(&p)}
	if p.Account != 0 {
		if a, err := d.cfg.Domains.AccountByID(v.ctx, v.scope, p.Domain, p.Account); err == nil {
			row.Email = a.Email // else it is being erased
		}
	}
	return row
}

// pluginList is the page of all plugins that the key sees, in the order they are asked:
// the domain's, then those of its accounts.
type pluginList struct {
	Plugins []pluginRow
	Problem string
}

func (d *Dashboard) listPlugins(v *visit) error { return d.showPlugins(v, fiber.StatusOK, "") }

func (d *Dashboard) showPlugins(v *visit, status int, problem string) error {
	all, err := d.cfg.Plugins.List(v.ctx, v.scope)
	if err != nil {
		return err
	}
	page := pluginList{Problem: problem}
	for i := range all {
		page.Plugins = append(page.Plugins, d.pluginRow(v, all[i]))
	}
	return d.show(v, status, "plugins", "Plugins", page)
}

// plugin is that of the path. What the key may not see is not there.
func (d *Dashboard) plugin(v *visit) (*gateway.Plugin, error) {
	id, err := gateway.ParseID(v.param("plugin"))
	if err != nil {
		return nil, gateway.Errorf(gateway.NotFound, "there is no such plugin")
	}
	return d.cfg.Plugins.Get(v.ctx, v.scope, id)
}

// pluginPath is a page of a plugin.
func (v *visit) pluginPath(p *gateway.Plugin, more ...string) string {
	return "/" + joined(append([]string{"domains", v.domain.Name, "plugins", p.ID.String()}, more...))
}

// installPlugin takes a module. It is granted nothing yet and asked nothing: the page
// that comes next shows what it wants.
func (d *Dashboard) installPlugin(v *visit) error {
	p, created, err := d.takePlugin(v)
	if status, problem, again := mistake(err); again {
		return d.showPlugins(v, status, problem)
	}
	if err != nil {
		return err
	}
	if created {
		v.signin.tell(p.Name + " is installed. Look at what it wants, allow it, and enable it.")
	} else {
		v.signin.tell(p.Name + " has new code. What it wants beyond what it had is not allowed yet.")
	}
	return v.redirect(v.pluginPath(&p, "permissions"))
}

func (d *Dashboard) takePlugin(v *visit) (p gateway.Plugin, created bool, err error) {
	u := gateway.PluginUpload{Account: v.scope.Account(), Operator: v.signin.session.Scope().Level() == gateway.LevelInstance}
	done, err := d.upload(v, &u)
	if err != nil {
		return p, false, err
	}
	defer done()
	if email := v.field("email"); email != "" {
		a, err := d.cfg.Domains.Account(v.ctx, v.scope, email)
		if err != nil {
			return p, false, err
		}
		u.Account = a.ID
	}
	u.Name = v.field("name")
	u.Later = true
	return d.cfg.Plugins.Install(v.ctx, v.scope, u)
}

// replaceCode gives a plugin new code; it keeps what it was allowed, and gets no more.
func (d *Dashboard) replaceCode(v *visit) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	u := gateway.PluginUpload{Operator: v.signin.session.Scope().Level() == gateway.LevelInstance}
	done, err := d.upload(v, &u)
	if err == nil {
		defer done()
		_, err = d.cfg.Plugins.Replace(v.ctx, v.scope, p.ID, u)
	}
	if status, problem, again := mistake(err); again {
		return d.showPluginPage(v, status, p, "pluginversions", pluginPage{Problem: problem})
	}
	if err != nil {
		return err
	}
	v.signin.tell("It runs new code from the next message on. What it wants beyond what it had is not allowed yet.")
	return v.redirect(v.pluginPath(p, "permissions"))
}

// movePlugin puts a plugin before or behind its neighbour in the order of its place.
func (d *Dashboard) movePlugin(v *visit) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	all, err := d.cfg.Plugins.List(v.ctx, v.scope)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(o gateway.Plugin) bool { return o.Account != p.Account }) // the list is shared
	at := slices.IndexFunc(all, func(o gateway.Plugin) bool { return o.ID == p.ID })
	to := at - 1
	if v.field("to") == "later" {
		to = at + 1
	}
	if at < 0 || to < 0 || to >= len(all) {
		return v.redirect("/" + joined([]string{"domains", v.domain.Name, "plugins"}))
	}
	all[at], all[to] = all[to], all[at]
	for i := range all { // two that had one priority get two
		if priority := (i + 1) * priorityStep; all[i].Priority != priority {
			if _, err := d.cfg.Plugins.Change(v.ctx, v.scope, all[i].ID, gateway.PluginChange{Priority: &priority}); err != nil {
				return err
			}
		}
	}
	v.signin.tell(p.Name + " is now number " + strconv.Itoa(to+1) + " of " + strconv.Itoa(len(all)) + ".")
	return v.redirect("/" + joined([]string{"domains", v.domain.Name, "plugins"}))
}

// priorityStep leaves room between two plugins for one that is placed by its number.
const priorityStep = 10

// pluginPage is what the pages of one plugin show.
type pluginPage struct {
	pluginRow
	Base     string
	Problem  string
	Wants    []permission
	Versions []versionRow
	Secrets  []string
	Settings string // its configuration, a line for each name
}

// permission is one that the code asks for.
type permission struct {
	Name, Means string
	Granted     bool
}

// versionRow is a code that is kept, and what it would change to go to it.
type versionRow struct {
	gateway.PluginVersion
	Digest       string
	Active       bool
	More, Fewer  []string // permissions that it asks for, beside the active one
	HooksMore    []gateway.Hook
	HooksFewer   []gateway.Hook
	GrantedThere []string
}

// means says what a permission lets a plugin do.
var means = map[string]string{
	"reply": "answer a message", "send": "send mail of its own", "redirect": "send a message on to other addresses", "discard": "drop a message without a word",
	"headers": "change the header of mail that leaves", "body": "change the text of mail that leaves", "rcpt": "take recipients off mail that leaves",
	"thread": "choose the conversation of a message", "thread:read": "read the conversation of a message", "raw": "read whole messages, attachments and all",
	"kv": "remember things", "http": "call the hosts that it names",
}

func (d *Dashboard) showPlugin(v *visit) error      { return d.pluginTab(v, "plugin") }
func (d *Dashboard) permissionsForm(v *visit) error { return d.pluginTab(v, "pluginpermissions") }
func (d *Dashboard) settingsForm(v *visit) error    { return d.pluginTab(v, "pluginsettings") }
func (d *Dashboard) listVersions(v *visit) error    { return d.pluginTab(v, "pluginversions") }
func (d *Dashboard) deletePluginForm(v *visit) error {
	return d.pluginTab(v, "plugindelete")
}

func (d *Dashboard) pluginTab(v *visit, page string) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	return d.showPluginPage(v, fiber.StatusOK, p, page, pluginPage{})
}

// showPluginPage shows one page of a plugin.
func (d *Dashboard) showPluginPage(v *visit, status int, p *gateway.Plugin, page string, data pluginPage) error {
	data.pluginRow, data.Base = d.pluginRow(v, *p), v.pluginPath(p)
	for _, name := range p.Asks {
		data.Wants = append(data.Wants, permission{name, means[name], slices.Contains(p.Grants, name)})
	}
	for _, version := range p.Versions() {
		data.Versions = append(data.Versions, versionRow{
			PluginVersion: version, Digest: digest(&version), Active: version.SHA256 == p.SHA256,
			More: lacking(version.Asks, p.Asks), Fewer: lacking(p.Asks, version.Asks), HooksMore: lacking(version.Hooks, p.Hooks), HooksFewer: lacking(p.Hooks, version.Hooks),
			GrantedThere: version.Grants,
		})
	}
	data.Secrets = slices.Sorted(maps.Keys(p.Secrets))
	if data.Settings == "" {
		data.Settings = settingsText(p.Config)
	}
	return d.show(v, status, page, p.Name, &data)
}

// lacking is what one list has and another has not.
func lacking[T comparable](has, other []T) (out []T) {
	for _, x := range has {
		if !slices.Contains(other, x) {
			out = append(out, x)
		}
	}
	return out
}

// switchPlugin enables or disables a plugin.
func (d *Dashboard) switchPlugin(v *visit) error {
	on := v.field("do") == "enable"
	said := "It is not asked any more."
	if on {
		said = "It is asked from the next message on."
	}
	return d.change(v, "plugin", pluginPage{}, gateway.PluginChange{Enabled: &on}, said)
}

// grant allows a plugin what was checked, and nothing else.
func (d *Dashboard) grant(v *visit) error {
	grants := append([]string{}, v.form["grant"]...)
	return d.change(v, "pluginpermissions", pluginPage{}, gateway.PluginChange{Grants: &grants}, "It is allowed what is checked.")
}

// useVersion goes to another code that is kept.
func (d *Dashboard) useVersion(v *visit) error {
	version := v.field("version")
	return d.change(v, "pluginversions", pluginPage{}, gateway.PluginChange{Version: &version}, "That version runs from the next message on, with what it was allowed.")
}

// configure changes settings, secrets, the order, and what becomes of mail when it fails.
func (d *Dashboard) configure(v *visit) error {
	page := pluginPage{Settings: v.form.Get("config")}
	c := gateway.PluginChange{Secrets: map[string]*gateway.Secret{}}
	var err error
	if c.Config, err = readSettings(page.Settings); err == nil {
		var n int
		if n, err = strconv.Atoi(v.field("priority")); err != nil {
			err = gateway.Fieldf(gateway.InvalidParameter, "priority", "the priority is a whole number")
		}
		c.Priority = &n
	}
	if err != nil {
		page.Problem = gateway.AsError(err).Message
		p, gone := d.plugin(v)
		if gone != nil {
			return gone
		}
		return d.showPluginPage(v, fiber.StatusUnprocessableEntity, p, "pluginsettings", page)
	}
	failure := gateway.FailurePolicy(v.field("failure"))
	c.Failure = &failure
	for _, name := range v.form["forget"] {
		c.Secrets[name] = nil
	}
	if name := v.field("secret_name"); name != "" {
		secret := gateway.Secret(v.form.Get("secret_value"))
		c.Secrets[name] = &secret
	}
	return d.change(v, "pluginsettings", page, c, "The settings count from the next message on.")
}

// change changes the plugin of the path and goes back to the page it came from, or shows
// that page with what is wrong.
func (d *Dashboard) change(v *visit, page string, data pluginPage, c gateway.PluginChange, said string) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	_, err = d.cfg.Plugins.Change(v.ctx, v.scope, p.ID, c)
	if status, problem, again := mistake(err); again {
		data.Problem = problem
		return d.showPluginPage(v, status, p, page, data)
	}
	if err != nil {
		return err
	}
	v.signin.tell(said)
	return v.redirect(strings.TrimPrefix(v.c.Path(), prefix))
}

func (d *Dashboard) deletePlugin(v *visit) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	if err := d.cfg.Plugins.Delete(v.ctx, v.scope, p.ID); err != nil {
		return err
	}
	v.signin.tell(p.Name + " is deleted, and all it remembered.")
	return v.redirect("/" + joined([]string{"domains", v.domain.Name, "plugins"}))
}

// settingEscape writes a value so that it stands in one line, and settingPlain reads it back.
var (
	settingEscape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
	settingPlain  = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r")
)

// settingsText is a configuration as lines of name = value.
func settingsText(config map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(config)) {
		b.WriteString(name + " = " + settingEscape.Replace(config[name]) + "\n")
	}
	return b.String()
}

// readSettings reads what settingsText wrote.
func readSettings(text string) (*map[string]string, error) {
	config := map[string]string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, gateway.Fieldf(gateway.InvalidParameter, "config", "a setting is a line such as folder = Newsletters, not %.80q", line)
		}
		if _, twice := config[name]; twice {
			return nil, gateway.Fieldf(gateway.InvalidParameter, "config", "the setting %.80q stands twice", name)
		}
		config[name] = settingPlain.Replace(strings.TrimSpace(value))
	}
	return &config, nil
}

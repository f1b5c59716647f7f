package rest

import (
	"cmp"
	"context"
	"encoding/hex"
	"iter"
	"maps"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// Plugins is what is installed.
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
	// Backlog counts events that wait to be told again, and those that failed.
	Backlog(ctx context.Context, s gateway.Scope, p *gateway.Plugin) (waiting, failed int, err error)
	// Stats are of this process alone.
	Stats(p *gateway.Plugin) gateway.PluginStats
	Try(ctx context.Context, s gateway.Scope, id gateway.ID, t gateway.PluginTrial, look *gateway.Look) (gateway.PluginOutcome, error)
	Replay(ctx context.Context, s gateway.Scope, id gateway.ID, r gateway.PluginReplay, past func(context.Context) iter.Seq2[gateway.Past, error]) (gateway.ReplayReport, error)
	// Watch is woken when a plugin may have new lines, or is gone.
	Watch(id gateway.ID) (wake <-chan struct{}, stop func())
}

// pluginShape is an installation. Its configuration is shown to its tenant, its secrets
// to nobody.
type pluginShape struct {
	Object        string            `json:"object"`
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	Version       string            `json:"version"`
	SHA256        string            `json:"sha256"`
	SizeBytes     int64             `json:"size_bytes"`
	Status        string            `json:"status"`
	Scope         string            `json:"scope"`
	Domain        string            `json:"domain"`
	Email         *string           `json:"email"`
	Hooks         []gateway.Hook    `json:"hooks"`
	Priority      int               `json:"priority"`
	FailurePolicy string            `json:"failure_policy"`
	Permissions   []string          `json:"permissions"`
	Grants        []string          `json:"grants"`
	Config        map[string]string `json:"config"`
	SecretNames   []string          `json:"secret_names"`
	HTTPHosts     []string          `json:"http_hosts"`
	Events        []string          `json:"events"`
	TickSeconds   *int64            `json:"tick_seconds"`
	Limits        callLimits        `json:"limits"`
	Stats         statsShape        `json:"stats"`
	Backlog       backlogShape      `json:"backlog"`
	Versions      []versionShape    `json:"versions"`
	SignedBy      *string           `json:"signed_by"`
	CreatedAt     string            `json:"created_at"`
	UpdatedAt     string            `json:"updated_at"`
}

// callLimits are those of one call; of the hooks event and tick, where it says so.
type callLimits struct {
	MemoryBytes      int64 `json:"memory_bytes"`
	TimeoutMS        int64 `json:"timeout_ms"`
	Fuel             int64 `json:"fuel"`
	EventMemoryBytes int64 `json:"event_memory_bytes"`
	EventTimeoutMS   int64 `json:"event_timeout_ms"`
}

// addReach says what the manifest says of how the plugin is asked.
func (out *pluginShape) addReach(r *gateway.PluginReach, l *gateway.Limits) {
	lower := func(ours, own int64) int64 { return min(ours, cmp.Or(own, ours)) }
	out.HTTPHosts, out.Events = listed(r.HTTPHosts), []string{}
	for _, t := range r.Events {
		out.Events = append(out.Events, string(t))
	}
	if len(r.Events) == 0 && slices.Contains(out.Hooks, gateway.HookEvent) {
		out.Events = append(out.Events, string(gateway.EventReceived))
	}
	if r.TickSeconds > 0 {
		out.TickSeconds = &r.TickSeconds
	}
	out.Limits = callLimits{
		lower(l.PluginMemory, r.Limits.Memory), lower(l.PluginMillis, r.Limits.Millis), lower(l.PluginFuel, r.Limits.Fuel),
		lower(l.PluginEventMemory, r.Limits.Memory), lower(l.PluginEventMillis, r.Limits.Millis),
	}
}

// statsShape is how a plugin did since the gateway started, or its code changed.
type statsShape struct {
	Calls     int64   `json:"calls"`
	Errors    int64   `json:"errors"`
	Timeouts  int64   `json:"timeouts"`
	P50US     int64   `json:"p50_us"`
	P99US     int64   `json:"p99_us"`
	LastError *string `json:"last_error"`
}

// addStats says how it did; one that is not asked, since it failed too often, is
// quarantined.
func (out *pluginShape) addStats(s gateway.PluginStats) {
	out.Stats = statsShape{Calls: s.Calls, Errors: s.Errors, Timeouts: s.Timeouts, P50US: s.P50.Microseconds(), P99US: s.P99.Microseconds()}
	if s.LastError != "" {
		out.Stats.LastError = &s.LastError
	}
	if s.Paused && out.Status == "enabled" {
		out.Status = "quarantined"
	}
}

// versionShape is one code of an installation.
type versionShape struct {
	SHA256    string `json:"sha256"`
	Version   string `json:"version"`
	SizeBytes int64  `json:"size_bytes"`
	CreatedAt string `json:"created_at"`
	Active    bool   `json:"active"`
}

func versionsOf(p *gateway.Plugin) (all []versionShape) {
	for _, v := range p.Versions() {
		all = append(all, versionShape{hex.EncodeToString(v.SHA256[:]), v.Version, v.Code.Size, stamp(v.CreatedAt), v.SHA256 == p.SHA256})
	}
	return all
}

func (s *Server) pluginOf(k *call, sc gateway.Scope, p *gateway.Plugin) (pluginShape, error) {
	out := pluginShape{
		Object: "plugin", ID: p.ID.String(), Name: p.Name, Version: p.Version, SHA256: hex.EncodeToString(p.SHA256[:]), SizeBytes: p.Code.Size,
		Status: "disabled", Scope: gateway.LevelDomain.String(), Hooks: p.Hooks, Priority: p.Priority, FailurePolicy: string(p.Failure),
		Permissions: listed(p.Asks), Grants: listed(p.Grants), Config: p.Config, SecretNames: listed(slices.Sorted(maps.Keys(p.Secrets))),
		Versions: versionsOf(p), SignedBy: orNull(p.SignedBy), CreatedAt: stamp(p.CreatedAt), UpdatedAt: stamp(p.UpdatedAt),
	}
	if p.Enabled {
		out.Status = "enabled"
	}
	out.addReach(&p.PluginReach, &s.cfg.Limits)
	out.addStats(s.cfg.Plugins.Stats(p))
	var err error
	if out.Backlog.Waiting, out.Backlog.Failed, err = s.cfg.Plugins.Backlog(k.ctx, sc, p); err != nil {
		return out, err
	}
	if out.Config == nil {
		out.Config = map[string]string{}
	}
	d, err := s.cfg.Domains.ByID(k.ctx, sc, p.Domain)
	if err != nil {
		return out, err
	}
	out.Domain = d.Name
	if p.Account != 0 {
		a, err := s.cfg.Domains.AccountByID(k.ctx, sc, p.Domain, p.Account)
		if err != nil {
			return out, err
		}
		out.Scope, out.Email = gateway.LevelAccount.String(), &a.Email
	}
	return out, nil
}

// listed is a list that is never null in JSON.
func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// answerPlugin writes one installation.
func (s *Server) answerPlugin(k *call, sc gateway.Scope, p *gateway.Plugin, status int) error {
	out, err := s.pluginOf(k, sc, p)
	if err != nil {
		return err
	}
	return k.answer(status, out)
}

func (s *Server) listPlugins(k *call) error {
	sc, account, err := s.ownEmail(k)
	if err != nil {
		return err
	}
	all, err := s.cfg.Plugins.List(k.ctx, sc)
	if err != nil {
		return err
	}
	var out []pluginShape
	for i := range all {
		shape, err := s.pluginOf(k, sc, &all[i])
		if gateway.KindOf(err) == gateway.NotFound && err != nil {
			continue // its account is being erased
		} else if err != nil {
			return err
		}
		if account == 0 || all[i].Account == account {
			out = append(out, shape)
		}
	}
	return k.json(listOf(out))
}

// installPlugin takes a module for the caller's domain or account, or for the
// account that ?email= names.
func (s *Server) installPlugin(k *call) error {
	sc, err := s.mailScope(k)
	if err != nil {
		return err
	}
	u := gateway.PluginUpload{Account: sc.Account(), Operator: k.scope.Level() == gateway.LevelInstance, Name: k.c.Query("name")}
	if email := k.c.Query("email"); email != "" {
		a, err := s.cfg.Domains.Account(k.ctx, sc, email)
		if err != nil {
			return outside(err, "email", email)
		}
		u.Account = a.ID
	}
	done, err := s.upload(k, &u)
	if err != nil {
		return err
	}
	defer done()
	p, created, err := s.cfg.Plugins.Install(k.ctx, sc, u)
	if err != nil {
		return err
	}
	status := fiber.StatusOK
	if created {
		status = fiber.StatusCreated
	}
	return s.answerPlugin(k, sc, &p, status)
}

// pluginCall is the scope and the id of a call about one plugin. An id says which
// domain it is in to nobody: an instance key names it.
func (s *Server) pluginCall(k *call) (sc gateway.Scope, id gateway.ID, err error) {
	if sc, _, err = s.ownEmail(k); err != nil {
		return sc, id, err
	}
	if id, err = gateway.ParseID(k.c.Params("id")); err != nil {
		return sc, id, gateway.Errorf(gateway.NotFound, "no such plugin")
	}
	return sc, id, nil
}

func (s *Server) getPlugin(k *call) error {
	sc, id, err := s.pluginCall(k)
	if err != nil {
		return err
	}
	p, err := s.cfg.Plugins.Get(k.ctx, sc, id)
	if err != nil {
		return err
	}
	return s.answerPlugin(k, sc, p, fiber.StatusOK)
}

func (s *Server) updatePlugin(k *call) error {
	sc, id, err := s.pluginCall(k)
	if err != nil {
		return err
	}
	var in struct {
		Status   *string                `json:"status"`
		Priority *int32                 `json:"priority"`
		Failure  *gateway.FailurePolicy `json:"failure_policy"`
		Grants   *[]string              `json:"grants"`
		Config   *map[string]string     `json:"config"`
		Secrets  map[string]*string     `json:"secrets"`
		Version  *string                `json:"active_version"`
	}
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	c := gateway.PluginChange{Failure: in.Failure, Grants: in.Grants, Config: in.Config, Version: in.Version}
	if in.Secrets != nil {
		c.Secrets = make(map[string]*gateway.Secret, len(in.Secrets))
	}
	for name, v := range in.Secrets {
		c.Secrets[name] = (*gateway.Secret)(v)
	}
	if in.Priority != nil {
		n := int(*in.Priority)
		c.Priority = &n
	}
	if in.Status != nil {
		on := *in.Status == "enabled"
		if c.Enabled = &on; !on && *in.Status != "disabled" {
			return gateway.Fieldf(gateway.InvalidParameter, "status", "status is enabled or disabled")
		}
	}
	p, err := s.cfg.Plugins.Change(k.ctx, sc, id, c)
	if err != nil {
		return err
	}
	return s.answerPlugin(k, sc, p, fiber.StatusOK)
}

// replacePluginCode gives a plugin new code, from the next message on.
func (s *Server) replacePluginCode(k *call) error {
	sc, id, err := s.pluginCall(k)
	if err != nil {
		return err
	}
	if _, err := s.cfg.Plugins.Get(k.ctx, sc, id); err != nil { // before a module is read for nothing
		return err
	}
	u := gateway.PluginUpload{Operator: k.scope.Level() == gateway.LevelInstance}
	done, err := s.upload(k, &u)
	if err != nil {
		return err
	}
	defer done()
	p, err := s.cfg.Plugins.Replace(k.ctx, sc, id, u)
	if err != nil {
		return err
	}
	return s.answerPlugin(k, sc, p, fiber.StatusOK)
}

func (s *Server) deletePlugin(k *call) error {
	sc, id, err := s.pluginCall(k)
	if err != nil {
		return err
	}
	if err := s.cfg.Plugins.Delete(k.ctx, sc, id); err != nil {
		return err
	}
	return k.json(fiber.Map{"object": "plugin", "id": id.String(), "deleted": true})
}

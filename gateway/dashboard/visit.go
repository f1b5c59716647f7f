package dashboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// visit is one request on its way through a page. It does not outlive it.
type visit struct {
	c      *fiber.Ctx
	ctx    context.Context
	id     string
	route  *route
	signin *signin         // nil on open pages
	scope  gateway.Scope   // narrowed to the domain, on its pages
	domain *gateway.Domain // of the path
	form   url.Values      // of a POST
	stop   <-chan struct{} // closed when the door stops
	row    gateway.Activity

	committed bool // the row is in the log, with what it is about
}

// run takes one request through every check that all pages share, its handler, and
// the log.
func (d *Dashboard) run(base context.Context, stopping <-chan struct{}, c *fiber.Ctx, r *route) (err error) {
	ctx, cancel := context.WithTimeout(base, gateway.BodyTimeout+gateway.RequestTimeout)
	defer cancel()
	v := &visit{c: c, ctx: ctx, route: r, stop: stopping, id: uuid.Must(uuid.NewV7()).String()}
	v.row = gateway.Activity{
		Protocol: "dashboard", Method: c.Method(), Endpoint: prefix + r.Path, IP: c.IP(), UserAgent: clip(c.Get("User-Agent"), 200),
	}
	c.Set("X-Request-Id", v.id)
	protect(c)
	defer func() {
		if p := recover(); p != nil {
			d.cfg.Log.LogAttrs(ctx, slog.LevelError, "a page panicked", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = d.fail(v, fmt.Errorf("panic: %v", p))
		}
		d.logVisit(v)
	}()
	if err := d.enter(v); err != nil {
		return d.fail(v, err)
	}
	if err := r.Handle(d, v); err != nil {
		return d.fail(v, err)
	}
	v.row.Status = c.Response().StatusCode()
	return nil
}

// errSignIn sends somebody who is not signed in to where they can.
var errSignIn = errors.New("not signed in")

// enter is what every page asks first: is this host ours, is the form ours, who is it,
// may they, is it their domain, what does the form say?
func (d *Dashboard) enter(v *visit) error {
	if !d.hosts[hostOf(v.c)] {
		return gateway.Errorf(gateway.Restricted, "the dashboard does not answer under this name; add it to [dashboard] hosts")
	}
	if v.c.Method() == post {
		if err := d.ours(v); err != nil {
			return err
		}
	}
	v.signin = d.visitors.find(v.c.Cookies(cookieName), d.clock())
	if v.route.Who&open == 0 {
		if err := d.admitted(v); err != nil {
			return err
		}
	}
	if v.c.Method() == post && v.route.Method == post {
		return d.readForm(v) // not before it is known who sends it
	}
	return nil
}

// admitted asks who it is, and whether the page is theirs to see.
func (d *Dashboard) admitted(v *visit) error {
	if v.signin == nil {
		return errSignIn
	}
	key := v.signin.session.Key()
	v.scope = v.signin.session.Scope()
	v.row.Key, v.row.KeyPrefix, v.row.Domain, v.row.Account = key.ID, key.Prefix, key.Domain, key.Account
	if _, err := d.cfg.Keys.Count(key.ID, v.route.Class); err != nil {
		return err
	}
	if !v.route.allows(v.scope.Level()) {
		return gateway.Errorf(gateway.NotFound, "there is no such page") // nor a hint that others see one
	}
	return d.narrow(v)
}

// narrow makes the scope of a domain's page that domain's. Another's is not there.
func (d *Dashboard) narrow(v *visit) (err error) {
	name := v.param("domain")
	if name == "" {
		return nil
	}
	if v.domain, err = d.cfg.Domains.Get(v.ctx, v.scope, name); err != nil {
		return err
	}
	v.row.Domain = v.domain.ID
	if v.scope.Level() == gateway.LevelInstance {
		v.signin.visit(v.domain.Name)
		v.scope, err = keys.Narrow(v.scope, v.domain.ID, 0)
	}
	return err
}

// ours refuses a form that a page of another origin sends, or what such a page follows, as
// browsers tell.
func (d *Dashboard) ours(v *visit) error {
	r := &http.Request{Method: post, Host: v.c.Get("Host"), URL: &url.URL{Path: v.c.Path()}, Header: http.Header{}}
	for _, name := range []string{"Origin", "Sec-Fetch-Site"} {
		if value := v.c.Get(name); value != "" {
			r.Header.Set(name, value)
		}
	}
	if err := d.origins.Check(r); err != nil {
		return gateway.Errorf(gateway.Restricted, "the request came from another site")
	}
	return nil
}

// fail shows what went wrong; the log keeps what only we may know.
func (d *Dashboard) fail(v *visit, err error) error {
	if errors.Is(err, errSignIn) {
		v.row.Status = http.StatusSeeOther
		return v.redirect("/sign-in?next=" + url.QueryEscape(string(v.c.Request().URI().RequestURI())))
	}
	e := gateway.AsError(err)
	reply := e.Kind.Reply()
	v.row.Error, v.row.Reason = reply.Name, e.Message
	if e.Reason != "" {
		v.row.Reason = e.Reason
	}
	if e.Kind == gateway.Internal {
		d.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "page failed",
			slog.String("request", v.id), slog.String("endpoint", v.row.Endpoint), slog.Any("err", err))
	}
	v.row.Status = reply.Status
	return d.show(v, reply.Status, "error", "Something is wrong", struct {
		Message, Request string
		Status           int
	}{e.Message, v.id, reply.Status})
}

// logVisit leaves a row of what changed something, or tried to.
func (d *Dashboard) logVisit(v *visit) {
	if v.row.Method == post && !v.committed && (v.row.Domain != 0 || v.signin != nil || v.row.Error != "") {
		d.cfg.Activity.Add(v.row)
	}
}

// redirect sends a browser on to another page of ours.
func (v *visit) redirect(path string) error {
	return v.c.Redirect(prefix+path, fiber.StatusSeeOther)
}

// param is a path parameter, decoded once; "" if the path has none of that name.
func (v *visit) param(name string) string {
	s, err := url.PathUnescape(v.c.Params(name))
	if err != nil {
		return v.c.Params(name)
	}
	return s
}

// hostOf is the name that a browser asked for, without its port.
func hostOf(c *fiber.Ctx) string {
	u := url.URL{Host: c.Get("Host")}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}

// hosts is the set of names that are answered.
func hosts(names []string) map[string]bool {
	all := map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}
	for _, name := range names {
		all[strings.ToLower(name)] = true
	}
	return all
}

func clip(v string, n int) string { return v[:min(len(v), n)] }

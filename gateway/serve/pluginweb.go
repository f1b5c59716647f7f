package serve

import (
	"context"
	"time"

	"github.com/centerleap/postern/gateway/safehttp"
	"github.com/centerleap/postern/plugins"
)

// pluginWeb makes the requests of plugins.
type pluginWeb struct{ client *safehttp.Client }

// newPluginWeb makes the client. In quickstart a developer's own server is as far away as
// any. A request takes as long as the call that makes it, not more.
func (g *Gateway) newPluginWeb() (w pluginWeb, err error) {
	w.client, err = safehttp.New(safehttp.Config{
		AllowLoopback: g.cfg.local, Allow: g.cfg.HTTPAllow, Timeout: time.Duration(g.cfg.Limits.PluginEventMillis) * time.Millisecond, Log: g.log,
	})
	return w, err
}

// Do is plugins.Web.
func (w pluginWeb) Do(ctx context.Context, r *plugins.WebRequest, most int64) (plugins.WebAnswer, error) {
	a, err := w.client.Do(ctx, r.Method, r.URL, r.Header, r.Body, most)
	return plugins.WebAnswer{Status: a.Status, Header: a.Header, Body: a.Body}, err
}

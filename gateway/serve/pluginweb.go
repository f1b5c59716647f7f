package serve

import (
	"context"
	"log/slog"
	"time"

	"github.com/centerleap/postern/gateway/safehttp"
	"github.com/centerleap/postern/plugins"
)

// pluginWeb makes the requests of plugins.
type pluginWeb struct{ client *safehttp.Client }

// newPluginWeb makes the client. In quickstart a developer's own server is as far away as
// any. A request takes as long as the call that makes it, not more.
func newPluginWeb(cfg *Config, log *slog.Logger) (w pluginWeb, err error) {
	w.client, err = safehttp.New(safehttp.Config{
		AllowLoopback: cfg.local, Allow: cfg.HTTPAllow, Timeout: time.Duration(cfg.Limits.PluginEventMillis) * time.Millisecond, Log: log,
	})
	return w, err
}

// Do is plugins.Web.
func (w pluginWeb) Do(ctx context.Context, r *plugins.WebRequest, most int64) (plugins.WebAnswer, error) {
	a, err := w.client.Do(ctx, r.Method, r.URL, r.Header, r.Body, most)
	return plugins.WebAnswer{Status: a.Status, Header: a.Header, Body: a.Body}, err
}

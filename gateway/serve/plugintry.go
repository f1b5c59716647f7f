package serve

import (
	"log/slog"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/rest"
	"github.com/centerleap/postern/plugins"
)

// What a plugin is tried with where no gateway runs.

// PluginWeb makes the requests of plugins as a gateway of this configuration does.
func PluginWeb(cfg *Config, log *slog.Logger) (plugins.Web, error) { return newPluginWeb(cfg, log) }

// TrialJSON is what POST /plugins/:id/test would answer about an outcome.
func TrialJSON(p *gateway.Plugin, hook gateway.Hook, o *gateway.PluginOutcome) ([]byte, error) {
	return rest.TrialJSON(p, hook, o)
}

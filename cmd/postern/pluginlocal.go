package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/serve"
	"github.com/centerleap/postern/gateway/telemetry"
	"github.com/centerleap/postern/plugins/plugintest"
)

// isModule reports whether an argument is a file to be run here, rather than the name of
// what a gateway has installed.
func isModule(arg string) bool { return strings.HasSuffix(arg, ".wasm") }

// localPlugin is how a plugin is asked without a gateway.
type localPlugin struct {
	manifest string
	values   map[string]string
	auth     map[string]string
	http     bool
}

func (l *localPlugin) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.manifest, "manifest", "", "of a FILE.wasm: its manifest, if it has none in it")
	cmd.Flags().StringToStringVar(&l.values, "config", nil, "of a FILE.wasm: what it finds in its configuration (KEY=VALUE, repeatable)")
	cmd.Flags().StringToStringVar(&l.auth, "auth", nil, "of a FILE.wasm: what is known of the sender, such as dmarc=fail (default none)")
	cmd.Flags().BoolVar(&l.http, "allow-http", false, "of a FILE.wasm: let it ask the hosts that its manifest names")
}

// settings are what a gateway on this machine would run plugins with.
func (l *localPlugin) settings(cmd *cobra.Command) (*serve.Config, *slog.Logger, error) {
	cfg := serve.LocalDefaults()
	if err := cfg.LoadEnv(os.Environ()); err != nil {
		return nil, nil, err
	}
	log, err := telemetry.Logger(cmd.ErrOrStderr(), cfg.LogLevel, cfg.LogFormat)
	return cfg, log, err
}

// open reads a module and makes it ready.
func (l *localPlugin) open(cmd *cobra.Command, file string) (*plugintest.Plugin, error) {
	wasm, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	settings, log, err := l.settings(cmd)
	if err != nil {
		return nil, err
	}
	cfg := plugintest.Config{Values: l.values, Auth: l.auth, Limits: &settings.Limits, CacheDir: localCache(settings)}
	if l.manifest != "" {
		if cfg.Manifest, err = os.ReadFile(l.manifest); err != nil {
			return nil, err
		}
	}
	if l.http {
		if cfg.Web, err = serve.PluginWeb(settings, log); err != nil {
			return nil, err
		}
	}
	p, err := plugintest.Open(cmd.Context(), wasm, cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// localCache is where compiled code is kept from one command to the next: Go's takes most of
// a second. Empty if there is no such place.
func localCache(settings *serve.Config) string {
	if settings.PluginCache != "" {
		return settings.PluginCache
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir = filepath.Join(dir, "postern", "plugins")
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return dir
}

// hookOf is the hook that is asked for, or the plugin's first.
func hookOf(p *plugintest.Plugin, name string) gateway.Hook {
	if name == "" {
		return p.Installed().Hooks[0]
	}
	return gateway.Hook(name)
}

// mailsFor reads messages: none for the tick hook, which is about none.
func mailsFor(hook gateway.Hook, files []string) (mails []string, err error) {
	if hook == gateway.HookTick {
		if len(files) > 0 {
			return nil, fmt.Errorf("the tick hook is about no message")
		}
		return []string{""}, nil
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("name a file that holds a message, such as mail.eml")
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		mails = append(mails, string(raw))
	}
	return mails, nil
}

// testHere asks a module about messages, one after the other.
func (p *pluginsCommand) testHere(cmd *cobra.Command, l *localPlugin, args []string, trial gateway.PluginTrial) (err error) {
	plugin, err := l.open(cmd, args[0])
	if err != nil {
		return err
	}
	defer func() { _ = plugin.Close() }()
	trial.Hook = hookOf(plugin, string(trial.Hook))
	mails, err := mailsFor(trial.Hook, args[1:])
	if err != nil {
		return err
	}
	for i, mail := range mails {
		out, err := askHere(cmd.Context(), plugin, trial, mail)
		if err != nil {
			return err
		}
		if len(mails) > 1 {
			if err := p.printf(cmd, "%s\n", args[1+i]); err != nil {
				return err
			}
		}
		if err := p.printOutcome(cmd, string(trial.Hook), out); err != nil {
			return err
		}
		if p.asJSON {
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", out.raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// askHere is what POST /plugins/:id/test would answer.
func askHere(ctx context.Context, plugin *plugintest.Plugin, trial gateway.PluginTrial, mail string) (*pluginOutcome, error) {
	o, err := plugin.Ask(ctx, trial, mail)
	if err != nil {
		return nil, err
	}
	out := &pluginOutcome{}
	if out.raw, err = serve.TrialJSON(plugin.Installed(), trial.Hook, &o); err != nil {
		return nil, err
	}
	return out, json.Unmarshal(out.raw, out)
}

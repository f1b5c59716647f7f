package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// pluginSettings is what a plugin is set to.
type pluginSettings struct {
	Config      map[string]string
	SecretNames []string `json:"secret_names"`
}

// settingsChange is what is asked of the gateway: all of the configuration, and the secrets
// that change.
type settingsChange struct {
	Config  map[string]string  `json:"config"`
	Secrets map[string]*string `json:"secrets,omitempty"` // null: it goes
}

func (p *pluginsCommand) config() *cobra.Command {
	var secrets, unset []string
	cmd := &cobra.Command{
		Use: "config NAME [KEY=VALUE]...", Short: "Show or change what a plugin is set to", Args: cobra.MinimumNArgs(1),
		Long: "Show or change what a plugin is set to; what is not named stays as it is.\n" +
			"A secret is a line of standard input, one for each --secret: so it is in no history of commands. It is never shown again.",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := p.find(cmd, args[0])
			if err != nil {
				return err
			}
			path, changes := p.path("/plugins/"+found.ID), len(args) > 1 || len(secrets)+len(unset) > 0
			c, now := p.client, pluginSettings{}
			if changes {
				c = p.quiet()
			}
			if err := c.call(cmd, "GET", path, nil, &now); err != nil {
				return err
			}
			if !changes {
				return p.printSettings(cmd, &now)
			}
			change, err := now.change(args[1:], unset, secrets, cmd.InOrStdin())
			if err != nil {
				return err
			}
			var then pluginSettings
			if err := p.call(cmd, "PATCH", path, change, &then); err != nil {
				return err
			}
			return p.printSettings(cmd, &then)
		},
	}
	cmd.Flags().StringArrayVar(&secrets, "secret", nil, "set the secret of this name to a line of standard input")
	cmd.Flags().StringArrayVar(&unset, "unset", nil, "take away the setting or the secret of this name")
	return cmd
}

// change is what makes of these settings others.
func (s *pluginSettings) change(set, unset, secrets []string, in io.Reader) (*settingsChange, error) {
	c := &settingsChange{Config: make(map[string]string), Secrets: make(map[string]*string)}
	maps.Copy(c.Config, s.Config)
	for _, name := range unset {
		if slices.Contains(s.SecretNames, name) {
			c.Secrets[name] = nil
		} else if _, known := c.Config[name]; !known {
			return nil, fmt.Errorf("the plugin has no setting %q", name)
		}
		delete(c.Config, name)
	}
	for _, pair := range set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("a setting is KEY=VALUE, not %q", pair)
		}
		c.Config[name] = value
	}
	lines := bufio.NewScanner(in)
	for _, name := range secrets {
		if !lines.Scan() {
			return nil, fmt.Errorf("standard input has no line for the secret %q: %w", name, cmp.Or(lines.Err(), io.EOF))
		}
		value := lines.Text()
		c.Secrets[name] = &value
	}
	return c, nil
}

func (p *pluginsCommand) printSettings(cmd *cobra.Command, s *pluginSettings) error {
	for _, name := range slices.Sorted(maps.Keys(s.Config)) {
		if err := p.printf(cmd, "%s=%s\n", printable(name), printable(s.Config[name])); err != nil {
			return err
		}
	}
	for _, name := range s.SecretNames {
		if err := p.printf(cmd, "%s is a secret\n", printable(name)); err != nil {
			return err
		}
	}
	return nil
}

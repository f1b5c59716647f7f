package main

import (
	"bytes"
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

type pluginAnswer struct {
	ID, Name, Version, SHA256, Status, Domain, Email string
	Hooks, Grants                                    []string
	Priority                                         int
	Versions                                         []pluginVersion
}

type pluginVersion struct {
	SHA256, Version string
	CreatedAt       string `json:"created_at"`
	Active          bool
}

// pluginsCommand is what all plugin commands share: whose plugins are meant.
type pluginsCommand struct {
	*client
	domain, account string
}

func (c *client) pluginCommand() *cobra.Command {
	p := &pluginsCommand{client: c}
	cmd := c.flags(&cobra.Command{Use: "plugin", Short: "Install and order plugins"})
	cmd.PersistentFlags().StringVar(&p.domain, "domain", "", "whose plugins: those of this domain")
	cmd.PersistentFlags().StringVar(&p.account, "account", "", "whose plugins: those of this one address")
	cmd.AddCommand(p.create(), p.build(), p.keygen(), p.sign(), p.push(), p.list(), p.enable("enable", "Ask a plugin from now on", "enabled"),
		p.enable("disable", "Ask a plugin no more", "disabled"), p.order(), p.config(), p.versions(), p.rollback(), p.logs(), p.failures(), p.test(), p.bench(), p.replay(), p.delete())
	return cmd
}

// path is a route, with whose plugins are meant.
func (p *pluginsCommand) path(route string) string { return p.with(route, url.Values{}) }

// with is a route with whose plugins are meant, and with more.
func (p *pluginsCommand) with(route string, q url.Values) string {
	if p.account != "" {
		q.Set("email", p.account)
	} else if p.domain != "" {
		q.Set("domain", p.domain)
	}
	if len(q) == 0 {
		return route
	}
	return route + "?" + q.Encode()
}

// all lists what is installed, in the order it is asked.
func (p *pluginsCommand) all(cmd *cobra.Command, c *client) ([]pluginAnswer, error) {
	var out struct{ Data []pluginAnswer }
	err := c.call(cmd, "GET", p.path("/plugins"), nil, &out)
	return out.Data, err
}

func (p *pluginsCommand) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List plugins in the order they are asked", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := p.all(cmd, p.client)
			if err != nil {
				return err
			}
			if len(all) == 0 {
				return p.printf(cmd, "there are no plugins; postern plugin new NAME makes one\n")
			}
			var table bytes.Buffer
			w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
			for _, a := range all {
				fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\t%d\n", a.ID, a.Name, a.Version, a.Status, cmp.Or(a.Email, a.Domain), strings.Join(a.Hooks, ","), a.Priority)
			}
			_ = w.Flush() // into memory
			return p.printf(cmd, "%s", &table)
		},
	}
}

// find returns the plugin of an id or a name, of the account if one is named.
func (p *pluginsCommand) find(cmd *cobra.Command, name string) (found pluginAnswer, err error) {
	all, err := p.all(cmd, p.quiet())
	if err != nil {
		return found, err
	}
	n := 0
	for _, a := range all {
		if a.ID == name || a.Name == name && (p.account == "" || a.Email == p.account) {
			found, n = a, n+1
		}
	}
	switch n {
	case 0:
		return found, fmt.Errorf("there is no plugin %s", name)
	case 1:
		return found, nil
	}
	return found, fmt.Errorf("there are %d plugins called %s; name one by its id, see: postern plugin list", n, name)
}

// change sends a change of one plugin.
func (p *pluginsCommand) change(cmd *cobra.Command, name string, in any) (out pluginAnswer, err error) {
	found, err := p.find(cmd, name)
	if err != nil {
		return out, err
	}
	err = p.call(cmd, "PATCH", p.path("/plugins/"+found.ID), in, &out)
	return out, err
}

func (p *pluginsCommand) enable(use, short, status string) *cobra.Command {
	return &cobra.Command{
		Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := p.change(cmd, args[0], map[string]any{"status": status})
			if err != nil {
				return err
			}
			return p.printf(cmd, "%s is %s\n", out.Name, out.Status)
		},
	}
}

func (p *pluginsCommand) order() *cobra.Command {
	return &cobra.Command{
		Use: "order NAME PRIORITY", Short: "Say when a plugin is asked: lower is earlier", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseInt(args[1], 10, 32)
			if err != nil {
				return fmt.Errorf("PRIORITY is a whole number, not %q", args[1])
			}
			out, err := p.change(cmd, args[0], map[string]any{"priority": n})
			if err != nil {
				return err
			}
			return p.printf(cmd, "%s has priority %d\n", out.Name, out.Priority)
		},
	}
}

func (p *pluginsCommand) delete() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Remove a plugin and all it remembers", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := p.find(cmd, args[0])
			if err != nil {
				return err
			}
			var out struct{ ID string }
			if err := p.call(cmd, "DELETE", p.path("/plugins/"+found.ID), nil, &out); err != nil {
				return err
			}
			return p.printf(cmd, "deleted %s\n", found.Name)
		},
	}
}

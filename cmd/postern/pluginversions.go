package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *pluginsCommand) versions() *cobra.Command {
	return &cobra.Command{
		Use: "versions NAME", Short: "List what is kept of a plugin's code", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := p.find(cmd, args[0])
			if err != nil {
				return err
			}
			var out pluginAnswer
			if err := p.call(cmd, "GET", p.path("/plugins/"+found.ID), nil, &out); err != nil {
				return err
			}
			for _, v := range out.Versions {
				active := ""
				if v.Active {
					active = "active"
				}
				if err := p.printf(cmd, "%s  %s  %s  %s\n", v.SHA256, v.Version, v.CreatedAt, active); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (p *pluginsCommand) rollback() *cobra.Command {
	return &cobra.Command{
		Use: "rollback NAME [VERSION]", Short: "Go back to code that is kept: the upload before, unless a version or sha256 is named",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := p.find(cmd, args[0])
			if err != nil {
				return err
			}
			to := found.before()
			if len(args) == 2 {
				to = args[1]
			}
			if to == "" {
				return fmt.Errorf("no older code of %s is kept", found.Name)
			}
			out, err := p.change(cmd, found.ID, map[string]any{"active_version": to})
			if err != nil {
				return err
			}
			return p.printf(cmd, "%s is %s %s\n", out.Name, out.Version, out.SHA256)
		},
	}
}

// before is the digest of the code that was uploaded before the active one.
func (a *pluginAnswer) before() string {
	for i, v := range a.Versions {
		if v.Active && i+1 < len(a.Versions) {
			return a.Versions[i+1].SHA256
		}
	}
	return ""
}

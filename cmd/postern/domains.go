package main

import (
	"net/url"

	"github.com/spf13/cobra"
)

type domainAnswer struct{ ID, Name, Status string }

func (d *domainAnswer) cursor() string { return d.ID }

func (c *client) domainsCommand() *cobra.Command {
	cmd := c.flags(&cobra.Command{Use: "domains", Short: "Make, list and delete domains"})
	var verified bool
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a domain", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var d domainAnswer
			if err := c.call(cmd, "POST", "/domains", map[string]any{"name": args[0], "verified": verified}, &d); err != nil {
				return err
			}
			return c.printf(cmd, "%s  %s  %s\n", d.ID, d.Name, d.Status)
		},
	}
	create.Flags().BoolVar(&verified, "verified", false, "it may send at once; no DNS is asked")
	list := &cobra.Command{
		Use: "list", Short: "List domains", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return each(c, cmd, "/domains", nil, (*domainAnswer).cursor, func(d *domainAnswer) error {
				return c.printf(cmd, "%s  %s  %s\n", d.ID, d.Name, d.Status)
			})
		},
	}
	var force bool
	erase := &cobra.Command{
		Use: "delete NAME", Short: "Delete a domain with all that is in it, for good", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var d struct{ ID string }
			path := "/domains/" + url.PathEscape(args[0])
			if force {
				path += "?force=true"
			}
			if err := c.call(cmd, "DELETE", path, nil, &d); err != nil {
				return err
			}
			return c.printf(cmd, "%s is deleted\n", args[0])
		},
	}
	erase.Flags().BoolVar(&force, "force", false, "also while it has accounts, with all their mail")
	cmd.AddCommand(create, list, erase)
	return cmd
}

package main

import (
	"net/url"

	"github.com/spf13/cobra"
)

type accountAnswer struct {
	ID, Email string
	Implicit  bool
}

func (a *accountAnswer) cursor() string { return a.Email }

func (c *client) accountsCommand() *cobra.Command {
	cmd := c.flags(&cobra.Command{Use: "accounts", Short: "Make, list and delete accounts"})
	var name, domain string
	var aliases []string
	var quota int64
	create := &cobra.Command{
		Use: "create EMAIL", Short: "Make an account", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var a accountAnswer
			if err := c.call(cmd, "POST", "/accounts", map[string]any{"email": args[0], "name": name, "aliases": aliases, "quota_bytes": quota}, &a); err != nil {
				return err
			}
			return c.printf(cmd, "%s  %s\n", a.ID, a.Email)
		},
	}
	create.Flags().StringVar(&name, "name", "", "name of its owner")
	create.Flags().StringArrayVar(&aliases, "alias", nil, "another address of it (repeatable)")
	create.Flags().Int64Var(&quota, "quota", 0, "most bytes of its messages (0: no limit)")
	list := &cobra.Command{
		Use: "list", Short: "List accounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listAccounts(cmd, domain) },
	}
	list.Flags().StringVar(&domain, "domain", "", "the domain whose accounts to list (default: every domain in reach)")
	erase := &cobra.Command{
		Use: "delete EMAIL", Short: "Delete an account with all that is in it, for good", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var a accountAnswer
			if err := c.call(cmd, "DELETE", "/accounts/"+url.PathEscape(args[0]), nil, &a); err != nil {
				return err
			}
			return c.printf(cmd, "%s is deleted\n", a.Email)
		},
	}
	cmd.AddCommand(create, list, erase)
	return cmd
}

// listAccounts asks for each domain in turn unless one is named: a list of
// accounts is always that of one domain.
func (c *client) listAccounts(cmd *cobra.Command, domain string) error {
	if domain != "" {
		return c.listAccountsOf(cmd, domain)
	}
	return each(c.quiet(), cmd, "/domains", nil, (*domainAnswer).cursor, func(d *domainAnswer) error {
		return c.listAccountsOf(cmd, d.Name)
	})
}

func (c *client) listAccountsOf(cmd *cobra.Command, domain string) error {
	return each(c, cmd, "/accounts", url.Values{"domain": {domain}}, (*accountAnswer).cursor, func(a *accountAnswer) error {
		note := ""
		if a.Implicit {
			note = "  (made by use)"
		}
		return c.printf(cmd, "%s  %s%s\n", a.ID, a.Email, note)
	})
}

package main

import (
	"net/url"

	"github.com/spf13/cobra"
)

type accountAnswer struct {
	ID, Email string
	Implicit  bool
}

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
	var all struct{ Data []domainAnswer }
	if err := c.quiet().call(cmd, "GET", "/domains", nil, &all); err != nil {
		return err
	}
	for _, d := range all.Data {
		if err := c.listAccountsOf(cmd, d.Name); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) listAccountsOf(cmd *cobra.Command, domain string) error {
	query := url.Values{"domain": {domain}, "limit": {"100"}}
	for more := true; more; {
		var page struct {
			Data    []accountAnswer
			HasMore bool `json:"has_more"`
		}
		if err := c.call(cmd, "GET", "/accounts?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		for _, a := range page.Data {
			note := ""
			if a.Implicit {
				note = "  (made by use)"
			}
			if err := c.printf(cmd, "%s  %s%s\n", a.ID, a.Email, note); err != nil {
				return err
			}
			query.Set("after", a.Email)
		}
		more = page.HasMore
	}
	return nil
}

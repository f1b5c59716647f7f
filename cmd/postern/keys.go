package main

import (
	"cmp"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

type keyAnswer struct {
	ID, Name, Prefix, Permission, Scope, Domain, Email, Token string
	Created                                                   string     `json:"created_at"`
	Revoked                                                   *time.Time `json:"revoked_at"`
	Expires                                                   *time.Time `json:"expires_at"`
}

func (k *keyAnswer) cursor() string { return k.ID }

func (k *keyAnswer) state() string {
	switch {
	case k.Revoked != nil:
		return "revoked"
	case k.Expires != nil && !time.Now().Before(*k.Expires):
		return "expired"
	}
	return "live"
}

func (c *client) keysCommand() *cobra.Command {
	cmd := c.flags(&cobra.Command{Use: "keys", Short: "Make, list and revoke API keys"})
	cmd.AddCommand(c.keysCreate(), c.keysList(), c.keysRevoke())
	return cmd
}

func (c *client) keysCreate() *cobra.Command {
	var name, domain, account, permission, expires string
	var instance bool
	cmd := &cobra.Command{
		Use: "create", Short: "Make a key; it is printed this once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in := map[string]any{"name": name, "permission": permission, "instance": instance}
			if domain != "" {
				in["domain"] = domain
			}
			if account != "" {
				in["email"] = account
			}
			if expires != "" {
				at, err := moment(expires)
				if err != nil {
					return err
				}
				in["expires_at"] = at
			}
			var k keyAnswer
			if err := c.call(cmd, "POST", "/api-keys", in, &k); err != nil {
				return err
			}
			return c.printf(cmd, "%s\n", k.Token)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "a name to know it by")
	cmd.Flags().StringVar(&domain, "domain", "", "for all addresses of this domain")
	cmd.Flags().StringVar(&account, "account", "", "for this one address")
	cmd.Flags().BoolVar(&instance, "instance", false, "for the operator: everything")
	cmd.Flags().StringVar(&permission, "permission", "full_access", "full_access or send_only")
	cmd.Flags().StringVar(&expires, "expires", "", "when it ends: a duration such as 24h, or a time")
	cmd.MarkFlagsMutuallyExclusive("domain", "account", "instance")
	cmd.MarkFlagsOneRequired("domain", "account", "instance")
	return cmd
}

// moment reads a duration from now, or a time.
func moment(v string) (string, error) {
	if d, err := time.ParseDuration(v); err == nil {
		return time.Now().Add(d).UTC().Format(time.RFC3339Nano), nil
	}
	if t, err := time.Parse(time.RFC3339, v); err == nil {
		return t.Format(time.RFC3339Nano), nil
	}
	return "", fmt.Errorf("%q is neither a duration such as 24h nor a time such as 2027-01-31T12:00:00Z", v)
}

func (c *client) keysList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return each(c, cmd, "/api-keys", nil, (*keyAnswer).cursor, func(k *keyAnswer) error {
				return c.printf(cmd, "%s  %s  %s  %s  %s  %s\n", k.ID, k.Prefix, k.Permission, cmp.Or(k.Email, k.Domain, k.Scope), k.state(), k.Name)
			})
		},
	}
}

func (c *client) keysRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End a key at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var k keyAnswer
			if err := c.call(cmd, "DELETE", "/api-keys/"+url.PathEscape(args[0]), nil, &k); err != nil {
				return err
			}
			return c.printf(cmd, "revoked %s\n", k.ID)
		},
	}
}

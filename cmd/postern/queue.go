package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
)

// queuedAnswer is a delivery that waits.
type queuedAnswer struct {
	ID        string
	EmailID   string `json:"email_id"`
	Recipient string
	State     string
	Reason    string
	Attempts  int
	NextAt    string `json:"next_at"`
	Code      int
	Message   string
}

func (c *client) queueCommand() *cobra.Command {
	cmd := c.flags(&cobra.Command{
		Use: "queue", Short: "See what waits to be delivered, and hold, release, retry, cancel or drop it",
		Long: `See what waits to be delivered, and do something about it. Each command takes the
ids of deliveries, as postern queue list shows them, or --all with the same
filters. Captured mail leaves by release, and by nothing else.`,
	})
	f := &queueFlags{}
	cmd.PersistentFlags().StringVar(&f.domain, "domain", "", "only deliveries of this domain")
	cmd.PersistentFlags().StringVar(&f.state, "state", "", "only those that are queued, leased or held")
	cmd.PersistentFlags().StringVar(&f.reason, "reason", "", "only those held by this: capture, scheduled, plugin, operator or domain")
	cmd.PersistentFlags().StringVar(&f.site, "site", "", "only those for this domain of recipients")
	cmd.PersistentFlags().StringVar(&f.email, "email-id", "", "only those of this email")
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List what waits, oldest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.queued(cmd, f, func(_ string, d *queuedAnswer) error {
				return c.printf(cmd, "%s  %s  %-6s %-9s  %d attempts  %s  %s\n", d.ID, d.Recipient, d.State, cmp.Or(d.Reason, "-"), d.Attempts, cmp.Or(d.NextAt, "-"), words(d))
			})
		},
	})
	for _, do := range []struct{ verb, short, method, path, done string }{
		{"hold", "Keep deliveries until they are released", "POST", "/hold", "is held"},
		{"release", "Let held deliveries leave", "POST", "/release", "is released"},
		{"retry", "Try deliveries now", "POST", "/retry", "is tried now"},
		{"cancel", "End deliveries; their senders see that", "POST", "/cancel", "is canceled"},
		{"drop", "Remove deliveries; nobody hears of it", "DELETE", "", "is dropped"},
	} {
		all := false
		one := &cobra.Command{Use: do.verb + " [ID...]", Short: do.short}
		one.Flags().BoolVar(&all, "all", false, "all that the filters leave")
		one.RunE = func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return errors.New("name deliveries, or say --all")
			}
			return c.operate(cmd, f, args, func(domain, id string) error {
				var out queuedAnswer
				if err := c.call(cmd, do.method, "/queue/"+url.PathEscape(id)+do.path+"?"+url.Values{"domain": {domain}}.Encode(), nil, &out); err != nil {
					return fmt.Errorf("%s: %w", id, err)
				}
				return c.printf(cmd, "%s %s\n", id, do.done)
			})
		}
		cmd.AddCommand(one)
	}
	return cmd
}

func words(d *queuedAnswer) string {
	if d.Code == 0 {
		return d.Message
	}
	return fmt.Sprint(d.Code, " ", d.Message)
}

// queueFlags narrow what a command is about.
type queueFlags struct{ domain, state, reason, site, email string }

// domains are those that a command is about.
func (c *client) queueDomains(cmd *cobra.Command, f *queueFlags) (names []string, err error) {
	if f.domain != "" {
		return []string{f.domain}, nil
	}
	err = each(c.quiet(), cmd, "/domains", nil, (*domainAnswer).cursor, func(d *domainAnswer) error {
		names = append(names, d.Name)
		return nil
	})
	return names, err
}

// queued calls fn with each delivery that the flags want, and its domain.
func (c *client) queued(cmd *cobra.Command, f *queueFlags, fn func(domain string, d *queuedAnswer) error) error {
	domains, err := c.queueDomains(cmd, f)
	if err != nil {
		return err
	}
	for _, domain := range domains {
		query := url.Values{"domain": {domain}, "limit": {pageSize}}
		for name, v := range map[string]string{"state": f.state, "reason": f.reason, "site": f.site, "email_id": f.email} {
			if v != "" {
				query.Set(name, v)
			}
		}
		for more := true; more; {
			var page struct {
				Data   []queuedAnswer
				Cursor string
			}
			if err := c.call(cmd, "GET", "/queue?"+query.Encode(), nil, &page); err != nil {
				return err
			}
			for i := range page.Data {
				if err := fn(domain, &page.Data[i]); err != nil {
					return err
				}
			}
			query.Set("after", page.Cursor)
			more = page.Cursor != ""
		}
	}
	return nil
}

// operate calls fn with each delivery that a command is about.
func (c *client) operate(cmd *cobra.Command, f *queueFlags, ids []string, fn func(domain, id string) error) error {
	if len(ids) == 0 {
		return c.quiet().queued(cmd, f, func(domain string, d *queuedAnswer) error { return fn(domain, d.ID) })
	}
	domains, err := c.queueDomains(cmd, f)
	if err != nil {
		return err
	}
	for _, id := range ids {
		domain, err := c.domainOf(cmd, domains, id)
		if err != nil {
			return err
		}
		if err := fn(domain, id); err != nil {
			return err
		}
	}
	return nil
}

// domainOf finds whose a delivery is.
func (c *client) domainOf(cmd *cobra.Command, domains []string, id string) (string, error) {
	err := errors.New("there are no domains")
	for _, domain := range domains {
		var d queuedAnswer
		if err = c.quiet().call(cmd, "GET", "/queue/"+url.PathEscape(id)+"?"+url.Values{"domain": {domain}}.Encode(), nil, &d); err == nil {
			return domain, nil
		}
	}
	return "", fmt.Errorf("%s: %w", id, err)
}

package main

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// searchIndexAnswer is how far the search index has come.
type searchIndexAnswer struct {
	Accounts, Messages, Behind, Segments, Bytes int64
}

// searchPoll is how often the progress of a rebuild is asked for; ours.
const searchPoll = 500 * time.Millisecond

func (c *client) searchCommand() *cobra.Command {
	cmd := c.flags(&cobra.Command{Use: "search", Short: "See how far the search index has come, or make it again"})
	account := ""
	cmd.PersistentFlags().StringVar(&account, "account", "", "the index of this account; of all without")
	query := func() string {
		if account == "" {
			return ""
		}
		return "?" + url.Values{"email": {account}}.Encode()
	}
	cmd.AddCommand(&cobra.Command{
		Use: "status", Short: "Show how many messages the search index knows, and how many it is behind", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var a searchIndexAnswer
			if err := c.call(cmd, "GET", "/search"+query(), nil, &a); err != nil {
				return err
			}
			return c.printf(cmd, "%d messages of %d accounts indexed, %d behind; %d segments, %.1f MiB\n",
				a.Messages, a.Accounts, a.Behind, a.Segments, float64(a.Bytes)/(1<<20))
		},
	}, &cobra.Command{
		Use: "rebuild", Short: "Make the search index again", Args: cobra.NoArgs,
		Long: "Make the search index again, and wait until it knows all mail; with --json, don't wait. Until then searches take longer.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var a searchIndexAnswer
			if err := c.call(cmd, "POST", "/search/rebuild"+query(), nil, &a); err != nil || c.asJSON {
				return err
			}
			return c.followRebuild(cmd, "/search"+query(), a)
		},
	})
	return cmd
}

// followRebuild tells of the progress until the index knows all.
func (c *client) followRebuild(cmd *cobra.Command, path string, a searchIndexAnswer) error {
	tick := time.NewTicker(searchPoll)
	defer tick.Stop()
	for before := int64(-1); ; {
		if a.Messages != before {
			before = a.Messages
			if err := c.printf(cmd, "%d messages indexed, %d to go\n", a.Messages, a.Behind); err != nil {
				return err
			}
		}
		if a.Behind == 0 {
			return nil
		}
		select {
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		case <-tick.C:
		}
		if err := c.call(cmd, "GET", path, nil, &a); err != nil {
			return err
		}
	}
}

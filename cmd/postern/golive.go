package main

import "github.com/spf13/cobra"

func (c *client) goLiveCommand() *cobra.Command {
	var capture, relay bool
	cmd := c.flags(&cobra.Command{
		Use: "go-live", Short: "Let mail to foreign domains leave, from now on",
		Long: `Let mail to foreign domains leave, from now on: for their own mail hosts, or with
--relay for the smart host of the configuration. Mail that was captured before
stays where it is; postern queue release lets it go.`,
		Args: cobra.NoArgs,
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		mode := "direct"
		switch {
		case capture:
			mode = "capture"
		case relay:
			mode = "relay"
		}
		var out struct {
			Mode string `json:"delivery_mode"`
		}
		if err := c.call(cmd, "PATCH", "/instance", map[string]string{"delivery_mode": mode}, &out); err != nil {
			return err
		}
		return c.printf(cmd, "delivery mode is %s for mail accepted from now on\n", out.Mode)
	}
	cmd.Flags().BoolVar(&capture, "capture", false, "back to keeping foreign mail")
	cmd.Flags().BoolVar(&relay, "relay", false, "by the smart host of the configuration")
	cmd.MarkFlagsMutuallyExclusive("capture", "relay")
	return cmd
}

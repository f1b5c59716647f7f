package main

import "github.com/spf13/cobra"

func (c *client) goLiveCommand() *cobra.Command {
	var capture bool
	cmd := c.flags(&cobra.Command{
		Use: "go-live", Short: "Let mail to foreign domains leave, from now on",
		Long: `Let mail to foreign domains leave, from now on. Mail that was captured before
stays where it is. This version has no courier for remote hosts yet: foreign
mail is queued and waits for one.`,
		Args: cobra.NoArgs,
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		mode := "direct"
		if capture {
			mode = "capture"
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
	return cmd
}

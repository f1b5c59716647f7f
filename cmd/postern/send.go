package main

import (
	"encoding/base64"
	"mime"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (c *client) sendCommand() *cobra.Command {
	var from, subject, text, html string
	var to, files []string
	cmd := c.flags(&cobra.Command{
		Use: "send", Short: "Send an email", Args: cobra.NoArgs,
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		in := map[string]any{"from": from, "to": to, "subject": subject, "text": text, "html": html}
		var attached []map[string]string
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			attached = append(attached, map[string]string{
				"filename": filepath.Base(f), "content": base64.StdEncoding.EncodeToString(b), "content_type": mime.TypeByExtension(filepath.Ext(f)),
			})
		}
		if attached != nil {
			in["attachments"] = attached
		}
		var out struct{ ID string }
		if err := c.call(cmd, "POST", "/emails", in, &out); err != nil {
			return err
		}
		return c.printf(cmd, "%s\n", out.ID)
	}
	cmd.Flags().StringVar(&from, "from", "", "sender")
	cmd.Flags().StringArrayVar(&to, "to", nil, "recipient (repeatable)")
	cmd.Flags().StringVar(&subject, "subject", "", "subject")
	cmd.Flags().StringVar(&text, "text", "", "plain text")
	cmd.Flags().StringVar(&html, "html", "", "HTML")
	cmd.Flags().StringArrayVar(&files, "attach", nil, "a file to attach (repeatable)")
	for _, f := range []string{"from", "to"} {
		if err := cmd.MarkFlagRequired(f); err != nil {
			panic(err) // the flag is two lines above
		}
	}
	return cmd
}

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

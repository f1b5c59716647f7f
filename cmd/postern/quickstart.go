package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway/serve"
)

func quickstartCommand() *cobra.Command {
	var q serve.Quickstart
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "Start a gateway on this machine alone, ready to use",
		Long: `Start a gateway on this machine alone: everything on loopback, one domain, one
account, and the first keys, printed once. Mail to foreign domains is kept, not
sent, until postern go-live.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&data, "data", "", "data folder (default .postern)")
	cmd.Flags().StringVar(&q.Domain, "domain", "demo.localhost", "the first domain")
	cmd.Flags().StringArrayVar(&q.Accounts, "account", nil, "an account of it (repeatable; default bot@DOMAIN)")
	cmd.Flags().StringVar(&q.SmartHost, "smarthost", "", "relay foreign mail through HOST:PORT")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	listen := listenFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg := serve.LocalDefaults()
		log, err := configure(cmd, cfg, "", data, listen)
		if err != nil {
			return err
		}
		return serve.RunQuickstart(cmd.Context(), cfg, q, log, func(b *serve.Banner) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
			}
			_, err := io.WriteString(cmd.OutOrStdout(), people(b))
			return err
		})
	}
	return cmd
}

// people is the banner in at most 24 lines.
func people(b *serve.Banner) string {
	var s strings.Builder
	fmt.Fprintf(&s, "Postern is running. Everything is on this machine alone; foreign mail is kept, not sent.\n\n")
	for _, n := range b.Notes {
		fmt.Fprintf(&s, "  %s\n", n)
	}
	fmt.Fprintf(&s, "  REST     %s\n  account  %s\n  data     %s\n\n", b.REST, b.Account, b.Data)
	if b.Keys == nil {
		fmt.Fprintf(&s, "Its keys were shown at the first start. Make another: postern keys create --domain %s\n", b.Domain)
		return s.String()
	}
	fmt.Fprintf(&s, "Your first key, shown this once:\n\n  export CENTERLEAP_API_KEY=%s\n\n", b.Keys.Domain)
	fmt.Fprintf(&s, "  (one account: %s)\n  (send only:   %s)\n  (operator:    %s)\n\n", b.Keys.Account, b.Keys.SendOnly, b.Keys.Admin)
	fmt.Fprintf(&s, "Paste into another terminal: set the key above, send an email, read it back.\n\n")
	fmt.Fprintf(&s, `  curl %s/emails -H "Authorization: Bearer $CENTERLEAP_API_KEY" -H 'Content-Type: application/json' -d '{"from":"hello@%s","to":"%s","subject":"Hello","html":"<p>It works.</p>"}'`+"\n", b.REST, b.Domain, b.Account)
	fmt.Fprintf(&s, `  curl "%s/emails?email=%s" -H "Authorization: Bearer $CENTERLEAP_API_KEY"`+"\n\n", b.REST, b.Account)
	fmt.Fprintf(&s, "Stop with Ctrl-C.\n")
	return s.String()
}

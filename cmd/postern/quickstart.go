package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway"
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
		log, err := configure(cmd, cfg, "", data, listen, q.Apply)
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

// people is the banner in at most 24 lines: what runs where, the first key, and
// three lines to paste.
func people(b *serve.Banner) string {
	var s strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	p("Postern is running, on this machine alone. %s\n", fate(b.Mode))
	for _, n := range b.Notes {
		p("  %s", n)
	}
	p("  REST     %s", b.REST)
	p("  SMTP     %s (STARTTLS), %s (TLS), as an MX %s", b.Submission, b.Submissions, b.MX)
	p("  IMAP     %s (STARTTLS), %s (TLS); the CA is %s", b.IMAP, b.IMAPS, b.CA)
	p("  account  %s\n  data     %s", b.Account, b.Data)
	if b.Keys == nil {
		p("  web      %s\n", b.Dashboard)
		p("The keys were shown at the first start. To make another:")
		p("  postern keys create --domain %s --data %s", b.Domain, quoted(b.Data))
		return s.String()
	}
	p("  web      %s (leads in once, within ten minutes)\n", b.Dashboard)
	p("Your first key, shown this once:\n\n  export CENTERLEAP_API_KEY=%s\n", b.Keys.Domain)
	p("  (for %s alone: %s)\n  (send only: %s)\n  (operator: %s)\n", b.Account, b.Keys.Account, b.Keys.SendOnly, b.Keys.Admin)
	p("Paste that line into another terminal, then these: send, list, read.\n")
	const auth = `-H "Authorization: Bearer $CENTERLEAP_API_KEY"`
	p(`  curl %s/emails %s -H 'Content-Type: application/json' -d '{"from":"hello@%s","to":"%s","subject":"Hello","html":"<p>It works.</p>"}'`, b.REST, auth, b.Domain, b.Account)
	p(`  curl '%s/emails?email=%s' %s`, b.REST, b.Account, auth)
	p(`  curl '%s/emails/1?email=%s' %s`+"\n", b.REST, b.Account, auth)
	p("Stop with Ctrl-C.")
	return s.String()
}

// fate says what becomes of mail to other domains.
func fate(m gateway.DeliveryMode) string {
	switch m {
	case gateway.ModeCapture:
		return "Mail to other domains is kept, not sent."
	case gateway.ModeRelay:
		return "Mail to other domains goes through the smart host."
	}
	return "Mail to other domains is delivered."
}

// quoted makes a path safe to paste into a shell.
func quoted(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway"
)

// pluginOutcome is what a plugin would do.
type pluginOutcome struct {
	pluginSaid
	Version string
	Logs    []struct{ Level, Text string }
	Writes  []struct {
		Key  string
		Size int `json:"size_bytes"`
	} `json:"kv_writes"`
	Sends []struct {
		To      []string
		Subject string
	}
	DurationUS int64 `json:"duration_us"`
	HostCalls  int64 `json:"host_calls"`
	Fuel       int64 `json:"fuel"`
	Memory     int64 `json:"memory_bytes"`
	raw        []byte
}

func (p *pluginsCommand) test() *cobra.Command {
	var hook, email, file, sample, version, event string
	local := &localPlugin{}
	cmd := &cobra.Command{
		Use: "test NAME | test FILE.wasm MAIL.eml...", Short: "Show what a plugin would decide about a message, without doing it", Args: cobra.MinimumNArgs(1),
		Long: `Show what a plugin would decide about a message, without doing it. NAME is a
plugin of the gateway, which finds or makes the message. A FILE.wasm is asked
here, without a gateway, about each MAIL.eml in turn: in the same sandbox, held
to the same limits, and granted what its manifest asks for. What it puts into
the KV it finds again with the next mail; servers answer it with --allow-http.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if isModule(args[0]) {
				return p.testHere(cmd, local, args, gateway.PluginTrial{Hook: gateway.Hook(hook), Event: gateway.EventType(event)})
			}
			if len(args) > 1 {
				return fmt.Errorf("a plugin of the gateway is asked about one message, with --email, --raw or --sample; to run a module here, name its file, FILE.wasm")
			}
			return p.testThere(cmd, args[0], file, map[string]string{"hook": hook, "email_id": email, "sample": sample, "version": version, "event": event})
		},
	}
	cmd.Flags().StringVar(&hook, "hook", "", "inbound, outbound, thread, event or tick (default the plugin's first)")
	cmd.Flags().StringVar(&email, "email", "", "the id of a stored email")
	cmd.Flags().StringVar(&file, "raw", "", "a file that holds a message")
	cmd.Flags().StringVar(&sample, "sample", "", "a built-in message: personal, newsletter, autoreply or attachment")
	cmd.Flags().StringVar(&version, "version", "", "a kept version instead of the active one")
	cmd.Flags().StringVar(&event, "event", "", "at the event hook, what it is told of (default email.received)")
	local.flags(cmd)
	return cmd
}

// testThere has the gateway ask a plugin of its own about what it is told, or the message in
// a file.
func (p *pluginsCommand) testThere(cmd *cobra.Command, name, file string, told map[string]string) error {
	found, err := p.find(cmd, name)
	if err != nil {
		return err
	}
	if told["hook"] == "" && len(found.Hooks) > 0 {
		told["hook"] = found.Hooks[0]
	}
	in := make(map[string]any)
	for name, v := range told {
		if v != "" {
			in[name] = v
		}
	}
	if file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		in["raw"] = string(raw)
	}
	var out pluginOutcome
	if err := p.call(cmd, "POST", p.path("/plugins/"+found.ID+"/test"), in, &out); err != nil {
		return err
	}
	return p.printOutcome(cmd, told["hook"], &out)
}

func (p *pluginsCommand) printOutcome(cmd *cobra.Command, hook string, o *pluginOutcome) error {
	lines := []string{hook + ": " + o.Verdict.Action}
	for _, line := range append(o.gist(), o.said()...) {
		lines = append(lines, printable(line))
	}
	lines = append(lines, fmt.Sprintf("%d us, %d fuel, %d KiB, %d imports used, version %s; nothing of it was done", o.DurationUS, o.Fuel, o.Memory>>10, o.HostCalls, cmp.Or(o.Version, "without a name")))
	return p.printf(cmd, "%s\n", strings.Join(lines, "\n"))
}

// said are what it remembers, the mail that it sends and the lines of its log.
func (o *pluginOutcome) said() (lines []string) {
	for _, w := range o.Writes {
		lines = append(lines, fmt.Sprintf("remembers %s: %d bytes", w.Key, w.Size))
	}
	for _, m := range o.Sends {
		lines = append(lines, fmt.Sprintf("sends %q to %s", m.Subject, strings.Join(m.To, " ")))
	}
	for _, l := range o.Logs {
		lines = append(lines, "said "+l.Level+": "+l.Text)
	}
	return lines
}

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway"
)

// mostBench bounds how often a plugin is asked; ours.
const mostBench = 1_000_000

// benchAnswer is what it costs to ask a plugin about a message.
type benchAnswer struct {
	File     string  `json:"file"`
	Hook     string  `json:"hook"`
	Calls    int     `json:"calls"`
	Failures int     `json:"failures"`
	P50US    float64 `json:"p50_us"`
	P99US    float64 `json:"p99_us"`
	FuelMin  int64   `json:"fuel_min"`
	FuelMax  int64   `json:"fuel_max"`
	Imports  int64   `json:"host_calls"`
	Memory   int64   `json:"memory_bytes"`
	ReadyMS  int64   `json:"ready_ms"`
	Error    string  `json:"error,omitempty"`
}

func (p *pluginsCommand) bench() *cobra.Command {
	var hook string
	var count int
	local := &localPlugin{}
	cmd := &cobra.Command{
		Use: "bench FILE.wasm MAIL.eml...", Short: "Measure what it costs to ask a plugin, on this machine", Args: cobra.MinimumNArgs(1),
		Long: `Measure what it costs to ask a plugin, on this machine and without a gateway: each
call begins with fresh state, within the limits of a gateway. Fuel is what its
instructions cost; it is the same on every machine.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if count < 1 || count > mostBench {
				return fmt.Errorf("--count is from 1 to %d", mostBench)
			}
			return p.benchHere(cmd, local, args, gateway.Hook(hook), count)
		},
	}
	cmd.Flags().StringVar(&hook, "hook", "", "inbound, outbound, thread, event or tick (default the plugin's first)")
	cmd.Flags().IntVarP(&count, "count", "n", 1000, "how often each message is asked about")
	local.flags(cmd)
	return cmd
}

// benchHere asks a module about each message count times.
func (p *pluginsCommand) benchHere(cmd *cobra.Command, local *localPlugin, args []string, hook gateway.Hook, count int) error {
	began := time.Now()
	plugin, err := local.open(cmd, args[0])
	if err != nil {
		return err
	}
	defer func() { _ = plugin.Close() }()
	ready := time.Since(began).Milliseconds()
	trial := gateway.PluginTrial{Hook: hookOf(plugin, string(hook))}
	mails, err := mailsFor(trial.Hook, args[1:])
	if err != nil {
		return err
	}
	for i, mail := range mails {
		b := benchAnswer{Hook: string(trial.Hook), ReadyMS: ready}
		if len(args) > 1 {
			b.File = args[1+i]
		}
		err := b.measure(count, func() (gateway.PluginOutcome, error) { return plugin.Ask(cmd.Context(), trial, mail) })
		if err != nil {
			return err
		}
		if err := p.printBench(cmd, &b); err != nil {
			return err
		}
	}
	return nil
}

// measure asks count times.
func (b *benchAnswer) measure(count int, ask func() (gateway.PluginOutcome, error)) error {
	took := make([]time.Duration, 0, count)
	for range count {
		out, err := ask()
		if err != nil {
			return err
		}
		if out.Failure != "" {
			b.Failures, b.Error = b.Failures+1, out.Failure
		}
		if b.FuelMin == 0 || out.Fuel < b.FuelMin {
			b.FuelMin = out.Fuel
		}
		b.FuelMax, b.Imports, b.Memory = max(b.FuelMax, out.Fuel), max(b.Imports, out.HostCalls), max(b.Memory, out.Memory)
		took = append(took, out.Took)
	}
	slices.Sort(took)
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()/100) / 10 }
	b.Calls, b.P50US, b.P99US = count, us(took[count/2]), us(took[count*99/100])
	return nil
}

func (p *pluginsCommand) printBench(cmd *cobra.Command, b *benchAnswer) error {
	if p.asJSON {
		return printJSON(cmd, b)
	}
	fuel := fmt.Sprint(b.FuelMax)
	if b.FuelMin != b.FuelMax {
		fuel = fmt.Sprint(b.FuelMin, " to ", b.FuelMax)
	}
	name := b.Hook
	if b.File != "" {
		name += ", " + b.File
	}
	lines := fmt.Sprintf("%s: %d calls, each with fresh state\n  p50 %.1f us, p99 %.1f us\n  %s fuel, %d imports used, %d KiB of memory\n  ready in %d ms\n",
		name, b.Calls, b.P50US, b.P99US, fuel, b.Imports, b.Memory>>10, b.ReadyMS)
	if b.Failures > 0 {
		lines += fmt.Sprintf("  %d failed: %s\n", b.Failures, printable(b.Error))
	}
	return p.printf(cmd, "%s", lines)
}

func printJSON(cmd *cobra.Command, v any) error {
	return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
}

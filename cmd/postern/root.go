package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// memoryLimit is what the Go runtime aims to stay below, unless GOMEMLIMIT says
// otherwise.
const memoryLimit = 400 << 20

// run is main without the process around it.
func run(args []string, stdout, stderr io.Writer) int {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // who asks a second time does not want to wait
	cmd := rootCommand()
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "postern: %v\n", err)
		return 1
	}
	return 0
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "postern",
		Short:         "A self-hosted mail gateway",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       versionName(),
	}
	root.AddCommand(quickstartCommand(), serveCommand(), versionCommand())
	c := &client{}
	root.AddCommand(c.domainsCommand(), c.dnsCommand(), c.accountsCommand(), c.keysCommand(), c.sendCommand(), c.traceCommand(), c.pluginCommand(), c.queueCommand(), c.searchCommand(), c.goLiveCommand(), c.backupCommand(), storeCommand())
	return root
}

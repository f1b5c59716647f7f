package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway/serve"
	"github.com/centerleap/postern/gateway/telemetry"
)

// listenFlags adds a flag for each door.
func listenFlags(cmd *cobra.Command) map[string]*string {
	flags := make(map[string]*string)
	for _, door := range serve.Doors {
		flags[door] = cmd.Flags().String(door+"-listen", "", "address of the "+door+" listener")
	}
	return flags
}

// configure fills cfg from the file, the environment and flags, in that order,
// and returns the log to use. Every fault is reported, not only the first.
func configure(cmd *cobra.Command, cfg *serve.Config, file, data string, listen map[string]*string) (*slog.Logger, error) {
	var faults []error
	if file != "" {
		faults = append(faults, cfg.LoadFile(file))
	}
	faults = append(faults, cfg.LoadEnv(os.Environ()))
	if data != "" {
		faults = append(faults, cfg.Set("server.data", data))
	}
	for door, addr := range listen {
		if cmd.Flags().Changed(door + "-listen") {
			faults = append(faults, cfg.Set(door+".listen", *addr))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("the configuration has faults:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return telemetry.Logger(cmd.ErrOrStderr(), cfg.LogLevel, cfg.LogFormat)
}

func serveCommand() *cobra.Command {
	var file, data string
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run the gateway with a configuration file",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file (TOML)")
	cmd.Flags().StringVar(&data, "data", "", "data folder")
	listen := listenFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg := serve.Defaults()
		log, err := configure(cmd, cfg, file, data, listen)
		if err != nil {
			return err
		}
		return serve.Run(cmd.Context(), cfg, log)
	}
	return cmd
}

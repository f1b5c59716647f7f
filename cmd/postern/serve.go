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
// and returns the log to use. Every fault is reported, not only the first. more
// applies what a command sets besides.
func configure(cmd *cobra.Command, cfg *serve.Config, file, data string, listen map[string]*string, more func(*serve.Config) error) (*slog.Logger, error) {
	var faults []error
	add := func(where string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s%w", where, err))
		}
	}
	if file != "" {
		add("", cfg.LoadFile(file))
	}
	add("", cfg.LoadEnv(os.Environ()))
	if cmd.Flags().Changed("data") {
		add("--data: ", cfg.Set("server.data", data))
	}
	for _, door := range serve.Doors {
		if cmd.Flags().Changed(door + "-listen") {
			add("--"+door+"-listen: ", cfg.Set(door+".listen", *listen[door]))
		}
	}
	cfg.Version = versionName()
	add("", more(cfg))
	add("", cfg.Check())
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
	cmd.Flags().StringVar(&data, "data", "", "data folder (default .postern)")
	listen := listenFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg := serve.Defaults()
		log, err := configure(cmd, cfg, file, data, listen, func(*serve.Config) error { return nil })
		if err != nil {
			return err
		}
		return serve.Run(cmd.Context(), cfg, log)
	}
	return cmd
}

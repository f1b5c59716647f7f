package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the build; go install leaves it, and the module's stands.
var version = ""

func versionName() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		platform := runtime.GOOS + "/" + runtime.GOARCH
		if asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{
				"version": versionName(), "go": runtime.Version(), "platform": platform,
			})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "postern %s (%s, %s)\n", versionName(), runtime.Version(), platform)
		return err
	}
	return cmd
}

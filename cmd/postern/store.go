package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway/serve"
	"github.com/centerleap/postern/gateway/telemetry"
)

func storeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Check and repair the store of a gateway that does not run"}
	cmd.AddCommand(
		storeCheck(&cobra.Command{
			Use: "verify", Short: "Read all of the store, and check everything in it",
			Long: `Read all of the store, and check everything in it: the checksums of the log, of the
index and of each body, and each count against what is counted. Nothing is
repaired. One line for each finding, then what is there; the exit status is 0 if
nothing was found. The gateway is stopped meanwhile.`,
		}, serve.VerifyStore),
		storeCheck(&cobra.Command{
			Use: "repair", Short: "Save what can be saved of a damaged store",
			Long: `Save what can be saved of a damaged store. One line for each thing that is lost,
then what is there; the exit status is 0 if nothing was lost. The store as it was
is kept beside the new one. The gateway is stopped meanwhile.`,
		}, serve.RepairStore),
	)
	return cmd
}

func storeCheck(cmd *cobra.Command, check func(context.Context, string, *slog.Logger, func(string)) (serve.StoreReport, error)) *cobra.Command {
	var data string
	var asJSON bool
	cmd.Args = cobra.NoArgs
	cmd.Flags().StringVar(&data, "data", "", "data folder (default $POSTERN_DATA or .postern)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := telemetry.Logger(cmd.ErrOrStderr(), "error", "auto")
		if err != nil {
			return err
		}
		out := &findings{cmd: cmd, asJSON: asJSON}
		report, err := check(cmd.Context(), dataFolder(data), log, out.found)
		if err != nil {
			return err
		}
		return out.end(report)
	}
	return cmd
}

// findings prints what a check finds, as it finds it; as JSON, at the end.
type findings struct {
	cmd    *cobra.Command
	asJSON bool
	failed error // of printing

	CreatedAt *time.Time `json:"created_at,omitempty"` // of a backup
	Findings  []string   `json:"findings"`
	Domains   *int64     `json:"domains"` // null if the records were not looked at
	Accounts  *int64     `json:"accounts"`
	Messages  *int64     `json:"messages"`
	Bodies    int64      `json:"bodies"`
	BodyBytes int64      `json:"body_bytes"`
	Groups    int64      `json:"groups"`
	Records   int64      `json:"records"`
}

func (f *findings) found(what string) {
	if f.Findings = append(f.Findings, what); !f.asJSON && f.failed == nil {
		_, f.failed = fmt.Fprintln(f.cmd.OutOrStdout(), what)
	}
}

// end prints the summary; it is an error if something was found.
func (f *findings) end(r serve.StoreReport) error {
	if f.Bodies, f.BodyBytes, f.Groups, f.Records = r.Bodies, r.BodyBytes, r.Groups, r.Records; !r.Unchecked {
		f.Domains, f.Accounts, f.Messages = &r.Domains, &r.Accounts, &r.Messages
	}
	if f.failed == nil {
		f.failed = f.print(r)
	}
	switch n := len(f.Findings); {
	case f.failed != nil:
		return f.failed
	case n == 1:
		return errors.New("there is 1 finding")
	case n > 1:
		return fmt.Errorf("there are %d findings", n)
	}
	return nil
}

func (f *findings) print(r serve.StoreReport) error {
	out := f.cmd.OutOrStdout()
	if f.asJSON {
		if f.Findings == nil {
			f.Findings = []string{}
		}
		return json.NewEncoder(out).Encode(f)
	}
	if f.CreatedAt != nil {
		if _, err := fmt.Fprintf(out, "as of %s: ", f.CreatedAt.Format(time.RFC3339)); err != nil {
			return err
		}
	}
	if r.Unchecked {
		_, err := fmt.Fprintf(out, "%d bodies of %d bytes; the records were not checked\n", r.Bodies, r.BodyBytes)
		return err
	}
	_, err := fmt.Fprintf(out, "%d domains, %d accounts, %d messages, %d bodies of %d bytes\n", r.Domains, r.Accounts, r.Messages, r.Bodies, r.BodyBytes)
	return err
}

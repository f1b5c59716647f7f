package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
)

// pluginFailure is an event that a plugin could not be told of.
type pluginFailure struct {
	Sequence uint64
	Type     string
	EmailID  string `json:"email_id"`
	Attempts int
	Error    string
	FailedAt string `json:"failed_at"`
}

func (p *pluginsCommand) failures() *cobra.Command {
	var retry, drop []string
	cmd := &cobra.Command{
		Use: "failures NAME", Short: "Show which events a plugin could not be told of", Args: cobra.ExactArgs(1),
		Long: "Show which events a plugin could not be told of, after several attempts.\n" +
			"--retry tells it of one again, by its number, or of all; --drop forgets it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := p.find(cmd, args[0])
			if err != nil {
				return err
			}
			if len(retry)+len(drop) == 0 {
				return p.eachFailure(cmd, found.ID, func(f *pluginFailure) error {
					return p.printf(cmd, "%d  %s  %s  %s  %d attempts  %s\n", f.Sequence, f.FailedAt, f.Type, cmp.Or(f.EmailID, "-"), f.Attempts, printable(f.Error))
				})
			}
			if err := p.actOn(cmd, found.ID, retry, "POST", "/retry", "told again"); err != nil {
				return err
			}
			return p.actOn(cmd, found.ID, drop, "DELETE", "", "forgotten")
		},
	}
	cmd.Flags().StringSliceVar(&retry, "retry", nil, "tell the plugin of these again, by their numbers, or of all")
	cmd.Flags().StringSliceVar(&drop, "drop", nil, "forget these, by their numbers, or all")
	return cmd
}

// eachFailure calls fn for each failure of a plugin, the newest first.
func (p *pluginsCommand) eachFailure(cmd *cobra.Command, id string, fn func(*pluginFailure) error) error {
	query := url.Values{"limit": {"100"}}
	for more := true; more; {
		var page struct {
			Data []pluginFailure
			More bool `json:"has_more"`
		}
		if err := p.call(cmd, "GET", p.with("/plugins/"+id+"/failures", query), nil, &page); err != nil {
			return err
		}
		for i := range page.Data {
			if err := fn(&page.Data[i]); err != nil {
				return err
			}
			query.Set("after", strconv.FormatUint(page.Data[i].Sequence, 10))
		}
		more = page.More
	}
	return nil
}

// actOn does something with failures that are named by their numbers, or with all.
func (p *pluginsCommand) actOn(cmd *cobra.Command, id string, which []string, method, action, done string) error {
	quiet := *p
	quiet.client = p.quiet()
	if slices.Contains(which, "all") {
		which = nil
		err := quiet.eachFailure(cmd, id, func(f *pluginFailure) error {
			which = append(which, strconv.FormatUint(f.Sequence, 10))
			return nil
		})
		if err != nil {
			return err
		}
		slices.Reverse(which) // in the order in which they happened
	}
	for _, n := range which {
		if _, err := strconv.ParseUint(n, 10, 64); err != nil {
			return fmt.Errorf("%q is no number of a failure; see: postern plugin failures", n)
		}
		var out pluginFailure
		if err := p.call(cmd, method, p.path("/plugins/"+id+"/failures/"+n+action), nil, &out); err != nil {
			return err
		}
		if err := p.printf(cmd, "%s is %s\n", n, done); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// replayAnswer is what a plugin would decide about mail that is here already.
type replayAnswer struct {
	Version        replayVersion
	Against        *replayVersion
	Asked, Unknown int
	Truncated      bool
	Now, Then      replaySide
	Differs        int
	Differences    []struct {
		ID                   string `json:"email_id"`
		Email, From, Subject string
		Then, Now            pluginSaid
	}
}

type replayVersion struct{ Version, SHA256 string }

func (v *replayVersion) name() string {
	return "version " + cmp.Or(v.Version, fmt.Sprintf("%.12s", v.SHA256))
}

// replaySide is what one of the two that are compared said of all messages.
type replaySide struct {
	Actions  map[string]int
	Failures int
	Fuel     int64
	P50US    int64 `json:"p50_us"`
	P99US    int64 `json:"p99_us"`
}

func (p *pluginsCommand) replay() *cobra.Command {
	in := make(map[string]any)
	var hook, version, against string
	var last int
	var ids []string
	cmd := &cobra.Command{
		Use: "replay NAME", Short: "Show what a plugin would decide about mail that is here already, and what differs", Args: cobra.ExactArgs(1),
		Long: `Show what a version of a plugin would decide about the newest mail, without doing it,
and where that differs: from another version (--against), or from what was decided
when the mail passed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := p.find(cmd, args[0])
			if err != nil {
				return err
			}
			if hook == "" && len(found.Hooks) > 0 {
				hook = found.Hooks[0]
			}
			for name, v := range map[string]string{"hook": hook, "version": version, "against": against} {
				if v != "" {
					in[name] = v
				}
			}
			if in["last"] = last; len(ids) > 0 {
				delete(in, "last")
				in["ids"] = ids
			}
			if p.account != "" {
				in["email"] = p.account
			}
			var out replayAnswer
			if err := p.call(cmd, "POST", p.path("/plugins/"+found.ID+"/replay"), in, &out); err != nil {
				return err
			}
			return p.printReplay(cmd, &out)
		},
	}
	cmd.Flags().StringVar(&hook, "hook", "", "inbound, outbound, thread or event (default the plugin's first)")
	cmd.Flags().IntVarP(&last, "last", "n", 100, "how many messages, the newest ones")
	cmd.Flags().StringArrayVar(&ids, "email", nil, "instead, the id of an email (repeatable)")
	cmd.Flags().StringVar(&version, "version", "", "a kept version instead of the active one")
	cmd.Flags().StringVar(&against, "against", "", "the version to compare with (default what was decided then)")
	return cmd
}

func (p *pluginsCommand) printReplay(cmd *cobra.Command, r *replayAnswer) error {
	then := "what was decided then"
	if r.Against != nil {
		then = r.Against.name()
	}
	now := r.Version.name()
	lines := []string{fmt.Sprintf("%d messages; %s against %s", r.Asked, now, then)}
	if r.Truncated {
		lines = append(lines, "the time was over before all were asked about")
	}
	lines = append(lines, r.Now.line(now))
	if r.Asked > r.Unknown || r.Against != nil {
		lines = append(lines, r.Then.line(then))
	}
	if r.Against == nil && r.Unknown > 0 {
		lines = append(lines, fmt.Sprintf("of %d messages it is not known what was decided then", r.Unknown))
	}
	for i := range r.Differences {
		d := &r.Differences[i]
		lines = append(lines, "", fmt.Sprintf("%s  %s  %s  %q", d.ID, d.Email, d.From, d.Subject))
		lines = append(lines, diff(&d.Then, &d.Now)...)
	}
	lines = append(lines, "", fmt.Sprintf("%d differ; nothing of it was done", r.Differs))
	if more := r.Differs - len(r.Differences); more > 0 {
		lines[len(lines)-1] = fmt.Sprintf("%d differ, of which %d are not shown; nothing of it was done", r.Differs, more)
	}
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return p.printf(cmd, "%s\n", strings.Join(lines, "\n"))
}

// line says what a side did, all in all.
func (s *replaySide) line(who string) string {
	var actions []string
	for _, a := range slices.Sorted(maps.Keys(s.Actions)) {
		actions = append(actions, fmt.Sprint(s.Actions[a], " ", a))
	}
	line := who + ": " + strings.Join(actions, ", ")
	if s.Failures > 0 {
		line += fmt.Sprintf(" (%d failed)", s.Failures)
	}
	return line + fmt.Sprintf("; %d fuel, p50 %d us, p99 %d us", s.Fuel, s.P50US, s.P99US)
}

// diff shows what two sides say, - then and + now; what both say is left out.
func diff(then, now *pluginSaid) (lines []string) {
	was, is := append([]string{then.Verdict.Action}, then.gist()...), append([]string{now.Verdict.Action}, now.gist()...)
	for _, line := range was {
		if !slices.Contains(is, line) {
			lines = append(lines, "  - "+line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			lines = append(lines, "  + "+line)
		}
	}
	return lines
}

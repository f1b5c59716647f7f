package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// pluginLine is a line of a plugin's log.
type pluginLine struct {
	Time, Level, Version, Hook, Text string
	EmailID                          string `json:"email_id"`
	MessageID                        string `json:"message_id"`
}

func (p *pluginsCommand) logs() *cobra.Command {
	var level string
	var lines int
	var follow bool
	cmd := &cobra.Command{
		Use: "logs NAME", Short: "Show what a plugin said, and how it failed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := p.find(cmd, args[0])
			if err != nil {
				return err
			}
			query := url.Values{"limit": {strconv.Itoa(lines)}}
			if level != "" {
				query.Set("level", level)
			}
			path := p.with("/plugins/"+found.ID+"/logs", query)
			if follow {
				return p.follow(cmd, path+"&follow=true")
			}
			var out struct{ Data []pluginLine }
			if err := p.call(cmd, "GET", path, nil, &out); err != nil {
				return err
			}
			slices.Reverse(out.Data) // the newest last, as in a terminal
			for i := range out.Data {
				if err := p.printLine(cmd, &out.Data[i]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&level, "level", "", "these lines and those that matter more: debug, info, warning or error")
	cmd.Flags().IntVarP(&lines, "lines", "n", 20, "how many, at most 100")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with each line as it is said")
	return cmd
}

// follow prints the lines of a stream until it ends, or the command is interrupted.
func (p *pluginsCommand) follow(cmd *cobra.Command, path string) error {
	resp, err := p.ask(cmd.Context(), "GET", path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	in, name := bufio.NewReader(resp.Body), ""
	for {
		text, err := in.ReadString('\n')
		if err == io.EOF || cmd.Context().Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(text, "\n"), ": ")
		switch {
		case field == "event":
			name = value
		case field == "data" && name == "log":
			if err := p.printEvent(cmd, value); err != nil {
				return err
			}
		}
	}
}

// printEvent prints the data of one event; with --json as it is.
func (p *pluginsCommand) printEvent(cmd *cobra.Command, data string) error {
	if p.asJSON {
		_, err := io.WriteString(cmd.OutOrStdout(), data+"\n")
		return err
	}
	var l pluginLine
	if err := json.Unmarshal([]byte(data), &l); err != nil {
		return err
	}
	return p.printLine(cmd, &l)
}

func (p *pluginsCommand) printLine(cmd *cobra.Command, l *pluginLine) error {
	return p.printf(cmd, "%s  %-7s  %s  %s  %s  %s\n", l.Time, l.Level, l.Version, cmp.Or(l.Hook, "-"), cmp.Or(printable(l.EmailID), printable(l.MessageID), "-"), printable(l.Text))
}

// printable makes text fit for a terminal: a plugin, or the mail it quotes, must not
// steer it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

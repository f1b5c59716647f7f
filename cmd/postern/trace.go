package main

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// traceEntry is one thing that happened to an email: the part that its type says is there.
type traceEntry struct {
	Type, At string
	Received *struct {
		RemoteIP   string `json:"remote_ip"`
		Helo       string
		Protocol   string
		ReturnPath string `json:"return_path"`
	}
	Accepted *struct {
		KeyID      string `json:"key_id"`
		PluginID   string `json:"plugin_id"`
		Recipients []string
	}
	Authentication *struct{ Method, Result, Domain, Reason, Disposition string }
	Plugin         *struct {
		Hook, Name, Of, Event string
		Paused                bool
		pluginOutcome
	}
	Thread *struct {
		ThreadID string `json:"thread_id"`
		Count    int
		By       string
	}
	Stored *struct {
		Folder        string
		Labels, Flags []string
	}
	Delivery *struct {
		Recipient, State, Reason, Host, TLS, Phase, Message string
		Attempt, Code                                       int
	}
}

func (c *client) traceCommand() *cobra.Command {
	var email, domain string
	cmd := c.flags(&cobra.Command{
		Use: "trace EMAIL_ID", Short: "Tell how an email became what it is: checks, plugins, attempts to deliver", Args: cobra.ExactArgs(1),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q := url.Values{}
		for name, v := range map[string]string{"email": email, "domain": domain} {
			if v != "" {
				q.Set(name, v)
			}
		}
		var out struct {
			Data    []traceEntry
			LeftOut int `json:"left_out"`
		}
		if err := c.call(cmd, "GET", "/emails/"+url.PathEscape(args[0])+"/trace?"+q.Encode(), nil, &out); err != nil {
			return err
		}
		for i := range out.Data {
			for n, line := range out.Data[i].lines() {
				at := out.Data[i].At
				if n > 0 {
					at = strings.Repeat(" ", len(at))
				}
				if err := c.printf(cmd, "%s  %s\n", at, printable(line)); err != nil {
					return err
				}
			}
		}
		if out.LeftOut > 0 {
			return c.printf(cmd, "%d answers of plugins were not kept\n", out.LeftOut)
		}
		return nil
	}
	cmd.Flags().StringVar(&email, "email", "", "whose email: that of this address")
	cmd.Flags().StringVar(&domain, "domain", "", "whose email: somebody's of this domain")
	return cmd
}

// lines tells of an entry, the gist first.
func (e *traceEntry) lines() []string {
	switch {
	case e.Received != nil && e.Received.RemoteIP == "":
		return []string{fmt.Sprintf("received from inside, return path <%s>", e.Received.ReturnPath)}
	case e.Received != nil:
		return []string{fmt.Sprintf("received from %s [%s] with %s, return path <%s>", cmp.Or(e.Received.Helo, "-"), e.Received.RemoteIP, e.Received.Protocol, e.Received.ReturnPath)}
	case e.Accepted != nil && e.Accepted.PluginID != "":
		return []string{"accepted of plugin " + e.Accepted.PluginID + " for " + strings.Join(e.Accepted.Recipients, " ")}
	case e.Accepted != nil:
		return []string{"accepted of key " + cmp.Or(e.Accepted.KeyID, "-") + " for " + strings.Join(e.Accepted.Recipients, " ")}
	case e.Authentication != nil:
		a := e.Authentication
		return []string{joined(a.Method+" "+a.Result, "domain", a.Domain, "reason", a.Reason, "disposition", a.Disposition)}
	case e.Plugin != nil:
		return e.pluginLines()
	case e.Thread != nil:
		return []string{joined(fmt.Sprintf("thread %s of %d", e.Thread.ThreadID, e.Thread.Count), "by", e.Thread.By)}
	case e.Stored != nil:
		return []string{joined("stands in "+e.Stored.Folder, "labels", strings.Join(e.Stored.Labels, " "), "flags", strings.Join(e.Stored.Flags, " "))}
	case e.Delivery != nil:
		return []string{e.deliveryLine()}
	}
	return []string{e.Type}
}

func (e *traceEntry) pluginLines() []string {
	p := e.Plugin
	head := joined(p.Hook+" plugin "+p.Name+" "+p.Version, "of the", p.Of, "event", p.Event)
	if p.Paused {
		return []string{head + ": " + p.Verdict.Action + ", as its failure policy has it: it failed too often to be asked"}
	}
	lines := append([]string{head + ": " + p.Verdict.Action}, append(p.gist(), p.said()...)...)
	return append(lines, fmt.Sprintf("%d us, %d fuel, %d imports used", p.DurationUS, p.Fuel, p.HostCalls))
}

func (e *traceEntry) deliveryLine() string {
	d := e.Delivery
	words := strings.TrimSpace(strings.TrimPrefix(fmt.Sprint(d.Code, " ", d.Message), "0 "))
	head := strings.ReplaceAll(e.Type, "_", " ") + " " + d.Recipient
	if d.Attempt > 0 {
		head = fmt.Sprintf("attempt %d %s: %s", d.Attempt, d.Recipient, d.State)
	}
	return joined(head, "by", d.Reason, "host", d.Host, "", d.TLS, "phase", d.Phase, "", words)
}

// joined adds to a text those of named values that are there.
func joined(text string, pairs ...string) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if v := pairs[i+1]; v != "" {
			text += ", " + strings.TrimSpace(pairs[i]+" "+v)
		}
	}
	return text
}

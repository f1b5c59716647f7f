package main

import (
	"fmt"
	"strings"
)

// pluginSaid is what a plugin decided, or its failure policy for it.
type pluginSaid struct {
	Verdict struct {
		Action, Text, Reason string
		Code                 int
		Final                bool
	}
	Changes struct {
		Folder                                   string
		Labels, Unlabel, Flags, Redirect, Remove []string
		Keep                                     bool
		Score                                    float64
		Headers                                  []struct{ Name, Value string }
		HeaderEdits                              []struct{ Op, Name, Value string } `json:"header_edits"`
		Subject                                  *string
		Body                                     *struct{ Text, HTML string }
		Tags                                     []struct{ Name, Value string }
		HoldUntil                                string `json:"hold_until"`
		Reply                                    *struct{ From, Subject, Text, HTML string }
		Thread                                   *struct {
			Op       string
			ThreadID string `json:"thread_id"`
			With     []string
		}
	}
	Error string
}

// gist tells of it beside the action, a line for each thing; they may hold text of mail.
func (s *pluginSaid) gist() (lines []string) {
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, name+": "+value)
		}
	}
	v, c := &s.Verdict, &s.Changes
	if v.Code != 0 {
		add("code", fmt.Sprint(v.Code))
	}
	add("text", v.Text)
	add("reason", v.Reason)
	add("folder", c.Folder)
	for _, part := range []struct {
		name string
		list []string
	}{{"labels", c.Labels}, {"takes away labels", c.Unlabel}, {"flags", c.Flags}, {"sends on to", c.Redirect}, {"takes away recipients", c.Remove}} {
		add(part.name, strings.Join(part.list, " "))
	}
	if c.Keep {
		add("keeps", "a copy")
	}
	if c.Score != 0 {
		add("score", fmt.Sprint(c.Score))
	}
	s.edits(add)
	if r := c.Reply; r != nil {
		add("replies", joined(r.Text+r.HTML, "from", r.From, "subject", r.Subject))
	}
	if t := c.Thread; t != nil {
		add("thread", strings.Join(strings.Fields(t.Op+" "+t.ThreadID+" "+strings.Join(t.With, " ")), " "))
	}
	if v.Final {
		add("final", "nobody else is asked")
	}
	add("error", s.Error)
	return lines
}

// edits tells of what changes in mail that leaves.
func (s *pluginSaid) edits(add func(name, value string)) {
	c := &s.Changes
	for _, h := range c.Headers {
		add("adds", h.Name+": "+h.Value)
	}
	for _, h := range c.HeaderEdits {
		if h.Op == "delete" {
			add("deletes", h.Name)
		} else {
			add("sets", h.Name+": "+h.Value)
		}
	}
	if c.Subject != nil {
		add("subject", fmt.Sprintf("%q", *c.Subject))
	}
	if c.Body != nil {
		add("text part", fmt.Sprintf("%q", c.Body.Text))
		add("HTML part", fmt.Sprintf("%q", c.Body.HTML))
	}
	for _, t := range c.Tags {
		add("tag", t.Name+"="+t.Value)
	}
	add("leaves at", c.HoldUntil)
}

package dashboard

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// asked tells what a plugin was asked, what it said, what that changed and what it took.
func (d *Dashboard) asked(m *moment, st *gateway.Step) {
	m.Title = "Plugin " + st.Name + " was asked, hook " + string(st.Hook)
	switch {
	case st.Paused:
		m.Title = "Plugin " + st.Name + " was not asked, hook " + string(st.Hook)
		m.Marks = append(m.Marks, mark{"bad", "paused"})
	case st.Failure != "":
		m.Marks = append(m.Marks, mark{"bad", "failed"})
	}
	verdict := verdictMark(st)
	if st.Paused || st.Failure != "" {
		verdict.Name += ", by its failure policy"
	}
	m.Marks = append(m.Marks, verdict)
	m.note("Of", whose(st)).note("About the copy of", st.Mailbox).note("Event", string(st.Event)).note("Version", cmp.Or(st.Version, fmt.Sprintf("%x", st.SHA256[:6])))
	m.note("Failure", st.Failure).note("Reason", st.Reason)
	v := &st.Verdict
	if v.Code != 0 || v.Text != "" {
		m.note("Told the sender", strings.TrimSpace(strings.TrimPrefix(strconv.Itoa(v.Code), "0")+" "+v.Text))
	}
	for _, c := range changes(v) {
		m.note(c.Name, c.Value)
	}
	m.Lines = st.Lines
	if st.Paused {
		return
	}
	most := d.cfg.Limits.PluginMillis
	if st.Hook == gateway.HookEvent || st.Hook == gateway.HookTick {
		most = d.cfg.Limits.PluginEventMillis
	}
	m.Meter = &meter{
		Took:   lasted(st.Took) + " of " + lasted(time.Duration(most)*time.Millisecond) + ", " + counted(int(st.Calls), "host call"),
		Fuel:   grouped(st.Fuel) + " of " + grouped(d.cfg.Limits.PluginFuel),
		Micros: st.Took.Microseconds(), MostMicros: most * 1000, FuelUsed: st.Fuel, FuelAtMost: d.cfg.Limits.PluginFuel,
	}
}

func whose(st *gateway.Step) string {
	if st.Account != 0 {
		return "the account"
	}
	return "the domain"
}

// verdictMark is what a plugin decided, as its hook calls it.
func verdictMark(st *gateway.Step) mark {
	switch a := st.Verdict.Action; a {
	case gateway.ActionAccept:
		if st.Hook == gateway.HookOutbound {
			return mark{"good", "allow"}
		}
		return mark{"good", "accept"}
	case gateway.ActionQuarantine, gateway.ActionHold, gateway.ActionTempfail:
		return mark{"wait", string(a)}
	default:
		return mark{"bad", string(a)}
	}
}

// changes are what a verdict changes, each in words.
func changes(v *gateway.Verdict) (out []fact) {
	note := func(name, value string) {
		if value != "" {
			out = append(out, fact{name, value})
		}
	}
	note("Into the folder", v.Folder)
	note("Labels", strings.Join(v.Labels, ", "))
	note("Labels taken off", strings.Join(v.Unlabel, ", "))
	note("Sent on to", strings.Join(v.Redirect, ", "))
	for _, h := range v.Headers {
		note("Header added", h.Name+": "+h.Value)
	}
	for _, e := range v.Edits {
		if e.Set {
			note("Header set", e.Name+": "+e.Value)
		} else {
			note("Header removed", e.Name)
		}
	}
	if v.Subject != nil {
		note("Subject", cmp.Or(*v.Subject, "none"))
	}
	if v.Body != nil {
		note("Text", "written anew")
	}
	for _, t := range v.Tags {
		note("Tag", t.Name+": "+t.Value)
	}
	note("Recipients taken off", strings.Join(v.Remove, ", "))
	note("Held until", stamp(v.Until))
	if v.Reply != nil {
		note("Answered", cmp.Or(v.Reply.Subject, "yes"))
	}
	if !v.Thread.None() {
		note("Conversation", "chosen by the plugin")
	}
	if v.Score != 0 {
		note("Score", strconv.FormatFloat(v.Score, 'g', 6, 64))
	}
	if v.Final {
		note("Nobody else", "was to be asked")
	}
	return out
}

// grouped is a number with its thousands apart.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

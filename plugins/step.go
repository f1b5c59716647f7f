package plugins

import (
	"fmt"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
)

// mostSteps bounds what one message's steps hold in memory while it is on its way, all
// its recipients' together; ours: each of them keeps fewer.
const mostSteps = 1000

// step notes a plugin's part in what becomes of a message: what it said, or why it failed.
func (g *guest) step(used *sandbox.Usage, err error) {
	effects, lim := g.look.Effects, &g.plugins.cfg.Limits
	if len(effects.Steps) >= mostSteps {
		return
	}
	s := firstStep(g.inst, g.view)
	s.At, s.Fuel, s.Calls, s.Took, s.Lines = g.now, used.Fuel, used.HostCalls, used.Wall, briefly(g.lines, lim.TraceLines)
	if err != nil {
		s.Verdict, s.Failure = failed(g.inst.Failure, g.hook), cut(err.Error(), lim.PluginLogLine)
	} else {
		s.Verdict, s.Reason = g.verdict, g.reason
	}
	effects.Steps = append(effects.Steps, s)
}

// pausedStep notes that a plugin was not asked, since it failed too often.
func pausedStep(inst *gateway.Plugin, shown *view, now time.Time) gateway.Verdict {
	s := firstStep(inst, shown)
	s.At, s.Verdict, s.Paused = now, failed(inst.Failure, shown.hook), true
	if effects := shown.look.Effects; len(effects.Steps) < mostSteps {
		effects.Steps = append(effects.Steps, s)
	}
	return s.Verdict
}

// firstStep says who is asked about what.
func firstStep(inst *gateway.Plugin, shown *view) gateway.Step {
	s := gateway.Step{
		Hook: shown.hook, Account: inst.Account, Mailbox: shown.look.Mailbox, Plugin: inst.ID, Name: inst.Name, Version: inst.Version, SHA256: inst.SHA256,
	}
	if shown.look.Event != nil {
		s.Event = shown.look.Event.Type
	}
	return s
}

// briefly is the start of what a plugin said, at most most bytes of it.
func briefly(lines []gateway.PluginLine, most int64) []gateway.PluginLine {
	for i := range lines {
		if most -= int64(len(lines[i].Text)); most < 0 {
			more := gateway.PluginLine{Level: gateway.LineInfo, Text: fmt.Sprintf("%d more lines are in the plugin's log", len(lines)-i)}
			if len(lines)-i == 1 {
				more.Text = strings.Replace(more.Text, "lines are", "line is", 1)
			}
			return append(lines[:i:i], more)
		}
	}
	return lines
}

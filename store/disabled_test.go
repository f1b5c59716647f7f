package store_test

import (
	"testing"

	"github.com/centerleap/postern/gateway"
)

// That a plugin is not asked any more is an event of whoever has it: when it is switched
// off, and when a line of its log says that it is paused.
func TestPluginDisabledEvents(t *testing.T) {
	w := newWorld(t)
	mine, shared := w.install("mine", "a", w.ann), w.install("shared", "b", nil)
	sc := inside(w.ours.ID)
	pause := func(p *gateway.Plugin) {
		w.ok(w.AddPluginLines(w.ctx(), sc, w.ours.ID, []gateway.PluginLine{
			{Plugin: p.ID, At: w.clock, Text: "said"}, {Plugin: p.ID, At: w.clock, Text: "paused", Hook: gateway.HookInbound, Pauses: true},
		}))
	}
	for _, tt := range []struct {
		name    string
		of      *gateway.Plugin
		do      func(*gateway.Plugin)
		told    bool
		account gateway.AccountID
		hook    string
	}{
		{"paused while it is off", &mine, pause, false, 0, ""},
		{"switched off that was off", &mine, func(p *gateway.Plugin) { w.enable(p, false) }, false, 0, ""},
		{"switched on", &mine, func(p *gateway.Plugin) { w.enable(p, true) }, false, 0, ""},
		{"paused", &mine, pause, true, w.ann.ID, "inbound"},
		{"switched off", &mine, func(p *gateway.Plugin) { w.enable(p, false) }, true, w.ann.ID, ""},
		{"switched on, of the domain", &shared, func(p *gateway.Plugin) { w.enable(p, true) }, false, 0, ""},
		{"paused, of the domain", &shared, pause, true, 0, "inbound"},
		{"deleted", &shared, func(p *gateway.Plugin) { w.ok(w.DeletePlugin(w.ctx(), sc, p.ID)) }, false, 0, ""},
		{"paused after it was deleted", &shared, pause, false, 0, ""},
	} {
		before := len(w.events(w.ours.ID))
		tt.do(tt.of)
		var got []gateway.Event
		for _, e := range w.events(w.ours.ID)[before:] {
			if e.Type == gateway.EventPluginDisabled {
				got = append(got, e)
			}
		}
		if len(got) > 1 || (len(got) == 1) != tt.told || tt.told && (got[0].Subject != tt.of.ID || got[0].Account != tt.account || got[0].Detail != tt.hook) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

package plugintest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins"
	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/sdk/abi"
)

const mail = "From: Ann <ann@shop.example>\nTo: bot@demo.localhost\nSubject: Hello\nX-Shop: yes\n\nHi.\n"

// open makes a module ready that asks for everything.
func open(t *testing.T, wasm []byte, cfg Config, hooks ...string) *Plugin {
	t.Helper()
	lim := gateway.DefaultLimits()
	lim.PluginMillis, lim.PluginEventMillis, lim.PluginMessageMillis = 20_000, 20_000, 60_000 // a busy machine changes no verdict
	cfg.Limits = &lim
	m := abi.Manifest{V: 1, Name: "tried", Version: "1", Hooks: hooks, Permissions: abi.Permissions, HTTPHosts: []string{"api.example"}}
	if slices.Contains(hooks, abi.HookTick) {
		m.TickSeconds = 60
	}
	var err error
	if cfg.Manifest, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	p, err := Open(t.Context(), wasm, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func ask(t *testing.T, p *Plugin, hook gateway.Hook) gateway.PluginOutcome {
	t.Helper()
	out, err := p.Ask(t.Context(), gateway.PluginTrial{Hook: hook}, mail)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A verdict is translated, and refused, as a gateway does.
func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name, hook, says string
		want             func(*gateway.Verdict) bool
		fails            string
	}{
		{"a folder", "inbound", `{"folder":"News","labels":["bulk"]}`, func(v *gateway.Verdict) bool { return v.Folder == "News" && slices.Equal(v.Labels, []string{"bulk"}) }, ""},
		{"a refusal", "inbound", `{"action":"reject","smtp":{"code":550,"text":"no"}}`, func(v *gateway.Verdict) bool { return v.Action == gateway.ActionReject && v.Code == 550 }, ""},
		{"none of arriving mail", "inbound", `{"action":"hold"}`, func(v *gateway.Verdict) bool { return slices.Contains(v.Labels, "plugin-error") }, "hold"},
		{"mail that leaves", "outbound", `{"action":"hold","reason":"wait"}`, func(v *gateway.Verdict) bool { return v.Action == gateway.ActionHold }, ""},
		{"a conversation", "thread", `{"thread":{"op":"new"}}`, func(v *gateway.Verdict) bool { return v.Thread.New }, ""},
		{"an event", "event", `{"labels":["seen"]}`, func(v *gateway.Verdict) bool { return slices.Equal(v.Labels, []string{"seen"}) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := open(t, hostile.Obedient(tt.hook), Config{Values: map[string]string{tt.hook: tt.says}}, tt.hook)
			out := ask(t, p, gateway.Hook(tt.hook))
			if !tt.want(&out.Verdict) || (out.Failure == "") != (tt.fails == "") || !strings.Contains(out.Failure, tt.fails) {
				t.Errorf("%+v, failure %q, want %q", out.Verdict, out.Failure, tt.fails)
			}
			if out.Fuel == 0 || out.Memory == 0 || out.HostCalls == 0 {
				t.Errorf("nothing is said of what it took: %+v", out)
			}
		})
	}
}

// What a plugin is told is of the message, and of what the author of a test says.
func TestTold(t *testing.T) {
	p := open(t, hostile.Teller("inbound", "subject", "from.addr", "header X-Shop", "auth.dmarc", "envelope.rcpt_to.0", "domain"), Config{Auth: map[string]string{"dmarc": "fail"}}, "inbound")
	var said []string
	for _, l := range ask(t, p, gateway.HookInbound).Lines {
		said = append(said, l.Text)
	}
	want := []string{"subject", "Hello", "from.addr", "ann@shop.example", "header X-Shop", "yes", "auth.dmarc", "fail", "envelope.rcpt_to.0", "bot@demo.localhost", "domain", "demo.localhost"}
	if !slices.Equal(said, want) {
		t.Errorf("%q\nwant %q", said, want)
	}
}

// The sandbox is the real one: what runs on, or traps, is ended and told of.
func TestHostile(t *testing.T) {
	for _, m := range hostile.Modules()[:4] {
		t.Run(m.Name, func(t *testing.T) {
			if out := ask(t, open(t, m.Wasm, Config{}, "inbound"), gateway.HookInbound); !strings.Contains(out.Failure, m.Fails) || m.Fails == "" {
				t.Errorf("%q, want %q", out.Failure, m.Fails)
			}
		})
	}
}

// answers is a server for a plugin.
type answers struct{ asked []string }

func (a *answers) Do(_ context.Context, r *plugins.WebRequest, _ int64) (plugins.WebAnswer, error) {
	a.asked = append(a.asked, r.URL)
	return plugins.WebAnswer{Status: 200, Header: http.Header{}, Body: []byte("hi")}, nil
}

// Nobody is asked over HTTP unless it is allowed, and then only whom the manifest names.
func TestWeb(t *testing.T) {
	for _, tt := range []struct {
		name, url string
		web       bool
		want      int
	}{
		{"not allowed", "https://api.example/x", false, 0},
		{"allowed", "https://api.example/x", true, 1},
		{"another host", "https://elsewhere.example/x", true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := &answers{}
			cfg := Config{}
			if tt.web {
				cfg.Web = a
			}
			ask(t, open(t, hostile.Asker(`{"url":"`+tt.url+`"}`), cfg, "event"), gateway.HookEvent)
			if len(a.asked) != tt.want {
				t.Errorf("asked %q, want %d", a.asked, tt.want)
			}
		})
	}
}

// What a plugin would send is shown.
func TestSends(t *testing.T) {
	p := open(t, hostile.Sender(`{"to":["ops@demo.localhost"],"from":"bot@demo.localhost","subject":"Hi","text":"Ho"}`), Config{}, "inbound")
	out := ask(t, p, gateway.HookInbound)
	if len(out.Sends) != 1 || out.Sends[0].Mail.Subject != "Hi" {
		t.Errorf("%+v", out)
	}
}

// A module that no gateway takes is refused here, and nothing is left of it.
func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct{ name, wasm, manifest, field string }{
		{"no module", "GIF89a", `{"v":1,"name":"x","hooks":["inbound"]}`, "wasm"},
		{"no manifest", string(hostile.Obedient("inbound")), "", "manifest"},
		{"another hook", string(hostile.Obedient("inbound")), `{"v":1,"name":"x","hooks":["thread"]}`, "wasm"},
		{"a permission that is none", string(hostile.Obedient("inbound")), `{"v":1,"name":"x","hooks":["inbound"],"permissions":["root"]}`, "manifest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{}
			if tt.manifest != "" {
				cfg.Manifest = []byte(tt.manifest)
			}
			_, err := Open(t.Context(), []byte(tt.wasm), cfg)
			if err == nil || gateway.AsError(err).Field != tt.field {
				t.Errorf("%v, want one about %s", err, tt.field)
			}
		})
	}
}

// What was remembered is there at the next call, as long as it lasts.
func TestRemembers(t *testing.T) {
	p := open(t, hostile.Lister("a"), Config{}, "inbound")
	now := time.Now()
	p.remember([]gateway.PluginWrite{{Key: "a1"}, {Key: "a2", Expires: now.Add(-time.Second)}, {Key: "a3", Expires: now.Add(time.Hour)}, {Key: "a4"}, {Key: "b"}})
	p.remember([]gateway.PluginWrite{{Key: "a4", Delete: true}})
	if out := ask(t, p, gateway.HookInbound); len(out.Lines) != 1 || out.Lines[0].Text != `{"keys":["a1","a3"]}` {
		t.Errorf("%+v", out.Lines)
	}
}

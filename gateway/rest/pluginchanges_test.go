package rest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/sdk/abi"
)

// obedient is a plugin that decides what its configuration says, for some hooks.
func obedient(t testing.TB, name string, hooks ...string) (form, contentType string) {
	t.Helper()
	manifest, err := json.Marshal(abi.Manifest{V: 1, Name: name, Version: "1", Hooks: hooks, Permissions: abi.Permissions})
	if err != nil {
		t.Fatal(err)
	}
	return formOf(map[string]string{"wasm": string(hostile.Obedient(hooks...)), "manifest": string(manifest)})
}

// A trial shows all that a verdict may say, and a verdict that is refused by its reason.
func TestPluginTestShowsChanges(t *testing.T) {
	c := newClient(t, withPlugins()...)
	key := c.g.Keys.Account
	form, contentType := obedient(t, "says", abi.HookInbound, abi.HookOutbound, abi.HookThread)
	resp, body := c.ask("POST", "/plugins", key, form, "Content-Type", contentType)
	if resp.StatusCode != 201 {
		t.Fatal(body)
	}
	path := "/plugins/" + decode(t, []byte(body)).Str("id")
	const id = "01900000-0000-7000-8000-00000000000a"
	for _, tt := range []struct{ hook, verdict, at, want string }{
		{"inbound", `{"unlabel":["a"],"score":1.5,"keep":true}`, "changes.unlabel", "[a]"},
		{"inbound", `{"score":1.5}`, "changes.score", "1.5"},
		{"inbound", `{"redirect":["a@x.example"],"keep":true}`, "changes.redirect", "[a@x.example]"},
		{"inbound", `{"redirect":["a@x.example"],"keep":true}`, "changes.keep", "true"},
		{"inbound", `{"reply":{"text":"hi"}}`, "changes.reply", "map[from:<nil> html:<nil> subject:<nil> text:hi]"},
		{"inbound", `{"flags":["\\Seen"]}`, "changes.flags", `[\Seen]`},
		{"outbound", `{"headers":[{"op":"set","name":"X-A","value":"1"},{"op":"delete","name":"X-B"}]}`, "changes.header_edits", "[map[name:X-A op:set value:1] map[name:X-B op:delete value:<nil>]]"},
		{"outbound", `{"subject":"s","body":{"html":"h"}}`, "changes.body", "map[html:h text:<nil>]"},
		{"outbound", `{"subject":""}`, "changes.subject", ""},
		{"outbound", `{"tags":[{"name":"k","value":"v"}]}`, "changes.tags", "[map[name:k value:v]]"},
		{"outbound", `{"remove":["a@x.example"]}`, "changes.remove", "[a@x.example]"},
		{"outbound", `{"action":"hold"}`, "changes.hold_until", "<nil>"},
		{"thread", `{"thread":{"op":"merge","with":["` + id + `"]}}`, "changes.thread", "map[op:merge thread_id:<nil> with:[" + id + "]]"},
		{"thread", `{"thread":{"op":"split","with":["` + id + `"]}}`, "changes.thread", "map[op:split thread_id:<nil> with:[" + id + "]]"},
		{"thread", `{"thread":{"op":"join","thread_id":"` + id + `"}}`, "changes.thread", "map[op:join thread_id:" + id + " with:[]]"},
		{"thread", `{}`, "changes.thread", "<nil>"},
		{"inbound", `{"action":"discard","reply":{"text":"hi"}}`, "error", "reply together with the action discard"},
		{"inbound", `{"subject":"s"}`, "error", "subject has no meaning at the inbound hook"},
	} {
		c.do(200, "PATCH", path, key, map[string]any{"config": map[string]string{tt.hook: tt.verdict}})
		a := c.do(200, "POST", path+"/test", key, map[string]any{"hook": tt.hook, "raw": raw("x")})
		if got := fmt.Sprint(a.At(tt.at)); got != tt.want && (tt.at != "error" || !strings.Contains(got, tt.want)) {
			t.Errorf("%s %s: %s is %s, want %s; %v", tt.hook, tt.verdict, tt.at, got, tt.want, a.At("error"))
		}
	}
}

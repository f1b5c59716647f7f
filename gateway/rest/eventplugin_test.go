package rest_test

import (
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// Whose plugin is not asked any more is told: once when it failed too often, and when it is
// switched off. An account's plugin is its and its domain's business, a domain's that of the
// domain alone.
func TestPluginDisabled(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("event_attempts", "1"), gatewaytest.Limit("plugin_failures_row", "2"))...)
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"rival.example","verified":true}`)
	rival := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain":"rival.example"}`).Str("token")
	all, own, other := gatewaytest.NewHook(t), gatewaytest.NewHook(t), gatewaytest.NewHook(t)
	c.hook(all, c.g.Keys.Domain, "plugin.disabled")
	mine := c.hook(own, c.g.Keys.Account, "plugin.disabled").Str("id")
	c.hook(other, rival, "plugin.disabled")
	stream, _ := listen(t, c.g, c.g.Keys.Account, "?events=plugin.disabled", "")

	id := c.failing()
	for range 4 {
		c.do(200, "POST", "/emails", c.g.Keys.Domain, email("to", gatewaytest.Account))
	}
	told := all.Wait(1)[0].Event
	for path, want := range map[string]any{
		"type": "plugin.disabled", "data.plugin_id": id, "data.name": "failing", "data.scope": "account", "data.email": gatewaytest.Account,
		"data.status": "quarantined", "data.hook": "event", "data.reason": "it failed too often: it is not asked for a while",
	} {
		if got := told.At(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if status := c.do(200, "GET", "/plugins/"+id, c.g.Keys.Account, nil).Str("status"); status != "quarantined" {
		t.Errorf("the plugin is %s", status)
	}
	// A row of the log says what was told, and the event can be told again.
	var rows gatewaytest.Answer
	gatewaytest.Eventually(t, "it is on record", func() bool {
		rows = c.do(200, "GET", "/webhooks/"+mine+"/events", c.g.Keys.Account, nil)
		return rows.At("data.0") != nil
	})
	if rows.Str("data.0.type") != "plugin.disabled" || rows.At("data.1") != nil || rows.At("data.0.email_id") != nil {
		t.Errorf("%v", rows)
	}
	own.Wait(1)
	c.do(200, "POST", "/webhooks/"+mine+"/events/"+rows.Str("data.0.id")+"/replay", c.g.Keys.Account, nil)
	if got := own.Wait(2); got[1].ID != got[0].ID {
		t.Errorf("told as %s, and again as %s", got[0].ID, got[1].ID)
	}

	c.do(200, "PATCH", "/plugins/"+id, c.g.Keys.Account, `{"status":"disabled"}`)
	c.do(200, "PATCH", "/plugins/"+id, c.g.Keys.Account, `{"status":"disabled","priority":3}`)
	if told := all.Wait(2)[1].Event; told.Str("data.status") != "disabled" || told.At("data.hook") != nil || told.At("data.sequence").(float64) == 0 {
		t.Errorf("%v", told)
	}
	form, contentType := module(t, "wide")
	wide := c.push(201, "/plugins", c.g.Keys.Domain, form, contentType).Str("id")
	c.do(200, "PATCH", "/plugins/"+wide, c.g.Keys.Domain, `{"status":"enabled"}`)
	c.do(200, "PATCH", "/plugins/"+wide, c.g.Keys.Domain, `{"status":"disabled"}`)
	if told := all.Wait(3)[2].Event; told.Str("data.plugin_id") != wide || told.Str("data.scope") != "domain" || told.At("data.email") != nil {
		t.Errorf("%v", told)
	}
	if e := stream.typed(); e.data["data"].(map[string]any)["status"] != "quarantined" {
		t.Errorf("%v", e)
	}
	if e := stream.typed(); e.data["data"].(map[string]any)["status"] != "disabled" {
		t.Errorf("%v", e)
	}
	if n := len(own.Wait(3)); n != 3 || len(other.Got()) != 0 {
		t.Errorf("the account was told %d times, another domain %d times", n, len(other.Got()))
	}
	// Of one that is gone, there is its id.
	c.do(200, "DELETE", "/plugins/"+id, c.g.Keys.Account, nil)
	status, now := c.g.Do("GET", "/resend/webhooks/"+mine+"/events/"+rows.Str("data.0.id"), c.g.Keys.Account, nil)
	if status != 200 || now.Str("payload.data.plugin_id") != id || now.At("payload.data.name") != nil {
		t.Errorf("%d %v", status, now)
	}
}

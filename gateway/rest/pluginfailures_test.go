package rest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/sdk/abi"
)

// failAtOnce has events given up after one attempt, and no plugin paused for that.
func failAtOnce(more ...gatewaytest.Option) []gatewaytest.Option {
	return append(append(withPlugins(),
		gatewaytest.Limit("event_attempts", "1"), gatewaytest.Limit("plugin_failures_row", "5000"), gatewaytest.Limit("plugin_failures_fifty", "51")), more...)
}

// failing installs a plugin that fails at each mail of the account, and returns its id.
func (c *client) failing() string {
	c.Helper()
	form, contentType := obedient(c.T, "failing", abi.HookEvent)
	resp, raw := c.ask("POST", "/plugins", c.g.Keys.Account, form, "Content-Type", contentType)
	if resp.StatusCode != 201 {
		c.Fatalf("install: %d %s", resp.StatusCode, raw)
	}
	id := decode(c.T, []byte(raw)).Str("id")
	c.do(200, "PATCH", "/plugins/"+id, c.g.Keys.Account, `{"status":"enabled","config":{"event":"no verdict"}}`)
	return id
}

// aFailure has the plugin that fails fail again, and returns which failure it is.
func aFailure(c *client, _ caller, _ int) string {
	c.Helper()
	id := ""
	for i := range 10 { // of the caller's own: the list has those of all accounts
		if path := fmt.Sprintf("data.%d.", i); c.do(200, "GET", "/plugins", c.g.Keys.Account, nil).Str(path+"name") == "failing" {
			id = c.do(200, "GET", "/plugins", c.g.Keys.Account, nil).Str(path + "id")
		}
	}
	newest := func() float64 {
		n, _ := c.do(200, "GET", "/plugins/"+id+"/failures?limit=1", c.g.Keys.Account, nil).At("data.0.sequence").(float64)
		return n
	}
	last := newest()
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("to", gatewaytest.Account))
	gatewaytest.Eventually(c.T, "a failure", func() bool { return newest() > last })
	return fmt.Sprint(newest())
}

// What a plugin could not be told of is listed, is told again when its tenant has repaired
// it, under the same name, or is forgotten.
func TestPluginFailures(t *testing.T) {
	c := newClient(t, failAtOnce(gatewaytest.Limit("event_waiting", "1"))...)
	key, id := c.g.Keys.Account, c.failing()
	path := "/plugins/" + id
	for range 3 {
		aFailure(c, caller{}, 0)
	}
	all := c.do(200, "GET", path+"/failures?limit=2", key, nil)
	one := c.do(200, "GET", path+"/failures?after="+fmt.Sprint(all.At("data.1.sequence")), key, nil)
	if all.At("has_more") != true || one.At("has_more") != false || one.At("data.0.sequence") != 1.0 || one.At("data.1") != nil ||
		!strings.HasPrefix(one.Str("data.0.event_id"), "evt_") || one.Str("data.0.type") != "email.received" || one.At("data.0.attempts") != 1.0 ||
		!strings.Contains(one.Str("data.0.error"), "verdict") {
		t.Errorf("%v\nthen %v", all, one)
	}
	if got := c.do(200, "GET", path, key, nil).At("backlog"); fmt.Sprint(got) != "map[failed:3 waiting:0]" {
		t.Errorf("backlog %v", got)
	}
	c.do(422, "GET", path+"/failures?after=x", key, nil)
	c.do(404, "GET", "/plugins/"+gateway.ID{1}.String()+"/failures", key, nil)
	for _, at := range []string{"/failures/x", "/failures/99"} {
		c.do(404, "DELETE", path+at, key, nil)
		c.do(404, "POST", path+at+"/retry", key, nil)
	}
	c.do(200, "DELETE", path+"/failures/2", key, nil)
	c.do(200, "PATCH", path, key, `{"status":"disabled","config":{"event":"{\"labels\":[\"at-last\"]}"}}`)
	again := c.do(200, "POST", path+"/failures/1/retry", key, nil)
	if again.Str("event_id") != one.Str("data.0.event_id") {
		t.Errorf("%v, before %v", again, one)
	}
	if a := c.do(409, "POST", path+"/failures/3/retry", key, nil); a.Str("name") != "invalid_state" {
		t.Errorf("one more than may wait: %v", a)
	}
	c.do(200, "PATCH", path, key, `{"status":"enabled"}`)
	gatewaytest.Eventually(t, "it is told", func() bool {
		return fmt.Sprint(c.do(200, "GET", "/emails/"+one.Str("data.0.email_id"), key, nil).At("labels")) == "[at-last]"
	})
	if got := c.do(200, "GET", path, key, nil).At("backlog"); fmt.Sprint(got) != "map[failed:1 waiting:0]" {
		t.Errorf("backlog %v", got)
	}
}

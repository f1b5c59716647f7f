package rest_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// push gives a plugin new code and wants a status.
func (c *client) push(want int, path, key, body, contentType string) gatewaytest.Answer {
	c.Helper()
	method := "PUT"
	if strings.HasPrefix(path, "/plugins?") || path == "/plugins" {
		method = "POST"
	}
	resp, raw := c.ask(method, path, key, body, "Content-Type", contentType)
	if resp.StatusCode != want {
		c.Fatalf("%s %s: %d %s, want %d", method, path, resp.StatusCode, raw, want)
	}
	return decode(c.T, []byte(raw))
}

// versions lists what is kept of a plugin's code; * is asked.
func versions(a gatewaytest.Answer) (out string) {
	for _, one := range a["versions"].([]any) {
		v := gatewaytest.Answer(one.(map[string]any))
		if v.At("active") == true {
			out += "*"
		}
		out += v.Str("version") + " "
	}
	return out
}

// manifest is one of the puppet's.
func manifest(version string) string {
	return fmt.Sprintf(`{"v":1,"name":"censor","version":%q,"hooks":["outbound"]}`, version)
}

// New code is asked from the next message on, and so is the old one again when its
// tenant goes back to it; the plugin stays what it was.
func TestPluginCode(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("plugin_versions", "3"))...)
	key := c.g.Keys.Account
	installed := c.push(201, "/plugins?name=mine", key, withManifest(t, manifest("1")), "application/wasm")
	path := "/plugins/" + installed.Str("id")
	if installed.Str("name") != "mine" || versions(installed) != "*1 " {
		t.Errorf("%v", installed)
	}
	c.do(200, "PATCH", path, key, `{"status":"enabled","priority":5}`)
	send := func(want int) {
		t.Helper()
		c.do(want, "POST", "/emails", key, email("from", gatewaytest.Account, "subject", "deny this"))
	}
	send(403)
	// Of the second version the hook is another one.
	inbound := strings.Replace(manifest("2"), "outbound", "inbound", 1)
	a := c.push(200, path+"/code", key, withManifest(t, inbound), "application/wasm")
	if versions(a) != "*2 1 " || a.Str("name") != "mine" || a.At("priority") != 5.0 || a.Str("status") != "enabled" || a.Str("id") != installed.Str("id") {
		t.Errorf("%v", a)
	}
	send(200)
	if a := c.do(200, "PATCH", path, key, `{"active_version":"1"}`); versions(a) != "2 *1 " || a.Str("sha256") != installed.Str("sha256") {
		t.Errorf("%v", a)
	}
	send(403)
	c.g.Restart() // the code that was kept is there, and loads
	send(403)
	for _, v := range []string{"3", "4"} {
		form, contentType := formOf(map[string]string{"wasm": withManifest(t, "{}"), "manifest": manifest(v)})
		a = c.push(200, path+"/code", key, form, contentType)
	}
	if versions(a) != "*4 3 1 " {
		t.Errorf("%v", a)
	}
	for body, field := range map[string]string{`{"active_version":"2"}`: "active_version", `{"active_version":""}`: "active_version"} {
		if a := c.do(422, "PATCH", path, key, body); a.Str("errors.0.path") != field {
			t.Errorf("%s: %v", body, a)
		}
	}
	if a := c.do(200, "PATCH", path, key, `{"active_version":"`+installed.Str("sha256")+`"}`); versions(a) != "4 3 *1 " {
		t.Errorf("%v", a)
	}
}

// What is no module is refused, and leaves the plugin as it was.
func TestPluginCodeRefusals(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("plugin_module", "8000000"))...)
	key := c.g.Keys.Account
	path := "/plugins/" + c.install(key, "censor")
	before := fmt.Sprint(c.do(200, "GET", path, key, nil))
	form, contentType := module(t, "censor")
	for _, tt := range []struct {
		want              int
		path, body, media string
	}{
		{400, path + "/code", "x", contentType},
		{413, path + "/code", strings.Repeat("x", 8_000_001), "application/wasm"},
		{415, path + "/code", "{}", "application/json"},
		{422, path + "/code", "x", "application/wasm"},
		{422, path + "/code", "", "application/wasm"},
		{404, "/plugins/" + gateway.ID{1}.String() + "/code", form, contentType},
		{404, "/plugins/x/code", form, contentType},
		{422, "/plugins?name=no%20name", withManifest(t, manifest("1")), "application/wasm"},
	} {
		c.push(tt.want, tt.path, key, tt.body, tt.media)
	}
	if after := fmt.Sprint(c.do(200, "GET", path, key, nil)); after != before {
		t.Errorf("%s\nbecame %s", before, after)
	}
	c.g.Restart(gatewaytest.Setting("plugins.uploads", "false"))
	c.push(403, path+"/code", key, form, contentType)
	c.push(200, path+"/code?domain=demo.localhost", c.g.Keys.Admin, form, contentType)
}

// One domain has a quarter of the places for uploads: who uploads slowly does not shut
// the others out.
func TestBusyUploader(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("plugin_uploads", "4"))...)
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"rival.example","verified":true}`)
	rival := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain":"rival.example"}`).Str("token")
	for range 8 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /plugins HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/wasm\r\nContent-Length: 2000000\r\n\r\n%s", rival, strings.Repeat("x", 20_000))
	}
	gatewaytest.Eventually(t, "the rival has its share", func() bool {
		resp, _ := c.ask("POST", "/plugins", rival, "x", "Content-Type", "application/wasm")
		return resp.StatusCode == 503
	})
	c.install(c.g.Keys.Domain, "censor")
	c.push(422, "/plugins?domain=rival.example", c.g.Keys.Admin, "x", "application/wasm") // an operator's is nobody's share
}

package rest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/rest"
)

// pathOf fills a route's path with what is not there.
func pathOf(r rest.Route) string {
	return strings.NewReplacer(":threadId", "x", ":attachmentId", "x", ":sequence", "1", ":event", "evt_x", ":email", "nobody@demo.localhost", ":id", gateway.ID{1}.String()).Replace(r.Path)
}

// What is wrong with a body is said by every route that reads one: no JSON, too
// large, another media type, packed.
func TestEveryBody(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("json_bytes", "1000"), gatewaytest.Limit("send_bytes", "1000"), gatewaytest.Limit("plugin_module", "1000"))
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	bodies := 0
	for _, r := range rest.Routes() {
		if r.Method != "POST" && r.Method != "PATCH" {
			continue
		}
		op := doc.Paths.Find(strings.NewReplacer(":id", "{id}", ":email", "{email}", ":sequence", "{sequence}", ":event", "{event}").Replace(r.Path)).GetOperation(r.Method)
		if op.RequestBody == nil {
			continue
		}
		bodies++
		path, good := pathOf(r)+"?domain=demo.localhost", "application/json"
		if r.Operation == "installPlugin" {
			good = "multipart/form-data"
		}
		for _, tt := range []struct {
			want   int
			body   string
			fields []string
		}{
			{400, "{", []string{"Content-Type", good}},
			{413, strings.Repeat(" ", 300<<10), []string{"Content-Type", good}},
			{415, "x", []string{"Content-Type", "text/plain"}},
			{415, "x", []string{"Content-Type", good, "Content-Encoding", "gzip"}},
		} {
			if resp, raw := c.ask(r.Method, path, c.g.Keys.Admin, tt.body, tt.fields...); resp.StatusCode != tt.want {
				t.Errorf("%s %s with %v: %d %s, want %d", r.Method, path, tt.fields, resp.StatusCode, raw, tt.want)
			}
		}
	}
	if bodies < 9 {
		t.Errorf("only %d routes read a body", bodies)
	}
}

// A member that stands twice is refused by every route that reads JSON, wherever it
// stands: which value was meant nobody can tell.
func TestSameMemberTwice(t *testing.T) {
	c := newClient(t)
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	bodies := 0
	for _, r := range rest.Routes() {
		item := doc.Paths.Find(strings.NewReplacer(":id", "{id}", ":email", "{email}", ":sequence", "{sequence}", ":event", "{event}").Replace(r.Path))
		if item == nil || item.GetOperation(r.Method).RequestBody == nil || item.GetOperation(r.Method).RequestBody.Value.Content["application/json"] == nil {
			continue
		}
		bodies++
		for _, body := range []string{
			`{"x":1,"x":1}`, `{"y":{"x":[{"z":1,"z":2}]}}`, `{"\u0079":1,"y":2}`,
		} {
			if r.Operation == "sendBatch" {
				body = "[" + body + "]"
			}
			resp, raw := c.ask(r.Method, pathOf(r)+"?domain=demo.localhost", c.g.Keys.Admin, body)
			at := decode(t, []byte(raw)).Str("errors.0.path")
			if resp.StatusCode != 422 || !strings.HasSuffix(at, "x") && !strings.HasSuffix(at, "z") && !strings.HasSuffix(at, "y") {
				t.Errorf("%s %s with %s: %d %s", r.Method, r.Path, body, resp.StatusCode, raw)
			}
		}
	}
	if bodies < 15 {
		t.Errorf("only %d routes read JSON", bodies)
	}
	for body, path := range map[string]string{
		`{"name":"a","NAME":"b"}`: "NAME",
		`{"name":"a","permi\u017Fsion":"send_only","permission":"full_access"}`: "permission",
		`{"name":"a","x":{"b":1,"b":2}}`:                                        "x.b",
		`{"name":"a","x":[1,{"b":1},{"c":{"d":1,"d":1}}]}`:                      "x[2].c.d",
	} {
		if a := c.do(422, "POST", "/api-keys", c.g.Keys.Account, body); a.Str("errors.0.path") != path {
			t.Errorf("%s: %v", body, a)
		}
	}
	c.do(201, "POST", "/api-keys", c.g.Keys.Account, `{"name":"a","x":{"b":1,"B":2},"y":[{"b":1},{"b":1}]}`)
	c.do(400, "POST", "/api-keys", c.g.Keys.Account, `{"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`)
	if a := c.do(422, "POST", "/emails", c.g.Keys.Domain, `{"from":"a@demo.localhost","from":"b@demo.localhost"}`); a.Str("errors.0.path") != "from" {
		t.Errorf("%v", a)
	}
}

// A key of a domain that names another one, or an address of it, is refused: it does
// not get its own domain's without a word.
func TestAnotherDomainNamed(t *testing.T) {
	c := newClient(t, withPlugins()...)
	w := c.world()
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"rival.example"}`)
	own := c.do(200, "GET", "/domains", c.g.Keys.Domain, nil)
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, r := range rest.Routes() {
		op := doc.Paths.Find(strings.NewReplacer(":idOrEmail", "{idOrEmail}", ":attachmentId", "{attachmentId}", ":threadId", "{threadId}", ":token", "{token}",
			":name", "{name}", ":sequence", "{sequence}", ":event", "{event}", ":id", "{id}", ":email", "{email}").Replace(r.Path)).GetOperation(r.Method)
		if r.Open {
			continue
		}
		for _, param := range []string{"domain", "email"} {
			if op.Parameters.GetByInAndName("query", param) == nil {
				continue
			}
			named++
			value := map[string]string{"domain": "rival.example", "email": "spy@rival.example"}[param]
			body, media := `{"is_read":true,"name":"x"}`, "application/json"
			if r.Operation == "installPlugin" || r.Operation == "replacePluginCode" {
				body, media = formOf(map[string]string{"wasm": "x"})
			}
			for who, key := range map[string]string{"domain": c.g.Keys.Domain, "account": c.g.Keys.Account} {
				id := strings.NewReplacer(":threadId", w["{thread}"], ":attachmentId", w["{file}"], ":idOrEmail", "secret@example.com", ":name", "Archive", ":id", w["{email}"]).Replace(r.Path)
				if strings.HasPrefix(r.Path, "/plugins/") {
					id = strings.Replace(r.Path, ":id", w["{plugin}"], 1)
				} else if strings.HasPrefix(r.Path, "/logs/") {
					id = strings.Replace(r.Path, ":id", w["{row}"], 1)
				}
				if resp, raw := c.ask(r.Method, id+"?"+param+"="+value, key, body, "Content-Type", media); resp.StatusCode != 403 {
					t.Errorf("%s asks %s %s with %s: %d %.200s", who, r.Method, id, param, resp.StatusCode, raw)
				}
			}
		}
	}
	if named < 40 {
		t.Errorf("only %d parameters name a domain", named)
	}
	for query, want := range map[string]int{
		"?domain=demo.localhost": 200, "?domain=DEMO.localhost": 200, "?domain=" + own.Str("data.0.id"): 200, "?domain=none.example": 403, "?domain=x": 403,
		"?email=nobody@demo.localhost": 404, "?email=" + gatewaytest.Account: 200,
	} {
		if a := c.do(want, "GET", "/plugins"+query, c.g.Keys.Domain, nil); want == 403 && a.Str("errors.0.path") != "domain" {
			t.Errorf("%s: %v", query, a)
		}
	}
	c.do(201, "POST", "/accounts", c.g.Keys.Domain, `{"email":"eve@demo.localhost"}`)
	for email, want := range map[string]int{"eve@demo.localhost": 404, gatewaytest.Account: 200} {
		c.do(want, "GET", "/emails/threads/"+w["{thread}"]+"?email="+email, c.g.Keys.Domain, nil)
	}
	if a := c.do(422, "GET", "/emails?email=bot@demo.localhost&domain=rival.example", c.g.Keys.Admin, nil); a.Str("errors.0.path") != "domain" {
		t.Errorf("an instance key that says both: %v", a)
	}
	c.do(200, "GET", "/emails?email=bot@demo.localhost&domain=demo.localhost", c.g.Keys.Admin, nil)
}

// Every route that takes a key counts, and refuses past its limit.
func TestEveryRouteCounts(t *testing.T) {
	var options []gatewaytest.Option
	for _, class := range []string{"read", "send", "change", "upload", "stream"} {
		options = append(options, gatewaytest.Limit("requests_"+class, "1"))
	}
	c := newClient(t, options...)
	for _, r := range rest.Routes() {
		if r.Open {
			want := 200
			if r.Operation == "getFile" { // there is no file of that name
				want = 404
			}
			for range 3 {
				c.do(want, r.Method, r.Path, c.g.Keys.SendOnly, nil)
			}
			continue
		}
		status := 0
		for range 2 { // the first of a class is not refused for its number
			status, _ = c.g.Do(r.Method, pathOf(r), c.g.Keys.SendOnly, nil)
		}
		if status != 429 {
			t.Errorf("%s %s a second time: %d", r.Method, r.Path, status)
		}
	}
}

// What a route refuses of a well-formed request, and what is not there.
func TestEveryRefusal(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("plugins", "1"))...)
	c.world()
	k, admin, none := c.g.Keys.Account, c.g.Keys.Admin, gateway.ID{1}.String()
	form, contentType := module(t, "one-more")
	c.do(201, "POST", "/domains", admin, `{"name":"taken.example"}`)
	for _, tt := range []struct {
		want      int
		route     string
		key, body string
		name      string
	}{
		{404, "GET /accounts?domain=none.example", admin, "", "not_found"},
		{422, "GET /accounts", admin, "", "missing_required_field"},
		{404, "GET /logs?domain=none.example", admin, "", "not_found"},
		{422, "GET /logs?status=x", k, "", "invalid_parameter"},
		{422, "GET /logs?since=x", k, "", "invalid_parameter"},
		{404, "GET /plugins?domain=none.example", admin, "", "not_found"},
		{422, "GET /plugins", admin, "", "missing_required_field"},
		{422, "GET /plugins/" + none, admin, "", "missing_required_field"},
		{404, "GET /plugins/" + none, k, "", "not_found"},
		{404, "DELETE /plugins/" + none, k, "", "not_found"},
		{422, "PATCH /plugins/" + none, admin, `{}`, "missing_required_field"},
		{422, "DELETE /plugins/" + none, admin, "", "missing_required_field"},
		{404, "GET /folders?email=nobody@demo.localhost", c.g.Keys.Domain, "", "not_found"},
		{422, "GET /emails/" + none, admin, "", "missing_required_field"},
		{422, "GET /emails/1/raw", admin, "", "missing_required_field"},
		{422, "GET /emails/1/trace", admin, "", "missing_required_field"},
		{422, "GET /emails/1/attachments", admin, "", "missing_required_field"},
		{422, "GET /emails/1/attachments/1", admin, "", "missing_required_field"},
		{422, "GET /logs/" + none + "?email=nobody", admin, "", "missing_required_field"},
		{422, "GET /folders", admin, "", "missing_required_field"},
		{409, "POST /accounts", admin, `{"email":"bot@demo.localhost"}`, "already_exists"},
		{404, "GET /emails/999/raw", k, "", "not_found"},
		{404, "GET /emails/999/attachments", k, "", "not_found"},
		{404, "POST /emails/999/send", k, "", "not_found"},
		{422, "DELETE /emails/1?permanent=perhaps", k, "", "invalid_parameter"},
		{422, "POST /emails/1/cancel", admin, "", "missing_required_field"},
		{422, "GET /emails/threads/" + none + "?limit=x", k, "", "invalid_parameter"},
		{404, "DELETE /domains/none.example", admin, "", "not_found"},
		{409, "DELETE /domains/demo.localhost", admin, "", "invalid_state"},
		{422, "DELETE /domains/demo.localhost?force=perhaps", admin, "", "invalid_parameter"},
		{404, "POST /domains/none.example/verify", admin, "", "not_found"},
		{422, "POST /domains", admin, `{"name":"no name"}`, "invalid_parameter"},
		{409, "POST /domains", admin, `{"name":"taken.example"}`, "already_exists"},
		{422, "POST /accounts", admin, `{"email":"x@none.example"}`, "invalid_parameter"},
		{422, "POST /api-keys", k, `{"permission":"all"}`, "invalid_parameter"},
		{404, "PATCH /api-keys/" + none, k, `{}`, "not_found"},
		{422, "PATCH /api-keys/" + c.idOf(c.g.Keys.Domain), admin, `{"rate_limit":-1}`, "invalid_parameter"},
		{422, "PATCH /instance", admin, `{"delivery_mode":"x"}`, "invalid_parameter"},
		{404, "POST /plugins?domain=none.example", admin, "", "not_found"},
		{422, "POST /plugins?domain=", admin, "", "missing_required_field"},
	} {
		method, path, _ := strings.Cut(tt.route, " ")
		if resp, raw := c.ask(method, path, tt.key, tt.body); resp.StatusCode != tt.want || decode(t, []byte(raw)).Str("name") != tt.name {
			t.Errorf("%s: %d %s, want %d %s", tt.route, resp.StatusCode, raw, tt.want, tt.name)
		}
	}
	for _, r := range rest.Routes() {
		if !strings.HasPrefix(r.Path, "/webhooks") {
			continue
		}
		body := ""
		if r.Method == "PATCH" || r.Path == "/webhooks" && r.Method == "POST" {
			body = `{"endpoint":"https://x.example"}`
		}
		c.do(422, r.Method, pathOf(r)+"?email=bot@demo.localhost&domain=none.example", admin, body)
		c.do(404, r.Method, pathOf(r)+"?domain=none.example", admin, body)
	}
	if resp, raw := c.ask("POST", "/plugins", k, form, "Content-Type", contentType); resp.StatusCode != 409 || !strings.Contains(raw, "invalid_state") {
		t.Errorf("one plugin too many: %d %s", resp.StatusCode, raw)
	}
	again, contentType := module(t, "secret-plugin")
	if resp, raw := c.ask("POST", "/plugins", k, again, "Content-Type", contentType); resp.StatusCode != 200 {
		t.Errorf("new code for a plugin: %d %s", resp.StatusCode, raw)
	}
	wrong, contentType := formOf(map[string]string{"wasm": "x", "manifest": "{}"})
	if resp, raw := c.ask("POST", "/plugins", k, wrong, "Content-Type", contentType); resp.StatusCode != 422 {
		t.Errorf("no module: %d %s", resp.StatusCode, raw)
	}
	c.ask("POST", "/emails/batch", k, "["+anEmail+"]", idempotency, "a batch")
	if resp, raw := c.ask("POST", "/emails/batch", k, "["+anEmail+","+anEmail+"]", idempotency, "a batch"); resp.StatusCode != 409 || !strings.Contains(raw, "invalid_idempotent_request") {
		t.Errorf("another batch with the same key: %d %s", resp.StatusCode, raw)
	}
	self := c.do(200, "POST", "/emails", k, email("from", gatewaytest.Account))
	gatewaytest.Eventually(t, "the copy", func() bool {
		_, a := c.g.Do("GET", "/emails?subject=Hello", k, nil)
		return a.At("total") == 1.0
	})
	c.do(409, "DELETE", "/emails/"+self.Str("message_id"), k, nil)
	c.do(200, "DELETE", "/emails/"+self.Str("id")+"?permanent=true", k, nil)
	if a := c.do(404, "GET", fmt.Sprintf("/emails/%s", self.Str("id")), k, nil); a.Str("name") != "not_found" {
		t.Errorf("%v", a)
	}
}

package rest_test

import (
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// Folders are made and, when they are empty, deleted; those of every account stay.
func TestFolders(t *testing.T) {
	c := newClient(t)
	key, own, at := c.g.Keys.Domain, c.g.Keys.Account, "?email="+gatewaytest.Account
	c.do(200, "POST", "/emails", key, email())
	c.total(1, "", own)
	for _, tt := range []struct {
		name, method, path, key, body string
		status                        int
		error, field                  string
	}{
		{"by an account's key", "POST", "/folders", own, `{"name":"Projects"}`, 201, "", ""},
		{"by its domain's key", "POST", "/folders", key, `{"email":"bot@demo.localhost","name":"Projects/Größe 1"}`, 201, "", ""},
		{"by the operator", "POST", "/folders", c.g.Keys.Admin, `{"email":"bot@demo.localhost","name":"Ops"}`, 201, "", ""},
		{"one that is there", "POST", "/folders", own, `{"name":"Projects"}`, 409, "already_exists", ""},
		{"the inbox", "POST", "/folders", own, `{"name":"inbox"}`, 409, "already_exists", ""},
		{"without a name", "POST", "/folders", own, `{}`, 422, "missing_required_field", "name"},
		{"with a bad name", "POST", "/folders", own, `{"name":"a//b"}`, 422, "invalid_parameter", "name"},
		{"for whom", "POST", "/folders", key, `{"name":"x"}`, 422, "missing_required_field", "email"},
		{"for whom, operator", "POST", "/folders", c.g.Keys.Admin, `{"name":"x"}`, 422, "missing_required_field", "email"},
		{"for a neighbour", "POST", "/folders", own, `{"email":"eve@demo.localhost","name":"x"}`, 403, "restricted_api_key", "email"},
		{"for a stranger", "POST", "/folders", key, `{"email":"eve@other.example","name":"x"}`, 403, "restricted_api_key", "email"},
		{"send only", "POST", "/folders", c.g.Keys.SendOnly, `{"name":"x"}`, 403, "restricted_api_key", ""},
		{"move there", "PATCH", "/emails/1?folder=INBOX", own, `{"folder":"Projects"}`, 200, "", ""},
		{"delete one with mail", "DELETE", "/folders/Projects", own, "", 409, "invalid_state", ""},
		{"delete a standard one", "DELETE", "/folders/Archive", own, "", 409, "invalid_state", ""},
		{"delete the inbox", "DELETE", "/folders/inbox", own, "", 409, "invalid_state", ""},
		{"delete none", "DELETE", "/folders/Nothing", own, "", 404, "not_found", "name"},
		{"delete whose", "DELETE", "/folders/Projects", key, "", 422, "missing_required_field", "email"},
		{"delete an encoded one", "DELETE", "/folders/Projects%2FGr%C3%B6%C3%9Fe%201" + at, key, "", 200, "", ""},
		{"delete by the operator", "DELETE", "/folders/Ops" + at, c.g.Keys.Admin, "", 200, "", ""},
		{"move away", "PATCH", "/emails/1?folder=Projects", own, `{"folder":"INBOX"}`, 200, "", ""},
		{"delete it empty", "DELETE", "/folders/Projects", own, "", 200, "", ""},
		{"delete it again", "DELETE", "/folders/Projects", own, "", 404, "not_found", "name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := c.in(t)
			var body any
			if tt.body != "" {
				body = tt.body
			}
			a := c.do(tt.status, tt.method, tt.path, tt.key, body)
			if tt.error != "" && (a.Str("name") != tt.error || a.Str("errors.0.path") != tt.field) {
				t.Errorf("%v, want %s of %q", a, tt.error, tt.field)
			}
		})
	}
	if a := c.do(200, "GET", "/folders", own, nil); len(a["data"].([]any)) != 6 {
		t.Errorf("folders: %v", a)
	}
	c.total(1, "", own)
}

package rest_test

import "testing"

// What has the wrong type in a body is named in the words of JSON, whatever type of ours
// it was read into.
func TestWrongType(t *testing.T) {
	c := newClient(t)
	key := c.g.Keys.Account
	for _, tt := range []struct{ method, path, body, want string }{
		{"POST", "/emails/stream/token", `[]`, "the body must be an object, not array"},
		{"POST", "/emails/stream/token", `"x"`, "the body must be an object, not string"},
		{"POST", "/emails/stream/token", `{"folders":"INBOX"}`, "folders must be a list, not string"},
		{"POST", "/emails/stream/token", `{"email":1}`, "email must be a string, not number"},
		{"PATCH", "/plugins/00000000-0000-0000-0000-000000000001", `{"secrets":{"k":1}}`, "secrets must be a string, not number"},
		{"PATCH", "/plugins/00000000-0000-0000-0000-000000000001", `{"secrets":"x"}`, "secrets must be an object, not string"},
		{"PATCH", "/plugins/00000000-0000-0000-0000-000000000001", `{"failure_policy":1}`, "failure_policy must be a string, not number"},
		{"PATCH", "/plugins/00000000-0000-0000-0000-000000000001", `{"priority":1.5}`, "priority must be a whole number, not number 1.5"},
		{"PATCH", "/emails/x", `{"is_read":"yes"}`, "is_read must be true or false, not string"},
	} {
		if a := c.do(400, tt.method, tt.path, key, tt.body); a.Str("message") != tt.want {
			t.Errorf("%s: %q, want %q", tt.body, a.Str("message"), tt.want)
		}
	}
}

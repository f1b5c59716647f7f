package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// Pages of the configured origins may read answers, errors and streams too; those of
// others, and of anybody without the setting, may not.
func TestOrigins(t *testing.T) {
	c := newClient(t, gatewaytest.Setting("rest.origins", "https://app.example.com, http://localhost:3000"))
	const allow = "Access-Control-Allow-Origin"
	for _, tt := range []struct {
		method, path, origin string
		status               int
		want                 string
	}{
		{"GET", "/emails", "https://app.example.com", 200, "https://app.example.com"},
		{"GET", "/emails", "http://localhost:3000", 200, "http://localhost:3000"},
		{"GET", "/emails/999", "http://localhost:3000", 404, "http://localhost:3000"},
		{"GET", "/nowhere", "http://localhost:3000", 404, "http://localhost:3000"},
		{"OPTIONS", "/emails", "https://app.example.com", 200, "https://app.example.com"},
		{"OPTIONS", "/emails", "https://evil.example", 405, ""},
		{"GET", "/emails", "https://evil.example", 200, ""},
		{"GET", "/emails", "https://app.example.com.evil.example", 200, ""},
		{"GET", "/emails", "null", 200, ""},
		{"GET", "/emails", "", 200, ""},
	} {
		resp := page(t, tt.method, c.g.URL+tt.path, c.g.Keys.Account, tt.origin)
		h := resp.Header
		if resp.StatusCode != tt.status || h.Get(allow) != tt.want || !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s %s from %q: %d %v", tt.method, tt.path, tt.origin, resp.StatusCode, h)
		}
		if preflight := tt.method == "OPTIONS" && tt.want != ""; preflight != strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%s %s from %q: %v", tt.method, tt.path, tt.origin, h)
		}
	}
	if resp := page(t, "HEAD", c.g.URL+"/emails/stream"+c.token(c.g.Keys.Account, nil), "", "https://app.example.com"); resp.StatusCode != 200 || resp.Header.Get(allow) == "" {
		t.Errorf("a stream: %d %v", resp.StatusCode, resp.Header)
	}
	plain := newClient(t)
	for method, want := range map[string]int{"GET": 200, "OPTIONS": 405} {
		resp := page(t, method, plain.g.URL+"/emails", plain.g.Keys.Account, "https://app.example.com")
		if resp.StatusCode != want || resp.Header.Get(allow) != "" || resp.Header.Get("Vary") != "" {
			t.Errorf("%s without the setting: %d %v", method, resp.StatusCode, resp.Header)
		}
	}
}

// page asks as a browser does for a page of an origin.
func page(t *testing.T, method, url, key, origin string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Access-Control-Request-Method", "POST")
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

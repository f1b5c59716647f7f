package rest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// An address that is suppressed gets nothing; the request succeeds and says so.
func TestSuppressions(t *testing.T) {
	c := newClient(t)
	key, admin := c.g.Keys.Domain, c.g.Keys.Admin
	made := c.do(201, "POST", "/suppressions", key, `{"email":"Gone <Gone@Demo.localhost>"}`)
	if made.Str("email") != "gone@demo.localhost" || made.Str("origin") != "manual" {
		t.Errorf("%v", made)
	}
	if again := c.do(200, "POST", "/suppressions?domain=demo.localhost", admin, `{"email":"gone@demo.localhost"}`); again.Str("id") != made.Str("id") {
		t.Errorf("once more: %v", again)
	}
	for _, tt := range []struct {
		name, method, path, key, body string
		status                        int
		field                         string
	}{
		{"no address", "POST", "/suppressions", key, `{}`, 422, "email"},
		{"no such address", "POST", "/suppressions", key, `{"email":"x"}`, 422, "email"},
		{"an operator of no domain", "POST", "/suppressions", admin, `{"email":"x@y.test"}`, 422, "domain"},
		{"an operator of no domain lists", "GET", "/suppressions", admin, "", 422, "domain"},
		{"an unknown domain", "GET", "/suppressions?domain=other.example", admin, "", 404, ""},
		{"an unknown origin", "GET", "/suppressions?origin=spite", key, "", 422, "origin"},
		{"a bad cursor", "GET", "/suppressions?after=x", key, "", 422, "after"},
		{"an account's key", "POST", "/suppressions", c.g.Keys.Account, `{"email":"x@y.test"}`, 403, ""},
		{"a send-only key", "GET", "/suppressions", c.g.Keys.SendOnly, "", 403, ""},
		{"an address that isn't there", "GET", "/suppressions/x@y.test", key, "", 404, ""},
		{"nonsense", "DELETE", "/suppressions/nonsense", key, "", 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := c.in(t)
			var body any
			if tt.body != "" {
				body = tt.body
			}
			if got := c.do(tt.status, tt.method, tt.path, tt.key, body).Str("errors.0.path"); got != tt.field {
				t.Errorf("field %q, want %q", got, tt.field)
			}
		})
	}
	both := c.do(200, "POST", "/emails", key, email("to", []string{"gone@demo.localhost", gatewaytest.Account})).Str("id")
	none := c.do(200, "POST", "/emails", key, email("to", "GONE@demo.localhost")).Str("id")
	c.total(1, "", c.g.Keys.Account)
	if a := c.do(200, "GET", "/emails/"+none, key, nil); a.Str("last_event") != "suppressed" || a.Str("events.0.type") != "suppressed" || a.Str("events.0.message") != "suppressed: manual" {
		t.Errorf("to nobody else: %v %v", a["last_event"], a["events"])
	}
	gatewaytest.Eventually(t, "the other is delivered", func() bool {
		_, a := c.g.Do("GET", "/emails/"+both, key, nil)
		events := fmt.Sprint(a["events"])
		return a.Str("last_event") == "delivered" && strings.Contains(events, "type:suppressed") && strings.Contains(events, "type:delivered")
	})
	c.do(404, "GET", "/accounts/gone@demo.localhost", key, nil)
	if a := c.do(200, "DELETE", "/suppressions/gone@demo.localhost", key, nil); a.Str("id") != made.Str("id") {
		t.Errorf("removed: %v", a)
	}
	c.do(404, "GET", "/suppressions/"+made.Str("id"), key, nil)
	sent := c.do(200, "POST", "/emails", key, email("to", "gone@demo.localhost")).Str("id")
	if a := c.do(200, "GET", "/emails/"+sent, key, nil); a.Str("last_event") == "suppressed" {
		t.Errorf("it is suppressed still: %v", a["events"])
	}
}

// Suppressions come in pages, newest first, of one origin if that is asked for.
func TestSuppressionPages(t *testing.T) {
	c := newClient(t)
	for i := range 5 {
		c.do(201, "POST", "/suppressions", c.g.Keys.Domain, fmt.Sprintf(`{"email":"u%d@x.test"}`, i))
	}
	d, err := c.g.Store.DomainByName(t.Context(), gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{}), gatewaytest.Domain)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.g.Store.AddSuppression(t.Context(), gateway.NewScope(gateway.LevelDomain, d.ID, 0, gateway.ID{}), "bounced@x.test", gateway.SuppressedBounce); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"":                       "bounced@x.test u4@x.test u3@x.test u2@x.test u1@x.test u0@x.test",
		"&origin=manual":         "u4@x.test u3@x.test u2@x.test u1@x.test u0@x.test",
		"&origin=bounce":         "bounced@x.test",
		"&origin=complaint":      "",
		"&domain=demo.localhost": "bounced@x.test u4@x.test u3@x.test u2@x.test u1@x.test u0@x.test",
	} {
		var got []string
		for after, more := "", true; more; {
			a := c.do(200, "GET", "/suppressions?limit=2"+query+after, c.g.Keys.Domain, nil)
			for i := range a["data"].([]any) {
				got = append(got, a.Str(fmt.Sprintf("data.%d.email", i)))
				after = "&after=" + a.Str(fmt.Sprintf("data.%d.id", i))
			}
			if more = a.At("has_more").(bool); len(got) > 10 {
				t.Fatal("the pages don't end")
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", query, got, want)
		}
	}
}

// What the routes of suppressions and quotas refuse, by its name.
func TestTenancyRefusals(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("suppressions", "1"))
	admin, key := c.g.Keys.Admin, c.g.Keys.Domain
	s := c.do(201, "POST", "/suppressions", key, `{"email":"a@example.com"}`)
	if a := c.do(409, "POST", "/suppressions", key, `{"email":"b@example.com"}`); a.Str("name") != "invalid_state" {
		t.Errorf("over the limit: %v", a)
	}
	c.do(404, "POST", "/suppressions?domain=nowhere.example", admin, `{"email":"b@example.com"}`)
	for _, method := range []string{"GET", "DELETE"} { // an operator says whose it is
		if a := c.do(422, method, "/suppressions/"+s.Str("id"), admin, nil); a.Str("name") != "missing_required_field" {
			t.Errorf("%s without a domain: %v", method, a)
		}
	}
	c.do(200, "PATCH", "/accounts/"+gatewaytest.Account, key, `{"quota_bytes":10}`)
	if a := c.do(422, "POST", "/emails", key, email("from", gatewaytest.Account)); a.Str("name") != "quota_exceeded" {
		t.Errorf("over the quota: %v", a)
	}
	if n := c.sent(key, gatewaytest.Account); n != 0 {
		t.Errorf("%d emails of an account without room were kept", n)
	}
}

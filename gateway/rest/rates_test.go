package rest_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/keys"
)

// Past the limit of a class a key waits: for that class and no other, that key and
// no other, also from loopback, and also for what it may not do.
func TestRequestLimits(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(clock.now), gatewaytest.Limit("requests_read", "3"), gatewaytest.Limit("requests_change", "2"),
		gatewaytest.Limit("requests_send", "1"), gatewaytest.Limit("requests_upload", "1"), gatewaytest.Limit("requests_stream", "1"))
	key := c.g.Keys.Account
	past := func(method, path string, body any) {
		t.Helper()
		resp := c.g.Send(method, path, key, body)
		resp.Body.Close()
		if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "60" {
			t.Errorf("%s %s: %d, Retry-After %q", method, path, resp.StatusCode, resp.Header.Get("Retry-After"))
		}
	}
	for range 3 {
		c.do(200, "GET", "/emails", key, nil)
	}
	if a := c.do(429, "GET", "/folders", key, nil); a.Str("name") != "rate_limit_exceeded" || a.Str("limit") != "requests" {
		t.Errorf("%v", a)
	}
	past("HEAD", "/emails", nil)
	c.do(403, "POST", "/accounts", key, `{"email":"x@demo.localhost"}`)
	c.do(404, "DELETE", "/emails/999", key, nil)
	past("POST", "/accounts", `{"email":"x@demo.localhost"}`)
	c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account))
	past("POST", "/emails/batch", []any{email("from", gatewaytest.Account)})
	c.do(415, "POST", "/plugins", key, `{}`)
	past("POST", "/plugins", `{}`)
	listen(t, c.g, key, "", "")
	past("GET", "/emails/stream", nil)
	c.do(200, "GET", "/emails?email="+gatewaytest.Account, c.g.Keys.Domain, nil)
	clock.add(keys.RequestWindow)
	c.do(200, "GET", "/emails", key, nil)
}

// rateFields are the fields about limits, in a fixed order.
func rateFields(h http.Header) string {
	var all []string
	for _, name := range []string{"Ratelimit-Policy", "Ratelimit", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset"} {
		all = append(all, strings.Join(h.Values(name), "; "))
	}
	return strings.Join(all, " | ")
}

// Every answer to a key says what is left, errors included; what has no limit is not
// spoken of.
func TestRateHeaders(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(clock.now), gatewaytest.Limit("key_messages", "4"), gatewaytest.Limit("key_recipients", "7"),
		gatewaytest.Limit("requests_read", "50"), gatewaytest.Limit("requests_send", "20"))
	two := email("to", []string{"a@demo.localhost", "b@demo.localhost"})
	for _, tt := range []struct {
		what         string
		after        time.Duration
		method, path string
		key          string
		body         any
		status       int
		want         string
	}{
		{"before the first", 0, "GET", "/domains", c.g.Keys.Domain, nil, 200, `"emails";q=4;w=3600, "recipients";q=7;w=3600, "requests_read";q=50;w=60 | "emails";r=4;t=3600, "recipients";r=7;t=3600, "requests_read";r=49;t=60 | 4 | 4 | 3600`},
		{"the first", 0, "POST", "/emails", c.g.Keys.Domain, two, 200, `"emails";q=4;w=3600, "recipients";q=7;w=3600, "requests_send";q=20;w=60 | "emails";r=3;t=3600, "recipients";r=5;t=3600, "requests_send";r=19;t=60 | 4 | 3 | 3600`},
		{"later", 90 * time.Second, "GET", "/domains", c.g.Keys.Domain, nil, 200, `"emails";q=4;w=3600, "recipients";q=7;w=3600, "requests_read";q=50;w=60 | "emails";r=3;t=3510, "recipients";r=5;t=3510, "requests_read";r=49;t=60 | 4 | 3 | 3510`},
		{"nothing there", 0, "GET", "/nothing", c.g.Keys.Domain, nil, 404, ` |  |  |  | `},
		{"not found", 0, "GET", "/logs/x", c.g.Keys.Domain, nil, 404, `"emails";q=4;w=3600, "recipients";q=7;w=3600, "requests_read";q=50;w=60 | "emails";r=3;t=3510, "recipients";r=5;t=3510, "requests_read";r=48;t=60 | 4 | 3 | 3510`},
		{"not allowed", 0, "GET", "/domains", c.g.Keys.SendOnly, nil, 403, `"emails";q=4;w=3600, "recipients";q=7;w=3600, "requests_read";q=50;w=60 | "emails";r=4;t=3600, "recipients";r=7;t=3600, "requests_read";r=49;t=60 | 4 | 4 | 3600`},
		{"a draft", 0, "POST", "/emails", c.g.Keys.Domain, email("draft", true), 200, `"emails";q=4;w=3600, "recipients";q=7;w=3600, "requests_send";q=20;w=60 | "emails";r=3;t=3510, "recipients";r=5;t=3510, "requests_send";r=19;t=60 | 4 | 3 | 3510`},
		{"a batch", 0, "POST", "/emails/batch", c.g.Keys.Domain, []any{two, two}, 200, `"emails";q=4;w=3600, "recipients";q=7;w=3600, "requests_send";q=20;w=60 | "emails";r=1;t=3510, "recipients";r=1;t=3510, "requests_send";r=18;t=60 | 4 | 1 | 3510`},
		{"too many recipients", 0, "POST", "/emails", c.g.Keys.Domain, two, 429, `"emails";q=4;w=3600, "recipients";q=7;w=3600, "requests_send";q=20;w=60 | "emails";r=1;t=3510, "recipients";r=1;t=3510, "requests_send";r=17;t=60 | 4 | 1 | 3510`},
		{"a class without a limit", 0, "PATCH", "/emails/1", c.g.Keys.Domain, `{`, 400, `"emails";q=4;w=3600, "recipients";q=7;w=3600 | "emails";r=1;t=3510, "recipients";r=1;t=3510 | 4 | 1 | 3510`},
		{"an hour on", time.Hour, "GET", "/domains", c.g.Keys.Domain, nil, 200, `"emails";q=4;w=3600, "recipients";q=7;w=3600, "requests_read";q=50;w=60 | "emails";r=4;t=3600, "recipients";r=7;t=3600, "requests_read";r=49;t=60 | 4 | 4 | 3600`},
		{"the operator", 0, "GET", "/domains", c.g.Keys.Admin, nil, 200, `"requests_read";q=50;w=60 | "requests_read";r=49;t=60 |  |  | `},
		{"the operator sends", 0, "POST", "/emails", c.g.Keys.Admin, two, 200, `"emails";q=4;w=3600, "recipients";q=7;w=3600, "requests_send";q=20;w=60 | "emails";r=3;t=3600, "recipients";r=5;t=3600, "requests_send";r=19;t=60 | 4 | 3 | 3600`},
		{"nobody", 0, "GET", "/domains", "", nil, 401, ` |  |  |  | `},
	} {
		clock.add(tt.after)
		resp := c.g.Send(tt.method, tt.path, tt.key, tt.body)
		resp.Body.Close()
		if got := rateFields(resp.Header); resp.StatusCode != tt.status || got != tt.want {
			t.Errorf("%s: %d\n%s, want\n%s", tt.what, resp.StatusCode, got, tt.want)
		}
	}
	free := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain":"demo.localhost","rate_limit":0,"recipient_limit":0}`)
	resp := c.g.Send("PATCH", "/emails/1", free.Str("token"), `{`)
	resp.Body.Close()
	if got := rateFields(resp.Header); got != " |  |  |  | " {
		t.Errorf("a key without limits: %s", got)
	}
}

// submitter sends over SMTP with a key, and says what it was told.
func submitter(t *testing.T, g *gatewaytest.Gateway, key string) func(to ...string) string {
	t.Helper()
	chat := g.Dial(t, "submissions")
	chat.Script("S: 220 \nC: EHLO client.example\nS~ 250 \nC: AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00centerleap\x00"+key)) + "\nS: 235 ")
	return func(to ...string) string {
		t.Helper()
		chat.Script("C: MAIL FROM:<hello@demo.localhost>\nS: 250 ")
		for _, rcpt := range to {
			chat.Script("C: RCPT TO:<" + rcpt + ">\nS: 250 ")
		}
		chat.Script("C: DATA\nS: 354 ")
		chat.Raw("From: hello@demo.localhost\r\nTo: " + strings.Join(to, ", ") + "\r\nSubject: over SMTP\r\n\r\nx\r\n.\r\n")
		line, _ := chat.Line()
		return line
	}
}

const busy = "451 4.7.1 "

// One hour for both doors: they refuse at the same count, two keys have two hours,
// a restart keeps them, and the operator's change acts at once.
func TestOneHourForBothDoors(t *testing.T) {
	for _, tt := range []struct {
		limit, field string
		to           []string
		most         int
	}{
		{"key_messages", "rate_limit", []string{gatewaytest.Account}, 4},
		{"key_recipients", "recipient_limit", []string{gatewaytest.Account, "other@demo.localhost"}, 8},
	} {
		t.Run(tt.limit, func(t *testing.T) {
			c := newClient(t, gatewaytest.Limit(tt.limit, fmt.Sprint(tt.most)))
			other := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{}`).Str("token")
			c.do(201, "POST", "/accounts", c.g.Keys.Domain, `{"email":"other@demo.localhost"}`)
			body, smtp := email("to", tt.to), submitter(t, c.g, c.g.Keys.Domain)
			both := func(what string, ok bool) {
				t.Helper()
				status := map[bool]int{true: 200, false: 429}[ok]
				c.do(status, "POST", "/emails", c.g.Keys.Domain, body)
				if got := smtp(tt.to...); strings.HasPrefix(got, "250 ") != ok || !ok && !strings.HasPrefix(got, busy) {
					t.Errorf("%s: %s", what, got)
				}
			}
			both("the first two", true)
			both("the last two", true)
			both("past it", false)
			c.do(200, "POST", "/emails", other, body)
			c.g.Restart()
			smtp = submitter(t, c.g, c.g.Keys.Domain)
			both("after a restart", false)
			c.do(200, "PATCH", "/api-keys/"+c.idOf(c.g.Keys.Domain), c.g.Keys.Admin, map[string]any{tt.field: tt.most * 3 / 2})
			both("after the operator's change", true)
			both("past that", false)
			c.do(200, "PATCH", "/api-keys/"+c.idOf(c.g.Keys.Domain), c.g.Keys.Admin, map[string]any{tt.field: 0})
			both("without a limit", true)
		})
	}
}

// idOf finds the id of a key of the domain by its token.
func (c *client) idOf(token string) string {
	c.Helper()
	all := c.do(200, "GET", "/api-keys", c.g.Keys.Domain, nil)
	for i := range all["data"].([]any) {
		if p := fmt.Sprintf("data.%d.", i); strings.HasPrefix(all.Str(p+"prefix"), token[:12]) {
			return all.Str(p + "id")
		}
	}
	c.Fatal("the key is not listed")
	return ""
}

// The hour of a domain is one for all its keys and both doors, and lasts.
func TestDomainHour(t *testing.T) {
	for limit, set := range map[string]gateway.DomainLimits{"domain_emails": {Messages: 2}, "domain_recipients": {Recipients: 2}} {
		t.Run(limit, func(t *testing.T) {
			c := newClient(t)
			d, err := c.g.Domains.Get(t.Context(), keys.System(), gatewaytest.Domain)
			if err != nil {
				t.Fatal(err)
			}
			change := func(l gateway.DomainLimits) {
				t.Helper()
				if _, err := c.g.Store.UpdateDomain(context.Background(), keys.System(), d.ID, func(d *gateway.Domain) error { d.Limits = l; return nil }); err != nil {
					t.Fatal(err)
				}
			}
			change(set)
			c.do(200, "POST", "/emails", c.g.Keys.SendOnly, email())
			if got := submitter(t, c.g, c.g.Keys.Domain)(gatewaytest.Account); !strings.HasPrefix(got, "250 ") {
				t.Error(got)
			}
			past := func(when string) {
				t.Helper()
				if a := c.do(429, "POST", "/emails", c.g.Keys.Domain, email()); a.Str("limit") != limit {
					t.Errorf("%s: %v", when, a)
				}
				if got := submitter(t, c.g, c.g.Keys.SendOnly)(gatewaytest.Account); !strings.HasPrefix(got, busy) {
					t.Errorf("%s: %s", when, got)
				}
			}
			past("at once")
			c.g.Restart()
			past("after a restart")
			change(gateway.DomainLimits{})
			c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
		})
	}
}

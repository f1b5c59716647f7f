package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// ids lists a route page by page.
func (c *client) ids(path, key string, limit int) (all []string) {
	c.Helper()
	for after, more := "", true; more; {
		a := c.do(200, "GET", fmt.Sprintf("%s?limit=%d%s", path, limit, after), key, nil)
		data := a["data"].([]any)
		if len(data) > limit || len(all) > 100 {
			c.Fatalf("a page of %d after %d", len(data), len(all))
		}
		for i := range data {
			all = append(all, a.Str(fmt.Sprintf("data.%d.id", i)))
			after = "&after=" + all[len(all)-1]
		}
		more = a.At("has_more").(bool)
	}
	return all
}

// Keys and domains come in pages: each once, and nobody else's.
func TestKeyAndDomainPages(t *testing.T) {
	c := newClient(t)
	admin, rivals := c.g.Keys.Admin, []string{}
	for i := range 4 {
		name := fmt.Sprintf("d%d.example", i)
		c.do(201, "POST", "/domains", admin, `{"name":"`+name+`"}`)
		rivals = append(rivals, c.do(201, "POST", "/api-keys", admin, `{"domain":"`+name+`"}`).Str("id"))
	}
	c.do(201, "POST", "/api-keys", admin, `{"instance":true}`)
	for _, tt := range []struct {
		path, key string
		want      int
	}{
		{"/api-keys", admin, 9},
		{"/api-keys", c.g.Keys.Domain, 3},
		{"/api-keys", c.g.Keys.Account, 1},
		{"/domains", admin, 5},
		{"/domains", c.g.Keys.Domain, 1},
		{"/domains", c.g.Keys.Account, 1},
	} {
		for _, limit := range []int{1, 2, tt.want, tt.want + 1} {
			got := c.ids(tt.path, tt.key, limit)
			once := slices.Compact(slices.Sorted(slices.Values(got)))
			if len(got) != tt.want || len(once) != tt.want {
				t.Errorf("%s by %d: %d items, %d of them once, want %d", tt.path, limit, len(got), len(once), tt.want)
			}
			if tt.key == c.g.Keys.Domain && slices.ContainsFunc(got, func(id string) bool { return slices.Contains(rivals, id) }) {
				t.Errorf("%s lists another domain's", tt.path)
			}
		}
	}
	c.do(422, "GET", "/api-keys?after=x", admin, nil)
	if a := c.do(422, "GET", "/api-keys?after="+rivals[0], c.g.Keys.Domain, nil); a.Str("errors.0.path") != "after" {
		t.Errorf("behind another domain's key: %v", a)
	}
	c.do(422, "GET", "/domains?after=d0.example", c.g.Keys.Domain, nil)
	newest := c.do(200, "GET", "/api-keys?limit=1", c.g.Keys.Domain, nil)
	made := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{}`)
	if a := c.do(200, "GET", "/api-keys?limit=1", c.g.Keys.Domain, nil); a.Str("data.0.id") != made.Str("id") || newest.Str("data.0.id") == made.Str("id") {
		t.Errorf("the newest is not first: %v", a)
	}
}

// A key's expiry moves earlier; later only by the operator.
func TestKeyExpiry(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(clock.now))
	in := func(d time.Duration) string {
		return `{"expires_at":"` + clock.now().Add(d).UTC().Format(time.RFC3339Nano) + `"}`
	}
	made := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{}`)
	path := "/api-keys/" + made.Str("id")
	for _, tt := range []struct {
		name, key, body string
		status          int
	}{
		{"one is set", c.g.Keys.Domain, in(3 * time.Hour), 200},
		{"earlier", c.g.Keys.Domain, in(2 * time.Hour), 200},
		{"later", c.g.Keys.Domain, in(4 * time.Hour), 403},
		{"never", c.g.Keys.Domain, `{"expires_at":""}`, 403},
		{"by itself, later", made.Str("token"), in(4 * time.Hour), 403},
		{"no time", c.g.Keys.Domain, `{"expires_at":"tomorrow"}`, 422},
		{"later by the operator", c.g.Keys.Admin, in(5 * time.Hour), 200},
		{"never by the operator", c.g.Keys.Admin, `{"expires_at":""}`, 200},
		{"soon", c.g.Keys.Domain, in(time.Hour), 200},
	} {
		if a := c.do(tt.status, "PATCH", path, tt.key, tt.body); tt.status == 403 && a.Str("errors.0.path") != "expires_at" {
			t.Errorf("%s: %v", tt.name, a)
		}
	}
	c.do(200, "GET", "/emails?email="+gatewaytest.Account, made.Str("token"), nil)
	clock.add(time.Hour)
	c.do(401, "GET", "/emails?email="+gatewaytest.Account, made.Str("token"), nil)
}

// Keys of every level say when they were used and what they sent this hour; a limit
// of 0 is none.
func TestKeyUse(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(clock.now), gatewaytest.Limit("key_messages", "1"))
	admin := c.g.Keys.Admin
	c.do(201, "POST", "/domains", admin, `{"name":"other.example","verified":true}`)
	tokens := map[string]string{
		"instance": c.do(201, "POST", "/api-keys", admin, `{"instance":true,"name":"instance","rate_limit":0}`).Str("token"),
		"domain":   c.do(201, "POST", "/api-keys", admin, `{"domain":"demo.localhost","name":"domain","rate_limit":0,"recipient_limit":0}`).Str("token"),
		"account":  c.do(201, "POST", "/api-keys", admin, `{"email":"bot@demo.localhost","name":"account","rate_limit":2}`).Str("token"),
	}
	for level, token := range tokens {
		for range 2 {
			c.do(200, "POST", "/emails", token, email("from", gatewaytest.Account))
		}
		if level == "account" {
			c.do(429, "POST", "/emails", token, email("from", gatewaytest.Account))
		}
	}
	c.do(200, "POST", "/emails", tokens["instance"], email("from", "a@other.example"))
	want := "account 2, domain 2, instance 3"
	gatewaytest.Eventually(t, want, func() bool {
		_, a := c.g.Do("GET", "/api-keys?limit=100", admin, nil)
		return use(a) == want
	})
	clock.add(time.Hour)
	if got := use(c.do(200, "GET", "/api-keys?limit=100", admin, nil)); got != "account 0, domain 0, instance 0" {
		t.Errorf("an hour later: %s", got)
	}
}

// use tells of the named keys that were used what they sent.
func use(a gatewaytest.Answer) string {
	var out []string
	for i := range a["data"].([]any) {
		at := fmt.Sprintf("data.%d.", i)
		name := a.Str(at + "name")
		if name == a.Str(at+"scope") && a.At(at+"last_used_at") != nil {
			out = append(out, fmt.Sprint(name, " ", a.At(at+"used_this_hour")))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

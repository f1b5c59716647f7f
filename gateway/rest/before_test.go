package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// idsOf asks for a part of a list.
func (c *client) pageOf(path, key, query string) (ids []string, more bool) {
	c.Helper()
	if strings.Contains(path, "?") {
		query = "&" + query
	} else {
		query = "?" + query
	}
	var a gatewaytest.Answer
	if strings.HasPrefix(path, "/resend") { // which the document doesn't describe
		var status int
		if status, a = c.g.Do("GET", path+query, key, nil); status != 200 {
			c.Fatalf("%s: %d %v", path+query, status, a)
		}
	} else {
		a = c.do(200, "GET", path+query, key, nil)
	}
	for _, item := range a["data"].([]any) {
		ids = append(ids, item.(map[string]any)["id"].(string))
	}
	more, _ = a.At("has_more").(bool)
	return ids, more
}

// Every list that Resend's clients page through goes on behind any of its items, and back
// before any: what stands next to it, in the order of the list, and whether there is more
// on that side.
func TestBeforeAndAfter(t *testing.T) {
	c := newClient(t)
	domain, admin := c.g.Keys.Domain, c.g.Keys.Admin
	for i := range 5 {
		c.do(201, "POST", "/suppressions", domain, map[string]string{"email": fmt.Sprintf("s%d@example.com", i)})
		c.do(201, "POST", "/webhooks", domain, map[string]any{"endpoint": fmt.Sprintf("http://127.0.0.1:9/%d", i), "events": []string{"email.bounced"}})
		c.do(201, "POST", "/domains", admin, map[string]string{"name": fmt.Sprintf("d%d.example", i)})
		for range i {
			c.do(201, "POST", "/api-keys", admin, map[string]string{"domain": fmt.Sprintf("d%d.example", i)})
		}
		c.do(200, "POST", "/emails", domain, email())
	}
	mail := c.do(200, "POST", "/emails", domain, email("attachments", files(5))).Str("id")
	c.eventually("/emails?email="+gatewaytest.Account, "total", 6.0)
	for _, list := range []struct {
		path, key string
		n         int
	}{
		{"/resend/emails", domain, 6},
		{"/resend/emails", c.keyOf(gatewaytest.Account), 0},
		{"/resend/emails/receiving", domain, 6},
		{"/resend/emails/receiving?email=" + gatewaytest.Account, domain, 6},
		{"/resend/emails/" + mail + "/attachments", domain, 5},
		{"/emails/" + mail + "/attachments", domain, 5},
		{"/resend/domains", admin, 6},
		{"/domains", admin, 6},
		{"/resend/domains", domain, 1},
		{"/resend/api-keys", admin, 14},
		{"/api-keys", domain, 4},
		{"/resend/webhooks", domain, 5},
		{"/webhooks?domain=demo.localhost", admin, 5},
		{"/resend/suppressions", domain, 5},
		{"/suppressions?origin=manual", domain, 5},
		{"/resend/logs?status=201", domain, 10},
		{"/logs?status=201&domain=demo.localhost", admin, 10},
	} {
		all, more := c.pageOf(list.path, list.key, "limit=100")
		if len(all) < list.n || more {
			t.Fatalf("%s: %d items, and more: %t", list.path, len(all), more)
		}
		for _, limit := range []int{1, 2, 5, 100} {
			for i, id := range all {
				got, more := c.pageOf(list.path, list.key, fmt.Sprintf("limit=%d&before=%s", limit, id))
				if want := all[max(0, i-limit):i]; !slices.Equal(got, want) || more != (i > limit) {
					t.Errorf("%s: %d before number %d: %v and more %t, want %v", list.path, limit, i, got, more, want)
				}
				got, more = c.pageOf(list.path, list.key, fmt.Sprintf("limit=%d&after=%s", limit, id))
				if want := all[i+1 : min(len(all), i+1+limit)]; !slices.Equal(got, want) || more != (i+1+limit < len(all)) {
					t.Errorf("%s: %d after number %d: %v and more %t, want %v", list.path, limit, i, got, more, want)
				}
			}
		}
		join := map[bool]string{true: "&", false: "?"}[strings.Contains(list.path, "?")]
		for _, query := range []string{"before=x", "before=" + gateway.ID{1}.String() + "&after=" + gateway.ID{2}.String()} {
			if status, a := c.g.Do("GET", list.path+join+query, list.key, nil); status != 422 || a.Str("errors.0.path") != "before" {
				t.Errorf("%s: %d %v", list.path+join+query, status, a)
			}
		}
	}
}

// keyOf makes a key of an account.
func (c *client) keyOf(account string) string {
	c.Helper()
	return c.do(201, "POST", "/api-keys", c.g.Keys.Admin, map[string]string{"email": account}).Str("token")
}

package rest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// waits finds the one delivery of an email that waits.
func (c *client) waits(email string) gatewaytest.Answer {
	c.Helper()
	a := c.do(200, "GET", "/queue?email_id="+email, c.g.Keys.Domain, nil)
	if n := len(a["data"].([]any)); n != 1 {
		c.Fatalf("%d deliveries of %s wait", n, email)
	}
	return gatewaytest.Answer(a.At("data.0").(map[string]any))
}

// Captured mail leaves when an operator releases it, and by nothing else: not by go-live,
// not for a key of the domain.
func TestReleaseCaptured(t *testing.T) {
	mx := gatewaytest.ServeMX(t)
	c := newClient(t, gatewaytest.Hosts(gatewaytest.ServeDNS(t), map[string]*gatewaytest.MX{"example.com": mx}), gatewaytest.Setting("delivery.mode", "capture"))
	id := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("to", "a@example.com")).Str("id")
	c.do(200, "PATCH", "/instance", c.g.Keys.Admin, `{"delivery_mode":"direct"}`)
	second := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("to", "b@example.com")).Str("id")
	c.fate(second, "delivered")
	d := c.waits(id)
	if d.Str("state") != "held" || d.Str("reason") != "capture" || d.Str("site") != "example.com" || d.At("next_at") != nil {
		t.Errorf("%v", d)
	}
	path := "/queue/" + d.Str("id") + "/release"
	if a := c.do(403, "POST", path, c.g.Keys.Domain, nil); a.Str("name") != "restricted_api_key" {
		t.Errorf("%v", a)
	}
	if len(mx.Mail()) != 1 {
		t.Fatal("it left")
	}
	c.do(200, "POST", path+"?domain=demo.localhost", c.g.Keys.Admin, nil)
	c.fate(id, "delivered")
	c.do(409, "POST", path+"?domain=demo.localhost", c.g.Keys.Admin, nil)
	if a := c.do(200, "GET", "/queue/"+d.Str("id"), c.g.Keys.Domain, nil); a.Str("state") != "delivered" || a.At("attempts") != 1.0 || a.At("code") != 250.0 {
		t.Errorf("%v", a)
	}
	if a := c.do(200, "GET", "/queue", c.g.Keys.Domain, nil); len(a["data"].([]any)) != 0 {
		t.Errorf("%v", a)
	}
}

func (c *client) fate(id, want string) {
	c.Helper()
	gatewaytest.Eventually(c.T, id+" is "+want, func() bool {
		_, a := c.g.Do("GET", "/emails/"+id, c.g.Keys.Domain, nil)
		return a.Str("last_event") == want
	})
}

// What waits can be held, released, tried at once, canceled and dropped; and what can't
// be done is refused.
func TestOperateQueue(t *testing.T) {
	mx := gatewaytest.ServeMX(t)
	c := newClient(t, gatewaytest.Hosts(gatewaytest.ServeDNS(t), map[string]*gatewaytest.MX{"example.com": mx}))
	admin, key := c.g.Keys.Admin, c.g.Keys.Domain
	mx.Answer(func(command string) string {
		if command == "DATA" {
			return "451 4.3.0 later"
		}
		return ""
	})
	deferred := func() (mail, delivery string) {
		id := c.do(200, "POST", "/emails", key, email("to", "a@example.com")).Str("id")
		c.fate(id, "delivery_delayed")
		return id, c.waits(id).Str("id")
	}
	do := func(want int, key, id, verb string) gatewaytest.Answer {
		t.Helper()
		method, path := "POST", "/queue/"+id+"/"+verb
		if verb == "drop" {
			method, path = "DELETE", "/queue/"+id
		}
		return c.do(want, method, path+"?domain=demo.localhost", key, nil)
	}
	mail, id := deferred()
	do(409, key, id, "release")
	if a := do(200, key, id, "hold"); a.Str("reason") != "domain" || a.Str("state") != "held" || a.Str("message") != "4.3.0 later" {
		t.Errorf("held: %v", a)
	}
	c.fate(mail, "held")
	do(409, key, id, "hold")
	do(409, key, id, "retry")
	do(200, key, id, "release")
	gatewaytest.Eventually(t, "it is tried again", func() bool { return c.waits(mail).At("attempts") == 2.0 })
	c.fate(mail, "delivery_delayed")
	do(200, admin, id, "hold")
	do(403, key, id, "release")
	do(200, admin, id, "release")
	gatewaytest.Eventually(t, "it is tried again", func() bool { a := c.waits(mail); return a.At("attempts") == 3.0 && a.Str("state") == "queued" })
	mx.Answer(func(string) string { return "" })
	do(200, key, id, "retry")
	c.fate(mail, "delivered")

	mx.Answer(func(command string) string { return map[string]string{"DATA": "451 4.3.0 later"}[command] })
	mail, id = deferred()
	do(200, key, id, "cancel")
	c.fate(mail, "canceled")
	mail, id = deferred()
	do(403, key, id, "drop")
	do(200, admin, id, "drop")
	if a := c.do(200, "GET", "/emails/"+mail, key, nil); len(a["events"].([]any)) != 0 {
		t.Errorf("dropped: %v", a["events"])
	}
	ended := id
	_, id = deferred()
	do(200, key, id, "cancel")
	for _, verb := range []string{"hold", "release", "retry", "cancel", "drop"} {
		do(409, admin, id, verb)
		do(404, admin, ended, verb)
		do(404, admin, "nonsense", verb)
		method, path := "POST", "/queue/"+id+"/"+verb
		if verb == "drop" {
			method, path = "DELETE", "/queue/"+id
		}
		if a := c.do(422, method, path, admin, nil); a.Str("errors.0.path") != "domain" {
			t.Errorf("%s of no domain: %v", verb, a)
		}
	}
	c.do(404, "GET", "/queue/"+ended, key, nil)
	c.do(422, "GET", "/queue/"+id, admin, nil)
	c.do(404, "GET", "/queue?domain=other.example", admin, nil)
	for query, field := range map[string]string{"state=x": "state", "email_id=x": "email_id", "after=x": "after", "limit=x": "limit"} {
		if a := c.do(422, "GET", "/queue?"+query, key, nil); a.Str("errors.0.path") != field {
			t.Errorf("%s: %v", query, a)
		}
	}
}

// The queue is listed in pages, oldest first, by what is wanted of it.
func TestQueuePages(t *testing.T) {
	c := newClient(t, gatewaytest.Setting("dns.servers", ""))
	for i := range 3 {
		c.do(200, "POST", "/emails", c.g.Keys.Domain, email("to", []string{fmt.Sprintf("a%d@one.example", i), fmt.Sprintf("b%d@two.example", i)}))
	}
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("scheduled_at", soon()))
	for query, want := range map[string]int{
		"": 7, "&state=held": 7, "&state=queued": 0, "&reason=capture": 6, "&reason=scheduled": 1, "&site=two.example": 3, "&site=TWO.example&reason=plugin": 0,
	} {
		seen := make(map[string]bool)
		for after := ""; ; {
			a := c.do(200, "GET", "/queue?limit=2"+query+after, c.g.Keys.Domain, nil)
			for i := range a["data"].([]any) {
				seen[a.Str(fmt.Sprintf("data.%d.id", i))] = true
			}
			if a.At("has_more") != true {
				break
			}
			after = "&after=" + a.Str("cursor")
		}
		if len(seen) != want {
			t.Errorf("%q: %d, want %d", query, len(seen), want)
		}
	}
}

// A domain may have so much waiting for other hosts, and no more: it is told to come back.
func TestQueueFull(t *testing.T) {
	for limit, most := range map[string]string{"queue_deliveries": "2", "queue_bytes": "3000"} {
		t.Run(limit, func(t *testing.T) {
			c := newClient(t, gatewaytest.Setting("dns.servers", ""), gatewaytest.Limit(limit, most))
			key, first := c.g.Keys.Domain, ""
			for n := 0; ; n++ {
				resp := c.g.Send("POST", "/emails", key, email("to", fmt.Sprintf("a%d@example.com", n), "text", strings.Repeat("x", 500)))
				var a gatewaytest.Answer
				err := json.NewDecoder(resp.Body).Decode(&a)
				resp.Body.Close()
				if resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "60" && a.Str("name") == "service_unavailable" && n >= 2 {
					break
				}
				if err != nil || resp.StatusCode != 200 || n > 5 {
					t.Fatalf("email %d: %d %v", n, resp.StatusCode, a)
				}
				if n == 0 {
					first = a.Str("id")
				}
			}
			c.do(200, "POST", "/emails", key, email()) // inside nothing waits
			c.do(200, "POST", "/queue/"+c.waits(first).Str("id")+"/cancel", key, nil)
			c.do(200, "POST", "/emails", key, email("to", "b@example.com"))
		})
	}
}

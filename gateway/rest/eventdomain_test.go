package rest_test

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// newsQuery asks for all that the instance's stream tells.
const newsQuery = "?events=domain.created,domain.deleted"

// The instance's webhooks and streams are told of domains that come and go, with ids of a
// feed of its own; what was told is kept, and can be told again.
func TestDomainsComeAndGo(t *testing.T) {
	c := newClient(t)
	admin, h := c.g.Keys.Admin, gatewaytest.NewHook(t)
	made := c.hook(h, admin)
	if made.Str("scope") != "instance" || made.At("domain") != nil || made.At("email") != nil || made.Str("events.0") != "domain.created" || made.Str("events.1") != "domain.deleted" || made.At("events.2") != nil {
		t.Errorf("%v", made)
	}
	id := made.Str("id")
	live, connected := listen(t, c.g, admin, newsQuery, "")
	if connected.data["email"] != nil || connected.data["domain"] != nil {
		t.Errorf("%v", connected)
	}
	d := c.do(201, "POST", "/domains", admin, `{"name":"new.example"}`)
	created := h.Wait(1)[0]
	for path, want := range map[string]any{
		"type": "domain.created", "data.object": "domain", "data.id": d.Str("id"), "data.name": "new.example", "data.status": d.Str("status"), "data.records.0.record": d.Str("records.0.record"),
	} {
		if got := created.Event.At(path); got != want || want == "" {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	c.do(200, "DELETE", "/domains/new.example", admin, nil)
	deleted := h.Wait(2)[1]
	if deleted.Event.Str("type") != "domain.deleted" || deleted.Event.Str("data.id") != d.Str("id") || deleted.Event.Str("data.name") != "new.example" {
		t.Errorf("%s", deleted.Body)
	}
	if first, last := created.Event.At("data.sequence").(float64), deleted.Event.At("data.sequence").(float64); first >= last {
		t.Errorf("sequences %v and %v", first, last)
	}
	// The log of it, and a replay: of what is gone, there is what the event knows.
	var rows gatewaytest.Answer
	gatewaytest.Eventually(t, "both are on record", func() bool {
		rows = c.do(200, "GET", "/webhooks/"+id+"/events", admin, nil)
		return rows.At("data.1") != nil
	})
	if rows.Str("data.0.type") != "domain.deleted" || rows.Str("data.1.type") != "domain.created" || rows.Str("data.1.id") != created.ID || rows.At("data.2") != nil {
		t.Errorf("%v", rows)
	}
	c.do(200, "POST", "/webhooks/"+id+"/events/"+created.ID+"/replay", admin, nil)
	if again := h.Wait(3)[2]; again.ID != created.ID || again.Event.Str("data.id") != d.Str("id") {
		t.Errorf("%s", again.Body)
	}
	status, now := c.g.Do("GET", "/resend/webhooks/"+id+"/events/"+created.ID, admin, nil)
	if status != 200 || now.Str("payload.data.name") != "new.example" || now.Str("payload.data.id") != d.Str("id") || now.At("payload.data.records") != nil {
		t.Errorf("%d %v", status, now)
	}
	// The stream tells the same, and goes on behind either.
	first, second := live.typed(), live.typed()
	if first.name != "domain.created" || second.name != "domain.deleted" || second.data["data"].(map[string]any)["id"] != d.Str("id") {
		t.Errorf("%v, %v", first, second)
	}
	live.close()
	c.g.Restart()
	late, _ := listen(t, c.g, admin, newsQuery, first.id)
	if e := late.typed(); e.id != second.id || e.name != second.name {
		t.Errorf("%v", e)
	}
	c.do(201, "POST", "/domains", admin, `{"name":"third.example"}`)
	if e := late.typed(); e.name != "domain.created" || e.data["data"].(map[string]any)["name"] != "third.example" {
		t.Errorf("%v", e)
	}
	c.do(200, "DELETE", "/webhooks/"+id, admin, nil)
	c.do(404, "GET", "/webhooks/"+id, admin, nil)
}

// No key of a domain is told of other domains, whatever it asks for and however it asks.
func TestDomainsAreTheInstances(t *testing.T) {
	c := newClient(t)
	admin := c.g.Keys.Admin
	theirs := c.hook(gatewaytest.NewHook(t), admin).Str("id")
	for _, key := range []string{c.g.Keys.Domain, c.g.Keys.Account} {
		for _, query := range []string{newsQuery, newsQuery + "&domain=demo.localhost", "?events=new_email,domain.created&email=" + gatewaytest.Account} {
			if status, a := c.g.Do("GET", "/emails/stream"+query, key, nil); status != 422 || a.Str("errors.0.path") != "events" {
				t.Errorf("%s: %d %v", query, status, a)
			}
		}
		for _, body := range []string{`{"endpoint":"http://127.0.0.1:9/","events":["domain.created"]}`, `{"endpoint":"http://127.0.0.1:9/","events":["email.received","domain.deleted"]}`} {
			if a := c.do(422, "POST", "/webhooks", key, body); a.Str("errors.0.path") != "events" {
				t.Errorf("%v", a)
			}
		}
		own := c.hook(gatewaytest.NewHook(t), key)
		for i := range 30 {
			if name := own.Str("events." + string(rune('0'+i%10))); name == "domain.created" || name == "domain.deleted" {
				t.Errorf("%v", own)
			}
		}
		c.do(422, "PATCH", "/webhooks/"+own.Str("id"), key, `{"events":["domain.created"]}`)
		for _, what := range []string{"GET ", "GET /events", "DELETE ", "POST /test", "POST /signing-secret/rotate"} {
			method, path, _ := strings.Cut(what, " ")
			c.do(404, method, "/webhooks/"+theirs+path, key, nil)
		}
	}
	// An instance key that names a domain is that domain's, and one that names none has its own alone.
	named := c.do(201, "POST", "/webhooks?domain=demo.localhost", admin, `{"endpoint":"http://127.0.0.1:9/"}`)
	if named.Str("scope") != "domain" || named.Str("domain") != "demo.localhost" {
		t.Errorf("%v", named)
	}
	mailbox := c.do(201, "POST", "/webhooks", admin, map[string]string{"endpoint": "http://127.0.0.1:9/", "email": gatewaytest.Account})
	if mailbox.Str("scope") != "account" || mailbox.Str("email") != gatewaytest.Account {
		t.Errorf("%v", mailbox)
	}
	c.do(422, "POST", "/webhooks", admin, `{"endpoint":"http://127.0.0.1:9/","events":["email.received"]}`)
	c.do(404, "GET", "/webhooks/"+named.Str("id"), admin, nil)
	c.do(404, "GET", "/webhooks/"+theirs+"?domain=demo.localhost", admin, nil)
	if list := c.do(200, "GET", "/webhooks", admin, nil); list.Str("data.0.id") != theirs || list.At("data.1") != nil {
		t.Errorf("%v", list)
	}
}

// What is of a domain as a whole has a stream, which tells of no mailbox.
func TestDomainStream(t *testing.T) {
	c := newClient(t)
	key := c.g.Keys.Domain
	query := "?events=domain.updated,suppression.added,suppression.removed,plugin.disabled"
	l, connected := listen(t, c.g, key, query, "")
	if connected.data["domain"] != gatewaytest.Domain || connected.data["email"] != nil {
		t.Errorf("%v", connected)
	}
	operator, _ := listen(t, c.g, c.g.Keys.Admin, query+"&domain="+gatewaytest.Domain, "")
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"rival.example"}`)
	c.do(201, "POST", "/suppressions?domain=rival.example", c.g.Keys.Admin, `{"email":"theirs@example.com"}`)
	c.do(200, "POST", "/emails", key, email())
	c.do(201, "POST", "/suppressions", key, `{"email":"x@example.com"}`)
	c.do(200, "PATCH", "/domains/demo.localhost", key, `{"catch_all":false}`)
	for _, s := range []*listener{l, operator} {
		if e := s.typed(); e.name != "suppression.added" || e.data["data"].(map[string]any)["email"] != "x@example.com" {
			t.Errorf("%v", e)
		}
		if e := s.typed(); e.name != "domain.updated" || e.data["data"].(map[string]any)["name"] != gatewaytest.Domain {
			t.Errorf("%v", e)
		}
	}
	for _, tt := range []struct{ key, query, field string }{
		{key, "?events=suppression.added&email=" + gatewaytest.Account, "events"},
		{key, "?events=suppression.added,email.received", "email"},
		{c.g.Keys.Account, "?events=suppression.added", "events"},
		{c.g.Keys.Admin, "?events=suppression.added", "events"},
		{key, "?events=suppression.lifted", "events"},
		{key, "?events=,", "events"},
	} {
		if status, a := c.g.Do("GET", "/emails/stream"+tt.query, tt.key, nil); status != 422 || a.Str("errors.0.path") != tt.field {
			t.Errorf("%s: %d %v, want %s", tt.query, status, a, tt.field)
		}
	}
	// With the domain ends what tells of it, to whomever.
	theirs, _ := listen(t, c.g, c.g.Keys.Admin, "?events=domain.updated&domain=rival.example", "")
	c.do(200, "DELETE", "/domains/rival.example?force=true", c.g.Keys.Admin, nil)
	theirs.wantEnd()
}

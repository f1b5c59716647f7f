package rest_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// receiver is an endpoint that takes all.
func receiver(c *client) *gatewaytest.Hook {
	c.Helper()
	return gatewaytest.NewHook(c.T)
}

// hook makes a webhook of the account at an endpoint, for some events.
func (c *client) hook(h *gatewaytest.Hook, key string, types ...string) gatewaytest.Answer {
	c.Helper()
	return c.do(201, "POST", "/webhooks", key, map[string]any{"endpoint": h.URL, "events": types})
}

// bar answers every call with a status.
func bar(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not today", status) }
}

// What happens is told once, signed under both families of headers, and kept.
func TestWebhook(t *testing.T) {
	c, h := newClient(t), gatewaytest.NewHook(t)
	key := c.g.Keys.Account
	w := c.hook(h, key)
	secret := w.Str("signing_secret")
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_")); err != nil || len(raw) < 24 || w.Str("status") != "enabled" || w.Str("email") != gatewaytest.Account {
		t.Fatalf("%v", w)
	}
	long := strings.Repeat("long ", 14<<10)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("subject", "Hello", "from", "Ann <ann@demo.localhost>", "text", "short", "html", long, "attachments", files(1), "tags", []map[string]string{{"name": "kind", "value": "test"}}))
	got := h.Wait(1)[0]
	for path, want := range map[string]any{
		"type": "email.received", "data.subject": "Hello", "data.from": `"Ann" <ann@demo.localhost>`, "data.to.0": gatewaytest.Account,
		"data.text": "short", "data.html": nil, "data.body_truncated": true, "data.email": gatewaytest.Account, "data.folder": "INBOX",
		"data.received_for.0": gatewaytest.Account, "data.attachments.0.filename": "0.txt", "data.authentication.dmarc": "pass", "data.uid": 1.0,
	} {
		if v := got.Event.At(path); v != want {
			t.Errorf("%s: %v, want %v", path, v, want)
		}
	}
	if v, _ := got.Event.At("data.sequence").(float64); v == 0 {
		t.Errorf("sequence %v", v)
	}
	if err := got.Verify(secret); err != nil || got.Header.Get("svix-id") != got.ID || got.Header.Get("svix-signature") != got.Header.Get("webhook-signature") ||
		got.Header.Get("svix-timestamp") != got.Header.Get("webhook-timestamp") {
		t.Errorf("%v: %v", err, got.Header)
	}
	if got.Verify("whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))) == nil {
		t.Error("another secret verifies")
	}
	c.fetched(got.Event.Str("data.attachments.0.download_url"))
	path := "/webhooks/" + w.Str("id") + "/events"
	c.eventually(path, "data.0.status", "delivered")
	row := c.do(200, "GET", path, key, nil)
	if row.Str("data.0.id") != got.ID || row.At("data.0.attempts") != 1.0 || row.At("data.0.last_attempt.response_status") != 200.0 || row.At("data.1") != nil {
		t.Errorf("%v", row)
	}
	one := c.do(200, "GET", path+"/"+got.ID+"/attempts", key, nil)
	if one.At("data.0.response_status") != 200.0 || one.At("data.0.error") != nil || one.At("data.1") != nil {
		t.Errorf("%v", one)
	}
}

// fetched follows a link without a key.
func (c *client) fetched(url string) {
	c.Helper()
	resp, err := http.Get(url) //nolint:gosec // it is our own
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		c.Errorf("%s: %d", url, resp.StatusCode)
	}
}

// eventually waits until a path of an answer is as it should be.
func (c *client) eventually(path, at string, want any) {
	c.Helper()
	gatewaytest.Eventually(c.T, fmt.Sprint(path, " ", at, " is ", want), func() bool {
		_, a := c.g.Do("GET", path, c.g.Keys.Domain, nil)
		return a.At(at) == want
	})
}

// What an endpoint does not take is told again, later each time, with the same id and a
// signature of its own; then it is given up, and a replay begins anew.
func TestWebhookRetries(t *testing.T) {
	at := &clock{at: time.Now()}
	c, h := newClient(t, gatewaytest.Clock(at.now), gatewaytest.Limit("webhook_attempts", "3")), gatewaytest.NewHook(t)
	key := c.g.Keys.Domain
	w := c.hook(h, key, "email.received")
	h.Answers(bar(500))
	c.do(200, "POST", "/emails", key, email())
	events := "/webhooks/" + w.Str("id") + "/events"
	for i, pause := range []time.Duration{0, 7 * time.Second, 7 * time.Minute} {
		at.add(pause)
		c.g.Told.Wake()
		h.Wait(i + 1)
		c.eventually(events, "data.0.attempts", float64(i+1))
	}
	c.eventually(events, "data.0.status", "failed")
	row := c.do(200, "GET", events, key, nil)
	if row.Str("data.0.last_attempt.error") != "the endpoint answered 500" || row.Str("data.0.last_attempt.response_body") != "not today\n" || row.At("data.0.next_attempt_at") != nil {
		t.Errorf("%v", row)
	}
	if since := c.do(200, "GET", "/webhooks/"+w.Str("id"), key, nil).At("failing_since"); since == nil {
		t.Error("it is not said to fail")
	}
	h.Answers(nil)
	c.do(200, "POST", events+"/"+h.Got()[0].ID+"/replay", key, nil)
	got := h.Wait(4)
	for _, g := range got {
		if err := g.Verify(w.Str("signing_secret")); err != nil || g.ID != got[0].ID {
			t.Errorf("%s after %s: %v", g.ID, got[0].ID, err)
		}
	}
	if got[0].Header.Get("webhook-timestamp") == got[2].Header.Get("webhook-timestamp") {
		t.Error("an old signature was used again")
	}
	c.eventually(events, "data.0.status", "delivered")
	c.eventually("/webhooks/"+w.Str("id"), "failing_since", nil)
}

// 410 ends a webhook at once, and five days without success do as soon as an event is given
// up.
func TestWebhookStops(t *testing.T) {
	at := &clock{at: time.Now()}
	c, gone, dead := newClient(t, gatewaytest.Clock(at.now), gatewaytest.Limit("webhook_attempts", "3")), gatewaytest.NewHook(t), gatewaytest.NewHook(t)
	key := c.g.Keys.Domain
	gone.Answers(bar(410))
	dead.Answers(bar(503))
	first, second := c.hook(gone, key, "email.received").Str("id"), c.hook(dead, key, "email.received").Str("id")
	c.do(200, "POST", "/emails", key, email())
	c.eventually("/webhooks/"+first, "status", "disabled")
	c.eventually("/webhooks/"+second+"/events", "data.0.attempts", 1.0)
	at.add(gateway.WebhookPatience - time.Minute)
	c.do(200, "POST", "/emails", key, email())
	c.eventually("/webhooks/"+second+"/events", "data.0.attempts", 1.0)
	c.eventually("/webhooks/"+second+"/events", "data.1.attempts", 2.0)
	if a := c.do(200, "GET", "/webhooks/"+second, key, nil); a.Str("status") != "enabled" {
		t.Errorf("%v", a)
	}
	at.add(10 * time.Minute) // what was told before is told for the last time
	c.g.Told.Wake()
	c.eventually("/webhooks/"+second, "status", "disabled")
	for id, why := range map[string]string{first: "410", second: "it took nothing"} {
		if a := c.do(200, "GET", "/webhooks/"+id, key, nil); !strings.Contains(a.Str("disabled_reason"), why) {
			t.Errorf("%v", a)
		}
	}
	if n := len(gone.Got()); n != 1 {
		t.Errorf("an endpoint that is gone was asked %d times", n)
	}
	rows := c.do(200, "GET", "/logs?protocol=system", key, nil)
	if rows.Str("data.0.method") != "WEBHOOK" || rows.Str("data.1.method") != "WEBHOOK" {
		t.Errorf("%v", rows)
	}
	c.do(409, "POST", "/webhooks/"+first+"/events/"+gone.Got()[0].ID+"/replay", key, nil)

	// Switched on again it is told of what happens then.
	gone.Answers(nil)
	c.do(200, "PATCH", "/webhooks/"+first, key, `{"status":"enabled"}`)
	c.do(200, "POST", "/emails", key, email("subject", "after"))
	if got := gone.Wait(2); len(got) != 2 || got[1].Event.Str("data.subject") != "after" {
		t.Errorf("%d calls", len(got))
	}
}

// An event whose mailbox is gone when it would be told again is skipped, and that is said.
func TestWebhookSkips(t *testing.T) {
	at := &clock{at: time.Now()}
	c, h := newClient(t, gatewaytest.Clock(at.now)), gatewaytest.NewHook(t)
	key := c.g.Keys.Domain
	w := "/webhooks/" + c.hook(h, key, "email.received").Str("id")
	c.do(201, "POST", "/accounts", key, `{"email":"eve@demo.localhost"}`)
	h.Answers(bar(500))
	c.do(200, "POST", "/emails", key, email("to", "eve@demo.localhost"))
	c.eventually(w+"/events", "data.0.status", "pending")
	c.do(200, "DELETE", "/accounts/eve@demo.localhost", key, nil)
	at.add(10 * time.Second)
	c.g.Told.Wake()
	c.eventually(w+"/events", "data.0.status", "skipped")
	row := c.do(200, "GET", w+"/events/"+h.Got()[0].ID, key, nil)
	if row.At("attempts") != 1.0 || row.At("next_attempt_at") != nil || row.At("last_attempt.response_status") != 500.0 || len(h.Got()) != 1 {
		t.Errorf("%v", row)
	}
	if c.do(200, "GET", w, key, nil).At("failing_since") == nil {
		t.Error("who was not asked took something")
	}
}

// An old secret signs for a day, beside the new one.
func TestWebhookRotation(t *testing.T) {
	at := &clock{at: time.Now()}
	c, h := newClient(t, gatewaytest.Clock(at.now)), gatewaytest.NewHook(t)
	key := c.g.Keys.Domain
	w := c.hook(h, key, "email.received")
	old := w.Str("signing_secret")
	fresh := c.do(200, "POST", "/webhooks/"+w.Str("id")+"/signing-secret/rotate", key, nil).Str("signing_secret")
	for i, both := range []bool{true, false} {
		c.do(200, "POST", "/emails", key, email())
		got := h.Wait(i + 1)[i]
		if got.Verify(fresh) != nil || (got.Verify(old) == nil) != both {
			t.Errorf("after %d days: new %v, old %v", i, got.Verify(fresh), got.Verify(old))
		}
		at.add(gateway.WebhookOverlap)
	}
}

// A test says what the endpoint answered, and a redirect is no success.
func TestWebhookTest(t *testing.T) {
	c, h := newClient(t), gatewaytest.NewHook(t)
	key := c.g.Keys.Account
	w := c.hook(h, key, "email.received")
	test := func() gatewaytest.Answer { return c.do(200, "POST", "/webhooks/"+w.Str("id")+"/test", key, nil) }
	if a := test(); a.At("response_status") != 200.0 || a.At("error") != nil {
		t.Errorf("%v", a)
	}
	if got := h.Got()[0]; got.Type() != "webhook.test" || got.Event.Str("data.webhook_id") != w.Str("id") || got.Verify(w.Str("signing_secret")) != nil {
		t.Errorf("%s", got.Body)
	}
	h.Answers(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	if a := test(); a.At("response_status") != 307.0 || a.Str("error") != "the endpoint answered 307" || len(h.Got()) != 2 {
		t.Errorf("%v", a)
	}
}

// Whom it is for: a mailbox's webhook hears of that alone, a domain's of all, and
// another's of nothing.
func TestWebhookScopes(t *testing.T) {
	c := newClient(t)
	c.do(201, "POST", "/accounts", c.g.Keys.Admin, `{"email":"eve@demo.localhost"}`)
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"rival.example","verified":true}`)
	rival := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain":"rival.example"}`).Str("token")
	all, own, other := gatewaytest.NewHook(t), gatewaytest.NewHook(t), gatewaytest.NewHook(t)
	c.hook(all, c.g.Keys.Domain, "email.received", "suppression.added", "suppression.removed", "email.updated")
	mine := c.hook(own, c.g.Keys.Account, "email.received").Str("id")
	c.hook(other, rival)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("to", "eve@demo.localhost"))
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	c.do(201, "POST", "/suppressions", c.g.Keys.Domain, `{"email":"x@example.com"}`)
	c.do(200, "DELETE", "/suppressions/x@example.com", c.g.Keys.Domain, nil)
	own.Wait(1)
	c.do(200, "PATCH", "/emails/1", c.g.Keys.Account, `{"is_read":true,"add_labels":["Work"]}`)
	var to []string
	for _, g := range all.Wait(2, "email.received") {
		to = append(to, g.Event.Str("data.email"))
	}
	slices.Sort(to)
	if !slices.Equal(to, []string{gatewaytest.Account, "eve@demo.localhost"}) {
		t.Error(to)
	}
	for _, typ := range []string{"suppression.added", "suppression.removed"} {
		if got := all.Wait(1, typ)[0]; got.Event.Str("data.email") != "x@example.com" {
			t.Errorf("%s", got.Body)
		}
	}
	if got := all.Wait(1, "email.updated")[0]; got.Event.At("data.is_read") != true || got.Event.Str("data.labels.0") != "Work" {
		t.Errorf("%s", got.Body)
	}
	if got := own.Got(); len(got) != 1 || got[0].Event.Str("data.email") != gatewaytest.Account {
		t.Errorf("%d calls", len(got))
	}
	if got := other.Got(); len(got) != 0 {
		t.Errorf("another domain's webhook was told %s", got[0].Body)
	}
	list := c.do(200, "GET", "/webhooks", c.g.Keys.Account, nil)
	if list.Str("data.0.id") != mine || list.At("data.1") != nil || list.At("data.0.signing_secret") != nil {
		t.Errorf("%v", list)
	}
	c.do(404, "GET", "/webhooks/"+mine, rival, nil)
	c.do(200, "DELETE", "/webhooks/"+mine, c.g.Keys.Domain, nil)
	c.do(404, "GET", "/webhooks/"+mine, c.g.Keys.Account, nil)
}

// What can't be a webhook is refused by name.
func TestBadWebhooks(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("webhooks", "2"))
	h := gatewaytest.NewHook(t)
	key := c.g.Keys.Domain
	for body, field := range map[string]string{
		`{}`:                     "endpoint",
		`{"endpoint":"ftp://x"}`: "endpoint",
		`{"endpoint":"https://user:pass@x.example/"}`:                   "endpoint",
		`{"endpoint":"https://x.example","events":["email.opened"]}`:    "events",
		`{"endpoint":"https://x.example","events":["mailbox.updated"]}`: "events",
	} {
		if a := c.do(422, "POST", "/webhooks", key, body); a.Str("errors.0.path") != field {
			t.Errorf("%s: %v", body, a)
		}
	}
	c.do(403, "POST", "/webhooks", key, `{"endpoint":"https://x.example","email":"x@other.example"}`)
	id := c.hook(h, c.g.Keys.Account).Str("id")
	if a := c.do(409, "POST", "/webhooks", c.g.Keys.Account, map[string]string{"endpoint": h.URL}); a.Str("name") != "invalid_state" {
		t.Errorf("%v", a)
	}
	c.hook(h, key)
	c.do(409, "POST", "/webhooks", key, map[string]string{"endpoint": h.URL})
	for _, body := range []string{`{"status":"paused"}`, `{"endpoint":"x"}`, `{"events":["x"]}`} {
		c.do(422, "PATCH", "/webhooks/"+id, key, body)
	}
	c.do(404, "GET", "/webhooks/x", key, nil)
	for _, event := range []string{"x", "evt_00", gateway.EventID(gateway.Position{Sequence: 1}, time.Now())} {
		c.do(404, "GET", "/webhooks/"+id+"/events/"+event, key, nil)
		c.do(404, "POST", "/webhooks/"+id+"/events/"+event+"/replay", key, nil)
	}
	c.do(422, "GET", "/webhooks/"+id+"/events?after=x", key, nil)
}

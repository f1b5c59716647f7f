package rest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// ask sends a request with header fields, and returns the status and what was answered.
func (c *client) ask(method, path, key, body string, fields ...string) (*http.Response, string) {
	c.Helper()
	req, err := http.NewRequest(method, c.g.URL+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i < len(fields); i += 2 {
		req.Header[fields[i]] = []string{fields[i+1]}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.Fatal(err)
	}
	c.validate(resp, raw)
	return resp, string(raw)
}

const idempotency = "Idempotency-Key"

// sent counts the emails in an account's Sent folder.
func (c *client) sent(key, account string) int {
	c.Helper()
	return int(c.do(200, "GET", "/emails?folder=Sent&email="+account, key, nil).At("total").(float64))
}

// A request with an Idempotency-Key happens once: the same again gets the same answer,
// also after a restart; another one, or another's, does not.
func TestOnce(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(clock.now))
	domain, account := c.g.Keys.Domain, c.g.Keys.Account
	body := `{"from":"bot@demo.localhost","to":"bot@demo.localhost","subject":"once","text":"x"}`
	first, answer := c.ask("POST", "/emails", domain, body, idempotency, "order 1")
	if first.StatusCode != 200 || first.Header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %s", first.StatusCode, answer)
	}
	again := func(when string) {
		t.Helper()
		resp, got := c.ask("POST", "/emails", domain, body, idempotency, "order 1")
		if resp.StatusCode != 200 || got != answer || resp.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: %d %s, want %s", when, resp.StatusCode, got, answer)
		}
	}
	again("again")
	for _, tt := range []struct {
		what, path, key, body, name string
		want                        int
	}{
		{"another email", "/emails", domain, strings.Replace(body, "once", "twice", 1), "order 1", 409},
		{"another route", "/emails/batch", domain, "[" + body + "]", "order 1", 200},
		{"another key", "/emails", account, body, "order 1", 200},
		{"another name", "/emails", domain, body, "order 2", 200},
		{"no name", "/emails", domain, body, "", 400},
		{"a long name", "/emails", domain, body, strings.Repeat("x", 257), 400},
		{"the longest name", "/emails", domain, body, strings.Repeat("x", 256), 200},
	} {
		resp, got := c.ask("POST", tt.path, tt.key, tt.body, idempotency, tt.name)
		if resp.StatusCode != tt.want || resp.Header.Get("Idempotency-Replayed") != "" {
			t.Errorf("%s: %d %s, want %d", tt.what, resp.StatusCode, got, tt.want)
		}
	}
	if n := c.sent(domain, "bot@demo.localhost"); n != 5 {
		t.Errorf("%d emails were sent, want 5", n)
	}
	c.g.Restart()
	again("after a restart")
	// What fails is not kept.
	bad := strings.Replace(body, `"to":"bot@demo.localhost"`, `"to":"nobody"`, 1)
	for range 2 {
		if resp, got := c.ask("POST", "/emails", domain, bad, idempotency, "order 3"); resp.StatusCode != 422 {
			t.Errorf("a bad email: %d %s", resp.StatusCode, got)
		}
	}
	if resp, got := c.ask("POST", "/emails", domain, body, idempotency, "order 3"); resp.StatusCode != 200 || resp.Header.Get("Idempotency-Replayed") != "" {
		t.Errorf("mended: %d %s", resp.StatusCode, got)
	}
	clock.add(25 * time.Hour)
	gatewaytest.Eventually(t, "a day later it is a request of its own", func() bool { // a commit that began before the clock was put on may be under way
		resp, got := c.ask("POST", "/emails", domain, body, idempotency, "order 1")
		if resp.StatusCode != 409 && (resp.StatusCode != 200 || got == answer) {
			t.Fatalf("a day later: %d %s", resp.StatusCode, got)
		}
		return resp.StatusCode == 200
	})
}

// The same request twenty times at once: it happens once, and everybody else is told
// to wait or gets its answer. A batch counts as one request.
func TestOnceAtOnce(t *testing.T) {
	c := newClient(t)
	body := `[{"from":"bot@demo.localhost","to":"x@demo.localhost","subject":"1","text":"x"},{"from":"a@example.com","to":"x@demo.localhost","subject":"2","text":"x"}]`
	var mu sync.Mutex
	answers, running := make(map[string]int), 0
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			resp, got := c.ask("POST", "/emails/batch", c.g.Keys.Domain, body, idempotency, "batch", "X-Batch-Validation", "permissive")
			mu.Lock()
			defer mu.Unlock()
			switch resp.StatusCode {
			case 200:
				answers[got]++
			case 409:
				running++
			default:
				t.Errorf("%d %s", resp.StatusCode, got)
			}
		})
	}
	all.Wait()
	if len(answers) != 1 {
		t.Errorf("%d different answers: %v", len(answers), answers)
	}
	if n := c.sent(c.g.Keys.Domain, "bot@demo.localhost"); n != 1 {
		t.Errorf("%d emails were sent; %d were told to wait", n, running)
	}
	// One that is surely running: its body has not come yet. It may meet one of those that
	// look for it, and is told to wait itself: then it tries again.
	body2, held := c.slow("slow")
	gatewaytest.Eventually(t, "the claim is taken", func() bool {
		select {
		case status := <-held:
			if status != 409 {
				t.Fatalf("without a body: %d", status)
			}
			body2.Close()
			body2, held = c.slow("slow")
		default:
		}
		resp, got := c.ask("POST", "/emails", c.g.Keys.Domain, `{"from":"bot@demo.localhost"}`, idempotency, "slow")
		return resp.StatusCode == 409 && strings.Contains(got, "concurrent_idempotent_requests")
	})
	_, _ = io.WriteString(body2, `{"from":"bot@demo.localhost","to":"x@demo.localhost","subject":"slow","text":"x"}`)
	body2.Close()
	if status := <-held; status != 200 {
		t.Errorf("the slow one: %d", status)
	}
}

// slow begins a send under an idempotency key whose body comes later.
func (c *client) slow(key string) (body *io.PipeWriter, status <-chan int) {
	coming, body := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		req, _ := http.NewRequest("POST", c.g.URL+"/emails", coming)
		req.Header.Set("Authorization", "Bearer "+c.g.Keys.Domain)
		req.Header.Set(idempotency, key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			ended <- 0
			return
		}
		resp.Body.Close()
		ended <- resp.StatusCode
	}()
	return body, ended
}

// A scheduled email leaves at its time and not before; until then it can be
// postponed and canceled.
func TestScheduled(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(clock.now))
	key := c.g.Keys.Domain
	at := func(d time.Duration) string { return clock.now().Add(d).UTC().Format(time.RFC3339) }
	for what, v := range map[string]string{"past": at(-time.Minute), "far": at(31 * 24 * time.Hour), "words": "in an hour"} {
		if a := c.do(422, "POST", "/emails", key, email("scheduled_at", v)); a.Str("errors.0.path") != "scheduled_at" {
			t.Errorf("%s: %v", what, a)
		}
	}
	late := []any{email(), email("scheduled_at", at(-time.Minute))}
	if a := c.do(422, "POST", "/emails/batch", key, late); a.Str("errors.0.path") != "[1].scheduled_at" {
		t.Errorf("in a batch: %v", a)
	}
	send := func(subject string, d time.Duration) string {
		t.Helper()
		return c.do(200, "POST", "/emails", key, email("subject", subject, "from", "bot@demo.localhost", "scheduled_at", at(d))).Str("id")
	}
	soon, later, gone := send("soon", time.Hour), send("later", 2*time.Hour), send("gone", time.Hour)
	if a := c.do(200, "GET", "/emails/"+soon, key, nil); a.Str("last_event") != "scheduled" || a.Str("scheduled_at") != at(time.Hour) || a.Str("folder") != "Sent" || a.Str("events.0.type") != "held" || a.Str("events.0.reason") != "scheduled" {
		t.Errorf("%v", a)
	}
	if a := c.do(200, "POST", "/emails/"+gone+"/cancel", key, nil); a.Str("id") != gone || a.Str("object") != "email" {
		t.Errorf("%v", a)
	}
	c.do(409, "POST", "/emails/"+gone+"/cancel", key, nil)
	c.do(409, "PATCH", "/emails/"+gone, key, `{"scheduled_at":"`+at(3*time.Hour)+`"}`)
	if a := c.do(200, "GET", "/emails/"+gone, key, nil); a.Str("last_event") != "canceled" {
		t.Errorf("%v", a)
	}
	if a := c.do(200, "PATCH", "/emails/"+later, key, `{"scheduled_at":"`+at(5*time.Hour)+`"}`); a.Str("scheduled_at") != at(5*time.Hour) {
		t.Errorf("%v", a)
	}
	c.do(422, "PATCH", "/emails/"+later, key, `{"scheduled_at":"`+at(-time.Hour)+`"}`)
	c.do(422, "PATCH", "/emails/"+later, key, `{"scheduled_at":"`+at(time.Hour)+`","is_read":true}`)
	abroad := c.do(200, "POST", "/emails", key, email("to", "someone@example.com", "scheduled_at", at(time.Hour))).Str("id")
	inbox := func() string {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return fmt.Sprint(a.At("total"), a.Str("data.0.subject"))
	}
	if got := inbox(); got != "0" {
		t.Errorf("before its time: %s", got)
	}
	clock.add(time.Hour + time.Second)
	c.g.Sender.Wake() // its timer is the machine's
	gatewaytest.Eventually(t, "the one that is due", func() bool { return inbox() == "1soon" })
	gatewaytest.Eventually(t, "the one for abroad is captured", func() bool {
		_, a := c.g.Do("GET", "/emails/"+abroad, key, nil)
		return a.Str("events.0.reason") == "capture" && a.Str("last_event") == "held"
	})
	c.do(409, "POST", "/emails/"+soon+"/cancel", key, nil)
	clock.add(2 * time.Hour)
	c.g.Restart()
	if got := inbox(); got != "1soon" {
		t.Errorf("after a restart: %s", got)
	}
	clock.add(2 * time.Hour)
	c.g.Sender.Wake()
	gatewaytest.Eventually(t, "the postponed one", func() bool { return inbox() == "2later" })
	if n := c.sent(key, "bot@demo.localhost"); n != 3 {
		t.Errorf("%d in Sent", n)
	}
}

// A send-only key cancels and postpones what it sent, and sees nothing else.
func TestScheduledSendOnly(t *testing.T) {
	c := newClient(t)
	in := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	mine := c.do(200, "POST", "/emails", c.g.Keys.SendOnly, email("from", gatewaytest.Account, "scheduled_at", in)).Str("id")
	other := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("from", gatewaytest.Account, "scheduled_at", in)).Str("id")
	c.do(404, "POST", "/emails/"+other+"/cancel", c.g.Keys.SendOnly, nil)
	c.do(404, "PATCH", "/emails/"+other, c.g.Keys.SendOnly, `{"scheduled_at":"`+in+`"}`)
	c.do(200, "PATCH", "/emails/"+mine, c.g.Keys.SendOnly, `{"scheduled_at":"`+in+`"}`)
	c.do(403, "PATCH", "/emails/"+mine, c.g.Keys.SendOnly, `{"is_read":false}`)
	c.do(403, "GET", "/emails/"+mine, c.g.Keys.SendOnly, nil)
	c.do(403, "POST", "/emails", c.g.Keys.SendOnly, email("from", gatewaytest.Account, "draft", true))
	c.do(200, "POST", "/emails/"+mine+"/cancel", c.g.Keys.SendOnly, nil)
}

// A draft is kept, counts as nothing, and keeps its ids when it is sent.
func TestDraft(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("key_messages", "1"))
	key := c.g.Keys.Domain
	for _, who := range []string{"ann", "secret"} {
		c.do(201, "POST", "/accounts", key, `{"email":"`+who+`@demo.localhost"}`)
	}
	for range 3 { // they don't count
		c.do(200, "POST", "/emails", key, map[string]any{"from": gatewaytest.Account, "draft": true})
	}
	d := c.do(200, "POST", "/emails", key, email("from", "Bot <"+gatewaytest.Account+">", "to", "ann@demo.localhost", "bcc", "secret@demo.localhost", "draft", true,
		"tags", []map[string]string{{"name": "a", "value": "b"}}, "attachments", files(1)))
	id := d.Str("id")
	a := c.do(200, "GET", "/emails/"+id, key, nil)
	if a.Str("folder") != "Drafts" || a.Str("last_event") != "draft" || len(a["events"].([]any)) != 0 || a.Str("message_id") != d.Str("message_id") {
		t.Errorf("%v", a)
	}
	if n := c.sent(key, gatewaytest.Account); n != 0 {
		t.Errorf("%d in Sent", n)
	}
	empty := c.do(200, "GET", "/emails?folder=Drafts&email="+gatewaytest.Account, key, nil).Str("data.1.email_id")
	if a := c.do(422, "POST", "/emails/"+empty+"/send", key, nil); a.Str("errors.0.path") != "to" {
		t.Errorf("a draft to nobody: %v", a)
	}
	s := c.do(200, "POST", "/emails/"+id+"/send", key, nil)
	if fmt.Sprint(s) != fmt.Sprint(d) {
		t.Errorf("sent as %v, drafted as %v", s, d)
	}
	a = c.do(200, "GET", "/emails/"+id, key, nil)
	if a.Str("folder") != "Sent" || len(a["events"].([]any)) != 2 || a.Str("tags.0.name") != "a" || a.Str("bcc.0") != "secret@demo.localhost" || a.Str("attachments.0.filename") != "0.txt" {
		t.Errorf("%v", a)
	}
	resp := c.g.Send("GET", "/emails/"+id+"/raw", key, nil)
	raw, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if n := strings.Count(string(raw), "\r\nDate: ") + strings.Count("\r\n"+string(raw[:5]), "\r\nDate:"); n != 1 || strings.Contains(string(raw), "secret@") {
		t.Errorf("%d Date fields, or a Bcc, in %s", n, raw)
	}
	c.do(409, "POST", "/emails/"+id+"/send", key, nil)
	for _, to := range []string{"ann@demo.localhost", "secret@demo.localhost"} {
		gatewaytest.Eventually(t, "mail for "+to, func() bool {
			_, a := c.g.Do("GET", "/emails?email="+to, key, nil)
			return a.Str("data.0.message_id") == d.Str("message_id")
		})
	}
	received := c.do(200, "GET", "/emails?email=ann@demo.localhost", key, nil).Str("data.0.email_id")
	c.do(409, "POST", "/emails/"+received+"/send", key, nil)
	if a := c.do(200, "GET", "/emails?folder=Drafts&email="+gatewaytest.Account, key, nil); a.At("total") != 3.0 {
		t.Errorf("drafts: %v", a.At("total"))
	}
}

// Revoking a key may cancel what it sent and that waits; what others sent stays.
func TestCancelPending(t *testing.T) {
	c := newClient(t)
	k := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"name":"leaked"}`)
	in := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	var ids []string
	for i := range 30 {
		ids = append(ids, c.do(200, "POST", "/emails", k.Str("token"), email("subject", fmt.Sprint(i), "to", []string{"a@demo.localhost", "b@example.com"}, "scheduled_at", in)).Str("id"))
	}
	captured := c.do(200, "POST", "/emails", k.Str("token"), email("to", "x@example.com")).Str("id") // held: no attempt was made
	other := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("scheduled_at", in)).Str("id")
	c.do(422, "DELETE", "/api-keys/"+k.Str("id")+"?cancel_pending=perhaps", c.g.Keys.Domain, nil)
	if a := c.do(200, "DELETE", "/api-keys/"+k.Str("id")+"?cancel_pending=true", c.g.Keys.Domain, nil); a.At("canceled") != 61.0 {
		t.Errorf("%v", a)
	}
	for _, id := range append(ids, captured) {
		if a := c.do(200, "GET", "/emails/"+id, c.g.Keys.Domain, nil); a.Str("last_event") != "canceled" {
			t.Errorf("%v", a)
		}
	}
	if a := c.do(200, "GET", "/emails/"+other, c.g.Keys.Domain, nil); a.Str("last_event") != "scheduled" {
		t.Errorf("another key's: %v", a)
	}
}

// A scheduled email that is deleted for good does not leave.
func TestDeletedScheduled(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(clock.now))
	key := c.g.Keys.Domain
	in := clock.now().Add(time.Hour).UTC().Format(time.RFC3339)
	id := c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account, "scheduled_at", in)).Str("id")
	c.do(200, "DELETE", "/emails/"+id+"?permanent=true", key, nil)
	clock.add(2 * time.Hour)
	c.do(200, "POST", "/emails", key, email("subject", "later")) // wakes the queue
	gatewaytest.Eventually(t, "the later one", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.Str("data.0.subject") == "later"
	})
	if a := c.do(200, "GET", "/emails", c.g.Keys.Account, nil); a.At("total") != 1.0 {
		t.Errorf("%v emails arrived", a.At("total"))
	}
}

// A key that the operator has limited makes no key that may do more.
func TestLimitsOfChildren(t *testing.T) {
	c := newClient(t)
	parent := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"email":"bot@demo.localhost","rate_limit":1}`)
	child := c.do(201, "POST", "/api-keys", parent.Str("token"), `{"name":"free"}`)
	if child.At("rate_limit") != 1.0 || child.At("recipient_limit") != 10000.0 {
		t.Errorf("%v", child)
	}
	c.do(422, "POST", "/api-keys", c.g.Keys.Admin, `{"email":"bot@demo.localhost","rate_limit":-5}`)
}

// Keeping drafts is bounded as sending is, but for the hour: by the requests of a minute,
// by the account's quota, and in size.
func TestDraftBounds(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("requests_send", "4"), gatewaytest.Limit("key_messages", "1"))
	key := c.g.Keys.Account
	draft := func(fields ...any) map[string]any {
		return email(append([]any{"from", gatewaytest.Account, "draft", true}, fields...)...)
	}
	drafts := func() float64 {
		t.Helper()
		return c.do(200, "GET", "/emails?folder=Drafts", key, nil).At("total").(float64)
	}
	for range 2 { // more than the hour has
		c.do(200, "POST", "/emails", key, draft())
	}
	used := c.do(200, "GET", "/accounts/"+gatewaytest.Account, key, nil).At("used_bytes").(float64)
	if used <= 0 || drafts() != 2 {
		t.Errorf("%v bytes in %v drafts", used, drafts())
	}
	c.do(200, "PATCH", "/accounts/"+gatewaytest.Account, c.g.Keys.Domain, map[string]any{"quota_bytes": used + 10})
	if a := c.do(422, "POST", "/emails", key, draft()); a.Str("name") != "quota_exceeded" {
		t.Errorf("over the quota: %v", a)
	}
	c.do(413, "POST", "/emails", key, draft("text", strings.Repeat("x", 10<<20+1)))
	if a := c.do(429, "POST", "/emails", key, draft()); a.Str("limit") != "requests" {
		t.Errorf("over the requests of a minute: %v", a)
	}
	if drafts() != 2 {
		t.Errorf("%v drafts", drafts())
	}
}

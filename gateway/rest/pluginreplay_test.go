package rest_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// replayed are the differences of a replay: subject, then and now.
func replayed(a gatewaytest.Answer) (out []string) {
	list, _ := a["differences"].([]any)
	for i := range list {
		at := func(field string) string { return a.Str(fmt.Sprintf("differences.%d.%s", i, field)) }
		say := func(side string) string {
			s := fmt.Sprint(at(side+".verdict.action"), a.At(fmt.Sprintf("differences.%d.%s.changes.labels", i, side)))
			if at(side+".error") != "" {
				s += "!"
			}
			return s
		}
		out = append(out, fmt.Sprint(at("subject"), ": ", say("then"), " -> ", say("now")))
	}
	return out
}

// Two versions of a filter are asked about the mail that is here: what differs is counted
// and shown, newest first, and nothing of it happens.
func TestReplay(t *testing.T) {
	c := newClient(t, withPlugins()...)
	key := c.g.Keys.Account
	id := c.push(201, "/plugins", key, manifestIn(t, puppet, all("p", "1")), "application/wasm").Str("id")
	c.do(200, "PATCH", "/plugins/"+id, key, `{"status":"enabled","config":{"label":"seen"}}`)
	for _, subject := range []string{"nothing", "label one", "say info hello", "label two", "count"} {
		c.receives(subject, gatewaytest.Account)
	}
	c.push(200, "/plugins/"+id+"/code", key, manifestIn(t, strictPuppet, all("p", "2")), "application/wasm")
	before := fmt.Sprint(c.do(200, "GET", "/emails", key, nil), c.do(200, "GET", "/plugins/"+id+"/logs", key, nil))
	path := "/plugins/" + id + "/replay"

	a := c.do(200, "POST", path, key, `{"hook":"inbound","last":1000,"version":"2","against":"1"}`)
	c.same("two versions", replayed(a), "label two: accept[seen] -> quarantine[]", "label one: accept[seen] -> quarantine[]")
	for at, want := range map[string]any{
		"asked": 5.0, "differs": 2.0, "unknown": 0.0, "truncated": false, "version.version": "2", "against.version": "1", "now.failures": 0.0, "dry_run": true,
		"now.actions": map[string]any{"accept": 3.0, "quarantine": 2.0}, "then.actions": map[string]any{"accept": 5.0}, "differences.0.email": gatewaytest.Account,
		"differences.0.now.verdict.reason": "strict about label", "differences.0.now.changes.folder": "Junk",
	} {
		if got := a.At(at); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", at, got, want)
		}
	}
	for _, at := range []string{"now.fuel", "then.fuel", "now.p99_us", "then.p50_us"} {
		if n, _ := a.At(at).(float64); n <= 0 {
			t.Errorf("%s: %v", at, a.At(at))
		}
	}

	// Against what was decided then, which is what version 1 said; the count has gone on.
	a = c.do(200, "POST", path, key, `{"hook":"inbound","last":1000}`)
	c.same("changed since", replayed(a), "count: accept[n1] -> accept[n2]", "label two: accept[seen] -> quarantine[]", "label one: accept[seen] -> quarantine[]")
	a = c.do(200, "POST", path, key, `{"hook":"inbound","last":3,"version":"1"}`)
	c.same("the version of then", replayed(a), "count: accept[n1] -> accept[n2]")
	if a.At("asked") != 3.0 || a.At("against") != nil {
		t.Errorf("%v", a)
	}
	one := c.do(200, "GET", "/emails?subject=label+one", key, nil).Str("data.0.email_id")
	a = c.do(200, "POST", path, key, fmt.Sprintf(`{"hook":"inbound","ids":[%q,"<nothing@elsewhere.example>"]}`, one))
	c.same("by id", replayed(a), "label one: accept[seen] -> quarantine[]")
	if a.At("asked") != 2.0 {
		t.Errorf("%v", a)
	}

	c.do(200, "PATCH", "/plugins/"+id, key, `{"config":{"only":"loop"},"failure_policy":"quarantine"}`)
	a = c.do(200, "POST", path, key, `{"hook":"inbound","last":1}`)
	c.same("a failure", replayed(a), "count: accept[n1] -> quarantine[]!")
	if a.At("now.failures") != 1.0 {
		t.Errorf("%v", a)
	}
	c.do(200, "PATCH", "/plugins/"+id, key, `{"config":{"label":"seen"},"failure_policy":"open"}`)
	if after := fmt.Sprint(c.do(200, "GET", "/emails", key, nil), c.do(200, "GET", "/plugins/"+id+"/logs", key, nil)); after != before {
		t.Errorf("a replay did something: %s\nbefore %s", after, before)
	}
}

// All that is asked for is replayed, however little a filtered list may look at.
func TestReplayReach(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("filter_reach", "20"))...)
	id := c.push(201, "/plugins", c.g.Keys.Account, withManifest(t, all("p", "1")), "application/wasm").Str("id")
	for i := range 45 {
		c.receives(fmt.Sprint("mail ", i), gatewaytest.Account)
	}
	if a := c.do(200, "POST", "/plugins/"+id+"/replay", c.g.Keys.Account, `{"hook":"inbound","last":50}`); a.At("asked") != 45.0 || a.At("truncated") != false {
		t.Errorf("%v", a)
	}
}

// Each hook is asked about mail of its kind; what is not known to have been decided then
// is counted apart.
func TestReplayHooks(t *testing.T) {
	c := newClient(t, withPlugins()...)
	key := c.g.Keys.Domain
	c.do(201, "POST", "/accounts", key, `{"email":"eve@demo.localhost"}`)
	c.receives("label early", gatewaytest.Account) // nobody is asked
	id := c.enabled(key, "p", `{"config":{"label":"seen"}}`)
	c.receives("label", gatewaytest.Account, "eve@demo.localhost")
	c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account, "to", "x@example.com", "subject", "hold a while"))
	path := "/plugins/" + id + "/replay"
	for _, tt := range []struct {
		body           string
		asked, unknown float64
		actions        string
	}{
		{`{"hook":"inbound","last":10}`, 3, 1, "map[accept:3]"},
		{`{"hook":"inbound","last":10,"email":"eve@demo.localhost"}`, 1, 0, "map[accept:1]"},
		{`{"hook":"outbound","last":10}`, 1, 0, "map[hold:1]"},
		{`{"hook":"thread","last":10}`, 3, 1, "map[accept:3]"},
		{`{"hook":"outbound","last":10,"email":"eve@demo.localhost"}`, 0, 0, "map[]"},
	} {
		a := c.do(200, "POST", path, key, tt.body)
		if a.At("asked") != tt.asked || a.At("unknown") != tt.unknown || a.At("differs") != 0.0 || fmt.Sprint(a.At("now.actions")) != tt.actions {
			t.Errorf("%s: %v", tt.body, a)
		}
	}
}

// What makes no sense is refused, by its field; other people's mail is not asked about.
func TestReplayRefusals(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("replay_messages", "3"))...)
	key := c.g.Keys.Account
	id := c.enabled(key, "p", `{}`)
	c.do(201, "POST", "/accounts", c.g.Keys.Domain, `{"email":"eve@demo.localhost"}`)
	c.receives("label", "eve@demo.localhost")
	foreign := c.newest("eve@demo.localhost", "INBOX")
	for _, tt := range []struct {
		want        int
		body, field string
	}{
		{422, `{"last":1}`, "hook"},
		{422, `{"hook":"tick","last":1}`, "hook"},
		{422, `{"hook":"event","last":1}`, "hook"}, // it has no such hook
		{422, `{"hook":"inbound"}`, "last"},
		{422, `{"hook":"inbound","last":1,"ids":["x"]}`, "last"},
		{422, `{"hook":"inbound","last":0}`, "last"},
		{422, `{"hook":"inbound","last":4}`, "last"},
		{422, `{"hook":"inbound","ids":["1","2","3","4"]}`, "ids"},
		{422, `{"hook":"inbound","last":1,"version":"9"}`, "version"},
		{422, `{"hook":"inbound","last":1,"against":"9"}`, "against"},
		{422, `{"hook":"inbound","last":1,"email":"eve@demo.localhost"}`, "email"},
		{404, `{"hook":"inbound","ids":["` + foreign + `"]}`, ""},
	} {
		if a := c.do(tt.want, "POST", "/plugins/"+id+"/replay", key, tt.body); tt.field != "" && a.Str("errors.0.path") != tt.field {
			t.Errorf("%s: %v", tt.body, a)
		}
	}
	if a := c.do(200, "POST", "/plugins/"+id+"/replay", c.g.Keys.Domain, `{"hook":"inbound","last":3}`); a.At("asked") != 0.0 {
		t.Errorf("an account's plugin is asked about others' mail: %v", a)
	}
	send := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"email":"bot@demo.localhost","permission":"send_only"}`).Str("token")
	c.do(403, "POST", "/plugins/"+id+"/replay", send, `{"hook":"inbound","last":1}`)
}

// A replay that takes too long says how far it came. While it runs, mail of its own domain
// waits for one call of it at most, and a second replay of the domain is refused.
func TestReplayYields(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("replay_seconds", "10"), gatewaytest.Limit("plugin_fuel", "4000000000"))...)
	key := c.g.Keys.Domain
	for i := range 100 {
		c.receives(fmt.Sprint("mail ", i), gatewaytest.Account)
	}
	slow := c.push(201, "/plugins", key, withManifest(t, all("slow", "1")), "application/wasm").Str("id")
	c.do(200, "PATCH", "/plugins/"+slow, key, `{"config":{"only":"loop"}}`)
	c.enabled(key, "filter", `{"config":{"only":"label","label":"seen"}}`)
	one := c.do(200, "POST", "/plugins/"+slow+"/test", key, map[string]any{"hook": "inbound", "sample": "personal"})
	call := time.Duration(one.At("duration_us").(float64)) * time.Microsecond

	var answer gatewaytest.Answer
	var status int
	var done sync.WaitGroup
	done.Go(func() {
		for status = 503; status == 503; { // while the other one is refused for its version
			status, answer = c.g.Do("POST", "/plugins/"+slow+"/replay", key, `{"hook":"inbound","last":100}`)
		}
	})
	gatewaytest.Eventually(t, "the replay begins", func() bool {
		again, _ := c.g.Do("POST", "/plugins/"+slow+"/replay", key, `{"hook":"inbound","last":1,"version":"9"}`)
		return again == 503 // and not 422
	})
	n, worst := 0, time.Duration(0)
	for ; n < 10; n++ {
		began := time.Now()
		c.receives(fmt.Sprint("beside ", n), gatewaytest.Account)
		worst = max(worst, time.Since(began))
	}
	done.Wait()
	if asked, _ := answer.At("asked").(float64); status != 200 || answer.At("truncated") != true || asked < 1 || asked > 99 || answer.At("now.failures") != asked {
		t.Errorf("%d %v", status, answer)
	}
	if most := 6*call + 4*time.Second; worst > most { // two hooks, and a machine with other work; the replay takes ten seconds
		t.Errorf("mail took up to %v beside a replay whose calls take %v", worst, call)
	}
	if got := strings.Count(fmt.Sprint(c.do(200, "GET", "/emails?limit=20&email="+gatewaytest.Account, key, nil)), "[seen]"); got != n {
		t.Errorf("%d of %d mails were filtered", got, n)
	}
}

package rest_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/rest"
)

// sends are bodies of emails, good and bad in the ways the tests know.
var sends = []string{
	anEmail, "[" + anEmail + "]", "[" + anEmail + "," + anEmail + "]", "", " ", "{", "null", "[]", "{}", "[{}]", "0", `"x"`, anEmail + anEmail, "\xff", "[[[[[[[[[[[[[[[[",
	`{"from":"Bot <bot@demo.localhost>","to":["a@demo.localhost","b@demo.localhost"],"cc":"c@demo.localhost","bcc":null,"subject":"\ud83d\ude00 \ud83d","html":"<p>x</p>","reply_to":["r@x.test"]}`,
	`{"from":"bot@demo.localhost","to":"a@demo.localhost","subject":"x","text":"x","attachments":[{"filename":"a.txt","content":"aGk=","content_type":"text/plain","content_id":"c"}]}`,
	`{"from":"bot@demo.localhost","to":"a@demo.localhost","subject":"x","text":"x","attachments":[{"filename":"a.txt","content":"aGk="},{"content":"***"}]}`,
	`{"from":"bot@demo.localhost","to":"a@demo.localhost","subject":"x","text":"x","attachments":[{"filename":"../a","content":"aGk`,
	`{"from":"bot@demo.localhost","to":"a@demo.localhost","subject":"x","text":"x","headers":{"X-A":"1","Bcc":"x@y.test"},"tags":[{"name":"a","value":"b"}]}`,
	`{"from":"bot@demo.localhost","to":"a@demo.localhost","subject":"a\r\nBcc: x@y.test","text":"x"}`,
	`{"from":"bot@demo.localhost","to":"a@demo.localhost","subject":"x","text":"x","in_reply_to":"<a@b>","something":{"deep":[1,{"x":[]}]}}`,
	`{"from":"bot@demo.localhost","to":"a@demo.localhost","subject":"x","text":"x","scheduled_at":"2027-01-31T12:00:00Z"}`,
	`{"from":"bot@demo.localhost","draft":true}`, `{"from":"bot@demo.localhost","from":"x","draft":1}`, `{"from":"\u0000@demo.localhost","to":5}`,
	`{"is_read":true,"is_starred":false,"folder":"Archive","add_labels":["a"],"remove_labels":["b"]}`, `{"is_read":"yes"}`, `{"scheduled_at":"0000-01-01T00:00:00Z"}`,
	`{"email":"x@demo.localhost","name":"X","aliases":["y@demo.localhost"]}`, `{"name":"x","permission":"send_only","expires_at":"9999-12-31T23:59:59Z","rate_limit":-1,"recipient_limit":9223372036854775807}`,
	`{"status":"enabled","priority":2147483647,"failure_policy":"open","grants":["kv"],"config":{"a":"b"}}`, `{"delivery_mode":"x"}`, `{"local":true}`, `{"name":"b\u00fccher.example","verified":true}`,
	"--b\r\nContent-Disposition: form-data; name=\"wasm\"; filename=\"m\"\r\n\r\n\x00asm\x01\x00\x00\x00\r\n--b\r\nContent-Disposition: form-data; name=\"manifest\"\r\n\r\n{\"v\":1,\"name\":\"x\",\"version\":\"1\",\"hooks\":[\"inbound\"]}\r\n--b--\r\n",
}

// FuzzBodies throws bodies at every route that reads one, with the operator's key:
// none is a fault of ours, every answer is as documented, and nothing stays behind,
// neither a file nor a goroutine.
func FuzzBodies(f *testing.F) {
	var bodied []rest.Route
	for _, r := range rest.Routes() {
		if r.Method == "POST" || r.Method == "PATCH" {
			bodied = append(bodied, r)
		}
	}
	seeds := slices.Clone(sends)
	for _, op := range slices.Sorted(maps.Keys(targets)) {
		seeds = append(seeds, targets[op].body)
	}
	for i := range bodied {
		for _, s := range seeds {
			f.Add(uint8(i), s)
		}
	}
	others := goleak.IgnoreCurrent() // what tests before this one left
	f.Cleanup(func() { noLeak(f, others) })
	g := gatewaytest.Start(f, gatewaytest.Limit("key_messages", "0"), gatewaytest.Limit("key_recipients", "0"))
	router := routerOf(f, g)
	_, a := g.Do("POST", "/emails", g.Keys.Domain, email("from", gatewaytest.Account, "scheduled_at", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	_, k := g.Do("POST", "/api-keys", g.Keys.Domain, `{}`)
	f.Fuzz(func(t *testing.T, route uint8, body string) {
		r := bodied[int(route)%len(bodied)]
		id := a.Str("id")
		switch {
		case strings.HasPrefix(r.Path, "/api-keys"):
			id = k.Str("id")
		case strings.HasPrefix(r.Path, "/domains"):
			id = gatewaytest.Domain
		}
		contentType := "application/json"
		if r.Operation == "installPlugin" {
			contentType = "multipart/form-data; boundary=b"
		}
		c := &client{t, g, router}
		resp, raw := c.ask(r.Method, strings.Replace(r.Path, ":id", id, 1)+"?domain=demo.localhost", g.Keys.Admin, body, "Content-Type", contentType)
		if resp.StatusCode >= 500 {
			t.Errorf("%s: %d %s", r.Operation, resp.StatusCode, raw)
		}
		if left, err := os.ReadDir(g.Data + "/spool"); err != nil || len(left) > 0 {
			t.Errorf("%s left %d spool files, %v", r.Operation, len(left), err)
		}
		if r.Operation == "updateInstance" && resp.StatusCode == 200 { // mail stays here
			c.ask("PATCH", "/instance", g.Keys.Admin, `{"delivery_mode":"capture"}`)
		}
	})
}

// noLeak wants the goroutines of a gateway that has stopped to be gone.
func noLeak(t testing.TB, others goleak.Option) {
	t.Helper()
	transport.CloseIdleConnections()
	if err := goleak.Find(others, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"), // its cleaner sleeps up to 10 s after the stop
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1")); err != nil {
		t.Error(err)
	}
}

package rest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// client sends requests and holds every answer to the document.
type client struct {
	*testing.T
	g      *gatewaytest.Gateway
	router routers.Router
}

func newClient(t *testing.T, options ...gatewaytest.Option) *client {
	t.Helper()
	g := gatewaytest.Start(t, options...)
	return &client{t, g, routerOf(t, g)}
}

// routerOf finds the operation of a request in the document that the gateway serves.
func routerOf(t testing.TB, g *gatewaytest.Gateway) routers.Router {
	t.Helper()
	resp, err := http.Get(g.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// in is c within a subtest.
func (c *client) in(t *testing.T) *client { return &client{t, c.g, c.router} }

// do sends a request, wants a status, and returns the answer.
func (c *client) do(want int, method, path, key string, body any) gatewaytest.Answer {
	c.Helper()
	resp := c.g.Send(method, path, key, body)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.Fatal(err)
	}
	if resp.StatusCode != want {
		c.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, want, raw)
	}
	if resp.Header.Get("X-Request-Id") == "" {
		c.Errorf("%s %s: no X-Request-Id", method, path)
	}
	c.validate(resp, raw)
	var a gatewaytest.Answer
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		a = decode(c.T, raw)
	}
	return a
}

func (c *client) validate(resp *http.Response, raw []byte) {
	c.Helper()
	route, params, err := c.router.FindRoute(resp.Request)
	if err != nil {
		if resp.StatusCode < 404 {
			c.Errorf("%s %s is not in the document: %v", resp.Request.Method, resp.Request.URL.Path, err)
		}
		return
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: resp.Request, PathParams: params, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	in.SetBodyBytes(raw)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := openapi3filter.ValidateResponse(context.Background(), in); err != nil {
			c.Errorf("%s %s: %d is not as documented: %v", resp.Request.Method, resp.Request.URL.Path, resp.StatusCode, err)
		}
	}
}

func email(fields ...any) map[string]any {
	m := map[string]any{"from": "hello@demo.localhost", "to": gatewaytest.Account, "subject": "Hello", "text": "hi"}
	for i := 0; i < len(fields); i += 2 {
		m[fields[i].(string)] = fields[i+1]
	}
	return m
}

func list(n int, format string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

func files(n int) (all []map[string]string) {
	for i := range n {
		all = append(all, map[string]string{"filename": fmt.Sprint(i, ".txt"), "content": "aGk="})
	}
	return all
}

// Exactly at a limit is accepted; one more is refused by name.
func TestLimits(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("attachment_bytes", "1000"), gatewaytest.Limit("json_bytes", "2000"))
	file := func(n int) []map[string]string {
		return []map[string]string{{"filename": "f", "content": base64.StdEncoding.EncodeToString(make([]byte, n))}}
	}
	for _, tt := range []struct {
		what   string
		body   map[string]any
		status int
		name   string
		path   string
	}{
		{"50 to", email("to", list(50, "r%d@demo.localhost")), 200, "", ""},
		{"51 to", email("to", list(51, "r%d@demo.localhost")), 422, "invalid_parameter", "to"},
		{"50 cc", email("cc", list(50, "r%d@demo.localhost")), 200, "", ""},
		{"51 cc", email("cc", list(51, "r%d@demo.localhost")), 422, "invalid_parameter", "cc"},
		{"51 bcc", email("bcc", list(51, "r%d@demo.localhost")), 422, "invalid_parameter", "bcc"},
		{"10 attachments", email("attachments", files(10)), 200, "", ""},
		{"11 attachments", email("attachments", files(11)), 422, "invalid_attachment", "attachments[10]"},
		{"a file at the limit", email("attachments", file(1000)), 200, "", ""},
		{"one byte over", email("attachments", file(1001)), 413, "payload_too_large", "attachments[0].content"},
		{"no base64", email("attachments", []map[string]string{{"filename": "f", "content": "***"}}), 422, "invalid_attachment", "attachments[0].content"},
		{"no from", map[string]any{"to": "a@b.test", "subject": "x", "text": "x"}, 422, "missing_required_field", "from"},
		{"no to", map[string]any{"from": "a@demo.localhost", "subject": "x", "text": "x"}, 422, "missing_required_field", "to"},
		{"no subject", map[string]any{"from": "a@demo.localhost", "to": "a@b.test", "text": "x"}, 422, "missing_required_field", "subject"},
		{"no body", email("text", ""), 422, "missing_required_field", "html"},
		{"empty subject", email("subject", ""), 200, "", ""},
		{"bad from", email("from", "nobody"), 422, "invalid_from_address", "from"},
		{"bad to", email("to", "nobody"), 422, "invalid_parameter", "to"},
		{"to is a number", email("to", 5), 400, "validation_error", "to"},
		{"line break in the subject", email("subject", "a\r\nBcc: x@y.test"), 422, "invalid_parameter", "subject"},
		{"line break in a header", email("headers", map[string]string{"X-A": "a\nb"}), 422, "invalid_parameter", "headers.X-A"},
		{"reserved header", email("headers", map[string]string{"Bcc": "x@y.test"}), 422, "invalid_parameter", "headers.Bcc"},
		{"custom header", email("headers", map[string]string{"X-Entity": "1"}), 200, "", ""},
		{"tags", email("tags", []map[string]string{{"name": "a", "value": "b"}}), 200, "", ""},
		{"bad tag", email("tags", []map[string]string{{"name": "a b", "value": "b"}}), 422, "invalid_parameter", "tags[0]"},
		{"a template", email("template", "x"), 422, "invalid_parameter", "template"},
		{"foreign from", email("from", "a@example.com"), 403, "domain_not_authorized", "from"},
		{"subdomain", email("from", "a@sub.demo.localhost"), 403, "domain_not_authorized", "from"},
		{"unknown field", email("something", map[string]any{"deep": []int{1}}), 200, "", ""},
		{"replies that differ", email("in_reply_to", "<a@b>", "headers", map[string]string{"In-Reply-To": "<c@d>"}), 422, "invalid_parameter", "in_reply_to"},
	} {
		a := c.do(tt.status, "POST", "/emails", c.g.Keys.Domain, tt.body)
		if tt.name != "" && (a.Str("name") != tt.name || a.Str("errors.0.path") != tt.path) {
			t.Errorf("%s: %s at %s, want %s at %s", tt.what, a.Str("name"), a.Str("errors.0.path"), tt.name, tt.path)
		}
	}
	c.do(413, "PATCH", "/emails/1", c.g.Keys.Account, `{"folder":"`+strings.Repeat("x", 2000)+`"}`)
	long := strings.Repeat("x", 9<<20)
	c.do(200, "POST", "/emails/batch", c.g.Keys.Domain, []any{email("text", long), email("text", long)})
	if a := c.do(413, "POST", "/emails/batch", c.g.Keys.Domain, []any{email("text", long), email("text", long), email("text", long)}); a.Str("errors.0.path") != "[2].text" {
		t.Errorf("a batch with too much text: %v", a)
	}
	c.do(413, "POST", "/emails", c.g.Keys.Domain, email("text", strings.Repeat("x", 10<<20+1)))
	c.do(400, "POST", "/emails", c.g.Keys.Domain, `{"from":`)
	c.do(400, "PATCH", "/emails/1", c.g.Keys.Account, `{"is_read":"yes"}`)
	c.do(422, "GET", "/emails?limit=0", c.g.Keys.Account, nil)
	c.do(422, "GET", "/emails?page=101&limit=100", c.g.Keys.Account, nil)
	c.do(422, "GET", "/emails", c.g.Keys.Domain, nil)
	c.do(422, "GET", "/emails", c.g.Keys.Admin, nil)
	if a := c.do(200, "GET", "/emails?limit=5000", c.g.Keys.Account, nil); a.At("page_size") != 100.0 {
		t.Errorf("limit above 100: page_size %v", a.At("page_size"))
	}
}

func TestBatch(t *testing.T) {
	c := newClient(t)
	var all []map[string]any
	for i := range 100 {
		all = append(all, email("subject", strconv.Itoa(i)))
	}
	a := c.do(200, "POST", "/emails/batch", c.g.Keys.Domain, all)
	if n := len(a["data"].([]any)); n != 100 {
		t.Errorf("%d ids of 100", n)
	}
	c.do(422, "POST", "/emails/batch", c.g.Keys.Domain, append(all, email()))
	c.do(422, "POST", "/emails/batch", c.g.Keys.Domain, `[]`)
	a = c.do(403, "POST", "/emails/batch", c.g.Keys.Domain, []any{email(), email("from", "x@example.com")})
	if a.Str("errors.0.path") != "[1].from" {
		t.Errorf("strict: %v", a)
	}
	if a := c.do(200, "GET", "/emails?folder=Sent&email=hello@demo.localhost", c.g.Keys.Domain, nil); a.At("total") != 100.0 {
		t.Errorf("a refused batch left something: total %v", a.At("total"))
	}
	req, err := http.NewRequest("POST", c.g.URL+"/emails/batch", strings.NewReader(
		`[{"from":"a@demo.localhost","to":"bot@demo.localhost","subject":"1","text":"x"},{"from":"a@example.com","to":"bot@demo.localhost","subject":"2","text":"x"}]`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.g.Keys.Domain)
	req.Header.Set("X-Batch-Validation", "permissive")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	if a := decode(t, raw); resp.StatusCode != 200 || len(a["data"].([]any)) != 1 || a.At("errors.0.index") != 1.0 || a.Str("errors.0.name") != "domain_not_authorized" {
		t.Errorf("permissive: %d %s", resp.StatusCode, raw)
	}
}

// Two keys have two windows; the operator's change acts at once; the window
// survives a restart and ends after its hour.
func TestRateLimit(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Limit("key_messages", "2"), gatewaytest.Clock(clock.now))
	a := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"name":"other"}`)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	resp := c.g.Send("POST", "/emails", c.g.Keys.Domain, email())
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("RateLimit-Remaining") != "0" || resp.Header.Get("RateLimit-Limit") != "2" {
		t.Errorf("%d, %v", resp.StatusCode, resp.Header)
	}
	e := c.do(429, "POST", "/emails", c.g.Keys.Domain, email())
	if e.Str("name") != "rate_limit_exceeded" || e.Str("limit") != "emails" {
		t.Errorf("%v", e)
	}
	c.do(200, "POST", "/emails", a.Str("token"), email())
	c.g.Restart()
	resp = c.g.Send("POST", "/emails", c.g.Keys.Domain, email())
	resp.Body.Close()
	if wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode != 429 || err != nil || wait < 3500 || wait > 3600 {
		t.Errorf("after a restart: %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	all := c.do(200, "GET", "/api-keys", c.g.Keys.Domain, nil)
	for i := range all["data"].([]any) {
		if id := all.Str(fmt.Sprintf("data.%d.id", i)); all.Str(fmt.Sprintf("data.%d.prefix", i))[:12] == c.g.Keys.Domain[:12] {
			c.do(403, "PATCH", "/api-keys/"+id, c.g.Keys.Domain, `{"rate_limit":10}`)
			c.do(200, "PATCH", "/api-keys/"+id, c.g.Keys.Admin, `{"rate_limit":3}`)
		}
	}
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	c.do(429, "POST", "/emails", c.g.Keys.Domain, email())
	clock.add(time.Hour)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Pages and cursors agree, and the three kinds of id name the same email.
func TestListAndIDs(t *testing.T) {
	c := newClient(t)
	for i := range 7 {
		c.do(200, "POST", "/emails", c.g.Keys.Domain, email("subject", strconv.Itoa(i)))
	}
	gatewaytest.Eventually(t, "7 emails", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.At("total") == 7.0
	})
	var byPage, byCursor []string
	after := ""
	for page := 1; page <= 3; page++ {
		a := c.do(200, "GET", fmt.Sprintf("/emails?limit=3&page=%d", page), c.g.Keys.Account, nil)
		if more := a.At("has_more"); more != (page < 3) {
			t.Errorf("page %d: has_more %v", page, more)
		}
		for i := range a["data"].([]any) {
			byPage = append(byPage, a.Str(fmt.Sprintf("data.%d.email_id", i)))
		}
		path := "/emails?limit=3"
		if after != "" {
			path += "&after=" + after
		}
		a = c.do(200, "GET", path, c.g.Keys.Account, nil)
		for i := range a["data"].([]any) {
			after = a.Str(fmt.Sprintf("data.%d.email_id", i))
			byCursor = append(byCursor, after)
		}
	}
	if fmt.Sprint(byPage) != fmt.Sprint(byCursor) || len(byPage) != 7 {
		t.Errorf("by page %v, by cursor %v", byPage, byCursor)
	}
	a := c.do(200, "GET", "/emails?limit=1", c.g.Keys.Account, nil)
	id, msgid, uid := a.Str("data.0.email_id"), a.Str("data.0.message_id"), a.At("data.0.uid")
	for _, ref := range []string{id, strings.ToUpper(id), msgid, strings.Trim(msgid, "<>"), strings.ReplaceAll(strings.ReplaceAll(msgid, "<", "%3C"), "@", "%40"), fmt.Sprint(uid)} {
		if got := c.do(200, "GET", "/emails/"+ref, c.g.Keys.Account, nil); got.Str("email_id") != id {
			t.Errorf("%s names %s, want %s", ref, got.Str("email_id"), id)
		}
	}
	c.do(404, "GET", "/emails/999", c.g.Keys.Account, nil)
	c.do(404, "GET", "/emails/nothing@here", c.g.Keys.Account, nil)
	c.do(404, "PATCH", "/emails/"+id, c.g.Keys.Account, `{"folder":"Nowhere"}`)
	c.do(422, "PATCH", "/emails/"+id, c.g.Keys.Account, `{"add_labels":["a b"]}`)
	if a := c.do(200, "PATCH", "/emails/"+id, c.g.Keys.Account, `{"add_labels":["$work"],"is_read":true}`); fmt.Sprint(a["labels"]) != "[$work]" {
		t.Errorf("labels: %v", a["labels"])
	}
	// A message to oneself has one Message-ID and two records: a write has to say which.
	self := c.do(200, "POST", "/emails", c.g.Keys.Account, email("from", gatewaytest.Account))
	gatewaytest.Eventually(t, "the copy", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.At("total") == 8.0
	})
	c.do(200, "GET", "/emails/"+self.Str("message_id"), c.g.Keys.Account, nil)
	c.do(409, "PATCH", "/emails/"+self.Str("message_id"), c.g.Keys.Account, `{"is_read":true}`)
	c.do(200, "PATCH", "/emails/"+self.Str("message_id")+"?folder=INBOX", c.g.Keys.Account, `{"is_read":true}`)
	c.do(409, "POST", "/domains", c.g.Keys.Admin, `{"name":"demo.localhost"}`)
	c.do(404, "GET", "/nothing", "", nil)
	if resp := c.g.Send("PUT", "/emails", c.g.Keys.Domain, nil); resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST, GET" {
		t.Errorf("PUT /emails: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	} else {
		resp.Body.Close()
	}
}

// Attachments come back as they were, in parts too, and only to be saved.
func TestAttachments(t *testing.T) {
	c := newClient(t)
	data := bytes.Repeat([]byte("0123456789"), 1000)
	sent := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("attachments", []map[string]string{
		{"filename": "../r€port.html", "content": base64.StdEncoding.EncodeToString(data), "content_type": "text/html"},
	}))
	a := c.do(200, "GET", "/emails/"+sent.Str("id")+"/attachments", c.g.Keys.Domain, nil)
	if a.Str("data.0.filename") != "r€port.html" || a.At("data.0.size_bytes") != 10000.0 {
		t.Errorf("%v", a)
	}
	path := "/emails/" + sent.Str("id") + "/attachments/" + a.Str("data.0.id")
	get := func(header, value string) (*http.Response, []byte) {
		req, err := http.NewRequest("GET", c.g.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.g.Keys.Domain)
		if header != "" {
			req.Header.Set(header, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, b
	}
	resp, b := get("", "")
	if !bytes.Equal(b, data) || resp.Header.Get("Content-Type") != "application/octet-stream" || resp.Header.Get("X-Content-Type-Options") != "nosniff" ||
		resp.Header.Get("Content-Disposition") != "attachment; filename*=utf-8''r%E2%82%ACport.html" {
		t.Errorf("%d bytes, %v", len(b), resp.Header)
	}
	for _, tt := range []struct {
		rng    string
		status int
		want   string
	}{
		{"bytes=0-4", 206, "01234"},
		{"bytes=9995-", 206, "56789"},
		{"bytes=-3", 206, "789"},
		{"bytes=9999-20000", 206, "9"},
		{"bytes=10000-", 416, ""},
		{"lines=1-2", 200, string(data)},
		{"bytes=5-1", 200, string(data)},
	} {
		resp, b := get("Range", tt.rng)
		if resp.StatusCode != tt.status || tt.status < 400 && string(b) != tt.want {
			t.Errorf("%s: %d, %d bytes", tt.rng, resp.StatusCode, len(b))
		}
	}
	if resp, _ := get("If-None-Match", resp.Header.Get("ETag")); resp.StatusCode != 304 {
		t.Errorf("If-None-Match: %d", resp.StatusCode)
	}
	c.do(404, "GET", "/emails/"+sent.Str("id")+"/attachments/"+sent.Str("id"), c.g.Keys.Domain, nil)
}

// F1: strings of a request stay what they are while others come in.
func TestF1StringsStay(t *testing.T) {
	c := newClient(t)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			c.g.Do("POST", "/emails", c.g.Keys.Domain, email("from", fmt.Sprintf("user%02d@demo.localhost", i), "subject", fmt.Sprint(i)))
		})
	}
	wg.Wait()
	for i := range 40 {
		a := c.do(200, "GET", fmt.Sprintf("/emails?folder=Sent&email=user%02d@demo.localhost", i), c.g.Keys.Domain, nil)
		if a.Str("data.0.subject") != fmt.Sprint(i) {
			t.Errorf("user%02d sent %q", i, a.Str("data.0.subject"))
		}
	}
}

// F4: a compressed body is refused before anything unpacks it.
func TestF4NoUnpacking(t *testing.T) {
	c := newClient(t)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.Copy(z, io.LimitReader(zeros{}, 200<<20)); err != nil {
		t.Fatal(err)
	}
	z.Close()
	req, err := http.NewRequest("POST", c.g.URL+"/emails", &bomb)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.g.Keys.Domain)
	req.Header.Set("Content-Encoding", "gzip")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	runtime.ReadMemStats(&after)
	if resp.StatusCode != 415 || after.TotalAlloc-before.TotalAlloc > 64<<20 { // unpacked it has 200 MiB; others allocate, too
		t.Errorf("%d, %d bytes allocated", resp.StatusCode, after.TotalAlloc-before.TotalAlloc)
	}
	req, _ = http.NewRequest("POST", c.g.URL+"/emails", strings.NewReader("from=a"))
	req.Header.Set("Authorization", "Bearer "+c.g.Keys.Domain)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != 415 {
		t.Errorf("a form: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// F5: the limit on a body holds for streamed bodies too, announced or not.
func TestF5BodyLimit(t *testing.T) {
	c := newClient(t)
	big := `{"folder":"` + strings.Repeat("x", 3<<20) + `"}`
	for name, body := range map[string]io.Reader{"announced": strings.NewReader(big), "chunked": struct{ io.Reader }{strings.NewReader(big)}} {
		resp := c.g.Send("PATCH", "/emails/1", c.g.Keys.Account, body)
		raw, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 413 || decode(t, raw).Str("name") != "payload_too_large" {
			t.Errorf("%s: %d %s", name, resp.StatusCode, raw)
		}
	}
}

// F7: a stop does not wait for a client that says nothing.
func TestF7SilentClient(t *testing.T) {
	g := gatewaytest.Start(t)
	silent, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	g.Do("GET", "/healthz", "", nil) // the connection before this one is accepted
	start := time.Now()
	g.Stop()
	if took := time.Since(start); took >= gateway.DrainTimeout { // what one that waits takes at least
		t.Errorf("the stop took %v", took)
	}
}

// A key revoked while its upload is under way stops it: nothing is stored, and
// no file of it stays.
func TestRevokedUpload(t *testing.T) {
	c := newClient(t)
	made := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"name":"uploader"}`)
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n", made.Str("token"))
	fmt.Fprintf(conn, `{"from":"up@demo.localhost","to":"bot@demo.localhost","subject":"x","attachments":[{"filename":"f","content":"%s`, strings.Repeat("QUJD", 50_000))
	id, err := gateway.ParseID(made.Str("id"))
	if err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "the upload has begun", func() bool { return c.g.Gateway.Keys.Live(id) == 1 })
	start := time.Now()
	c.do(200, "DELETE", "/api-keys/"+made.Str("id"), c.g.Keys.Domain, nil)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 401 || time.Since(start) > 20*time.Second { // a body has half an hour
		t.Errorf("%d after %v", resp.StatusCode, time.Since(start))
	}
	if a := c.do(404, "GET", "/emails?folder=Sent&email=up@demo.localhost", c.g.Keys.Domain, nil); a.Str("name") != "not_found" {
		t.Errorf("something was stored: %v", a)
	}
	if left, err := os.ReadDir(c.g.Data + "/spool"); err != nil || len(left) > 0 {
		t.Errorf("%d spool files, %v", len(left), err)
	}
}

// TestBusy: more uploads than may be read at once are put off, not refused for good.
func TestBusy(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("sends_at_once", "1"))
	var conn net.Conn
	gatewaytest.Eventually(t, "an upload holds the slot", func() bool {
		if conn != nil {
			conn.Close() // it was this test's other request that had the slot
		}
		var err error
		if conn, err = net.Dial("tcp", strings.TrimPrefix(c.g.URL, "http://")); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 2000000\r\n\r\n%s", c.g.Keys.Domain, strings.Repeat(" ", 20_000))
		status, a := c.g.Do("POST", "/emails", c.g.Keys.Domain, large())
		return status == 503 && a.Str("name") == "service_unavailable"
	})
	conn.Close()
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email()) // a small one needs no slot
	gatewaytest.Eventually(t, "the slot is free again", func() bool {
		status, _ := c.g.Do("POST", "/emails", c.g.Keys.Domain, large())
		return status == 200
	})
}

// large is an email over the size that takes a slot.
func large() map[string]any { return email("text", strings.Repeat("large ", 200_000)) }

func TestKeyCount(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("keys_per_domain", "4"))
	c.do(409, "POST", "/api-keys", c.g.Keys.Account, `{}`) // what is left is for the domain's own rotation
	made := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{}`)
	if a := c.do(409, "POST", "/api-keys", c.g.Keys.Domain, `{}`); a.Str("name") != "invalid_state" {
		t.Errorf("%v", a)
	}
	c.do(200, "DELETE", "/api-keys/"+made.Str("id"), c.g.Keys.Domain, nil)
	c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"permission":"send_only","expires_at":"2099-01-01T00:00:00Z"}`)
}

// What stands in lists and log lines is text of one line.
func TestOneLine(t *testing.T) {
	c := newClient(t)
	for _, name := range []string{"a\r\nb", "a\x00", "\x1b[2J"} {
		for path, email := range map[string]string{"/api-keys": gatewaytest.Account, "/accounts": "new@demo.localhost", "/folders": gatewaytest.Account} {
			c.do(422, "POST", path, c.g.Keys.Domain, map[string]string{"email": email, "name": name})
		}
	}
	c.do(422, "POST", "/api-keys", c.g.Keys.Domain, map[string]string{"name": strings.Repeat("x", 201)})
	c.do(400, "POST", "/folders", c.g.Keys.Account, "{\"name\":\"\xff\xfe\"}")
}

// One domain has a quarter of the slots for large sends: who sends slowly does not shut
// the others out.
func TestBusyDomain(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("sends_at_once", "4"))
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"rival.example","verified":true}`)
	rival := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain":"rival.example"}`).Str("token")
	for range 8 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.g.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 2000000\r\n\r\n%s", rival, strings.Repeat(" ", 20_000))
	}
	big := large()
	big["from"] = "a@rival.example"
	gatewaytest.Eventually(t, "the rival has its share", func() bool {
		status, _ := c.g.Do("POST", "/emails", rival, big)
		return status == 503
	})
	for range 5 {
		c.do(200, "POST", "/emails", c.g.Keys.Domain, large())
	}
}

// A network that fails too often waits, before its keys are looked at.
func TestFailedLogins(t *testing.T) {
	c := newClient(t)
	for range 30 { // quickstart exempts loopback
		c.do(401, "GET", "/domains", "bm_live_0000000000000000000000000000000000000000", nil)
	}
	c.do(200, "GET", "/domains", c.g.Keys.Domain, nil)
}

func decode(t *testing.T, raw []byte) (a gatewaytest.Answer) {
	t.Helper()
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return a
}

// Every field of the guide's request body arrives where it should.
func TestGuideFields(t *testing.T) {
	c := newClient(t)
	sent := c.do(200, "POST", "/emails", c.g.Keys.Domain, email(
		"from", "Ann Example <ann@demo.localhost>", "cc", "cc@demo.localhost", "bcc", []string{"bcc@demo.localhost"}, "reply_to", []string{"r1@x.test", "r2@x.test"},
		"headers", map[string]string{"X-Entity-Ref-ID": "42"}, "tags", []map[string]string{{"name": "kind", "value": "welcome"}}))
	a := c.do(200, "GET", "/emails/"+sent.Str("id"), c.g.Keys.Domain, nil)
	for path, want := range map[string]string{
		"from": "ann@demo.localhost", "from_name": "Ann Example", "to": gatewaytest.Account, "cc.0": "cc@demo.localhost", "bcc.0": "bcc@demo.localhost",
		"reply_to.0": "r1@x.test", "reply_to.1": "r2@x.test", "tags.0.name": "kind", "tags.0.value": "welcome", "folder": "Sent",
	} {
		if got := a.Str(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if raw := fmt.Sprint(a["headers"]); !strings.Contains(raw, "X-Entity-Ref-Id value:42") && !strings.Contains(raw, "X-Entity-Ref-ID value:42") {
		t.Errorf("headers: %s", raw)
	}
	resp := c.g.Send("GET", "/emails/"+sent.Str("id")+"/raw", c.g.Keys.Domain, nil)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Content-Type") != "message/rfc822" || strings.Contains(string(raw), "bcc@") || int64(len(raw)) != resp.ContentLength {
		t.Errorf("raw: %v, %d bytes, %v", err, len(raw), resp.Header)
	}
}

func BenchmarkAccept(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(strconv.Itoa(callers), func(b *testing.B) {
			g := gatewaytest.Start(b, gatewaytest.Limit("key_messages", "0"), gatewaytest.Limit("key_recipients", "0"))
			transport.MaxIdleConnsPerHost = 100
			body := `{"from":"hello@demo.localhost","to":"someone@example.com","subject":"Hello","html":"` + strings.Repeat("<p>some words of it</p>", 90) + `","text":"` + strings.Repeat("some words of it ", 110) + `"}`
			b.SetParallelism((callers + 1) / 2)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if status, a := g.Do("POST", "/emails", g.Keys.Domain, body); status != 200 {
						b.Errorf("%d %v", status, a)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "emails/s")
		})
	}
}

// Domains are verified by the operator where no DNS is asked, and say so.
func TestDomains(t *testing.T) {
	c := newClient(t)
	d := c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"Bücher.Example"}`)
	if d.Str("name") != "xn--bcher-kva.example" || d.Str("status") != "not_started" || d.At("capabilities.sending") != false || d.Str("records.0.status") != "unchecked" {
		t.Errorf("%v", d)
	}
	key := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain_id":"`+d.Str("id")+`"}`).Str("token")
	path := "/domains/" + d.Str("id") + "/verify"
	c.do(403, "POST", path, key, `{"local":true}`)
	c.do(404, "POST", path, c.g.Keys.Domain, nil)
	if a := c.do(200, "POST", path, c.g.Keys.Admin, `{"local":true}`); a.Str("status") != "verified" || a.At("capabilities.sending") != true {
		t.Errorf("verify by the operator: %v", a)
	}
	c.do(200, "POST", "/emails", key, email("from", "a@xn--bcher-kva.example"))
	c.do(200, "POST", "/emails", key, email("from", "a@bücher.example"))
	if a := c.do(200, "GET", "/domains", c.g.Keys.Account, nil); a.Str("data.0.name") != "demo.localhost" || a.At("data.0.created_at") != nil {
		t.Errorf("an account key sees %v", a)
	}
	c.do(403, "GET", "/domains/demo.localhost", c.g.Keys.Account, nil)
	a := c.do(200, "GET", "/folders", c.g.Keys.Account, nil)
	var names []string
	for i := range a["data"].([]any) {
		names = append(names, a.Str(fmt.Sprintf("data.%d.name", i))+a.Str(fmt.Sprintf("data.%d.special_use", i)))
	}
	if fmt.Sprint(names) != `[INBOX Sent\Sent Drafts\Drafts Trash\Trash Junk\Junk Archive\Archive]` {
		t.Errorf("folders: %v", names)
	}
	for _, path := range []string{"/emails", "/healthz", "/readyz"} {
		if resp := c.g.Send("HEAD", path, c.g.Keys.Account, nil); resp.StatusCode != 200 {
			t.Errorf("HEAD %s: %d", path, resp.StatusCode)
		}
	}
	c.do(200, "GET", "/healthz", "", nil)
	c.do(200, "GET", "/readyz", "", nil)
}

// Aliases file in their account, and send as themselves.
func TestAliases(t *testing.T) {
	c := newClient(t)
	a := c.do(201, "POST", "/accounts", c.g.Keys.Domain, `{"email":"Ann@demo.localhost","name":"Ann","aliases":["sales@demo.localhost"]}`)
	if a.Str("email") != "ann@demo.localhost" || a.At("implicit") != false {
		t.Errorf("%v", a)
	}
	c.do(403, "POST", "/accounts", c.g.Keys.Domain, `{"email":"x@demo.localhost","aliases":["y@other.example"]}`)
	c.do(422, "POST", "/accounts", c.g.Keys.Domain, `{"email":"not an address"}`)
	if got := c.do(200, "GET", "/accounts/SALES@demo.localhost", c.g.Keys.Domain, nil); got.Str("email") != "ann@demo.localhost" {
		t.Errorf("%v", got)
	}
	key := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"email":"ann@demo.localhost"}`).Str("token")
	c.do(200, "POST", "/emails", key, email("from", "sales@demo.localhost", "to", "sales+x@demo.localhost"))
	gatewaytest.Eventually(t, "mail to the alias arrives", func() bool {
		_, a := c.g.Do("GET", "/emails", key, nil)
		return a.At("total") == 1.0
	})
	if a := c.do(200, "GET", "/accounts", c.g.Keys.Domain, nil); len(a["data"].([]any)) != 2 {
		t.Errorf("accounts: %v", a)
	}
}

package rest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// attached sends one attachment and returns it as the list of the sent email has
// it, with its bytes.
func (c *client) attached(body map[string]any) (gatewaytest.Answer, string) {
	c.Helper()
	sent := c.do(200, "POST", "/emails", c.g.Keys.Domain, body)
	path := "/emails/" + sent.Str("id") + "/attachments"
	a := c.do(200, "GET", path, c.g.Keys.Domain, nil)
	_, raw := c.ask("GET", path+"/"+a.Str("data.0.id"), c.g.Keys.Domain, "")
	return a, raw
}

func one(fields ...any) []map[string]any {
	m := make(map[string]any)
	for i := 0; i < len(fields); i += 2 {
		m[fields[i].(string)] = fields[i+1]
	}
	return []map[string]any{m}
}

// remote serves files, and counts who asks and how many at once.
type remote struct {
	*httptest.Server
	asked, now, most atomic.Int64
}

func newRemote(t *testing.T) *remote {
	t.Helper()
	r := &remote{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		for n := r.now.Add(1); ; {
			if m := r.most.Load(); n <= m || r.most.CompareAndSwap(m, n) {
				break
			}
		}
		defer r.now.Add(-1)
		switch req.URL.Path {
		case "/report.pdf":
			w.Header().Set("Content-Type", "application/pdf")
			io.WriteString(w, "PDF bytes")
		case "/large":
			w.Write(make([]byte, 1001))
		case "/inside":
			http.Redirect(w, req, "http://10.0.0.1/", http.StatusFound)
		default:
			http.NotFound(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func TestRemoteAttachment(t *testing.T) {
	c, r := newClient(t, gatewaytest.Limit("attachment_bytes", "1000")), newRemote(t)
	a, raw := c.attached(email("attachments", one("path", r.URL+"/report.pdf")))
	if raw != "PDF bytes" || a.Str("data.0.filename") != "report.pdf" || a.Str("data.0.content_type") != "application/pdf" {
		t.Errorf("%q, %v", raw, a)
	}
	a, raw = c.attached(email("attachments", one("path", r.URL+"/report.pdf", "filename", "other.bin", "content_type", "image/png")))
	if raw != "PDF bytes" || a.Str("data.0.filename") != "other.bin" || a.Str("data.0.content_type") != "image/png" {
		t.Errorf("%q, %v", raw, a)
	}
	const cant = "attachments[0].path can't be fetched"
	for _, tt := range []struct {
		name  string
		file  []map[string]any
		field string
		says  string
	}{
		{"nothing there", one("path", r.URL+"/nothing"), "attachments[0].path", cant},
		{"nobody there", one("path", "http://127.0.0.1:1/"), "attachments[0].path", cant},
		{"no such host", one("path", "https://nowhere.invalid/"), "attachments[0].path", cant},
		{"a private address", one("path", "https://10.0.0.1/"), "attachments[0].path", cant},
		{"a redirect inside", one("path", r.URL+"/inside"), "attachments[0].path", cant},
		{"metadata of a cloud", one("path", "http://169.254.169.254/latest/"), "attachments[0].path", cant},
		{"too large", one("path", r.URL+"/large"), "attachments[0].path", "over 1000 bytes"},
		{"no URL", one("path", "file:///etc/passwd"), "attachments[0].path", "https://"},
		{"two sources", one("path", r.URL, "content", "aGk=", "filename", "x"), "attachments[0]", "one of"},
		{"three sources", one("path", r.URL, "email_id", "1", "attachment_id", "x"), "attachments[0]", "one of"},
		{"no source", one("filename", "x"), "attachments[0].content", "needs its content"},
	} {
		e := c.do(422, "POST", "/emails", c.g.Keys.Domain, email("attachments", tt.file))
		if e.Str("name") != "invalid_attachment" || e.Str("errors.0.path") != tt.field || !strings.Contains(e.Str("message"), tt.says) {
			t.Errorf("%s: %v", tt.name, e)
		}
		if tt.says == cant && e.Str("message") != cant {
			t.Errorf("%s: the answer tells more: %v", tt.name, e)
		}
	}
	if n := c.sent(c.g.Keys.Domain, "hello@demo.localhost"); n != 2 {
		t.Errorf("%d emails were sent", n)
	}
}

// All the files of a batch are fetched, at most four at a time; one that fails
// fails its email or the whole batch.
func TestRemoteBatch(t *testing.T) {
	c, r := newClient(t), newRemote(t)
	var all []any
	for i := range 20 {
		all = append(all, email("subject", fmt.Sprint(i), "attachments", one("path", r.URL+"/report.pdf")))
	}
	c.do(200, "POST", "/emails/batch", c.g.Keys.Domain, all)
	if r.asked.Load() != 20 || r.most.Load() > 4 {
		t.Errorf("%d fetches, %d at once", r.asked.Load(), r.most.Load())
	}
	all[7] = email("attachments", append(one("content", "aGk=", "filename", "x"), one("path", r.URL+"/nothing")...))
	e := c.do(422, "POST", "/emails/batch", c.g.Keys.Domain, all)
	if e.Str("errors.0.path") != "[7].attachments[1].path" {
		t.Errorf("strict: %v", e)
	}
	body, err := jsonText(all)
	if err != nil {
		t.Fatal(err)
	}
	_, raw := c.ask("POST", "/emails/batch", c.g.Keys.Domain, body, "X-Batch-Validation", "permissive")
	if a := decode(t, []byte(raw)); len(a["data"].([]any)) != 19 || a.At("errors.0.index") != 7.0 || a.Str("errors.0.name") != "invalid_attachment" {
		t.Errorf("permissive: %s", raw)
	}
	if n := c.sent(c.g.Keys.Domain, "hello@demo.localhost"); n != 39 {
		t.Errorf("%d emails were sent", n)
	}
}

// A repeat of a request is answered without asking anybody again.
func TestRemoteOnce(t *testing.T) {
	c, r := newClient(t), newRemote(t)
	body, err := jsonText(email("attachments", one("path", r.URL+"/report.pdf")))
	if err != nil {
		t.Fatal(err)
	}
	_, first := c.ask("POST", "/emails", c.g.Keys.Domain, body, idempotency, "a")
	resp, again := c.ask("POST", "/emails", c.g.Keys.Domain, body, idempotency, "a")
	if first != again || resp.Header.Get("Idempotency-Replayed") != "true" || r.asked.Load() != 1 {
		t.Errorf("%s, then %s; %d fetches", first, again, r.asked.Load())
	}
}

// Production fetches nothing until the operator says so; then this machine is
// reached only by the name he gives.
func TestRemoteOff(t *testing.T) {
	r := newRemote(t)
	c := newClient(t, gatewaytest.Setting("attachments.remote", "false"))
	e := c.do(422, "POST", "/emails", c.g.Keys.Domain, email("attachments", one("path", r.URL+"/report.pdf")))
	if e.Str("name") != "invalid_attachment" || e.Str("errors.0.path") != "attachments[0].path" || r.asked.Load() != 0 {
		t.Errorf("%v, %d fetches", e, r.asked.Load())
	}
}

// A request may fetch no more than it might have held.
func TestRemoteTogether(t *testing.T) {
	c, r := newClient(t, gatewaytest.Limit("send_bytes", "1500")), newRemote(t)
	files := append(one("path", r.URL+"/large"), one("path", r.URL+"/large")...)
	if e := c.do(422, "POST", "/emails", c.g.Keys.Domain, email("attachments", files)); !strings.Contains(e.Str("message"), "together") {
		t.Errorf("%v", e)
	}
}

// A file of a stored email is sent again by any of the email's ids, within the
// caller's scope.
func TestStoredAttachment(t *testing.T) {
	c := newClient(t)
	data := strings.Repeat("0123456789", 100_000)
	sent := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("attachments", one("filename", "a.csv", "content_type", "text/csv", "content", []byte(data))))
	gatewaytest.Eventually(t, "the email has arrived", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.At("total") == 1.0
	})
	in := c.do(200, "GET", "/emails", c.g.Keys.Account, nil)
	received := in.Str("data.0.email_id")
	list := c.do(200, "GET", "/emails/"+received+"/attachments", c.g.Keys.Account, nil)
	file := list.Str("data.0.id")
	for _, id := range []string{received, in.Str("data.0.message_id"), fmt.Sprint(in.At("data.0.uid"))} {
		a := c.do(200, "POST", "/emails", c.g.Keys.Account, email("from", gatewaytest.Account, "attachments", one("email_id", id, "attachment_id", file)))
		path := "/emails/" + a.Str("id") + "/attachments"
		l := c.do(200, "GET", path, c.g.Keys.Account, nil)
		_, raw := c.ask("GET", path+"/"+l.Str("data.0.id"), c.g.Keys.Account, "")
		if raw != data || l.Str("data.0.filename") != "a.csv" || l.Str("data.0.content_type") != "text/csv" {
			t.Errorf("%s: %d bytes, %v", id, len(raw), l)
		}
	}
	a, raw := c.attached(email("attachments", one("email_id", received, "attachment_id", file, "filename", "b.txt", "content_type", "application/json")))
	if raw != data || a.Str("data.0.filename") != "b.txt" || a.Str("data.0.content_type") != "application/json" {
		t.Errorf("%d bytes, %v", len(raw), a)
	}
	e := c.do(403, "POST", "/emails", c.g.Keys.SendOnly, email("attachments", one("email_id", received, "attachment_id", file)))
	if e.Str("name") != "restricted_api_key" || e.Str("errors.0.path") != "attachments[0].email_id" {
		t.Errorf("send-only: %v", e)
	}
	c.do(201, "POST", "/accounts", c.g.Keys.Domain, `{"email":"other@demo.localhost"}`)
	other := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"name":"other","email":"other@demo.localhost"}`).Str("token")
	var first string
	for _, tt := range []struct {
		name, key, from string
		file            []map[string]any
	}{
		{"unknown email", c.g.Keys.Domain, "hello@demo.localhost", one("email_id", file, "attachment_id", file)},
		{"unknown file", c.g.Keys.Domain, "hello@demo.localhost", one("email_id", received, "attachment_id", received)},
		{"no id", c.g.Keys.Domain, "hello@demo.localhost", one("email_id", received, "attachment_id", "x")},
		{"another account's", other, "other@demo.localhost", one("email_id", received, "attachment_id", file)},
		{"another account's, by Message-ID", other, "other@demo.localhost", one("email_id", sent.Str("message_id"), "attachment_id", file)},
	} {
		e := c.do(422, "POST", "/emails", tt.key, email("from", tt.from, "attachments", tt.file))
		if first == "" {
			first = e.Str("message")
		}
		if e.Str("name") != "invalid_attachment" || e.Str("errors.0.path") != "attachments[0].attachment_id" || e.Str("message") != first {
			t.Errorf("%s: %v", tt.name, e)
		}
	}
	for _, half := range [][]map[string]any{one("email_id", received), one("attachment_id", file)} {
		c.do(422, "POST", "/emails", c.g.Keys.Domain, email("attachments", half))
	}
}

// An image that the HTML shows by its content id arrives beside it.
func TestInlineImage(t *testing.T) {
	c := newClient(t)
	image := bytes.Repeat([]byte{0x89, 'P', 'N', 'G'}, 100)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("html", `<p>Look: <img src="cid:logo"></p>`, "attachments", one("content", image, "content_type", "image/png", "content_id", "logo")))
	gatewaytest.Eventually(t, "the email has arrived", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.At("total") == 1.0
	})
	id := c.do(200, "GET", "/emails", c.g.Keys.Account, nil).Str("data.0.email_id")
	got := c.do(200, "GET", "/emails/"+id, c.g.Keys.Account, nil)
	if !strings.Contains(got.Str("html"), `src="cid:logo"`) || got.Str("attachments.0.content_id") != "logo" || got.At("attachments.0.is_inline") != true {
		t.Errorf("%v", got)
	}
	list := c.do(200, "GET", "/emails/"+id+"/attachments", c.g.Keys.Account, nil)
	if list.At("data.0.is_inline") != true || list.Str("data.0.content_id") != "logo" {
		t.Errorf("%v", list)
	}
	if _, raw := c.ask("GET", "/emails/"+id+"/attachments/"+list.Str("data.0.id"), c.g.Keys.Account, ""); raw != string(image) {
		t.Errorf("%d bytes", len(raw))
	}
}

func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

package rest_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// What fiber and fasthttp do that a handler must not trip over. F1, F4, F5 and
// F7 stand in rest_test.go.

// download sends an email with a large file and returns the request line that
// fetches it.
func download(c *client, size int) string {
	c.Helper()
	data := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("0123456789abcdef"), size/16))
	sent := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("attachments", []map[string]string{{"filename": "f", "content": data}}))
	a := c.do(200, "GET", "/emails/"+sent.Str("id")+"/attachments", c.g.Keys.Domain, nil)
	return fmt.Sprintf("GET /emails/%s/attachments/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", sent.Str("id"), a.Str("data.0.id"), c.g.Keys.Domain)
}

func dial(t *testing.T, g *gatewaytest.Gateway) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("this system does not list open files: %v", err)
	}
	return len(all)
}

// F2: nobody tells a handler that its client has left; an upload that stops half
// way ends all the same and gives back its slot and its file.
func TestF2ClientLeaves(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("sends_at_once", "1"))
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	before := openFiles(t)
	for range 5 {
		conn := dial(t, c.g)
		fmt.Fprintf(conn, "POST /emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 5000000\r\n\r\n", c.g.Keys.Domain)
		fmt.Fprintf(conn, `{"attachments":[{"filename":"f","content":"%s`, strings.Repeat("QUJD", 10_000))
		conn.Close()
	}
	gatewaytest.Eventually(t, "the slot is free", func() bool {
		status, _ := c.g.Do("POST", "/emails", c.g.Keys.Domain, large())
		return status == 200
	})
	gatewaytest.Eventually(t, "the files are closed", func() bool { return openFiles(t) <= before+1 })
}

// F3: a client that leaves in the middle of a download is noticed, and the file
// behind it is closed.
func TestF3GoneReader(t *testing.T) {
	c := newClient(t)
	get := download(c, 8<<20)
	before := openFiles(t)
	for range 5 {
		conn := dial(t, c.g)
		fmt.Fprint(conn, get)
		if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	gatewaytest.Eventually(t, "the files are closed", func() bool { return openFiles(t) <= before })
}

// F6: a stop lets a request that is under way end, and waits no longer.
func TestF6StopDuringRequest(t *testing.T) {
	c := newClient(t)
	conn := dial(t, c.g)
	body := `{"from":"hello@demo.localhost","to":"bot@demo.localhost","subject":"slow","text":"` + strings.Repeat("x", 50_000) + `"}`
	fmt.Fprintf(conn, "POST /emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", c.g.Keys.Domain, len(body), body[:40_000])
	gatewaytest.Eventually(t, "the request has begun", func() bool {
		id, err := gateway.ParseID(keyID(c, c.g.Keys.Domain))
		return err == nil && c.g.Gateway.Keys.Live(id) > 0
	})
	stopped := make(chan time.Duration)
	go func() {
		start := time.Now()
		c.g.Stop()
		stopped <- time.Since(start)
	}()
	gatewaytest.Eventually(t, "the gateway takes no more connections", func() bool {
		other, err := net.Dial("tcp", strings.TrimPrefix(c.g.URL, "http://"))
		if err == nil {
			other.Close()
		}
		return err != nil
	})
	fmt.Fprint(conn, body[40_000:])
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("the request under way: %v, %v", resp, err)
	}
	resp.Body.Close()
	conn.Close()
	if took := <-stopped; took > gateway.DrainTimeout {
		t.Errorf("the stop took %v", took)
	}
}

// keyID finds the id of a key by its prefix, as the operator.
func keyID(c *client, token string) string {
	_, all := c.g.Do("GET", "/api-keys", c.g.Keys.Admin, nil)
	list, _ := all["data"].([]any)
	for i := range list {
		if strings.HasPrefix(all.Str(fmt.Sprintf("data.%d.prefix", i)), token[:12]) {
			return all.Str(fmt.Sprintf("data.%d.id", i))
		}
	}
	return ""
}

// F8: no timeout of writing cuts a download that is slow.
func TestF8SlowReader(t *testing.T) {
	c := newClient(t)
	const size = 16 << 20
	get := download(c, size) // before the connection: one that says nothing is closed after some seconds
	conn := dial(t, c.g)
	fmt.Fprint(conn, get)
	start := time.Now()
	in := bufio.NewReaderSize(conn, 4<<10)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var n int64
	for err == nil {
		var m int64
		m, err = io.CopyN(io.Discard, resp.Body, 1<<20)
		n += m
		<-time.After(100 * time.Millisecond) // the slowness is what is tested
	}
	if n != size {
		t.Errorf("%d bytes of %d after %v: %v", n, size, time.Since(start), err)
	}
}

// F9: there is only HTTP/1.1, so a client needs a connection for each answer it
// has not read yet. A browser stops at six; the gateway does not: two dozen that
// hang keep the next one from nothing.
func TestF9HeldConnections(t *testing.T) {
	c := newClient(t)
	get := download(c, 8<<20)
	for range 24 {
		fmt.Fprint(dial(t, c.g), get) // and never reads
	}
	done := make(chan int, 1)
	go func() {
		status, _ := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		done <- status
	}()
	select {
	case status := <-done:
		if status != 200 {
			t.Errorf("%d", status)
		}
	case <-time.After(time.Minute):
		t.Error("a request waits for others that hang")
	}
}

// Each refusal leaves a row with its precise reason, though the client's text
// may be one for all.
func TestReasons(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("key_messages", "1"))
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"pending.example"}`)
	pending := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain":"pending.example"}`)
	c.do(403, "POST", "/emails", pending.Str("token"), email("from", "a@pending.example"))
	if a := c.do(200, "GET", "/logs", pending.Str("token"), nil); a.Str("data.0.reason") != "domain not verified" {
		t.Errorf("%v", a.At("data.0"))
	}
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	c.do(429, "POST", "/emails", c.g.Keys.Domain, email())
	c.do(401, "GET", "/domains", "bm_live_x", nil)
	c.do(403, "GET", "/domains", c.g.Keys.SendOnly, nil)
	a := c.do(200, "GET", "/logs", c.g.Keys.Domain, nil)
	for i, want := range []string{"a send-only key can send emails and nothing else", "over limit: emails"} {
		if got := a.Str(fmt.Sprintf("data.%d.reason", i)); got != want {
			t.Errorf("row %d: %q, want %q", i, got, want)
		}
	}
	if a := c.do(200, "GET", "/logs?status=401", c.g.Keys.Admin, nil); a.Str("data.0.reason") != "malformed" {
		t.Errorf("%v", a.At("data.0"))
	}
	row := c.do(200, "GET", "/logs/"+a.Str("data.2.id"), c.g.Keys.Domain, nil)
	if row.At("response_status") != 200.0 || row.Str("email_id") == "" {
		t.Errorf("the row of a send: %v", row)
	}
}

package rest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// event is one event of a stream, as a client reads it.
type event struct {
	id, name string
	data     map[string]any
}

// listener reads a stream until close.
type listener struct {
	t      *testing.T
	events chan event // closed at the end of the stream
	close  context.CancelFunc
}

// listen opens the stream of a mailbox and wants it to be connected.
func listen(t *testing.T, g *gatewaytest.Gateway, key, query, last string) (*listener, event) {
	t.Helper()
	return listenAt(t, g, key, "/emails/stream"+query, last)
}

func listenAt(t *testing.T, g *gatewaytest.Gateway, key, path, last string) (*listener, event) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", g.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "text/event-stream" {
		t.Fatalf("%d %s", resp.StatusCode, ct)
	}
	l := &listener{t: t, events: make(chan event, 1000), close: cancel}
	t.Cleanup(cancel)
	go func() {
		defer close(l.events)
		defer resp.Body.Close()
		var e event
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			name, value, _ := strings.Cut(s.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				_ = json.Unmarshal([]byte(value), &e.data) // an event without data shows below
			case "":
				if e.name != "" {
					l.events <- e
				}
				e = event{}
			}
		}
	}()
	return l, l.want("connected")
}

// next returns the next event; ok is false at the end of the stream.
func (l *listener) next() (e event, ok bool) {
	l.t.Helper()
	select {
	case e, ok = <-l.events:
		return e, ok
	case <-time.After(time.Minute):
		l.t.Fatal("the stream is silent")
		return event{}, false
	}
}

func (l *listener) want(name string) event {
	l.t.Helper()
	e, ok := l.next()
	for range 100 {
		if e.name != "heartbeat" || name == "heartbeat" {
			break
		}
		e, ok = l.next()
	}
	if !ok || e.name != name || e.id == "" || e.data["timestamp"] == nil {
		l.t.Fatalf("got %+v (%t), want %s", e, ok, name)
	}
	return e
}

func (l *listener) wantEnd() {
	l.t.Helper()
	if e, ok := l.next(); ok {
		l.t.Fatalf("got %+v, want the end", e)
	}
}

func sendTo(t *testing.T, g *gatewaytest.Gateway, to, subject string) {
	t.Helper()
	status, a := g.Do("POST", "/emails", g.Keys.Domain, map[string]string{"from": "hello@demo.localhost", "to": to, "subject": subject, "text": "x"})
	if status != 200 {
		t.Fatalf("send: %d %v", status, a)
	}
}

func TestStream(t *testing.T) {
	g := gatewaytest.Start(t)
	l, connected := listen(t, g, g.Keys.Account, "", "")
	if connected.data["email"] != gatewaytest.Account {
		t.Errorf("connected: %v", connected.data)
	}
	sendTo(t, g, "hello@demo.localhost", "somebody else's")
	sendTo(t, g, gatewaytest.Account, "one")
	e := l.want("new_email")
	if e.data["email"] != gatewaytest.Account || e.data["mailbox"] != "INBOX" || e.data["uid"] != 1.0 || e.id != fmt.Sprint(e.data["sequence"]) {
		t.Errorf("new_email: %+v", e)
	}
	status, a := g.Do("GET", fmt.Sprintf("/emails/%v?folder=INBOX", e.data["uid"]), g.Keys.Account, nil)
	for _, name := range []string{"id", "email_id", "thread_id", "from", "subject", "preview"} {
		if status != 200 || a.Str(name) == "" || a.Str(name) != e.data[name] {
			t.Errorf("%s of the event is %v, the email has %q", name, e.data[name], a.Str(name))
		}
	}
	if told, has := e.data["authentication"], a.At("authentication"); told == nil || fmt.Sprint(told) != fmt.Sprint(has) {
		t.Errorf("authentication of the event is %v, the email has %v", told, has)
	}
	// What changes in the mailbox is no new email.
	g.Do("PATCH", "/emails/1", g.Keys.Account, `{"is_read":true}`)
	g.Do("PATCH", "/emails/1", g.Keys.Account, `{"folder":"Archive"}`)
	sendTo(t, g, gatewaytest.Account, "two")
	if e := l.want("new_email"); e.data["uid"] != 2.0 {
		t.Errorf("the second event: %+v", e)
	}
	l.close()
	g.Do("DELETE", "/emails/2?permanent=true", g.Keys.Account, nil)
	late, _ := listen(t, g, g.Keys.Account, "", e.id)
	if e := late.want("new_email"); e.data["uid"] != 2.0 || e.data["email_id"] == nil || e.data["subject"] != nil || e.data["authentication"] != nil {
		t.Errorf("of an email that is gone: %+v", e)
	}
}

// The heartbeat comes, and a gone client's stream is noticed by it.
func TestStreamHeartbeat(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("heartbeat_seconds", "1"), gatewaytest.Limit("streams_per_key", "2"))
	l, _ := listen(t, g, g.Keys.Account, "", "")
	other, _ := listen(t, g, g.Keys.Account, "?folders=INBOX,Sent", "")
	l.want("heartbeat")
	if status, a := g.Do("GET", "/emails/stream", g.Keys.Account, nil); status != 429 || a.Str("limit") != "streams" {
		t.Errorf("a third stream: %d %v", status, a)
	}
	other.close()
	gatewaytest.Eventually(t, "the closed stream gives its place back", func() bool {
		resp := g.Send("HEAD", "/emails/stream", g.Keys.Account, nil)
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	l.close()
	gatewaytest.Eventually(t, "no session of the key is left", func() bool {
		_, keys := g.Do("GET", "/api-keys", g.Keys.Account, nil)
		id, err := gateway.ParseID(keys.Str("data.0.id"))
		return err == nil && g.Gateway.Keys.Live(id) == 0
	})
}

// A client that leaves gives its place back at once, however it leaves: no heartbeat has to
// find out.
func TestStreamLeft(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("heartbeat_seconds", "3600"), gatewaytest.Limit("streams_per_key", "1"))
	for name, leave := range map[string]func(net.Conn) error{
		"closes":      net.Conn.Close,
		"half closes": func(c net.Conn) error { return c.(*net.TCPConn).CloseWrite() },
		"resets":      func(c net.Conn) error { return errors.Join(c.(*net.TCPConn).SetLinger(0), c.Close()) },
		"babbles": func(c net.Conn) error {
			_, err := c.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 1000))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c net.Conn
			gatewaytest.Eventually(t, "a stream", func() bool {
				c = follow(t, g)
				s := bufio.NewScanner(c)
				for s.Scan() && s.Text() != "event: connected" {
				}
				return s.Err() == nil && s.Text() == "event: connected"
			})
			if status, _ := g.Do("GET", "/emails/stream", g.Keys.Account, nil); status != 429 {
				t.Fatalf("the stream does not count: %d", status)
			}
			if err := leave(c); err != nil {
				t.Fatal(err)
			}
			gatewaytest.Eventually(t, "the place is free", func() bool {
				resp := g.Send("HEAD", "/emails/stream", g.Keys.Account, nil)
				resp.Body.Close()
				return resp.StatusCode == 200
			})
		})
	}
}

// follow opens a stream of the account, and ends with the test at the latest.
func follow(t *testing.T, g *gatewaytest.Gateway) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET /emails/stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n", g.Keys.Account)
	return c
}

// A client that says a little more than it has to is heard out.
func TestStreamGoesOn(t *testing.T) {
	g := gatewaytest.Start(t)
	c, told := follow(t, g), ""
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	for s := bufio.NewScanner(c); s.Scan() && told != "event: new_email"; {
		if told = s.Text(); told == "event: connected" {
			sendTo(t, g, gatewaytest.Account, "heard")
		}
	}
	if told != "event: new_email" {
		t.Errorf("the last line is %q", told)
	}
}

// Wherever a client resumes, it sees every email behind its last event once and
// in order, while others are arriving.
func TestStreamResume(t *testing.T) {
	g := gatewaytest.Start(t)
	const total = 60
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := range total {
			sendTo(t, g, gatewaytest.Account, strconv.Itoa(i))
		}
	})
	last, seen := "0", 0.0
	for seen < total {
		l, c := listen(t, g, g.Keys.Account, "", last)
		if c.id != last {
			t.Fatalf("connected has id %s after %s", c.id, last)
		}
		for range 7 { // then the client is cut off
			if seen == total {
				break
			}
			e := l.want("new_email")
			if seen++; e.data["uid"] != seen {
				t.Fatalf("got UID %v after %v", e.data["uid"], seen-1)
			}
			last = e.id
		}
		l.close()
	}
	sending.Wait()
	g.Restart() // also over a restart
	sendTo(t, g, gatewaytest.Account, "after the restart")
	l, _ := listen(t, g, g.Keys.Account, "?last_event_id="+last, "")
	if e := l.want("new_email"); e.data["uid"] != float64(total+1) {
		t.Errorf("after the restart: %+v", e)
	}
	l.close()
	for _, lost := range []string{"999999999", "nonsense", "-1"} {
		if e := firstOf(t, g, lost); e.name != "resync" {
			t.Errorf("after %s: %+v, want resync", lost, e)
		}
	}
}

// firstOf is the first event of a stream that resumes from last.
func firstOf(t *testing.T, g *gatewaytest.Gateway, last string) event {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", g.URL+"/emails/stream?last_event_id="+last, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+g.Keys.Account)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		if name, ok := strings.CutPrefix(s.Text(), "event: "); ok {
			return event{name: name}
		}
	}
	return event{}
}

// A revoked key ends its streams; so does the end of the gateway.
func TestStreamEnds(t *testing.T) {
	g := gatewaytest.Start(t)
	_, k := g.Do("POST", "/api-keys", g.Keys.Account, `{"name":"short-lived"}`)
	revoked, _ := listen(t, g, k.Str("token"), "", "")
	kept, _ := listen(t, g, g.Keys.Account, "", "")
	began := time.Now()
	if status, a := g.Do("DELETE", "/api-keys/"+k.Str("id"), g.Keys.Account, nil); status != 200 {
		t.Fatalf("%d %v", status, a)
	}
	revoked.wantEnd()
	if took := time.Since(began); took > 20*time.Second { // it has no end of its own
		t.Errorf("the stream ended %v after its key", took)
	}
	sendTo(t, g, gatewaytest.Account, "still heard by the other key")
	kept.want("new_email")
	began = time.Now()
	g.Stop()
	kept.wantEnd()
	if took := time.Since(began); took >= gateway.DrainTimeout { // what one that waits takes at least
		t.Errorf("the stop waited %v for a stream", took)
	}
}

func TestStreamRefusals(t *testing.T) {
	g := gatewaytest.Start(t)
	for _, tt := range []struct {
		key, query, field string
		status            int
	}{
		{g.Keys.Domain, "", "email", 422},
		{g.Keys.Domain, "?email=x@elsewhere.example", "email", 403},
		{g.Keys.Domain, "?email=nobody@demo.localhost", "", 404},
		{g.Keys.Admin, "", "email", 422},
		{g.Keys.SendOnly, "?email=" + gatewaytest.Account, "", 403},
		{g.Keys.Account, "?email=other@demo.localhost", "email", 403},
		{g.Keys.Account, "?folders=Nowhere", "folders", 404},
		{g.Keys.Account, "?events=email.opened", "events", 422},
		{g.Keys.Account, "?events=new_email,suppression.added", "events", 422},
		{"", "", "", 401},
	} {
		status, a := g.Do("GET", "/emails/stream"+tt.query, tt.key, nil)
		if status != tt.status || a.Str("errors.0.path") != tt.field {
			t.Errorf("%q: %d %v, want %d %q", tt.query, status, a, tt.status, tt.field)
		}
	}
	// A domain key follows any account it names.
	l, _ := listen(t, g, g.Keys.Domain, "?email="+gatewaytest.Account, "")
	l.close()
}

// What an operator's key follows ends too when it is deleted: an account, or a domain
// with a plugin whose log is followed.
func TestStreamOfDeleted(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("heartbeat_seconds", "1"))...)
	admin := c.g.Keys.Admin
	c.do(201, "POST", "/domains", admin, `{"name":"gone.example"}`)
	for _, addr := range []string{"ann@gone.example", "bea@gone.example"} {
		c.do(201, "POST", "/accounts?domain=gone.example", admin, map[string]any{"email": addr})
	}
	form, contentType := module(t, "wide")
	id := c.push(201, "/plugins?domain=gone.example", admin, form, contentType).Str("id")
	ann, _ := listen(t, c.g, admin, "?email=ann@gone.example", "")
	shown, _ := listen(t, c.g, "", c.token(admin, `{"email":"ann@gone.example"}`), "")
	bea, _ := listen(t, c.g, admin, "?email=bea@gone.example", "")
	log, _ := listenAt(t, c.g, admin, "/plugins/"+id+"/logs?domain=gone.example&follow=true", "")
	other, _ := listen(t, c.g, admin, "?email="+gatewaytest.Account, "")
	ended := func(what string, l *listener) {
		t.Helper()
		for range 100 { // as many heartbeats may have come before it was deleted
			if e, ok := l.next(); !ok {
				return
			} else if e.name != "heartbeat" {
				t.Errorf("%s: %+v", what, e)
			}
		}
		t.Errorf("%s is followed still", what)
	}
	c.do(200, "DELETE", "/accounts/ann@gone.example", admin, nil)
	ended("a deleted account", ann)
	ended("a deleted account, with a token,", shown)
	bea.want("heartbeat")
	c.do(200, "DELETE", "/domains/gone.example?force=true", admin, nil)
	ended("an account of a deleted domain", bea)
	ended("a log of a deleted domain", log)
	sendTo(t, c.g, gatewaytest.Account, "still here")
	for e, ok := other.next(); e.name != "new_email"; e, ok = other.next() {
		if !ok {
			t.Fatal("the stream of another domain ended")
		}
	}
}

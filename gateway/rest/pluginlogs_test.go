package rest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// said lists "level text" of a page of a plugin's log.
func said(a gatewaytest.Answer) (out []string) {
	for _, one := range a["data"].([]any) {
		l := gatewaytest.Answer(one.(map[string]any))
		out = append(out, l.Str("level")+" "+l.Str("text"))
	}
	return out
}

// speak has the account's plugins see a mail; one of them says "1 of subject".
func (c *client) speak(subject string) gatewaytest.Answer {
	c.Helper()
	return c.do(200, "POST", "/emails", c.g.Keys.Account, email("from", gatewaytest.Account, "subject", subject))
}

// A plugin's log has what it said and how it failed, page by page, for those who may
// see it.
func TestPluginLogs(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, append(withPlugins(), gatewaytest.Clock(clock.now), gatewaytest.Limit("plugin_lines", "30"))...)
	key := c.g.Keys.Account
	id := c.install(key, "censor")
	path := "/plugins/" + id + "/logs"
	if a := c.do(200, "GET", path, key, nil); len(a["data"].([]any)) != 0 || a.At("has_more") != false {
		t.Errorf("before anybody asked it: %v", a)
	}
	c.do(200, "PATCH", "/plugins/"+id, key, `{"status":"enabled"}`)
	sent := c.speak("say debug one")
	since := clock.now().Add(500 * time.Millisecond).UTC().Format(time.RFC3339Nano)
	clock.add(time.Second)
	c.speak("say warning two")
	c.speak("panic three")
	a := c.do(200, "GET", path, key, nil)
	lines := said(a)
	if len(lines) < 3 || !strings.Contains(lines[0], "error the plugin failed: trap") || lines[len(lines)-1] != "debug one" || lines[len(lines)-2] != "warning two" ||
		!strings.Contains(fmt.Sprint(lines), "warning panic: three") {
		t.Errorf("%q", lines)
	}
	last := gatewaytest.Answer(a["data"].([]any)[len(lines)-1].(map[string]any))
	if last.Str("email_id") != sent.Str("id") || last.Str("message_id") != sent.Str("message_id") || last.Str("version") != "1" || last.Str("hook") != "outbound" || last.Str("id") != "1" {
		t.Errorf("%v, of %v", last, sent)
	}
	for query, want := range map[string]func([]string) bool{
		"?level=error":                           func(l []string) bool { return len(l) == 2 }, // it has no KV either
		"?level=warning&limit=1":                 func(l []string) bool { return len(l) == 1 && l[0] == lines[0] },
		"?since=" + url.QueryEscape(since):       func(l []string) bool { return len(l) == len(lines)-1 },
		"?limit=1&after=2":                       func(l []string) bool { return slices.Equal(l, []string{"debug one"}) },
		"?after=1":                               func(l []string) bool { return len(l) == 0 },
		"?limit=1000&after=18446744073709551615": func(l []string) bool { return len(l) == len(lines) },
	} {
		if got := said(c.do(200, "GET", path+query, key, nil)); !want(got) {
			t.Errorf("%s: %q", query, got)
		}
	}
	var paged []string
	for after, more := "", true; more; {
		a := c.do(200, "GET", path+"?limit=2"+after, key, nil)
		paged = append(paged, said(a)...)
		after, more = "&after="+a.Str(fmt.Sprintf("data.%d.id", len(a["data"].([]any))-1)), a.At("has_more") == true
	}
	if !slices.Equal(paged, lines) {
		t.Errorf("page by page: %q", paged)
	}
	for i := range 35 {
		c.speak("say info " + strconv.Itoa(i))
	}
	c.g.Restart()
	if got := said(c.do(200, "GET", path+"?limit=100", key, nil)); len(got) != 30 || got[0] != "info 34" || got[29] != "info 5" {
		t.Errorf("thirty lines are kept: %q", got)
	}
	clock.add(31 * 24 * time.Hour)
	if got := said(c.do(200, "GET", path, key, nil)); len(got) != 0 {
		t.Errorf("after its time: %q", got)
	}
	for query, field := range map[string]string{"?level=loud": "level", "?since=x": "since", "?limit=0": "limit", "?after=x": "after", "?after=0": "after", "?follow=x": "follow", "?follow=true&after=1": "after"} {
		if a := c.do(422, "GET", path+query, key, nil); a.Str("errors.0.path") != field {
			t.Errorf("%s: %v", query, a)
		}
	}
}

// The lines of a domain's plugin may hold any account's mail: its accounts don't see
// them.
func TestPluginLogWalls(t *testing.T) {
	c := newClient(t, withPlugins()...)
	id := c.install(c.g.Keys.Domain, "wide")
	c.do(200, "PATCH", "/plugins/"+id, c.g.Keys.Domain, `{"status":"enabled"}`)
	c.speak("say info secret")
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"rival.example"}`)
	rival := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain":"rival.example"}`).Str("token")
	path := "/plugins/" + id + "/logs"
	for _, key := range []string{c.g.Keys.Account, rival} {
		c.do(404, "GET", path, key, nil)
		c.do(404, "GET", path+"?follow=true", key, nil)
	}
	c.do(403, "GET", path, c.g.Keys.SendOnly, nil)
	for _, key := range []string{c.g.Keys.Domain, c.g.Keys.Admin} {
		if got := said(c.do(200, "GET", path+"?domain=demo.localhost", key, nil)); fmt.Sprint(got) != "[info secret]" {
			t.Errorf("%q", got)
		}
	}
	if rows := fmt.Sprint(c.do(200, "GET", "/logs?protocol=plugin", c.g.Keys.Domain, nil)); strings.Contains(rows, "secret") {
		t.Errorf("what it said is in the log of requests: %s", rows)
	}
}

// wantLog is the next event, a line.
func (l *listener) wantLog(text string) event {
	l.t.Helper()
	e, ok := l.next()
	for e.name == "heartbeat" {
		e, ok = l.next()
	}
	if !ok || e.name != "log" || e.data["text"] != text || e.id != e.data["id"] {
		l.t.Fatalf("got %+v (%t), want %s", e, ok, text)
	}
	return e
}

// A log is followed: what was said, then what is said, from where a client was; until
// the key ends, or the plugin.
func TestPluginLogStream(t *testing.T) {
	c := newClient(t, append(withPlugins(), gatewaytest.Limit("heartbeat_seconds", "1"), gatewaytest.Limit("streams_per_key", "2"))...)
	made := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"email":"bot@demo.localhost"}`)
	key := made.Str("token")
	id := c.install(key, "censor")
	c.do(200, "PATCH", "/plugins/"+id, key, `{"status":"enabled"}`)
	path := "/plugins/" + id + "/logs?follow=true"
	c.speak("say info one")
	c.speak("say warning two")
	c.speak("say info three")
	l, connected := listenAt(t, c.g, key, path+"&limit=2", "")
	if connected.data["plugin_id"] != id {
		t.Errorf("%v", connected)
	}
	l.wantLog("two")
	l.wantLog("three")
	l.want("heartbeat")
	resumed, _ := listenAt(t, c.g, key, path+"&level=warning", "1")
	resumed.wantLog("two")
	if status, a := c.g.Do("GET", path, key, nil); status != 429 || a.Str("limit") != "streams" {
		t.Errorf("a third stream: %d %v", status, a)
	}
	c.speak("say error four")
	for _, l := range []*listener{l, resumed} {
		e, ok := l.next()
		for ok && e.name == "heartbeat" {
			e, ok = l.next()
		}
		if e.data["text"] != "four" {
			t.Errorf("%+v", e)
		}
	}
	own, _ := listenAt(t, c.g, c.g.Keys.Domain, path, "4")
	began := time.Now()
	c.do(200, "DELETE", "/api-keys/"+made.Str("id"), c.g.Keys.Domain, nil)
	for _, l := range []*listener{l, resumed} {
		for e, ok := l.next(); ok; e, ok = l.next() {
			if e.name != "heartbeat" {
				t.Errorf("%+v", e)
			}
		}
	}
	if took := time.Since(began); took > 20*time.Second { // a stream has no end of its own
		t.Errorf("the streams ended %v after their key", took)
	}
	c.do(200, "DELETE", "/plugins/"+id, c.g.Keys.Domain, nil)
	for e, ok := own.next(); ok; e, ok = own.next() {
		if e.name != "heartbeat" {
			t.Errorf("%+v", e)
		}
	}
}

// A client that has seen more than there is, of the log before a restore, is told again
// what there is, and what is said.
func TestPluginLogStreamBeyond(t *testing.T) {
	c := newClient(t, withPlugins()...)
	key := c.g.Keys.Account
	id := c.install(key, "censor")
	c.do(200, "PATCH", "/plugins/"+id, key, `{"status":"enabled"}`)
	seen := "one"
	c.speak("say info one")
	for _, last := range []string{"5", "18446744073709551615"} {
		l, connected := listenAt(t, c.g, key, "/plugins/"+id+"/logs?follow=true&limit=1", last)
		if connected.id == last {
			t.Errorf("connected as %s", last)
		}
		l.wantLog(seen)
		seen = "behind " + last
		c.speak("say info " + seen)
		l.wantLog(seen)
		l.close()
	}
}

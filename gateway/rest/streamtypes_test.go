package rest_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// typed reads the next event that is no sign of life.
func (l *listener) typed() event {
	l.t.Helper()
	for {
		e, ok := l.next()
		if !ok {
			l.t.Fatal("the stream has ended")
		}
		if e.name != "heartbeat" {
			return e
		}
	}
}

// A stream tells of the events that webhooks are told of, with the same document, in the
// order of the feed, and goes on behind the last whole one.
func TestStreamTypes(t *testing.T) {
	c, h := newClient(t), gatewaytest.NewHook(t)
	key := c.g.Keys.Account
	c.hook(h, key, "email.received", "email.updated", "email.queued", "email.delivered")
	query := "?events=new_email,email.received,email.updated,email.queued,email.delivered"
	l, _ := listen(t, c.g, key, query, "")
	c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account, "subject", "to myself"))
	c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account, "subject", "again"))
	var all []event
	seen := map[string]int{}
	for seen["new_email"] < 2 || seen["email.delivered"] < 2 {
		e := l.typed()
		all = append(all, e)
		seen[e.name]++
	}
	if seen["email.received"] != 2 || seen["email.queued"] != 2 {
		t.Errorf("told %v", seen)
	}
	told := h.Wait(6)
	for _, e := range all {
		if e.name == "new_email" {
			continue
		}
		i := slices.IndexFunc(told, func(g gatewaytest.HookCall) bool {
			var doc map[string]any
			return json.Unmarshal(g.Body, &doc) == nil && doc["type"] == e.name && reflect.DeepEqual(doc["data"].(map[string]any)["sequence"], e.data["data"].(map[string]any)["sequence"])
		})
		if i < 0 {
			t.Errorf("no webhook was told %v", e)
		} else if e.name != "email.received" && !reflect.DeepEqual(map[string]any(told[i].Event), e.data) { // links to files differ
			t.Errorf("%s, and %v", told[i].Body, e.data)
		}
	}
	// What stands before new_email of the same event has no id: both are told again.
	last := ""
	for _, e := range all {
		if (e.name == "email.received") != (e.id == "") {
			t.Errorf("%s has the id %q", e.name, e.id)
		}
		if e.name == "email.received" && e.data["data"].(map[string]any)["subject"] == "again" {
			break
		}
		if e.id != "" {
			last = e.id
		}
	}
	l.close()
	again, _ := listen(t, c.g, key, query, last)
	if e := again.typed(); e.name != "email.received" || e.data["data"].(map[string]any)["subject"] != "again" {
		t.Errorf("after %s comes %v", last, e)
	}

	// A token is for new_email alone.
	token := c.do(200, "POST", "/emails/stream/token", key, `{}`).Str("token")
	if status, a := c.g.Do("GET", "/emails/stream?events=email.received&token="+token, "", nil); status != 422 || a.Str("errors.0.path") != "events" {
		t.Errorf("%d %v", status, a)
	}
}

// A change of many emails is told of each, and only the last of them ends it.
func TestStreamParts(t *testing.T) {
	c := newClient(t)
	for range 3 {
		c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	}
	c.eventually("/emails?email="+gatewaytest.Account, "total", 3.0)
	l, _ := listen(t, c.g, c.g.Keys.Account, "?events=email.updated", "")
	c.g.Dial(t, "imaps").Script(fmt.Sprintf("S: \\* OK\nC: a LOGIN %s %s\nS~ a OK\nC: b SELECT INBOX\nS~ b OK\nC: c STORE 1:3 +FLAGS (\\Flagged)\nS~ c OK", gatewaytest.Account, c.g.Keys.Account))
	for uid := 1.0; uid <= 3; uid++ {
		e := l.typed()
		if data := e.data["data"].(map[string]any); data["uid"] != uid || data["is_starred"] != true || (e.id == "") != (uid < 3) {
			t.Errorf("%v", e)
		}
	}
}

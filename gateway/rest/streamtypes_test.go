package rest_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
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
	// What stands before new_email of the same event is a part of it.
	l.close()
	for i, e := range all {
		if (e.name == "email.received") != strings.HasSuffix(e.id, ".1") {
			t.Errorf("%s has the id %q", e.name, e.id)
		}
		if e.name != "email.received" || i == len(all)-1 {
			continue
		}
		again, connected := listen(t, c.g, key, query, e.id)
		if connected.id != e.id {
			t.Errorf("connected has the id %s after %s", connected.id, e.id)
		}
		if next := again.typed(); next.name != all[i+1].name || next.id != all[i+1].id {
			t.Errorf("after %s comes %v, want %v", e.id, next, all[i+1])
		}
		again.close()
	}

	// A token is for new_email alone.
	token := c.do(200, "POST", "/emails/stream/token", key, `{}`).Str("token")
	if status, a := c.g.Do("GET", "/emails/stream?events=email.received&token="+token, "", nil); status != 422 || a.Str("errors.0.path") != "events" {
		t.Errorf("%d %v", status, a)
	}
}

// A change of many emails is told of each; a client goes on behind any of them.
func TestStreamParts(t *testing.T) {
	c := newClient(t)
	for range 3 {
		c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	}
	c.eventually("/emails?email="+gatewaytest.Account, "total", 3.0)
	l, _ := listen(t, c.g, c.g.Keys.Account, "?events=email.updated", "")
	c.g.Dial(t, "imaps").Script(fmt.Sprintf("S: \\* OK\nC: a LOGIN %s %s\nS~ a OK\nC: b SELECT INBOX\nS~ b OK\nC: c STORE 1:3 +FLAGS (\\Flagged)\nS~ c OK", gatewaytest.Account, c.g.Keys.Account))
	var ids []string
	for uid := 1.0; uid <= 3; uid++ {
		e := l.typed()
		if data := e.data["data"].(map[string]any); data["uid"] != uid || data["is_starred"] != true {
			t.Errorf("%v", e)
		}
		ids = append(ids, e.id)
	}
	if ids[0] != ids[2]+".1" || ids[1] != ids[2]+".2" {
		t.Errorf("ids %v", ids)
	}
	l.close()
	c.do(200, "PATCH", "/emails/1", c.g.Keys.Account, `{"is_read":true}`)
	for i, id := range ids {
		l, _ := listen(t, c.g, c.g.Keys.Account, "?events=email.updated", id)
		for uid := float64(i + 2); uid <= 3; uid++ {
			if e := l.typed(); e.data["data"].(map[string]any)["uid"] != uid {
				t.Errorf("after %s: %v", id, e)
			}
		}
		if e := l.typed(); e.data["data"].(map[string]any)["is_read"] != true {
			t.Errorf("after %s: %v", id, e)
		}
		l.close()
	}
}

package plugins_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
)

// listener installs a plugin that says a verdict, as it is, at its event hook.
func (c *tenant) listener(name, query, verdict string, events ...string) string {
	c.Helper()
	manifest, err := json.Marshal(map[string]any{
		"v": 1, "name": name, "hooks": []string{"event"}, "permissions": []string{"reply"}, "events": events,
	})
	if err != nil {
		c.Fatal(err)
	}
	status, a := c.upload("/plugins"+query, map[string]string{"wasm": string(hostile.Obedient("event")), "manifest": string(manifest)})
	if status != 201 {
		c.Fatalf("install: %d %v", status, a)
	}
	c.tell(a.Str("id"), verdict)
	return a.Str("id")
}

// tell has a listener say something else, and switches it on.
func (c *tenant) tell(id, verdict string) {
	c.Helper()
	change := map[string]any{"status": "enabled", "config": map[string]string{"event": verdict}}
	if status, a := c.g.Do("PATCH", "/plugins/"+id, c.key, change); status != 200 {
		c.Fatal(status, a)
	}
}

// eventually waits until a folder is as it should be.
func (c *tenant) eventually(email, name, want string) {
	c.Helper()
	gatewaytest.Eventually(c.T, email+" "+name+" "+want, func() bool {
		return strings.Join(c.folder(email, name), ", ") == want
	})
}

// late installs the puppet for hooks that nobody waits for, and switches it on.
func (c *tenant) late(name string, manifest map[string]any, config map[string]string) string {
	c.Helper()
	wasm, err := puppet()
	if err != nil {
		c.Fatal(err)
	}
	manifest["v"], manifest["name"], manifest["permissions"] = 1, name, []string{"kv"}
	doc, err := json.Marshal(manifest)
	if err != nil {
		c.Fatal(err)
	}
	status, a := c.upload("/plugins", map[string]string{"wasm": string(wasm), "manifest": string(doc)})
	if status != 201 {
		c.Fatalf("install: %d %v", status, a)
	}
	if status, a := c.g.Do("PATCH", "/plugins/"+a.Str("id"), c.key, map[string]any{"status": "enabled", "config": config}); status != 200 {
		c.Fatal(status, a)
	}
	return a.Str("id")
}

// letter delivers mail that a program may answer.
func (c *tenant) letter(subject string) {
	c.Helper()
	raw := "From: Ann <ann@elsewhere.example>\r\nTo: " + gatewaytest.Account + "\r\nSubject: " + subject + "\r\n\r\nbody\r\n"
	err := c.g.Receiver.Receive(c.Context(), gateway.Envelope{
		ReturnPath: "ann@elsewhere.example", Recipients: []string{gatewaytest.Account}, RemoteIP: "192.0.2.1", Helo: "peer.example",
	}, strings.NewReader(raw))
	if err != nil {
		c.Fatal(err)
	}
}

// movedClock is a clock that a test moves.
type movedClock struct {
	mu sync.Mutex
	by time.Duration
}

func (m *movedClock) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.by)
}

func (m *movedClock) add(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.by += d
}

// A plugin that is told of mail afterwards marks it, files it and answers it, once; it is
// not told of its own answer, nor of what it did itself.
func TestEventHook(t *testing.T) {
	c := start(t)
	c.listener("agent", "?email="+gatewaytest.Account,
		`{"labels":["told"],"flags":["\\Flagged"],"folder":"Agents","reply":{"subject":"Re: x","text":"thanks"}}`,
		"email.received", "email.queued", "email.updated", "email.held")
	c.letter("first")
	c.eventually(gatewaytest.Account, "Agents", "first [told]")
	c.eventually(gatewaytest.Account, "Sent", "Re: x []")
	c.letter("second")
	c.eventually(gatewaytest.Account, "Agents", "second [told], first [told]")
	c.eventually(gatewaytest.Account, "Sent", "Re: x []") // one sender is answered once in a while
	c.eventually(gatewaytest.Account, "INBOX", "")
}

// Of what happens to one account, plugins of others are not told.
func TestEventHookWalls(t *testing.T) {
	c := start(t)
	c.account("eve@demo.localhost")
	c.listener("mine", "?email="+gatewaytest.Account, `{"labels":["mine"]}`)
	c.listener("all", "", `{"labels":["all"]}`)
	c.arrive("hers", "eve@demo.localhost")
	c.arrive("his")
	c.eventually("eve@demo.localhost", "INBOX", "hers [all]")
	gatewaytest.Eventually(t, "both told of his", func() bool {
		got := strings.Join(c.folder(gatewaytest.Account, "INBOX"), ", ")
		return got == "his [all mine]" || got == "his [mine all]"
	})
	c.want("hers", c.folder("eve@demo.localhost", "INBOX"), []string{"hers [all]"})
}

// A plugin that is switched off, replaced or deleted while events wait acts no more, and
// who comes back begins with what happens from then on.
func TestEventHookChanged(t *testing.T) {
	clock := &movedClock{}
	c := start(t, gatewaytest.Clock(clock.now))
	id := c.listener("agent", "", `{"labels":"not a list"}`)
	c.arrive("first")
	gatewaytest.Eventually(t, "its failure is on record", func() bool {
		_, a := c.g.Do("GET", "/plugins/"+id, c.key, nil)
		return a.At("backlog.waiting") == 1.0
	})
	c.g.Do("PATCH", "/plugins/"+id, c.key, `{"status":"disabled"}`)
	c.arrive("meanwhile")
	c.tell(id, `{"labels":["told"]}`)
	c.arrive("second")
	c.eventually(gatewaytest.Account, "INBOX", "second [told], meanwhile [], first []")
	clock.add(2 * time.Minute) // the one that failed is due again
	c.g.Events.Wake()
	c.eventually(gatewaytest.Account, "INBOX", "second [told], meanwhile [], first [told]")
	if status, a := c.g.Do("DELETE", "/plugins/"+id, c.key, nil); status != 200 {
		t.Fatal(status, a)
	}
	c.listener("other", "", `{"labels":["other"]}`)
	c.arrive("third")
	c.eventually(gatewaytest.Account, "INBOX", "third [other], second [told], meanwhile [], first [told]")
}

// What a plugin fails at it is told again, under the same name, and what it remembered of a
// failure is not kept.
func TestEventHookAgain(t *testing.T) {
	clock := &movedClock{}
	c := start(t, gatewaytest.Clock(clock.now))
	id := c.late("agent", map[string]any{"hooks": []string{"event"}}, map[string]string{"fail": "bad"})
	c.arrive("bad")
	c.arrive("good")
	c.eventually(gatewaytest.Account, "INBOX", "good [n1], bad []")
	clock.add(2 * time.Minute)
	c.g.Events.Wake()
	errors := func(want float64) func() bool {
		return func() bool {
			_, a := c.g.Do("GET", "/plugins/"+id, c.key, nil)
			return a.At("stats.errors") == want
		}
	}
	gatewaytest.Eventually(t, "a second failure", errors(2))
	c.g.Do("PATCH", "/plugins/"+id, c.key, `{"config":{}}`)
	clock.add(10 * time.Minute)
	c.g.Events.Wake()
	c.eventually(gatewaytest.Account, "INBOX", "good [n1], bad [n2]")
	said := c.said(id)
	c.want("the third attempt", strings.HasSuffix(said[len(said)-1], " email.received 3"), true)
}

// A plugin has its turns; those that were missed are made up for by one.
func TestTickHook(t *testing.T) {
	clock := &movedClock{}
	c := start(t, gatewaytest.Clock(clock.now))
	id := c.late("clock", map[string]any{"hooks": []string{"tick"}, "tick_seconds": 3600}, nil)
	turns := func(want ...string) {
		t.Helper()
		c.g.Ticks.Wake()
		gatewaytest.Eventually(t, strings.Join(want, "; "), func() bool { return slices.Equal(c.said(id), want) })
	}
	turns()
	clock.add(time.Hour)
	first := "info: turn 1 of demo.localhost, before it none"
	turns(first)
	clock.add(5 * time.Hour)
	second := "info: turn 2 of demo.localhost, before it 1h0m0s"
	turns(first, second)
	clock.add(time.Hour)
	third := "info: turn 3 of demo.localhost, before it 5h0m0s"
	turns(first, second, third)
	c.g.Restart()
	clock.add(time.Hour)
	turns(first, second, third, "info: turn 4 of demo.localhost, before it 1h0m0s")
	c.g.Do("PATCH", "/plugins/"+id, c.key, `{"status":"disabled"}`)
	clock.add(time.Hour)
	c.g.Ticks.Wake()
	c.late("other", map[string]any{"hooks": []string{"tick"}, "tick_seconds": 3600}, nil)
	clock.add(time.Hour)
	turns(first, second, third, "info: turn 4 of demo.localhost, before it 1h0m0s")
}

// A plugin is not told of what it sent itself, nor of the copy that arrives here.
func TestEventHookOwnMail(t *testing.T) {
	c := start(t)
	c.account("eve@demo.localhost")
	c.listener("agent", "", `{"labels":["told"],"reply":{"text":"thanks"}}`, "email.received", "email.queued", "email.delivered")
	if status, a := c.g.Do("POST", "/emails", c.key, map[string]any{
		"from": "eve@demo.localhost", "to": gatewaytest.Account, "subject": "hello", "text": "x",
	}); status != 200 {
		t.Fatal(status, a)
	}
	c.eventually(gatewaytest.Account, "INBOX", "hello [told]")
	c.eventually("eve@demo.localhost", "INBOX", "Re: hello []")
	c.arrive("later", "eve@demo.localhost")
	c.eventually("eve@demo.localhost", "INBOX", "later [told], Re: hello []")
	c.eventually(gatewaytest.Account, "Sent", "Re: hello []")
}

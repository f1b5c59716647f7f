package rest_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// gate is how an endpoint answers that keeps each call until it is let go.
type gate struct {
	reached chan struct{}
	let     chan int // the status of one answer
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.reached <- struct{}{}
	select {
	case status := <-g.let:
		w.WriteHeader(status)
	case <-r.Context().Done():
	}
}

// held is a webhook, and an endpoint at which one event is under way.
func held(c *client) (h *gatewaytest.Hook, g *gate, id string) {
	c.Helper()
	h, g = gatewaytest.NewHook(c.T), &gate{make(chan struct{}, 100), make(chan int)}
	h.Answers(g.ServeHTTP)
	id = c.hook(h, c.g.Keys.Domain, "email.received").Str("id")
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	<-g.reached
	return h, g, id
}

// A webhook that is switched off and on while an event is under way has the outcome on
// record, and what it did not take it is told again: also when nothing else in its
// domain is told meanwhile.
func TestWebhookSwitchedUnderWay(t *testing.T) {
	for _, others := range []int{0, 1} {
		for _, switches := range []string{"off, answer, on", "off, on, answer"} {
			t.Run(fmt.Sprintf("%s, beside %d", switches, others), func(t *testing.T) {
				at := &clock{at: time.Now()}
				c := newClient(t, gatewaytest.Clock(at.now))
				for range others {
					c.hook(gatewaytest.NewHook(t), c.g.Keys.Domain)
				}
				h, g, id := held(c)
				w := "/webhooks/" + id
				c.do(200, "PATCH", w, c.g.Keys.Domain, `{"status":"disabled"}`)
				if switches == "off, answer, on" {
					g.let <- 500
					c.eventually(w+"/events", "data.0.status", "pending")
				}
				c.do(200, "PATCH", w, c.g.Keys.Domain, `{"status":"enabled"}`)
				if switches == "off, on, answer" {
					g.let <- 500
					c.eventually(w+"/events", "data.0.status", "pending")
				}
				h.Answers(nil)
				at.add(10 * time.Second)
				gatewaytest.Eventually(t, "it is told again", func() bool {
					c.g.Told.Wake()
					return len(h.Got()) == 2
				})
				c.eventually(w+"/events", "data.0.status", "delivered")
				if got := h.Got(); got[0].ID != got[1].ID {
					t.Errorf("%s and %s", got[0].ID, got[1].ID)
				}
				if row := c.do(200, "GET", w+"/events", c.g.Keys.Domain, nil); row.At("data.0.attempts") != 2.0 || row.At("data.1") != nil {
					t.Errorf("%v", row)
				}
			})
		}
	}
}

// A replay while an event is under way is that call: its outcome is on record, and it is
// told no third time.
func TestWebhookReplayedUnderWay(t *testing.T) {
	at := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(at.now))
	h, g, id := held(c)
	w := "/webhooks/" + id
	g.let <- 500
	c.eventually(w+"/events", "data.0.status", "pending")
	at.add(10 * time.Second)
	c.g.Told.Wake()
	<-g.reached
	path := w + "/events/" + h.Got()[0].ID
	if a := c.do(200, "POST", path+"/replay", c.g.Keys.Domain, nil); a.Str("status") != "pending" || a.At("attempts") != 1.0 {
		t.Errorf("%v", a)
	}
	g.let <- 200
	c.eventually(path, "status", "delivered")
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("subject", "behind it"))
	<-g.reached
	g.let <- 200
	if n := len(h.Got()); n != 3 {
		t.Errorf("%d calls", n)
	}
	if a := c.do(200, "GET", path+"/attempts", c.g.Keys.Domain, nil); a.At("data.0.response_status") != 500.0 || a.At("data.1.response_status") != 200.0 || a.At("data.2") != nil {
		t.Errorf("%v", a)
	}
}

// What goes while it is told is told nothing more, and nothing of it is left.
func TestWebhookGoesUnderWay(t *testing.T) {
	for name, route := range map[string]string{"webhook": "/webhooks/%s", "domain": "/domains/demo.localhost?force=true"} {
		t.Run(name, func(t *testing.T) {
			at := &clock{at: time.Now()}
			c := newClient(t, gatewaytest.Clock(at.now))
			h, g, id := held(c)
			key := c.g.Keys.Domain
			if name == "domain" {
				key, route = c.g.Keys.Admin, route+"%.0s"
			}
			c.do(200, "DELETE", fmt.Sprintf(route, id), key, nil)
			g.let <- 500
			h.Answers(nil)
			c.do(404, "GET", "/webhooks/"+id+"?domain=demo.localhost", c.g.Keys.Admin, nil)
			at.add(time.Hour)
			c.g.Told.Wake()
			if name == "webhook" { // what is told after it has all its time
				other := gatewaytest.NewHook(t)
				c.hook(other, key, "email.received")
				c.do(200, "POST", "/emails", key, email())
				other.Wait(1)
			}
			if n := len(h.Got()); n != 1 {
				t.Errorf("%d calls", n)
			}
			c.g.Restart()
			if n := len(h.Got()); n != 1 {
				t.Errorf("%d calls after a restart", n)
			}
		})
	}
}

// A secret that is made while an event is under way signs the next attempt, with the
// former one beside it.
func TestWebhookRotatedUnderWay(t *testing.T) {
	at := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(at.now))
	h, g, id := held(c)
	w := "/webhooks/" + id
	old := c.do(200, "GET", w, c.g.Keys.Domain, nil).Str("signing_secret")
	fresh := c.do(200, "POST", w+"/signing-secret/rotate", c.g.Keys.Domain, nil).Str("signing_secret")
	g.let <- 500
	c.eventually(w+"/events", "data.0.status", "pending")
	h.Answers(nil)
	at.add(10 * time.Second)
	c.g.Told.Wake()
	got := h.Wait(2)
	for i, want := range []struct{ old, fresh bool }{{true, false}, {true, true}} {
		if (got[i].Verify(old) == nil) != want.old || (got[i].Verify(fresh) == nil) != want.fresh {
			t.Errorf("call %d: %v, %v", i, got[i].Verify(old), got[i].Verify(fresh))
		}
	}
	c.eventually(w+"/events", "data.0.status", "delivered")
	if a := c.do(200, "GET", w, c.g.Keys.Domain, nil); a.Str("signing_secret") != fresh || a.At("failing_since") != nil {
		t.Errorf("%v", a)
	}
}

// Of as many webhooks as a domain may have some hang, some fail and some are gone: the
// others are told of all that happens, in order of what happened but for what runs at
// once, while those still hang.
func TestManyWebhooks(t *testing.T) {
	const letters = 20
	c := newClient(t)
	key := c.g.Keys.Domain
	var good []*gatewaytest.Hook
	release := make(chan struct{})
	var once sync.Once
	defer once.Do(func() { close(release) })
	for i := range 50 {
		h := gatewaytest.NewHook(t)
		switch i % 5 {
		case 0:
			h.Answers(func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-release:
				case <-r.Context().Done():
				}
			})
		case 1:
			h.Answers(bar(500))
		case 2:
			h.Answers(bar(410))
		default:
			good = append(good, h)
		}
		c.hook(h, key, "email.received")
	}
	for i := range letters {
		c.do(200, "POST", "/emails", key, email("subject", fmt.Sprint("letter ", i)))
	}
	for _, h := range good {
		seen := make(map[string]bool)
		for _, g := range h.Wait(letters) {
			seen[g.ID] = true
		}
		if len(seen) != letters {
			t.Errorf("told of %d of %d events", len(seen), letters)
		}
	}
	once.Do(func() { close(release) })
	gatewaytest.Eventually(t, "who is gone is switched off", func() bool {
		off := 0
		list := c.do(200, "GET", "/webhooks", key, nil)
		for i := range 50 {
			if list.Str(fmt.Sprintf("data.%d.status", i)) == "disabled" {
				off++
			}
		}
		return off == 10
	})
}

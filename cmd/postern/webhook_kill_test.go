package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// The real binary is killed with SIGKILL while a webhook that fails now and then is told of
// the mail that arrives, again and again over the same data. Of each mail that got its 250
// the endpoint is told in the end, under one id each time, and what it was told is on
// record.
func TestKilledWebhooks(t *testing.T) {
	const cycles = kills / 5
	p := startBinary(t)
	h := gatewaytest.NewHook(t)
	var calls atomic.Int64
	h.Answers(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1)%7 == 0 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
		}
	})
	status, hook := p.do("POST", "/webhooks", strings.NewReader(fmt.Sprintf(`{"endpoint":%q,"events":["email.received"]}`, h.URL)))
	if status != 201 {
		t.Fatalf("%d %v", status, hook)
	}
	accepted := lettersThroughKills(p, p.start, cycles)
	p.start()
	h.Answers(nil)
	ids := make(map[string]string) // of the events, by subject
	told := func() bool {
		clear(ids)
		for _, g := range h.Got() {
			subject := g.Event.Str("data.subject")
			if id := ids[subject]; id != "" && id != g.ID {
				t.Fatalf("%s is told as %s and as %s", subject, id, g.ID)
			}
			ids[subject] = g.ID
		}
		for name := range accepted {
			if ids[name] == "" {
				return false
			}
		}
		return true
	}
	gatewaytest.Eventually(t, "all are told", told)
	t.Logf("%d mails in %d lives, %d calls", len(accepted), cycles, len(h.Got()))
	if len(accepted) < 2*cycles {
		t.Error("so little was acknowledged that the test shows nothing")
	}
	delivered := func() bool {
		after, n := "", 0
		for {
			status, page := p.do("GET", "/webhooks/"+hook.Str("id")+"/events?limit=100&after="+after, nil)
			if status != 200 {
				t.Fatalf("%d %v", status, page)
			}
			for i := 0; page.At(fmt.Sprintf("data.%d", i)) != nil; i++ {
				if page.Str(fmt.Sprintf("data.%d.status", i)) == "delivered" {
					n++
				}
				after = page.Str(fmt.Sprintf("data.%d.id", i))
			}
			if page.At("has_more") != true {
				return n >= len(accepted)
			}
		}
	}
	gatewaytest.Eventually(t, "all are on record as told", delivered)
	p.stop()
	recount(t, binary(t), p.data)
}

// The real binary is killed with SIGKILL while an endpoint has an event and has not
// answered, and again while it is told that for the second time. It is told once more, under
// the same id and by the secret that was made meanwhile, too.
func TestKilledWhileTold(t *testing.T) {
	p := startBinary(t)
	h := gatewaytest.NewHook(t)
	h.Answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ask := func(want int, method, path, body string) gatewaytest.Answer {
		t.Helper()
		status, a := p.do(method, path, strings.NewReader(body))
		if status != want {
			t.Fatalf("%s %s: %d %v", method, path, status, a)
		}
		return a
	}
	hook := "/webhooks/" + ask(201, "POST", "/webhooks", fmt.Sprintf(`{"endpoint":%q,"events":["email.received"]}`, h.URL)).Str("id")
	ask(200, "POST", "/emails", `{"from":"bot@demo.localhost","to":"bot@demo.localhost","subject":"once","text":"x"}`)
	secret := ""
	for n := 1; n <= 2; n++ {
		h.Wait(n)
		secret = ask(200, "POST", hook+"/signing-secret/rotate", "").Str("signing_secret")
		p.kill()
		if n == 2 {
			h.Answers(nil)
		}
		p.start()
	}
	gatewaytest.Eventually(t, "it is taken", func() bool {
		return ask(200, "GET", hook+"/events", "").Str("data.0.status") == "delivered"
	})
	got := h.Got()
	for _, g := range got {
		if g.ID != got[0].ID || g.Event.Str("data.subject") != "once" {
			t.Errorf("%s is told as %s and as %s", g.Event.Str("data.subject"), got[0].ID, g.ID)
		}
	}
	if err := got[len(got)-1].Verify(secret); err != nil {
		t.Error(err)
	}
	if a := ask(200, "GET", hook+"/events", ""); a.At("data.1") != nil {
		t.Errorf("%v", a)
	}
	p.stop()
	recount(t, binary(t), p.data)
}

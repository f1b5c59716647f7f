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

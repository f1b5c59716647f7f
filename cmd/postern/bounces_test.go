package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// TestPostfixBounces: a Postfix takes our mail as a smart host does, the hosts behind it
// refuse it, and Postfix reports that to the return path; who sent is told.
func TestPostfixBounces(t *testing.T) {
	g, mx := gatewaytest.Start(t), gatewaytest.ServeMX(t)
	mx.Answer(func(command string) string {
		switch {
		case strings.HasPrefix(command, "RCPT TO:<gone@"):
			return "550 5.1.1 told by the test"
		case strings.HasPrefix(command, "RCPT"):
			return "554 5.7.1 told by the test"
		}
		return ""
	})
	_, hop, _ := strings.Cut(mx.Addr, ":")
	n := postfixWith(t, g, map[string]string{"HOP_PORT": hop})
	g.Restart(gatewaytest.Setting("delivery.smarthost", strings.Replace(n.addr, "127.0.0.1", "localhost", 1)),
		gatewaytest.Setting("delivery.mode", "relay"), gatewaytest.Setting("mx.listen", "127.0.0.1:"+port(t, g, "mx")))
	ids := make(map[string]string)
	for _, to := range []string{"gone@gone.example", "shut@shut.example"} {
		status, a := g.Do("POST", "/emails", g.Keys.Account, map[string]any{"from": gatewaytest.Account, "to": to, "subject": "to " + to, "text": "hello"})
		if status != 200 {
			t.Fatalf("send: %d %v", status, a)
		}
		ids[to] = a.Str("id")
	}
	for to, id := range ids {
		gatewaytest.Eventually(t, to+" bounces", func() bool {
			_, a := g.Do("GET", "/emails/"+id, g.Keys.Account, nil)
			return a.Str("last_event") == "bounced" && a.Str("events.0.type") == "bounced" && strings.Contains(a.Str("events.0.message"), "told by the test")
		})
	}
	found := arrived(t, g, 2)
	for to, status := range map[string]string{"gone@gone.example": "5.1.1", "shut@shut.example": "5.7.1"} {
		report := rawMail(t, g, found["Not delivered: to "+to])
		for _, want := range []string{"Return-Path: <>\r\n", "Final-Recipient: rfc822; " + to + "\r\n", "Status: " + status + "\r\n", "told by the test"} {
			if !strings.Contains(report, want) {
				t.Errorf("the report about %s lacks %q:\n%s", to, want, report)
			}
		}
		want := map[string]int{"5.1.1": 200, "5.7.1": 404}[status]
		if got, a := g.Do("GET", "/suppressions/"+to, g.Keys.Domain, nil); got != want {
			t.Errorf("the suppression of %s: %d %v", to, got, a)
		}
	}
	log := string(mustRead(filepath.Clean(n.log)))
	if strings.Count(log, "sender non-delivery notification") != 2 || strings.Count(log, "to=<b+") != 2 || strings.Contains(log, "NOQUEUE") {
		t.Errorf("Postfix did not report twice to a return path of ours:\n%s", log)
	}
}

// reports counts the reports in the sender's inbox by the subject that they are about.
func (s *sending) reports() map[string]int {
	s.Helper()
	by, after := make(map[string]int), ""
	for {
		req, err := http.NewRequest("GET", s.rest+"/emails?email=bot@demo.localhost&limit=100"+after, nil)
		if err != nil {
			s.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			s.Fatal(err)
		}
		var page struct {
			Data []struct {
				Subject string
				ID      string `json:"email_id"`
			}
			HasMore bool `json:"has_more"`
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			s.Fatalf("%d %v", resp.StatusCode, err)
		}
		for _, m := range page.Data {
			by[strings.TrimPrefix(m.Subject, "Not delivered: ")]++
			after = "&after=" + m.ID
		}
		if !page.HasMore {
			return by
		}
	}
}

// TestKilledReports: the binary is killed at any moment while its next hop refuses all
// mail. Who sent is told of each refusal, and of none twice.
func TestKilledReports(t *testing.T) {
	s := newSending(t)
	s.mx.Answer(func(command string) string {
		if strings.HasPrefix(command, "RCPT") {
			return "550 5.1.1 nobody"
		}
		return ""
	})
	const cycles = kills / 4
	accepted := make(map[string]bool)
	var mu sync.Mutex
	for cycle := range cycles {
		s.start()
		end := time.AfterFunc(time.Duration(50+rand.IntN(250))*time.Millisecond, s.kill)
		var clients sync.WaitGroup
		for c := range 4 {
			clients.Go(func() {
				for i := 0; ; i++ {
					token := fmt.Sprintf("%d.%d.%d", cycle, c, i)
					if !s.send(token, token+"@foreign.example") {
						return
					}
					mu.Lock()
					accepted[token] = true
					mu.Unlock()
				}
			})
		}
		clients.Wait()
		end.Stop()
		s.kill()
	}
	s.start()
	var told map[string]int
	gatewaytest.Eventually(t, "all refusals are told", func() bool {
		if s.waits() {
			return false
		}
		told = s.reports()
		for token := range accepted {
			if told[token] == 0 {
				return false
			}
		}
		return true
	})
	for token, n := range told {
		if n != 1 {
			t.Errorf("of %s the sender was told %d times", token, n)
		}
	}
	t.Logf("%d refusals told, %d mails accepted", len(told), len(accepted))
	if len(accepted) < 10*cycles {
		t.Errorf("%d were accepted", len(accepted))
	}
	s.kill()
	recount(t, s.bin, s.data)
}

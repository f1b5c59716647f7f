package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
)

// sending is the real binary, which gives its mail to a next hop that outlives it.
type sending struct {
	*testing.T
	bin, data string
	mx        *gatewaytest.MX
	key       string // of the domain
	rest      string

	mu  sync.Mutex
	cmd *exec.Cmd
}

func newSending(t *testing.T) *sending {
	t.Helper()
	dir, err := os.MkdirTemp("", "postern")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &sending{T: t, bin: binary(t), data: filepath.Join(dir, "d"), mx: gatewaytest.ServeMX(t)}
	t.Cleanup(s.kill)
	return s
}

func (s *sending) start() {
	s.Helper()
	cmd := exec.Command(s.bin, "quickstart", "--data", s.data, "--smarthost", s.mx.Addr, "--json")
	cmd.Env = environ("POSTERN_LIMITS_KEY_MESSAGES=1000000", "POSTERN_LIMITS_KEY_RECIPIENTS=1000000")
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
	var b serve.Banner
	if err := json.NewDecoder(out).Decode(&b); err != nil {
		s.Fatal(err)
	}
	s.rest = b.REST
	if b.Keys != nil {
		s.key = b.Keys.Domain
	}
}

func (s *sending) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // killed: that is the point
		s.cmd = nil
	}
}

// send submits one mail; false if nobody said 200.
func (s *sending) send(token string, to ...string) bool {
	body, err := json.Marshal(map[string]any{"from": "bot@demo.localhost", "to": to, "subject": token, "text": "x"})
	if err != nil {
		s.Error(err)
	}
	req, err := http.NewRequest("POST", s.rest+"/emails", strings.NewReader(string(body)))
	if err != nil {
		s.Error(err)
		return false
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == 200
}

// waits reports whether anything is in the queue.
func (s *sending) waits() bool {
	s.Helper()
	req, err := http.NewRequest("GET", s.rest+"/queue?limit=1", nil)
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	var page struct{ Data []json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&page); err != nil || resp.StatusCode != 200 {
		s.Fatalf("%d %v", resp.StatusCode, err)
	}
	return len(page.Data) > 0
}

// arrived are the bytes of what the next hop took, by recipient.
func (s *sending) arrived() map[string][]string {
	by := make(map[string][]string)
	for _, m := range s.mx.Mail() {
		for _, to := range m.To {
			by[to] = append(by[to], m.Data)
		}
	}
	return by
}

// once wants every mail there, and where one is twice, the same bytes. It returns how many
// are.
func (s *sending) once(want map[string]bool) (twice int) {
	s.Helper()
	gatewaytest.Eventually(s, "all mail arrives, and nothing waits", func() bool {
		if s.waits() {
			return false
		}
		got := s.arrived()
		for to := range want {
			if len(got[to]) == 0 {
				return false
			}
		}
		return true
	})
	for to, copies := range s.arrived() {
		for _, c := range copies[1:] {
			twice++
			if c != copies[0] {
				s.Errorf("%s got\n%s\nand then\n%s", to, copies[0], c)
			}
		}
	}
	return twice
}

// The binary is killed at each step of a delivery. The mail arrives once; or, if the next
// hop had all of it and we had no time to note that, twice with the same bytes: RFC 5321
// section 4.5.3.2.6 leaves no other way.
func TestKilledDelivery(t *testing.T) {
	for _, step := range []string{"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", ".", "QUIT"} {
		t.Run(step, func(t *testing.T) {
			s := newSending(t)
			s.start()
			var first sync.Once
			killed := make(chan struct{})
			s.mx.Answer(func(command string) (reply string) {
				if strings.HasPrefix(command, step) {
					first.Do(func() {
						s.kill()
						close(killed)
						reply = gatewaytest.Drop
					})
				}
				return reply
			})
			to := "a@foreign.example"
			if !s.send("x", to) {
				t.Fatal("it was not accepted")
			}
			<-killed
			s.start()
			twice := s.once(map[string]bool{to: true})
			if want := map[bool]int{true: 1}[step == "."]; twice != want {
				t.Errorf("%d came twice, want %d", twice, want)
			}
			s.kill()
			recount(t, s.bin, s.data)
		})
	}
}

// The binary is killed at any moment while many mails are under way. Nothing that got its
// 200 is lost, and what comes twice was under way at a kill.
func TestKilledQueue(t *testing.T) {
	s := newSending(t)
	const cycles = kills / 2
	accepted := make(map[string]bool)
	var mu sync.Mutex
	for cycle := range cycles {
		s.start()
		end := time.AfterFunc(time.Duration(50+rand.IntN(250))*time.Millisecond, s.kill)
		var clients sync.WaitGroup
		for c := range 4 {
			clients.Go(func() {
				for i := 0; ; i++ {
					a, b := fmt.Sprintf("a%d.%d.%d@foreign.example", cycle, c, i), fmt.Sprintf("b%d.%d.%d@other.example", cycle, c, i)
					if !s.send("x", a, b) {
						return
					}
					mu.Lock()
					accepted[a], accepted[b] = true, true
					mu.Unlock()
				}
			})
		}
		clients.Wait()
		end.Stop()
		s.kill()
	}
	s.start()
	twice := s.once(accepted)
	t.Logf("%d recipients, %d of them twice", len(accepted), twice)
	if len(accepted) < 10*cycles || twice > 10*cycles { // at most ten transactions were open at each of the kills
		t.Errorf("%d were accepted, %d came twice", len(accepted), twice)
	}
	s.kill()
	recount(t, s.bin, s.data)
}
